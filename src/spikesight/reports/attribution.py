"""What a report says of the units that carry a prediction: plain data for a page."""

import json
import math
from pathlib import Path
from typing import Any, Final

import pandas as pd

from spikesight.attribution.files import ABLATION_TABLE, ATTRIBUTION, FIGURES, SUMMARY, UNITS_TABLE, Q
from spikesight.errors import RunDirectoryError
from spikesight.reports.page import picture
from spikesight.tracking.run_directory import in_file_name

N_SHOWN: Final = 10
_HOW: Final = {
    "permutation": "A unit's values were dealt out anew among the held-out trials of a block; importance is what the "
    "decoder's measure of the true class lost.",
    "shap": "Exact Shapley values of a linear decoder on held-out trials; importance is the mean value for the class "
    "that was shown.",
    "integrated-gradients": "Integrated gradients of the true class' score on held-out trials, from the mean training "
    "trial; importance is their mean.",
    "ablation": "Units were dropped, ranked on training trials; what is left was asked of held-out trials.",
}
_ALT: Final = {
    "units": "Importance of every unit, by area",
    "depth": "Importance of units against their height above the tip of the probe",
    "ablation": "Accuracy without a growing share of the units",
    "areas": "Accuracy without each area, and with each area alone",
}
"""What the figures show, in the order in which they are read."""


def attribution_directories(run: Path) -> list[Path]:
    """List the finished attributions in a run directory."""
    return sorted(file.parent for file in (run / ATTRIBUTION).glob(f"*/{SUMMARY}"))


def attribution_section(directory: Path) -> dict[str, Any]:
    """Describe a finished attribution, JSON-able.

    Parameters
    ----------
    directory
        As `spikesight.attribution.run.run_attribution` returns it.

    Returns
    -------
    dict
        ``decoder, method, how`` (a sentence), ``seeds``, ``sessions``: one dict each with ``id``, ``units`` (number;
        None for ablation), ``carry`` (number of units with q <= 0.05), ``measure``, ``areas`` (``area, units, carry``),
        ``top`` (the most important units: ``unit, area, depth, importance, low, high, q_value``), ``curves`` (of an
        ablation: ``order, how, share_dropped, accuracy``) and ``pictures`` (``name``, ``address`` of a PNG).

    Raises
    ------
    RunDirectoryError
        If it is not finished, or damaged.
    """
    try:
        summary = json.loads((directory / SUMMARY).read_text(encoding="utf-8"))
        ablated = summary["method"] == "ablation"
        table = pd.read_parquet(directory / (ABLATION_TABLE if ablated else UNITS_TABLE))
    except (OSError, ValueError, KeyError) as error:
        raise RunDirectoryError(
            f"expected a finished attribution in {directory}, it cannot be read: {error}. Start it again."
        ) from error
    describe = _curves if ablated else _units
    return {
        **{key: summary[key] for key in ("decoder", "method", "seeds")},
        "how": _HOW[summary["method"]],
        "sessions": [
            {"id": str(name), **describe(own), "pictures": _pictures(directory, str(name))}
            for name, own in table.groupby("session", sort=False)
        ],
    }


def _units(table: pd.DataFrame) -> dict[str, Any]:
    carries = table["q_value"] <= Q
    areas = table.assign(carries=carries)[table["area"] != ""].groupby("area", sort=False)["carries"]
    columns = ["unit", "area", "depth", "importance", "low", "high", "q_value"]
    return {
        "units": len(table),
        "carry": int(carries.sum()),
        "measure": str(table["measure"].iloc[0]).replace("_", " "),
        "areas": [{"area": str(area), "units": len(own), "carry": int(own.sum())} for area, own in areas],
        "top": [_plain(row) for row in table[columns].head(N_SHOWN).to_dict("records")],
        "curves": [],
    }


def _curves(table: pd.DataFrame) -> dict[str, Any]:
    curves = table[table["area"] == ""].groupby(["order", "how", "share_dropped"], sort=False)["accuracy"].mean()
    rows = [_plain(row) for row in curves.reset_index().to_dict("records")]
    return {"units": None, "carry": None, "measure": "accuracy", "areas": [], "top": [], "curves": rows}


def _pictures(directory: Path, session: str) -> list[dict[str, str]]:
    files = {name: directory / FIGURES / f"{name}-{in_file_name(session)}.png" for name in _ALT}
    return [
        {"name": name, "alt": _ALT[name], "address": picture(file)} for name, file in files.items() if file.is_file()
    ]


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Turn numpy's scalars into Python's, and NaN, which JSON does not have, into None."""
    values = {str(key): getattr(value, "item", lambda value=value: value)() for key, value in row.items()}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}
