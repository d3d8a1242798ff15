"""All that is checked of a session, as JSON."""

from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from spikesight.data.session import Session
from spikesight.errors import DataError
from spikesight.quality.clock_check import ClockCheck
from spikesight.quality.label_check import LabelCheck, check_labels
from spikesight.quality.selection_counts import presentation_steps, unit_steps
from spikesight.quality.spike_checks import check_spikes
from spikesight.quality.stimulus_timing import stimulus_timing, timing_flags
from spikesight.schema import START, STOP
from spikesight.tracking.progress import Progress


def describe_quality(session: Session, *, quick: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Check a session.

    Parameters
    ----------
    session
        The recording, with the units that survive the quality filters.
    quick
        Leave out the checks that read spikes.
    progress
        Hears how far it is.

    Returns
    -------
    dict
        JSON-able: ``unit_steps``; ``stimuli``, each with its name, columns, timing and ``presentations`` before and
        after invalid times; ``clocks`` and ``labels`` (None if not checked); ``flags``, a sentence for everything that
        is wrong.
    """
    stimuli, flags = [], []
    for name in sorted(session.stimulus_presentations):
        row, own = _describe_stimulus(session, name)
        stimuli.append(row)
        flags += own
    found: dict[str, Any] = {"unit_steps": unit_steps(session), "stimuli": stimuli, "clocks": None, "labels": None}
    if not quick:
        try:
            clocks, labels = check_spikes(session, progress)
        except DataError as error:  # an impossible time of one stimulus must not hide the rest
            flags.append(f"clocks and labels could not be checked: {error}")
        else:
            found |= {"clocks": [asdict(check) for check in clocks], "labels": [asdict(check) for check in labels]}
            flags += [_clock_flag(check) for check in clocks if check.is_flagged]
            flags += [_label_flag(check) for check in labels if check.is_flagged]
    return {**found, "flags": flags}


def describe_counts_quality(dataset: xr.Dataset, *, quick: bool = False) -> dict[str, Any]:
    """Check binned trials: their labels. Clocks need spike times."""
    if quick:
        return {"clocks": None, "labels": None, "flags": []}
    check = check_labels(dataset)
    return {"clocks": None, "labels": [asdict(check)], "flags": [_label_flag(check)] if check.is_flagged else []}


def _describe_stimulus(session: Session, name: str) -> tuple[dict[str, Any], list[str]]:
    table = session.stimulus_presentations[name]
    columns = [str(column) for column in table.columns if column not in (START, STOP)]
    row = {"stimulus": name, "n_presentations": len(table), "columns": columns}
    times = table[[START, STOP]].to_numpy(np.float64)
    if not np.isfinite(times).all():
        return {**row, "duration": None}, [f"{name}: start or stop times are missing"]
    timing = stimulus_timing(name, table, session.session_type)
    flags = timing_flags(name, timing)
    try:
        kept = presentation_steps(session, table)
    except DataError as error:
        return {**row, **timing}, [*flags, f"{name}: {error}"]
    return {**row, **timing, "presentations": kept}, flags


def _clock_flag(check: ClockCheck) -> str:
    if np.isfinite(check.delay):
        interval = f"{check.delay:.3f} s [{check.low:.3f}, {check.high:.3f}]"
        return f"{check.probe}: {check.status}, {interval} after {check.stimulus}"
    return f"{check.probe}: {check.status} ({check.stimulus}, {check.n_visual:,} units in visual areas)"


def _label_flag(check: LabelCheck) -> str:
    share = f"{100 * check.explained:.2f} % of their variance, p = {check.p_value:.2g}"
    return f"{check.stimulus or 'these trials'}: {check.status} ({check.target}: {share})"
