"""What a file of binned trials says of itself, checked where it is read: later steps rely on its form."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from spikesight.errors import FileFormatError

_LARGEST: Final = 2**53


def _is_names(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(name, str) for name in value))


def _counts_reasons(value: Any) -> bool:
    if value == "":
        return True
    try:
        found = json.loads(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(type(number) is int and 0 <= number < _LARGEST for number in found.values())


def _is_json_object(value: Any) -> bool:
    if value == "":
        return True
    try:
        return isinstance(json.loads(value), dict)
    except (TypeError, ValueError, RecursionError):
        return False


def _is_window(value: Any) -> bool:
    return isinstance(value, str) or (_is_pair(value) and all(_is_number(end) for end in value))


def _is_context(value: Any) -> bool:
    return (
        _is_pair(value) and all(type(number) is int and 0 <= number < _LARGEST for number in value) and sum(value) > 0
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and not abs(value) > _LARGEST  # NaN, "not known", is none that is larger


_FORMS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "target": (_is_names, "text"),
    **dict.fromkeys(("dropped_trials", "dropped_units"), (_counts_reasons, "a JSON object of numbers by reason")),
    "unit_filters": (_is_json_object, "a JSON object"),
    "n_bins": (_is_number, "a number"),
    "bin_size": (_is_number, "a number"),
    "window": (_is_window, "text or two numbers"),
    "context": (_is_context, "two numbers of presentations"),
}
"""Attribute -> whether a value has its form, and the form in words."""


def check_attrs(attrs: Mapping[str, Any], path: Path) -> None:
    """Refuse attributes of another form than ours; others may be of any.

    Raises
    ------
    FileFormatError
        If an attribute of a name of ours has another form.
    """
    for name, (fits, form) in _FORMS.items():
        if name in attrs and not fits(attrs[name]):
            raise FileFormatError(
                f"expected {form} as attribute {name!r} of {path}, got {str(attrs[name])[:60]!r}. Write it again."
            )
