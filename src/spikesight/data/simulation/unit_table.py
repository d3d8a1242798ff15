"""The units table as a spike sorter and its quality control would fill it, and lazy amplitudes and waveforms."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.simulation.population import Population
from spikesight.data.simulation.streams import stream

Floats = NDArray[np.float64]
N_SAMPLES: Final = 82
"""Samples of a mean waveform, at 30 kHz."""
MICROVOLT_BIT: Final = 0.195
"""Resolution of the recording, microvolt."""
_CCF: Final = {
    "anterior_posterior_ccf_coordinate": "x",
    "dorsal_ventral_ccf_coordinate": "y",
    "left_right_ccf_coordinate": "z",
}


def make_unit_table(population: Population, channels: pd.DataFrame, firing_rate: Floats, seed: int) -> pd.DataFrame:
    """Fill the units table, index ``unit_id``, in the files' names and order.

    ``firing_rate`` is measured. The other quality metrics are drawn from distributions like those of the real units,
    not measured on the spikes: good units pass AllenSDK's default filters, poor ones fail one or two of them.
    """
    rng = stream(seed, "quality")
    good, n_units = population.good, len(population.ids)
    at_peak = channels.loc[population.peak_channel]

    def around(median: float, width: float) -> Floats:
        return np.asarray(median * np.exp(width * rng.standard_normal(n_units)), np.float64)

    quality = _quality(rng, good)
    amplitude = around(105.0, 0.45)
    duration = np.where(population.fast_spiking, around(0.27, 0.15), around(0.65, 0.15))
    drift = around(28.0, 0.5)
    table = pd.DataFrame(
        {
            "peak_channel_id": population.peak_channel,
            "local_index": _number_within(at_peak["group_name"].to_numpy()),
            "cluster_id": _number_within(at_peak["group_name"].to_numpy()) + 2,
            "quality": quality["quality"],
            "firing_rate": firing_rate,
            "snr": amplitude / 48.0 * around(1.0, 0.2),
            "isi_violations": quality["isi_violations"],
            "presence_ratio": quality["presence_ratio"],
            "amplitude_cutoff": quality["amplitude_cutoff"],
            "isolation_distance": around(70.0, 0.5),
            "l_ratio": around(0.01, 1.2),
            "d_prime": around(3.7, 0.35),
            "nn_hit_rate": np.minimum(around(0.9, 0.1), 1.0),
            "nn_miss_rate": np.minimum(around(0.012, 0.8), 1.0),
            "max_drift": drift,
            "cumulative_drift": drift * around(8.0, 0.3),
            "silhouette_score": np.clip(0.12 + 0.08 * rng.standard_normal(n_units), -1.0, 1.0),
            "waveform_duration": duration,
            "waveform_halfwidth": 0.3 * duration * around(1.0, 0.15),
            "PT_ratio": around(0.47, 0.35),
            "repolarization_slope": around(0.5, 0.4),
            "recovery_slope": -around(0.15, 0.5),
            "amplitude": amplitude,
            "spread": 10.0 * rng.integers(2, 12, n_units),
            "velocity_above": 0.3 * rng.standard_normal(n_units),
            "velocity_below": 0.3 * rng.standard_normal(n_units),
            "area": population.area,
            "probe": at_peak["group_name"].to_numpy(),
            "probe_vertical_position": at_peak["probe_vertical_position"].to_numpy(),
        },
        index=pd.Index(population.ids, name="unit_id"),
    )
    return table.assign(**{ours: at_peak[theirs].to_numpy() for ours, theirs in _CCF.items()})


def _quality(rng: np.random.Generator, good: NDArray[np.bool_]) -> dict[str, NDArray[np.generic]]:
    n_units = len(good)
    metrics = {
        "isi_violations": np.minimum(0.08 * np.exp(1.0 * rng.standard_normal(n_units)), 0.49),
        "presence_ratio": rng.uniform(0.96, 1.0, n_units).round(2),
        "amplitude_cutoff": np.minimum(0.02 * np.exp(1.0 * rng.standard_normal(n_units)), 0.099),
    }
    failing = {
        "isi_violations": rng.uniform(0.55, 3.0, n_units),
        "presence_ratio": rng.uniform(0.4, 0.94, n_units).round(2),
        "amplitude_cutoff": rng.uniform(0.12, 0.5, n_units),
    }
    reason = rng.integers(0, 4, n_units)
    for number, (name, values) in enumerate(failing.items()):
        fails = ~good & ((reason == number) | (rng.random(n_units) < 0.2))
        metrics[name] = np.where(fails, values, metrics[name])
    noise = ~good & (reason == 3)
    return {**metrics, "quality": np.where(noise, "noise", "good").astype("O")}


def _number_within(groups: NDArray[np.object_]) -> NDArray[np.int64]:
    return np.asarray(pd.Series(groups).groupby(groups).cumcount(), np.int64)


@dataclass(frozen=True)
class LazyPerUnit(Mapping[int, NDArray[np.float64]]):
    """Values per unit that are computed anew, and alike, whenever they are asked for."""

    unit_ids: NDArray[np.int64]
    compute: Callable[[int], NDArray[np.float64]]

    def __getitem__(self, unit_id: int) -> NDArray[np.float64]:
        row = int(np.searchsorted(self.unit_ids, unit_id))
        if row == len(self.unit_ids) or self.unit_ids[row] != unit_id:
            raise KeyError(unit_id)
        return self.compute(row)

    def __iter__(self) -> Iterator[int]:
        return (int(unit_id) for unit_id in self.unit_ids)

    def __len__(self) -> int:
        return len(self.unit_ids)


def lazy_amplitudes(table: pd.DataFrame, n_spikes: NDArray[np.int64], seed: int) -> LazyPerUnit:
    """Return spike amplitudes per unit, shape (n_spikes,), volts: spread around the unit's own amplitude."""
    amplitude = table["amplitude"].to_numpy(np.float64)

    def compute(row: int) -> NDArray[np.float64]:
        noise = stream(seed, "spike amplitudes", row).standard_normal(int(n_spikes[row]))
        return np.asarray(1e-6 * amplitude[row] * np.maximum(1 + 0.12 * noise, 0.3), np.float64)

    return LazyPerUnit(table.index.to_numpy(np.int64), compute)


def lazy_waveforms(table: pd.DataFrame, channels: pd.DataFrame, seed: int) -> LazyPerUnit:
    """Return mean waveforms per unit, shape (channels of the probe, N_SAMPLES), microvolt."""
    by_probe = {str(name): sites for name, sites in channels.groupby("group_name")}

    def compute(row: int) -> NDArray[np.float64]:
        unit = table.iloc[row]
        sites = by_probe[str(unit["probe"])]
        away = sites["probe_vertical_position"].to_numpy(np.float64) - float(unit["probe_vertical_position"])
        decay = np.exp(-np.abs(away) / float(unit["spread"]))
        trough = np.exp(-0.5 * ((np.arange(N_SAMPLES) - 20) / 3.0) ** 2)
        width = 30.0 * float(unit["waveform_duration"])
        peak = float(unit["PT_ratio"]) * np.exp(-0.5 * ((np.arange(N_SAMPLES) - 20 - width) / (0.5 * width)) ** 2)
        noise = 0.5 * stream(seed, "waveforms", row).standard_normal((len(sites), N_SAMPLES))
        volts = float(unit["amplitude"]) * decay[:, None] * (0.6 * peak - 0.8 * trough)[None, :] + noise
        return np.asarray(np.rint(volts / MICROVOLT_BIT) * MICROVOLT_BIT, np.float64)

    return LazyPerUnit(table.index.to_numpy(np.int64), compute)
