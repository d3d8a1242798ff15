"""Graph decoders: graph x spatial block x temporal block x read-out.

A graph decoder lets units exchange messages over a directed graph within each bin, then follows the bins of the trial.
``adjacency_`` is the graph that the decoder used: it says which units it let talk to each other, and nothing about
which neuron drives which. On simulated networks of known couplings it finds the couplings no better than chance.
Connectivity is another question, with estimators of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from spikesight.decoders.base import Codes
from spikesight.decoders.torch_base import TorchDecoder
from spikesight.errors import ConfigError, UnitIdsError
from spikesight.networks.devices import one_thread
from spikesight.networks.graph_axes import without_trials
from spikesight.networks.graph_module import GraphModule, StrongestEdges
from spikesight.networks.graphs import CorrelationGraph, Graph, LearnedGraph, as_graph
from spikesight.networks.learned_graphs import evenly_spaced
from spikesight.networks.spatial import DENSE_LIMIT, N_SOURCES, GATv2, make_spatial
from spikesight.networks.spatiotemporal import SpatiotemporalNetwork
from spikesight.networks.temporal import make_temporal
from spikesight.preprocessing import anscombe, validate_trials

_CHUNK: Final = 64
"""Trials whose graphs are averaged at once."""
_WHAT: Final = "the graph that the decoder passed messages over; not connectivity"


@dataclass(kw_only=True, eq=False, repr=False)
class SpatiotemporalDecoder(TorchDecoder):
    """Messages over a graph of units within each bin, then a temporal block over the bins.

    The unit's own value goes past the graph, which only adds to it. Training is short and strongly regularised: few
    trials of many units are soon learned by heart. With ``spatial="gatv2"`` and more than 500 units,
    each unit attends to its ``n_sources`` strongest incoming edges, chosen anew every epoch.

    Parameters
    ----------
    graph
        Where the graph comes from: an estimator of `spikesight.networks.graphs`, an array (n_units, n_units) or
        (n_bins, n_units, n_units) with ``[source, target]``, or a name (``"identity"``, ``"correlation"``,
        ``"learned"``, ...: see `spikesight.networks.graphs.as_graph`). None: ``default_graph()`` of the decoder. It is
        cloned, and built on training trials only.
    spatial
        ``"message-passing"``, ``"sage"``, ``"sgc"``, ``"gcn"`` or ``"gatv2"``.
    temporal
        ``"lstm"``, ``"gru"``, ``"transformer"`` or ``"none"``.
    readout
        ``"trial"``: scores from the whole trial; ``"bin"``: scores of every bin, averaged.
    hidden_size
        Width of a bin after the temporal block.
    unit_features
        Numbers per unit in the spatial block.
    n_hops
        Rounds of messages of ``"sgc"``.
    n_sources
        Incoming edges that a unit keeps for ``"gatv2"`` above 500 units.
    n_heads, n_layers
        Of ``"transformer"``.
    dropout
        Share of hidden values that are silenced in a training trial.
    unit_ids
        Labels of the units in ``adjacency_``; None: positions in ``X``.

    Attributes
    ----------
    mean_adjacency_ : ndarray
        What ``adjacency_`` labels.
    mean_attention_ : ndarray of shape (n_units, n_units)
        What ``attention_`` labels; only with ``spatial="gatv2"``.
    """

    graph: Any = None
    spatial: str = "gcn"
    temporal: str = "lstm"
    readout: str = "trial"
    hidden_size: int = 256
    unit_features: int = 1
    n_hops: int = 2
    n_sources: int = N_SOURCES
    n_heads: int = 4
    n_layers: int = 1
    dropout: float = 0.1
    unit_ids: ArrayLike | None = None

    @staticmethod
    def default_graph() -> Graph:
        """Return the graph that ``graph=None`` stands for: learned, one for all trials, of rank 8."""
        return LearnedGraph(rank=8)

    @property
    def _network(self) -> SpatiotemporalNetwork:
        return cast(SpatiotemporalNetwork, self.network_)

    @property
    def adjacency_(self) -> xr.DataArray:
        """The graph that the decoder used, averaged over the trials given to ``fit``: float32, >= 0, no self-edges.

        Dimensions ``source_unit`` and ``target_unit``; before them ``bin`` where every bin has a graph of its own.
        Graphs per class come as factors, with dimensions ``class`` (, ``bin``), ``side`` ("source", "target"),
        ``unit`` and ``rank``: the weight of an edge is the sum over ranks of its source's factor times its target's.
        They are those of the whole learned graph: what refinement starts from, and what attention over more than 500
        units takes the strongest edges of. ``adjacency(X)`` has what trials are decoded with.

        It is what messages passed over, not connectivity: at chance for true couplings of neurons.
        """
        check_is_fitted(self)
        return self._labelled(self.mean_adjacency_, without_trials(self._network.graph.per))

    @property
    def attention_(self) -> xr.DataArray:
        """Attention of each target on each source, averaged over the trials given to ``fit``, bins and classes.

        Dimensions ``source_unit`` and ``target_unit``; what a unit keeps for itself is on the diagonal, and every
        column sums to 1. Only with ``spatial="gatv2"``.
        """
        check_is_fitted(self)
        if not hasattr(self, "mean_attention_"):
            raise AttributeError(f"the spatial block {self.spatial!r} has no attention; 'gatv2' has.")
        return self._labelled(self.mean_attention_, ())

    def adjacency(self, X: ArrayLike) -> xr.DataArray:
        """Return the graph that chosen trials are decoded with, averaged over them.

        Parameters
        ----------
        X
            Trials, as for ``predict``; one trial gives the graph of that trial.

        Returns
        -------
        DataArray
            As ``adjacency_``, but graphs per class come as weights, with a dimension ``class``.
        """
        check_is_fitted(self)
        trials = validate_trials(self, X, reset=False, non_negative=True)
        return self._labelled(self._mean_graph(trials), without_trials(self._network.graph.per))

    def _build(self, n_bins: int, n_units: int, n_classes: int, rows: NDArray[np.float32]) -> nn.Module:
        if self.unit_features < 1:
            raise ConfigError(f"expected unit_features of at least 1, got {self.unit_features!r}.")
        graph = self._graph(rows, n_classes)
        return SpatiotemporalNetwork(
            graph,
            make_spatial(self.spatial, 1, self.unit_features, n_units=n_units, n_hops=self.n_hops),
            make_temporal(
                self.temporal,
                n_units,
                self.hidden_size,
                n_bins,
                n_heads=self.n_heads,
                n_layers=self.n_layers,
                dropout=self.dropout,
            ),
            self.readout,
            out_channels=self.unit_features,
            hidden_size=self.hidden_size,
            unit_dropout=self.unit_dropout,
            dropout=self.dropout,
        )

    def _graph(self, rows: NDArray[np.float32], n_classes: int) -> GraphModule:
        source = self.default_graph() if self.graph is None else as_graph(self.graph)
        seed = int(torch.randint(np.iinfo(np.int32).max, ()))
        seen = self._white(evenly_spaced(rows))
        graph: GraphModule = clone(source).build(rows, n_classes, seed, self.unit_features, seen)
        many = self.spatial == "gatv2" and rows.shape[2] > DENSE_LIMIT
        return StrongestEdges(graph, self.n_sources) if many else graph

    def _fit(self, trials: NDArray[Any], codes: Codes) -> None:
        self._unit_labels()
        super()._fit(trials, codes)
        factors = self._network.graph.factors() if "class" in self._network.graph.per else None
        if factors is not None:
            self.mean_adjacency_ = np.stack([side.numpy() for side in factors], axis=-3)
        else:
            self.mean_adjacency_ = self._mean_graph(trials)
        self.__dict__.pop("mean_attention_", None)
        if isinstance(self._network.spatial, GATv2):
            self.mean_attention_ = self._mean_over_trials(trials, self._network.attention)

    def _mean_graph(self, trials: NDArray[Any]) -> NDArray[np.float32]:
        chosen = trials if self._network.graph_depends_on_trials else trials[:1]
        return self._mean_over_trials(chosen, self._network.mean_adjacency)

    def _mean_over_trials(self, trials: NDArray[Any], of: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
        """Average what the network says of batches of trials, over trials."""
        total: Any = 0.0
        with one_thread(), torch.no_grad():
            for first in range(0, len(trials), _CHUNK):
                chunk = trials[first : first + _CHUNK]
                total = total + len(chunk) * of(torch.from_numpy(self._scaled(anscombe(chunk, np.float32)))).double()
        return np.asarray((total / len(trials)).numpy(), np.float32)

    def _labelled(self, values: NDArray[np.float32], axes: tuple[str, ...]) -> xr.DataArray:
        """Name the dimensions of weights (*axes, N, N) or of factors (*axes, 2, N, R)."""
        units = self._unit_labels()
        own = {"class": self._class_labels(), "bin": np.arange(self.n_bins_)}
        if values.ndim == len(axes) + 2:
            coords = {axis: own[axis] for axis in axes} | {"source_unit": units, "target_unit": units}
            dims: tuple[str, ...] = (*axes, "source_unit", "target_unit")
        else:
            coords = {axis: own[axis] for axis in axes} | {"side": np.array(["source", "target"]), "unit": units}
            dims = (*axes, "side", "unit", "rank")
        return xr.DataArray(values, coords, dims, attrs={"description": _WHAT})

    def _unit_labels(self) -> NDArray[Any]:
        if self.unit_ids is None:
            return np.arange(self.n_units_)
        labels = np.asarray(self.unit_ids)
        if labels.shape != (self.n_units_,) or len(np.unique(labels)) < len(labels):
            raise UnitIdsError(
                f"expected unit_ids of {self.n_units_} units, all different, got an array of shape {labels.shape} with "
                f"{len(np.unique(labels))} different values."
            )
        return labels

    def _class_labels(self) -> NDArray[Any]:
        """Return the classes as numbers or text: an array of Python objects has no place in a file."""
        return self.classes_.astype(str) if self.classes_.dtype.hasobject else self.classes_


@dataclass(kw_only=True, eq=False, repr=False)
class GCN(SpatiotemporalDecoder):
    """Graph convolution within each bin, then one hidden layer; parameters as of `SpatiotemporalDecoder`.

    The default graph is learned, one for all trials, of rank 8.
    """

    spatial: str = "gcn"
    temporal: str = "none"


@dataclass(kw_only=True, eq=False, repr=False)
class GAT(SpatiotemporalDecoder):
    """Graph attention (GATv2) within each bin, then one hidden layer; parameters as of `SpatiotemporalDecoder`."""

    spatial: str = "gatv2"
    max_epochs: int = 12
    temporal: str = "none"

    @staticmethod
    def default_graph() -> Graph:
        """Return the graph that ``graph=None`` stands for: the strongest correlations of the training trials."""
        return CorrelationGraph()


@dataclass(kw_only=True, eq=False, repr=False)
class STGNN(SpatiotemporalDecoder):
    """Message passing within each bin, then an LSTM over bins; parameters as of `SpatiotemporalDecoder`."""

    spatial: str = "message-passing"
    unit_features: int = 2


@dataclass(kw_only=True, eq=False, repr=False)
class STGCN(SpatiotemporalDecoder):
    """Graph convolution within each bin, then an LSTM over bins; parameters as of `SpatiotemporalDecoder`."""

    spatial: str = "gcn"


@dataclass(kw_only=True, eq=False, repr=False)
class STGAT(SpatiotemporalDecoder):
    """Graph attention (GATv2 with edge weights) within each bin, then an LSTM over bins.

    Parameters as of `SpatiotemporalDecoder`.
    """

    spatial: str = "gatv2"
    max_epochs: int = 12

    @staticmethod
    def default_graph() -> Graph:
        """Return the graph that ``graph=None`` stands for: the strongest correlations of the training trials."""
        return CorrelationGraph()


@dataclass(kw_only=True, eq=False, repr=False)
class STTransformer(SpatiotemporalDecoder):
    """Graph convolution within each bin, then a Transformer over bins; parameters as of `SpatiotemporalDecoder`."""

    spatial: str = "gcn"
    temporal: str = "transformer"
