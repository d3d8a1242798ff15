"""One recording day of one mouse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.count_kernels import first_faulty_unit, in_threads, unit_shares
from spikesight.data.pynapple_export import PynappleSession, to_pynapple
from spikesight.data.ragged import RaggedArray
from spikesight.errors import SpikeTimesError, UnitIdsError


@dataclass(frozen=True, eq=False, repr=False)
class Session:
    """A recording session, with AllenSDK's names, before anything is binned.

    Attributes
    ----------
    session_id
        Identifier of the session, as in the file.
    units
        One row per sorted unit, index ``unit_id``. Always has ``area`` ("" where unknown) and ``probe``; the file's
        quality metrics keep the file's names; from the peak channel come ``probe_vertical_position`` (um) and
        ``anterior_posterior_ccf_coordinate``, ``dorsal_ventral_ccf_coordinate``, ``left_right_ccf_coordinate`` (um).
    spike_times
        Spike times per unit, seconds, ascending; read when asked for.
    stimulus_presentations
        One table per stimulus name: ``start_time``, ``stop_time`` (s) and the stimulus' own columns; index
        ``stimulus_presentation_id``.
    invalid_times
        ``start_time``, ``stop_time`` (s) and ``tags`` (a tuple of str) of stretches not to be trusted.
    channels
        One row per recording site, index ``channel_id``, with the file's names: ``x``, ``y``, ``z`` (um, CCF),
        ``location`` (area, "" out of brain), ``group_name`` (probe), ``probe_id``, ``local_index``,
        ``probe_vertical_position``, ``probe_horizontal_position`` (um), ``valid_data``; empty where the file has none.
    running
        ``start_time``, ``stop_time`` (s) and ``velocity`` (cm/s), or None.
    pupil
        ``time`` (s), ``area`` (pixel^2 as in the file) and, where the file has them, ``x`` and ``y``: the pupil's
        centre in the eye camera's picture (pixels; AllenSDK's ``pupil_center_x``, ``pupil_center_y``); or None.
    spike_amplitudes, mean_waveforms
        Per unit, read when asked for: (n_spikes,) in the file's units and (n_channels, n_samples); or None. They may
        hold more units than ``units``.
    subject
        What the file says of the mouse: genotype, sex, age, species, subject_id, strain, specimen_name, age_in_days.
    session_type
        For example ``"brain_observatory_1.1"``.
    start_time
        When the recording began, ISO 8601 with a time zone; all times of the session count from it. None if unknown.
    source
        Where the session came from: a path, or the name of a simulation.
    dropped_units
        How many units each quality filter removed, in the order in which the filters were applied.
    unit_filters
        The quality filters that were applied, by name.
    """

    session_id: str
    units: pd.DataFrame
    spike_times: RaggedArray
    stimulus_presentations: Mapping[str, pd.DataFrame]
    invalid_times: pd.DataFrame
    channels: pd.DataFrame = field(default_factory=pd.DataFrame)
    running: pd.DataFrame | None = None
    pupil: pd.DataFrame | None = None
    spike_amplitudes: Mapping[int, NDArray[np.floating]] | None = None
    mean_waveforms: Mapping[int, NDArray[np.floating]] | None = None
    subject: Mapping[str, str] = field(default_factory=dict)
    session_type: str | None = None
    start_time: str | None = None
    source: str = ""
    dropped_units: Mapping[str, int] = field(default_factory=dict)
    unit_filters: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse duplicated unit ids.

        Raises
        ------
        UnitIdsError
            If a unit id occurs more than once.
        """
        if self.units.index.has_duplicates:
            repeated = self.units.index[self.units.index.duplicated()].unique().tolist()
            raise UnitIdsError(f"unit ids must be unique; these occur more than once: {repeated[:10]}.")

    def __repr__(self) -> str:
        shown = ", ".join(sorted(self.stimulus_presentations)) or "none"
        return f"<Session {self.session_id}: {len(self.units)} units; stimuli: {shown}>"

    def select_units(self, unit_ids: Sequence[int] | NDArray[np.integer]) -> "Session":
        """Keep these units, in this order.

        Raises
        ------
        UnitIdsError
            If an id is not in the session.
        """
        spike_times = self.spike_times.select(unit_ids)
        missing = [int(unit_id) for unit_id in unit_ids if unit_id not in self.units.index]
        if missing:
            raise UnitIdsError(f"{len(missing)} of {len(unit_ids)} unit ids are not in the session: {missing[:10]}.")
        return replace(self, units=self.units.loc[list(unit_ids)], spike_times=spike_times)

    def to_pynapple(self) -> PynappleSession:
        """Give the session as pynapple objects; the spikes of all units are read.

        Returns
        -------
        PynappleSession
            ``units`` (a ``TsGroup`` with metadata), ``stimuli`` (an ``IntervalSet`` per stimulus, with metadata),
            ``invalid_times``, ``running`` and ``pupil`` (``Tsd``). pynapple keeps times to the nanosecond, and takes
            1 us from the end of a presentation that touches the next.

        Raises
        ------
        ConfigError
            If pynapple is not installed.
        PresentationsError
            If presentations of a stimulus do not last, or two begin at the same time.
        SpikeTimesError
            If spike times are NaN, infinite or unsorted.
        """
        return to_pynapple(self)

    def checked_spike_times(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Read the spike times of all units of this session, end to end.

        Returns
        -------
        times
            Seconds, shape (n_spikes,), ascending within each unit.
        offsets
            Shape (n_units + 1,): unit ``i`` (row ``i`` of ``units``) holds ``times[offsets[i]:offsets[i + 1]]``.

        Raises
        ------
        SpikeTimesError
            If a time is NaN or infinite, or a unit's times are not in ascending order; names the unit.
        """
        values, offsets = self.spike_times.select(self.units.index.to_numpy()).flat()
        times: NDArray[np.float64] = values.astype(np.float64, copy=False)
        faults = in_threads(lambda first, stop: first_faulty_unit(times, offsets, first, stop), unit_shares(offsets))
        faulty = next((unit for unit in faults if unit >= 0), None)
        if faulty is not None:
            raise SpikeTimesError(
                _describe_fault(int(self.units.index[faulty]), times[offsets[faulty] : offsets[faulty + 1]])
            )
        return times, offsets


def _describe_fault(unit_id: int, times: NDArray[np.float64]) -> str:
    """Say what is wrong with the times of one unit."""
    bad = times[~np.isfinite(times)]
    if bad.size:
        return f"expected finite spike times; unit {unit_id} has {bad[0]}. Remove such spikes, or drop the unit."
    at = int(np.flatnonzero(times[1:] < times[:-1])[0])
    return (
        f"expected ascending spike times; unit {unit_id} has {times[at]:.6f} s followed by {times[at + 1]:.6f} s. "
        "Sort the times of each unit."
    )
