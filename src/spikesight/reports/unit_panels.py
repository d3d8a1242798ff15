"""What a report says of single units: what each sees, and which carry the prediction."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from spikesight.records.receptive_fields_record import MAPS, receptive_field_section
from spikesight.reports.attribution import attribution_directories, attribution_section
from spikesight.reports.page import picture
from spikesight.tracking.run_directory import SUMMARY

MOST_PICTURE_CHARACTERS: Final = 2_500_000
"""Of all pictures of these panels in one page."""


def holds_receptive_fields(path: Path) -> bool:
    """Say whether a folder is a finished one of ``spikesight receptive-fields``."""
    return (path / SUMMARY).is_file() and (path / MAPS).is_file()


def unit_panels(runs: Iterable[Path], maps: Sequence[Path]) -> dict[str, list[dict[str, Any]]]:
    """Describe the attributions of benchmarks and folders of receptive fields.

    Parameters
    ----------
    runs
        Run directories of benchmarks; those without an attribution give none.
    maps
        Finished folders of receptive fields.

    Returns
    -------
    dict
        ``receptive_fields``: ``folder``, ``title``, ``sentences`` and ``pictures`` (``caption``, ``address``) each;
        ``attributions``: as `attribution_section` gives them, with ``run``. Pictures that are beyond
        ``MOST_PICTURE_CHARACTERS`` are left out, and ``pictures_left_out`` counts them.

    Raises
    ------
    RunDirectoryError
        If a folder is damaged.
    """
    budget = _Budget(MOST_PICTURE_CHARACTERS)
    seen = []
    for folder in maps:
        section = receptive_field_section(folder)
        drawn = [{"caption": one["caption"], "address": picture(one["path"])} for one in section["figures"]]
        pictures, left_out = budget.spend(drawn)
        seen.append(
            {"folder": folder.name, "title": section["title"], "sentences": section["sentences"],
             "pictures": pictures, "pictures_left_out": left_out}
        )  # fmt: skip
    carried = []
    for run in runs:
        for directory in attribution_directories(run):
            section = attribution_section(directory)
            for session in section["sessions"]:
                session["pictures"], session["pictures_left_out"] = budget.spend(session["pictures"])
            carried.append({**section, "run": run.name})
    return {"receptive_fields": seen, "attributions": carried}


class _Budget:
    """Keeps pictures while there is room for them."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def spend(self, pictures: Sequence[dict[str, str]]) -> tuple[list[dict[str, str]], int]:
        """Return the pictures that fit, in their order, and how many do not."""
        kept = []
        for one in pictures:
            if len(one["address"]) <= self._left:
                self._left -= len(one["address"])
                kept.append(one)
        return kept, len(pictures) - len(kept)
