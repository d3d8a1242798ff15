"""The raster of a session as a page holds it: briefly written, and within what the page can spend on it."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

MOST_SPIKES: Final = 480_000
"""Spikes in the rasters of one page, shared by its sessions: about 3 MB."""
FEWEST_REPEATS: Final = 3
"""Repeats that are kept before classes are left out."""


def raster_panel(raster: Mapping[str, Any] | None, n_sessions: int) -> dict[str, Any] | None:
    """Write a raster excerpt briefly, and leave out repeats, then classes, that do not fit.

    Parameters
    ----------
    raster
        As from `spikesight.records.session_overview.raster_excerpt`; None gives None.
    n_sessions
        Sessions that share the page.

    Returns
    -------
    dict
        ``window``, ``stop``, ``units`` ([id, area, depth in um or None]) and ``classes``: label and ``trials``, each
        with its ``repeat``, ``n`` (spikes of each unit) and ``time`` (tenths of a millisecond, unit after unit).
        ``left_out`` says in words what did not fit; "" if nothing.
    """
    if raster is None:
        return None
    budget = MOST_SPIKES // max(1, n_sessions)
    sizes = [[len(trial["row"]) for trial in shown["trials"]] for shown in raster["classes"]]
    most = max((len(own) for own in sizes), default=0)
    n_classes, n_repeats = _that_fit(sizes, budget)
    left_out = []
    if n_repeats < most:
        left_out.append(f"{most - n_repeats} of {most} repeats")
    if n_classes < len(sizes):
        left_out.append(f"{len(sizes) - n_classes:,} of {len(sizes):,} classes")
    places = np.unique(np.linspace(0, len(sizes) - 1, n_classes).round().astype(int))
    units = [[unit[0], unit[1], unit[2] if len(unit) > 2 else None] for unit in raster["units"]]
    return {
        "window": raster["window"],
        "stop": raster["stop"],
        "units": units,
        "classes": [_brief(raster["classes"][place], n_repeats, len(units)) for place in places],
        "left_out": " and ".join(left_out),
    }


def _that_fit(sizes: list[list[int]], budget: int) -> tuple[int, int]:
    """Choose how many classes and repeats fit, as if all classes were as busy as the mean."""
    n_classes, n_repeats = len(sizes), max((len(own) for own in sizes), default=0)
    while n_classes * n_repeats > 1:
        mean = sum(sum(own[:n_repeats]) for own in sizes) / len(sizes)
        if mean * n_classes <= budget:
            break
        if n_repeats > FEWEST_REPEATS or n_classes == 1:
            n_repeats -= 1
        else:
            n_classes -= 1
    return n_classes, n_repeats


def _brief(shown: Mapping[str, Any], n_repeats: int, n_units: int) -> dict[str, Any]:
    trials = []
    for trial in shown["trials"][:n_repeats]:
        row, time = np.asarray(trial["row"], int), np.asarray(trial["time"], float)
        order = np.argsort(row, kind="stable")
        n = np.bincount(row, minlength=n_units).tolist()
        trials.append({"repeat": trial["repeat"], "n": n, "time": np.rint(10 * time[order]).astype(int).tolist()})
    return {"label": shown["label"], "trials": trials}
