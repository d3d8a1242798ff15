"""What ``spikesight receptive-fields`` leaves in its folder, read again: for the terminal, for a report."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from spikesight.errors import RunDirectoryError
from spikesight.tracking.run_directory import SUMMARY

MAPS: Final = "receptive_fields.nc"
UNITS: Final = "units.parquet"
NEURAL_IMAGES: Final = "neural_images.nc"
RECONSTRUCTION: Final = "reconstruction.parquet"
RETRIEVAL: Final = "retrieval.parquet"
FIGURES: Final = "figures"
CAPTIONS: Final = {
    "receptive_fields": "Receptive fields of the units whose responses they predict best.",
    "contrast_maps": "Where contrast matters to the units whose responses it predicts best.",
    "centres": "Centres of receptive fields on the screen, by area.",
    "agreement": "Centres against known ones.",
    "neural_images": "Images never seen in training, and what was made of the responses to them.",
    "retrieval": "How often the image that was shown is among the first k of those never seen in training.",
}
"""Figures in the order in which they are read."""
_NAMES: Final = {"held_out_r": "maps", "contrast_held_out_r": "maps of contrast"}


def receptive_field_section(folder: str | Path) -> dict[str, Any]:
    """Read what a report shows of a finished folder.

    Parameters
    ----------
    folder
        As `spikesight.receptive_fields.run.run_receptive_fields` left it.

    Returns
    -------
    dict
        ``title``; ``sentences``; ``figures``, a list of ``{"name", "caption", "path"}``; ``units``, the table of units;
        ``reconstruction`` and ``retrieval``, tables of summaries (empty without images); ``summary``, all numbers.

    Raises
    ------
    RunDirectoryError
        If the folder is none of this kind, or not finished.
    """
    folder = Path(folder)
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        units = pd.read_parquet(folder / UNITS)
        sentences = describe_receptive_fields(summary)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunDirectoryError(
            f"expected a finished folder of `spikesight receptive-fields`, could not read {folder}: {error}."
        ) from error
    drawn = {name: folder / FIGURES / f"{name}.png" for name in CAPTIONS}
    return {
        "title": "Receptive fields and neural images" if summary["n_images"] else "Receptive fields",
        "sentences": sentences,
        "figures": [{"name": name, "caption": CAPTIONS[name], "path": path}
                    for name, path in drawn.items() if path.is_file()],
        "units": units,
        "reconstruction": pd.DataFrame(summary.get("reconstruction", [])),
        "retrieval": pd.DataFrame(summary.get("retrieval", [])),
        "summary": summary,
    }  # fmt: skip


def describe_receptive_fields(summary: Mapping[str, Any]) -> list[str]:
    """Say in sentences what was found: units, held-out correlations, agreement with known centres."""
    share = summary["n_significant"] / max(summary["n_units"], 1)
    images = f", {summary['n_images']:,} images" if summary["n_images"] else ""
    what = "images" if summary["n_images"] else "places"
    lines = [
        f"Session {summary['session_id']}, {summary['stimulus']}: {summary['n_units']:,} units, "
        f"{summary['n_trials']:,} trials{images}, seed {summary['seed']}.",
        f"{summary['n_significant']:,} units ({share:.0%}) answer to some {what} more than to others "
        f"(p <= {summary['significance']:g}, {summary['n_shuffles']} shuffles within blocks; without any that does, "
        f"about {summary['significance'] * summary['n_units']:.0f} would seem to).",
    ]
    for name, (low, middle, high) in summary["quartiles"].items():
        lines.append(
            f"Held-out correlation of {_NAMES[name]}: median {middle:.3f} (quartiles {low:.3f} and {high:.3f})."
        )
    known = summary.get("agreement", {})
    if summary["n_images"]:
        lines.append(
            f"One of the two maps of {summary['n_mapped']:,} units predicts held-out images better than 99 % of maps "
            f"do by chance; of units that no map describes, up to {0.02 * summary['n_units']:.0f} would seem so, too."
        )
    for axis in ("azimuth", "elevation") if known else ():
        found = known[axis]
        if found["n"] < 3:
            lines.append(
                f"Centres against {known['reference']} ones, {axis}: {found['n']:,} units, too few to compare."
            )
            continue
        lines.append(
            f"Centres against {known['reference']} ones, {axis}: r = {found['r']:.3f} "
            f"[{found['low']:.3f}, {found['high']:.3f}], n = {found['n']:,}; half are within "
            f"{found['median_difference']:.1f} degrees."
        )
    for column, name in (("map_r", "maps"), ("contrast_map_r", "maps of contrast")):
        if column in known:
            middle, best = known[column]["median"], known[column]["best"]
            lines.append(f"Correlation of {name} with the true ones over pixels: median {middle:.3f}, best {best:.3f}.")
    return lines
