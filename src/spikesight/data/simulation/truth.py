"""What is true of a simulated session: tuning, gain, couplings. Kept beside its file, never in it."""

import uuid
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikesight.data.npz_file import write_npz
from spikesight.data.simulation.behaviour import STATE_BIN
from spikesight.data.simulation.coupling import TIME_COURSE
from spikesight.data.simulation.inputs import DRIVE_BIN
from spikesight.data.simulation.schedule import EVENT_SECONDS
from spikesight.data.simulation.spiking import LOWEST, STEP
from spikesight.errors import FileFormatError, StimulusNotFoundError, UnitIdsError

Floats = NDArray[np.floating]
SUFFIX: Final = ".truth.npz"


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The truth of one simulated session.

    Attributes
    ----------
    preset, seed
        What was simulated.
    unit_ids, area, good
        Ids, structure acronyms, and whether the unit passes the default quality filters; shape (n_units,).
    frames
        Natural scenes shown, -1 = blank first, shape (n_frames,); empty in sessions without them.
    scenes
        Contrast of each scene, shape (n_frames - 1, height, width); 1.25 degrees a pixel.
    rate
        Mean rate during natural scenes at gain 1, before refractoriness and couplings, Hz, shape (n_units,).
    grey, tuning_early, tuning_late
        Response to grey, (n_units,), and to every frame, (n_frames, n_units), relative to the mean over scenes.
    kernel_early, kernel_late
        How the two unfold in bins of 5 ms, shape (n_lags, n_units).
    refractory
        Absolute refractory period, s, (n_units,).
    rf_azimuth, rf_elevation, rf_size, rf_orientation, rf_spatial_frequency, rf_phase, rf_complexity
        Receptive fields: degrees, degrees, degrees, radians, cycles per degree, radians, 0 (simple) to 1 (complex).
    gain_states, gain_loadings, gain_offset
        Shared gain: running and latents every 50 ms from 0 s, (n_states, n_factors); loadings of the log gain on them,
        (n_units, n_factors); offset, (n_units,).
    gain_private, private_seconds
        Each unit's own fluctuation: standard deviation in log gain, (n_units,); time constant, s.
    drift
        Slow factor of each unit every 10 s, linear between, (n_knots, n_units).
    coupling_source, coupling_target
        Unit ids of the two ends of each edge, (n_edges,).
    coupling_weight, coupling_delay
        Relative change of the target's rate at the peak (negative = inhibition), and delay, s; (n_edges,).
    """

    preset: str
    seed: int
    unit_ids: NDArray[np.int64]
    area: NDArray[np.str_]
    good: NDArray[np.bool_]
    frames: NDArray[np.int64]
    scenes: Floats
    rate: Floats
    grey: Floats
    tuning_early: Floats
    tuning_late: Floats
    kernel_early: Floats
    kernel_late: Floats
    refractory: Floats
    rf_azimuth: Floats
    rf_elevation: Floats
    rf_size: Floats
    rf_orientation: Floats
    rf_spatial_frequency: Floats
    rf_phase: Floats
    rf_complexity: Floats
    gain_states: Floats
    gain_loadings: Floats
    gain_offset: Floats
    gain_private: Floats
    private_seconds: float
    drift: Floats
    coupling_source: NDArray[np.int64]
    coupling_target: NDArray[np.int64]
    coupling_weight: Floats
    coupling_delay: Floats

    def save(self, path: str | Path) -> Path:
        """Write to ``path`` (.npz, arrays only, no pickle), at once or not at all."""
        path = Path(path)
        arrays = {entry.name: np.asarray(getattr(self, entry.name)) for entry in fields(self)}
        # Opened by name, not with mkstemp: the file then has the permissions that the umask gives.
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            with temporary.open("xb") as file:
                write_npz(file, arrays, compressed=True)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | Path) -> "GroundTruth":
        """Read what ``save`` wrote.

        Raises
        ------
        FileFormatError
            If the file is no archive of arrays, or lacks some of them.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                missing = [entry.name for entry in fields(cls) if entry.name not in archive.files]
                if missing:
                    raise FileFormatError(f"expected the truth of a simulated session in {path}; it lacks {missing}.")
                values: dict[str, Any] = {entry.name: archive[entry.name] for entry in fields(cls)}
        except (zipfile.BadZipFile, ValueError, EOFError) as error:
            if isinstance(error, FileFormatError):
                raise
            raise FileFormatError(f"expected an .npz archive of arrays in {path}: {error}") from error
        for name, kind in (("preset", str), ("seed", int), ("private_seconds", float)):
            values[name] = kind(values[name])
        return cls(**values)

    def rows(self, unit_ids: NDArray[np.integer] | None = None) -> NDArray[np.int64]:
        """Find units by id; all if None.

        Raises
        ------
        UnitIdsError
            If an id was not simulated.
        """
        if unit_ids is None:
            return np.arange(len(self.unit_ids))
        wanted = np.asarray(unit_ids)
        rows = np.searchsorted(self.unit_ids, wanted)
        known = self.unit_ids[np.minimum(rows, len(self.unit_ids) - 1)] == wanted
        if not known.all():
            raise UnitIdsError(f"{int((~known).sum())} unit ids are not in the truth: {wanted[~known][:10].tolist()}.")
        return rows

    def expected_counts(self, unit_ids: NDArray[np.integer] | None = None, n_bins: int = 1) -> NDArray[np.float64]:
        """Compute the spikes expected of each unit in each bin of a presentation of each frame, at gain 1.

        What earlier presentations leave behind enters by its mean over frames. Refractoriness and couplings enter to
        first order: each coupling by its source's mean rate.

        Returns
        -------
        Shape (n_frames, n_bins, n_units).

        Raises
        ------
        StimulusNotFoundError
            If the session has no natural scenes.
        """
        if not len(self.frames):
            raise StimulusNotFoundError(f"the simulated session {self.preset!r} has no natural scenes.")
        rows = self.rows(unit_ids)
        n_fine = round(EVENT_SECONDS / DRIVE_BIN)
        grey = self.grey[rows]
        response = np.tile(grey, (len(self.frames), n_fine, 1)).astype(np.float64)
        for tuning, kernel in ((self.tuning_early, self.kernel_early), (self.tuning_late, self.kernel_late)):
            change, course = tuning[:, rows] - grey, kernel[:, rows]
            response += change[:, None, :] * course[None, :n_fine, :]
            for earlier in range(n_fine, len(course), n_fine):
                part = course[earlier : earlier + n_fine]
                response[:, : len(part)] += change.mean(0) * part
        spikes = np.maximum(response, LOWEST) * (self._mean_rate()[rows] * DRIVE_BIN)
        edges = np.rint(np.linspace(0, n_fine, n_bins + 1)).astype(int)
        return np.add.reduceat(spikes, edges[:-1], axis=1)

    def tuning_strength(self, unit_ids: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Tell how far frames are apart for each unit, in standard deviations of Poisson noise, shape (n_units,).

        The standard deviation over frames (blank included) of twice the square root of the expected counts: Anscombe's
        transform gives Poisson counts a standard deviation near 1.

        Raises
        ------
        StimulusNotFoundError
            If the session has no natural scenes.
        """
        return np.asarray(2 * np.sqrt(self.expected_counts(unit_ids)[:, 0] + 0.375).std(axis=0))

    def shared_gain(self, times: Floats, unit_ids: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Compute the gain of each unit by running and shared latents at ``times`` (s), shape (n_times, n_units)."""
        rows = self.rows(unit_ids)
        at = np.clip((np.asarray(times) / STATE_BIN).astype(int), 0, len(self.gain_states) - 1)
        log_gain = self.gain_states[at] @ self.gain_loadings[rows].T + self.gain_offset[rows]
        return np.asarray(np.exp(log_gain), np.float64)

    def coupling_matrix(
        self, unit_ids: NDArray[np.integer] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weights and delays (s; NaN where no edge is), both [source, target], shape (n_units, n_units)."""
        rows = self.rows(unit_ids)
        place = np.full(len(self.unit_ids), -1)
        place[rows] = np.arange(len(rows))
        source, target = place[self.rows(self.coupling_source)], place[self.rows(self.coupling_target)]
        kept = (source >= 0) & (target >= 0)
        weights = np.zeros((len(rows), len(rows)))
        delays = np.full_like(weights, np.nan)
        weights[source[kept], target[kept]] = self.coupling_weight[kept]
        delays[source[kept], target[kept]] = self.coupling_delay[kept]
        return weights, delays

    def _mean_rate(self) -> NDArray[np.float64]:
        """Mean rate with couplings and refractoriness to first order, Hz."""
        source, target = self.rows(self.coupling_source), self.rows(self.coupling_target)
        push = self.coupling_weight * sum(TIME_COURSE) * STEP * self.rate[source]
        driven = self.rate * (1 + np.bincount(target, push, minlength=len(self.rate)))
        return np.asarray(driven / (1 + driven * self.refractory), np.float64)


def truth_path(session_path: str | Path) -> Path:
    """Return where the truth of a session file lies: ``<file>.truth.npz``."""
    return Path(f"{session_path}{SUFFIX}")
