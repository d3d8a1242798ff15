"""What a neural decoder is made of, as a flow chart: read from its own parameters, fitted or not."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from spikesight.decoders.convolutional import CNN
from spikesight.decoders.feedforward import MLP
from spikesight.decoders.recurrent import GRU, RecurrentDecoder
from spikesight.decoders.spatiotemporal import SpatiotemporalDecoder
from spikesight.decoders.torch_base import TorchDecoder
from spikesight.decoders.transformer import Transformer
from spikesight.errors import ConfigError
from spikesight.figures.flow_chart import Arrow, Box, FlowChart
from spikesight.networks.graph_estimator import Graph, entry
from spikesight.networks.graphs import CorrelationGraph, GivenGraph, IdentityGraph, LearnedGraph, as_graph
from spikesight.networks.learned_graphs import DEFAULT_RANK, SCOPES
from spikesight.networks.spatial import DENSE_LIMIT

_SPATIAL: Final[dict[str, str]] = {
    "message-passing": "a function of each source, summed, times a gate of the target",
    "sage": "the mean of the sources, mapped apart from the unit itself",
    "sgc": "the normalised graph, several times, no rectifier",
    "gcn": "the normalised graph, once, then a rectifier",
    "gatv2": "attention over the sources and the unit itself",
}
_TEMPORAL: Final[dict[str, str]] = {
    "lstm": "one bin after the other",
    "gru": "one bin after the other",
    "transformer": "every bin attends to every other, positions are learned",
    "none": "each bin by itself, with a learned vector of its position",
}
_POOLED: Final[dict[str, str]] = {
    "lstm": "from the last state",
    "gru": "from the last state",
    "transformer": "from the mean over bins",
    "none": "from all bins side by side",
}
_READOUT: Final = {"trial": "one set of scores", "bin": "scores of every bin, averaged"}
_NAMES: Final[dict[type[Graph], str]] = {
    IdentityGraph: "identity, no edges",
    GivenGraph: "given",
    CorrelationGraph: "correlation of training trials",
    LearnedGraph: "learned with the network",
}


class _Sizes(NamedTuple):
    """How many there are, in words where a decoder is not fitted."""

    bins: str
    units: str
    classes: str


def architecture_of(decoder: Any, name: str | None = None) -> FlowChart:
    """Describe a neural decoder as a flow chart, for `spikesight.figures.plot_architecture`.

    Parameters
    ----------
    decoder
        An instance of one of the neural decoders; numbers of bins, units and classes are known once it is fitted.
    name
        What the chart calls it; the name of its class if None.

    Raises
    ------
    ConfigError
        If it is no neural decoder, or its graph is none.
    UnknownNameError
        If its spatial block, temporal block, read-out or scope is unknown.
    """
    if not isinstance(decoder, MLP | RecurrentDecoder | Transformer | CNN | SpatiotemporalDecoder):
        raise ConfigError(
            "expected a neural decoder to draw (mlp, mlp-deep, lstm, gru, transformer, cnn, gcn, gat, st-gnn, st-gcn, "
            f"st-gat or st-transformer), got {type(decoder).__name__}, which is no network."
        )
    params = decoder.get_params(deep=False)
    sizes = _Sizes(*(_size(decoder, key) for key in ("bins", "units", "classes")))
    boxes = [
        Box("counts", "counts of a trial", (f"{sizes.bins} x {sizes.units}",), "data", 0),
        Box("input", "input", _input_lines(params), "input", 1),
    ]
    arrows = [Arrow("counts", "input")]
    if isinstance(decoder, SpatiotemporalDecoder):
        more, ways = _graph_part(decoder, params, sizes)
    else:
        more, ways = _plain_part(decoder, params, sizes)
    boxes += more
    arrows += ways
    last = boxes[-1]
    known = () if params["noise_factors"] is None else ("scores of patterns over classes, known before training",)
    boxes.append(Box("classes", sizes.classes, known, "data", last.row + 1))
    arrows.append(Arrow(last.key, "classes", "scores"))
    return FlowChart(name or type(decoder).__name__, tuple(boxes), tuple(arrows))


def _size(decoder: TorchDecoder, what: str) -> str:
    known = {"bins": getattr(decoder, "n_bins_", None), "units": getattr(decoder, "n_units_", None)}
    if what == "classes":
        known["classes"] = len(decoder.classes_) if hasattr(decoder, "classes_") else None
    return what if known[what] is None else f"{known[what]} {what}"


def _input_lines(params: Mapping[str, Any]) -> tuple[str, ...]:
    lines = ["square root, standardised on training trials"]
    if params["noise_factors"] is not None:
        lines += [
            f"shared noise whitened (noise_factors = {params['noise_factors']})",
            "units weighted by their signal",
        ]
    return (*lines, f"in training: input_noise = {params['input_noise']:g}, unit_dropout = {params['unit_dropout']:g}")


def _plain_part(decoder: TorchDecoder, params: Mapping[str, Any], sizes: _Sizes) -> tuple[list[Box], list[Arrow]]:
    """Describe what has no graph: one block over the bins, or none, and the read-out."""
    dropout = f"dropout = {params['dropout']:g}"
    block: tuple[str, tuple[str, ...]]
    if isinstance(decoder, MLP):
        block = ("hidden layers", ("all bins side by side", _layers(params, "n_layers", "hidden_size")))
        pooled = "from the last hidden layer"
    elif isinstance(decoder, CNN):
        block = (
            "filters over bins",
            ("each sees a few bins of all units", _layers(params, "n_layers", "n_filters", "kernel_size")),
        )
        pooled = _POOLED["none"]
    else:
        kind = "transformer" if isinstance(decoder, Transformer) else "gru" if isinstance(decoder, GRU) else "lstm"
        block = (f"temporal block: {kind}", _temporal_lines(kind, params))
        pooled = _POOLED[kind]
    boxes = [
        Box("block", *block, "temporal", 2),
        Box("readout", "read-out", (f"{_READOUT['trial']} {pooled}", dropout), "readout", 3),
    ]
    return boxes, [Arrow("input", "block"), Arrow("block", "readout")]


def _graph_part(
    decoder: SpatiotemporalDecoder, params: Mapping[str, Any], sizes: _Sizes
) -> tuple[list[Box], list[Arrow]]:
    spatial, temporal, readout = params["spatial"], params["temporal"], params["readout"]
    says = entry("spatial block", spatial, _SPATIAL)
    graph = decoder.default_graph() if params["graph"] is None else as_graph(params["graph"])
    how = [says, *([f"n_hops = {params['n_hops']}"] if spatial == "sgc" else [])]
    if spatial == "gatv2":
        how.append(f"above {DENSE_LIMIT} units: the n_sources = {params['n_sources']} strongest")
    pooled = entry("temporal block", temporal, _POOLED)
    scored = entry("read-out", readout, _READOUT)
    boxes = [
        Box("embedding", "numbers of each unit, in each bin",
            (f"1 to unit_features = {params['unit_features']}, by maps of its own",), "spatial", 2),
        Box("graph", f"graph: {_NAMES.get(type(graph), type(graph).__name__)}", _graph_lines(graph), "graph", 3, 1),
        Box("spatial", f"spatial block: {spatial}", ("within each bin:", *how), "spatial", 3),
        Box("sum", "sum", ("the unit's own value + what it hears (a tenth at first)",), "spatial", 4),
        Box("temporal", f"temporal block: {temporal}", _temporal_lines(temporal, params), "temporal", 5),
        Box("readout", f"read-out: {readout}",
            (f"{scored}, {pooled}" if readout == "trial" else scored, f"dropout = {params['dropout']:g}"),
            "readout", 6),
    ]  # fmt: skip
    arrows = [
        Arrow("input", "embedding"),
        Arrow("input", "sum", "the unit's own value, past the graph", "past"),
        Arrow("embedding", "spatial"),
        Arrow("graph", "spatial", "edges\n[source, target]", "across"),
        Arrow("spatial", "sum"),
        Arrow("sum", "temporal", f"{sizes.bins} x {sizes.units}"),
        Arrow("temporal", "readout"),
    ]
    if isinstance(graph, LearnedGraph):
        if graph.scope == "per-trial":
            arrows.append(Arrow("input", "graph", "activity of the trial", "across"))
        if graph.refine_rounds:
            arrows.append(Arrow("spatial", "graph", f"refines it\n{_times(graph.refine_rounds)}", "back"))
    return boxes, arrows


def _graph_lines(graph: Graph) -> tuple[str, ...]:
    """Say all parameters of a graph, whatever its class."""
    params = graph.get_params(deep=False)
    if isinstance(graph, LearnedGraph):
        per = entry("scope", graph.scope, SCOPES)
        if graph.rank is None:
            params["rank"] = f"{DEFAULT_RANK} (None)" if "class" in per else "full (None)"
        if graph.init == "constant":
            del params["quantile"]
    lines = [f"{name} = {_short(value)}" for name, value in params.items()]
    if isinstance(graph, LearnedGraph) and "class" in graph.scope:
        lines.append("every class is scored with its own")
    return (*lines, "not connectivity")


def _temporal_lines(kind: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("hidden_size", "n_heads", "n_layers") if kind == "transformer" else ("hidden_size",)
    return _TEMPORAL[kind], _layers(params, *names)


def _layers(params: Mapping[str, Any], *names: str) -> str:
    return ", ".join(f"{name} = {params[name]}" for name in names)


def _short(value: Any) -> str:
    if hasattr(value, "__array__") or isinstance(value, list | tuple):
        return " x ".join(str(size) for size in np.shape(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _times(rounds: int) -> str:
    return "once" if rounds == 1 else f"{rounds} times"
