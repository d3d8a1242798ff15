"""The table of decoders: a name, the class behind it, and what a fair comparison needs to know of it.

Classes are imported when they are asked for, so the table itself costs nothing. Other packages add decoders through
the entry-point group ``spikesight.decoders``::

    [project.entry-points."spikesight.decoders"]
    my-decoder = "my_package.decoders:MyDecoder"      # the class, or a DecoderSpec with its candidates
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from spikesight.decoders import search_spaces
from spikesight.errors import ConfigError, UnknownNameError
from spikesight.search_space import Space

ENTRY_POINT_GROUP: Final = "spikesight.decoders"
DEFAULT: Final = "fa-lda"
N_CANDIDATES: Final = 5
"""Settings that every decoder may choose from on training trials: the same number, so that terms are equal."""


@dataclass(frozen=True)
class DecoderSpec:
    """What the registry knows of a decoder.

    Parameters
    ----------
    path
        ``"module:Class"``.
    summary
        One line for a table of decoders.
    candidates
        Constructor parameters to choose from on training trials; ``N_CANDIDATES`` of them, or ``({},)`` for a
        decoder without constants of its own.
    several_bins
        What the decoder does with trials of more than one bin.
    search_space
        Constructor parameters that a search may vary, and where; empty where there is nothing to search.
    """

    path: str
    summary: str
    candidates: tuple[Mapping[str, Any], ...] = ({},)
    several_bins: str = "not stated"
    search_space: Space = field(default_factory=dict)


_NETWORK_CANDIDATES = tuple(
    {"input_noise": noise, "unit_dropout": share}
    for noise, share in ((1.25, 0.1), (0.75, 0.1), (2.0, 0.1), (0.75, 0.4), (1.25, 0.4))
)
"""Noise that is added in training, and share of silenced units."""
_ENSEMBLES: tuple[tuple[str | tuple[str, Mapping[str, Any]], ...], ...] = (
    (("fa-lda", {"q": 60}), ("fa-lda", {"q": 120}), ("fa-lda", {"q": 240}), "mlp"),
    (("fa-lda", {"q": 60}), ("fa-lda", {"q": 120}), ("fa-lda", {"q": 240})),
    (("fa-lda", {"q": 15}), ("fa-lda", {"q": 30}), ("fa-lda", {"q": 60}), "mlp"),
    (("fa-lda", {"q": 120}), "mlp"),
    ("fa-lda", "lda", "mlp"),
)
"""Members."""
_FLAT = "every bin of every unit is a feature of its own"

_DECODERS: dict[str, DecoderSpec] = {
    "chance": DecoderSpec(
        "spikesight.decoders.chance:Chance",
        "the most frequent class of the training trials, whatever the spikes say",
        several_bins="looks at none of them",
    ),
    "logistic": DecoderSpec(
        "spikesight.decoders.linear:Logistic",
        "multinomial logistic regression with an L2 penalty",
        tuple({"C": c} for c in (0.003, 0.01, 0.03, 0.1, 0.3)),
        _FLAT,
        search_space=search_spaces.LOGISTIC,
    ),
    "pca-logistic": DecoderSpec(
        "spikesight.decoders.linear:PCALogistic",
        "principal components, then multinomial logistic regression",
        # every C once: in a session of fewer units than components the candidates still differ
        tuple(
            {"n_components": n, "C": c} for n, c in ((1000, 0.003), (1000, 0.01), (300, 0.03), (300, 0.1), (100, 0.3))
        ),
        _FLAT + ", then components of all of them",
        search_space=search_spaces.PCA_LOGISTIC,
    ),
    "svc-linear": DecoderSpec(
        "spikesight.decoders.svc:LinearSVC",
        "support-vector classifier, linear kernel",
        tuple({"C": c} for c in (0.001, 0.002, 0.005, 0.01, 0.1)),
        _FLAT,
        search_space=search_spaces.LINEAR_SVC,
    ),
    "svc-poly": DecoderSpec(
        "spikesight.decoders.svc:PolynomialSVC",
        "support-vector classifier, polynomial kernel",
        tuple({"C": c, "degree": d} for c, d in ((0.3, 2), (1, 2), (3, 2), (1, 3), (3, 3))),
        _FLAT,
        search_space=search_spaces.POLYNOMIAL_SVC,
    ),
    "svc-rbf": DecoderSpec(
        "spikesight.decoders.svc:RadialSVC",
        "support-vector classifier, Gaussian kernel",
        tuple({"C": c, "gamma": g} for c, g in ((10, 0.1), (30, 0.1), (10, 0.25), (30, 0.25), (10, 0.5))),
        _FLAT,
        search_space=search_spaces.RADIAL_SVC,
    ),
    "ridge": DecoderSpec(
        "spikesight.decoders.linear:Ridge",
        "least squares on class labels with an L2 penalty",
        tuple({"alpha": a} for a in (100, 500, 2000, 5000, 20000)),
        _FLAT,
        search_space=search_spaces.RIDGE,
    ),
    "poisson-bayes": DecoderSpec(
        "spikesight.decoders.bayes:PoissonBayes",
        "independent Poisson counts with shrunken rates",
        tuple({"alpha": a} for a in (1, 3, 10, 30, 100)),
        "a Poisson count in every bin, independent given the class",
        search_space=search_spaces.POISSON_BAYES,
    ),
    "lda": DecoderSpec(
        "spikesight.decoders.lda:ShrinkageLDA",
        "discriminant analysis with a full, shrunken noise covariance",
        tuple({"shrinkage": s} for s in ("auto", 0.2, 0.4, 0.6, 0.8)),
        _FLAT,
        search_space=search_spaces.LDA,
    ),
    "fa-lda": DecoderSpec(
        "spikesight.decoders.fa_lda:FactorLDA",
        "discriminant analysis with shared noise factors and empirical-Bayes class means (the default)",
        tuple({"q": q} for q in (15, 30, 60, 120, 240)),
        "one model of the stacked bins and one of their sum, weighted by a choice on training trials",
        search_space=search_spaces.FACTOR_LDA,
    ),
    "mlp": DecoderSpec(
        "spikesight.decoders.feedforward:MLP",
        "network with one hidden layer",
        _NETWORK_CANDIDATES,
        _FLAT,
        search_space=search_spaces.HIDDEN,
    ),
    "mlp-deep": DecoderSpec(
        "spikesight.decoders.feedforward:DeepMLP",
        "network with several hidden layers",
        _NETWORK_CANDIDATES,
        _FLAT,
        search_space=search_spaces.HIDDEN,
    ),
    "lstm": DecoderSpec(
        "spikesight.decoders.recurrent:LSTM",
        "recurrent network: long short-term memory",
        _NETWORK_CANDIDATES,
        "one after the other, read out after the last",
        search_space=search_spaces.HIDDEN,
    ),
    "gru": DecoderSpec(
        "spikesight.decoders.recurrent:GRU",
        "recurrent network: gated recurrent units",
        _NETWORK_CANDIDATES,
        "one after the other, read out after the last",
        search_space=search_spaces.HIDDEN,
    ),
    "transformer": DecoderSpec(
        "spikesight.decoders.transformer:Transformer",
        "self-attention over bins of known position",
        _NETWORK_CANDIDATES,
        "every bin attends to every other; read out from their mean",
        search_space=search_spaces.TRANSFORMER,
    ),
    "cnn": DecoderSpec(
        "spikesight.decoders.convolutional:CNN",
        "temporal convolution: filters over a few bins of all units",
        _NETWORK_CANDIDATES,
        "filters of three bins slide over them; all their outputs are read out together",
        search_space=search_spaces.CNN,
    ),
    "gcn": DecoderSpec(
        "spikesight.decoders.spatiotemporal:GCN",
        "graph convolution over units, one hidden layer",
        _NETWORK_CANDIDATES,
        "messages within each bin; bins side by side in the read-out",
        search_space=search_spaces.GRAPH,
    ),
    "gat": DecoderSpec(
        "spikesight.decoders.spatiotemporal:GAT",
        "graph attention over units (GATv2), one hidden layer",
        _NETWORK_CANDIDATES,
        "messages within each bin; bins side by side in the read-out",
        search_space=search_spaces.GRAPH,
    ),
    "st-gnn": DecoderSpec(
        "spikesight.decoders.spatiotemporal:STGNN",
        "gated message passing over units, then an LSTM over bins",
        _NETWORK_CANDIDATES,
        "messages within each bin, then one bin after the other",
        search_space=search_spaces.GRAPH,
    ),
    "st-gcn": DecoderSpec(
        "spikesight.decoders.spatiotemporal:STGCN",
        "graph convolution over units, then an LSTM over bins",
        _NETWORK_CANDIDATES,
        "messages within each bin, then one bin after the other",
        search_space=search_spaces.GRAPH,
    ),
    "st-gat": DecoderSpec(
        "spikesight.decoders.spatiotemporal:STGAT",
        "graph attention over units (GATv2 with edge weights), then an LSTM over bins",
        _NETWORK_CANDIDATES,
        "messages within each bin, then one bin after the other",
        search_space=search_spaces.GRAPH,
    ),
    "st-transformer": DecoderSpec(
        "spikesight.decoders.spatiotemporal:STTransformer",
        "graph convolution over units, then a Transformer over bins",
        _NETWORK_CANDIDATES,
        "messages within each bin, then every bin attends to every other",
        search_space=search_spaces.GRAPH_TRANSFORMER,
    ),
    "ensemble": DecoderSpec(
        "spikesight.decoders.ensemble:Ensemble",
        "averaged calibrated probabilities of other decoders: fa-lda with several numbers of factors, and mlp",
        tuple({"members": members} for members in _ENSEMBLES),
        "each member does with them what it does alone",
        search_space=search_spaces.ENSEMBLE,
    ),
}

_AROUND: Final = {"encoded": "spikesight.decoders.encoded:EncodedDecoder"}
"""Decoders that only stand around another one. They are stored by these names, and listed nowhere."""


def names() -> list[str]:
    """Names of all decoders that can be used: built in, registered, and plug-ins that import."""
    plugins, _ = _load_plugins()
    return [*_DECODERS, *plugins]


def broken() -> dict[str, str]:
    """Plug-ins that cannot be used, and why."""
    return _load_plugins()[1]


def spec(name: str) -> DecoderSpec:
    """Return what is known of a decoder.

    Raises
    ------
    UnknownNameError
        If no decoder has that name; offers the nearest one.
    ConfigError
        If the name belongs to a plug-in that cannot be imported.
    """
    if name in _DECODERS:
        return _DECODERS[name]
    plugins, reasons = _load_plugins()
    if name in reasons:
        raise ConfigError(f"the plug-in decoder {name!r} is broken: {reasons[name]}")
    if name not in plugins:
        raise UnknownNameError("decoder", name, [*_DECODERS, *plugins])
    return plugins[name]


def get(name: str) -> type[Any]:
    """Import and return the class of a decoder. Raises as ``spec`` does."""
    return _import_class(_AROUND[name] if name in _AROUND else spec(name).path)


def make(name: str, **params: Any) -> Any:
    """Return an unfitted decoder. Raises as ``spec`` does."""
    return get(name)(**params)


def register(name: str, spec: DecoderSpec) -> None:
    """Add a decoder to the table of this process.

    Raises
    ------
    ConfigError
        If the name is taken.
    """
    if name in _AROUND:
        raise ConfigError(f"the decoder name {name!r} is taken by {_AROUND[name]}; choose another name.")
    if name in _DECODERS:
        raise ConfigError(f"the decoder name {name!r} is taken by {_DECODERS[name].path}; choose another name.")
    _DECODERS[name] = spec


def unregister(name: str) -> None:
    """Take a decoder out of the table of this process."""
    if name not in _DECODERS:
        raise UnknownNameError("decoder", name, _DECODERS)
    del _DECODERS[name]


def name_of(cls: type[Any]) -> str:
    """Return the name under which a class is registered.

    Raises
    ------
    ConfigError
        If it is not.
    """
    plugins, _ = _load_plugins()
    paths = {name: known.path for name, known in {**_DECODERS, **plugins}.items()}
    for name, path in {**paths, **_AROUND}.items():
        if path.partition(":")[2] == cls.__qualname__ and _import_class(path) is cls:
            return name
    raise ConfigError(f"{cls.__module__}:{cls.__qualname__} is no registered decoder; see registry.register.")


def _import_class(path: str) -> type[Any]:
    module, _, attribute = path.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, type):
        raise ConfigError(f"expected {path} to be a class, got {found!r}.")
    return found


def _load_plugins() -> tuple[dict[str, DecoderSpec], dict[str, str]]:
    """Import every plug-in: the usable ones, and the reason of each that is not."""
    usable: dict[str, DecoderSpec] = {}
    reasons: dict[str, str] = {}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name in _DECODERS or entry.name in usable:
            reasons[entry.name] = f"{entry.value} claims a name that is already taken."
            continue
        try:
            usable[entry.name] = _plugin_spec(entry)
        except Exception as error:  # whatever a stranger's module raises on import must not stop the others
            reasons[entry.name] = f"{entry.value}: {type(error).__name__}: {error}"
    return usable, reasons


def _plugin_spec(entry: EntryPoint) -> DecoderSpec:
    loaded = entry.load()
    if isinstance(loaded, DecoderSpec):
        _import_class(loaded.path)
        return loaded
    if isinstance(loaded, type):
        summary = (loaded.__doc__ or "").strip().partition("\n")[0]
        return DecoderSpec(entry.value, summary or f"plug-in {entry.value}")
    raise ConfigError(f"expected a decoder class or a DecoderSpec, got {type(loaded).__name__}.")
