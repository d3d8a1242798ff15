"""The table of encoders: a name and the class behind it.

Other packages add encoders through the entry-point group ``spikesight.encoders``::

    [project.entry-points."spikesight.encoders"]
    my-encoder = "my_package.encoders:MyEncoder"      # a spikesight Encoder, or any scikit-learn transformer

Any other transformer is named by its path: ``sklearn.decomposition:FastICA``.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Final

from spikesight.errors import ConfigError, UnknownNameError, brief

ENTRY_POINT_GROUP: Final = "spikesight.encoders"


@dataclass(frozen=True)
class EncoderSpec:
    """What the registry knows of an encoder: ``"module:Class"``, and one line for a table."""

    path: str
    summary: str


_ENCODERS: Final[dict[str, EncoderSpec]] = {
    "pca": EncoderSpec("spikesight.encoders.pca:PCAEncoder", "principal components"),
    "factor-analysis": EncoderSpec(
        "spikesight.encoders.factor_analysis:FactorAnalysisEncoder", "what units share, apart from noise of their own"
    ),
    "autoencoder": EncoderSpec(
        "spikesight.encoders.autoencoder:AutoencoderEncoder", "network that makes all units again from few components"
    ),
    "vae": EncoderSpec(
        "spikesight.encoders.vae:VAEEncoder", "variational autoencoder of Poisson counts: its mean components"
    ),
}


def names() -> list[str]:
    """Names of the encoders that are built in, and of plug-ins."""
    return [*_ENCODERS, *(name for name in _plugins() if name not in _ENCODERS)]


def spec(name: str) -> EncoderSpec:
    """Return what is known of an encoder.

    Raises
    ------
    UnknownNameError
        If no encoder has that name; offers the nearest one.
    """
    if name in _ENCODERS:
        return _ENCODERS[name]
    plugins = _plugins()
    if name not in plugins:
        raise UnknownNameError("encoder", name, names())
    return EncoderSpec(plugins[name], f"plug-in {plugins[name]}")


def is_path(name: str) -> bool:
    """Tell if an encoder is named by a path that Python imports."""
    return name not in _ENCODERS and (":" in name or "." in name)


def label_of(name: str) -> str:
    """Return what rows of a leaderboard call an encoder: its name, or the class at the end of its path."""
    return name.replace(":", ".").rpartition(".")[2] if is_path(name) else name


def make(name: str, params: Mapping[str, Any] | None = None) -> Any:
    """Return an unfitted encoder.

    Parameters
    ----------
    name
        A registered name, or the path of a transformer.
    params
        Constructor parameters; of a transformer by path: its own.

    Raises
    ------
    UnknownNameError
        If no encoder has that name.
    ConfigError
        If it cannot be imported, or takes no such parameters.
    """
    from spikesight.encoders.base import Encoder
    from spikesight.encoders.transformer import TransformerEncoder, import_transformer

    given = dict(params or {})
    path = name if is_path(name) else spec(name).path
    kind = import_transformer(path)
    if not issubclass(kind, Encoder):
        encoder = TransformerEncoder(path, params=given or None)
        _ = encoder.needs_labels  # made once, so that parameters it does not have are told now
        return encoder
    try:
        return kind(**given)
    except TypeError as error:
        raise ConfigError(f"the encoder {name} cannot be made with {given}: {brief(error)}") from error


def name_of(encoder: Any) -> str:
    """Return the name under which the class of an encoder is registered.

    Raises
    ------
    ConfigError
        If it is not: a transformer that was named by its path.
    """
    for name, path in {**{key: known.path for key, known in _ENCODERS.items()}, **_plugins()}.items():
        module, _, attribute = path.partition(":")
        if type(encoder).__qualname__ == attribute and getattr(importlib.import_module(module), attribute) is type(
            encoder
        ):
            return name
    raise ConfigError(
        f"{type(encoder).__name__} is no registered encoder: only encoders that spikesight has by name are stored with "
        "a decoder, since no class is imported because a file names it. Leave --save-decoders out, or use "
        f"{', '.join(_ENCODERS)}."
    )


def _plugins() -> dict[str, str]:
    """Paths of the encoders that other packages offer, by name; built-in names are not theirs to take."""
    return {entry.name: entry.value for entry in entry_points(group=ENTRY_POINT_GROUP) if entry.name not in _ENCODERS}
