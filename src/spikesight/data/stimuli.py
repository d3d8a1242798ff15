"""What can be decoded from each stimulus of the public sessions, by name; ``docs/stimuli.md`` is for people."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from spikesight.data.movies import SEGMENT

ALL: Final = "all"

_DRIFTING: Final = {"direction": ("orientation",), "temporal_frequency": ("temporal_frequency",)}
_CONTRAST: Final = {"contrast": ("contrast",), "direction": ("orientation",)}
TARGETS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "natural_scenes": {"frame": ("frame",)},
    "natural_movie": {SEGMENT: (SEGMENT,), "frame": ("frame",)},
    "static_gratings": {
        **{name: (name,) for name in ("orientation", "spatial_frequency", "phase")},
        ALL: ("orientation", "spatial_frequency", "phase"),
    },
    "drifting_gratings": {**_DRIFTING, ALL: ("orientation", "temporal_frequency")},
    "drifting_gratings_contrast": {**_CONTRAST, ALL: ("contrast", "orientation")},
    "drifting_gratings_75_repeats": {**dict(reversed(_CONTRAST.items())), ALL: ("orientation", "contrast")},
    "gabors": {
        "position": ("x_position", "y_position"),
        "orientation": ("orientation",),
        ALL: ("x_position", "y_position", "orientation"),
    },
    "flashes": {"polarity": ("color",)},
    "dot_motion": {"direction": ("Dir",), "speed": ("Speed",), ALL: ("Dir", "Speed")},
}
"""Beginning of a stimulus' name -> what can be decoded, and the file's columns for it; the first is the default.

AllenSDK calls the direction of a drifting grating its orientation, and the polarity of a flash its color.
"""


def targets_of(stimulus: str) -> Mapping[str, tuple[str, ...]]:
    """Return what can be decoded from a stimulus by name; nothing for one that is not in the public sessions."""
    named = [name for name in TARGETS if stimulus.startswith(name)]
    return TARGETS[max(named, key=len)] if named else {}


def columns_of(stimulus: str, target: str | Sequence[str] | None, columns: Collection[str]) -> tuple[str, ...]:
    """Translate what is to be decoded to the file's columns.

    Parameters
    ----------
    stimulus
        Name of the stimulus.
    target
        A column, a name in ``targets_of(stimulus)``, or several of them. None: the stimulus' default.
    columns
        The columns that there are. One of them is meant before a name of ours.

    Returns
    -------
    tuple of str
        Each column once; unknown names as they are, for the caller to complain of. Empty if there is no default.
    """
    known = targets_of(stimulus)
    if target is None:
        return next(iter(known.values()), ())
    asked = (target,) if isinstance(target, str) else target
    return tuple(
        dict.fromkeys(column for name in asked for column in ((name,) if name in columns else known.get(name, (name,))))
    )
