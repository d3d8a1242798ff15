"""The units: where they sit, what they respond to, how fast, how much, and how quality control sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.simulation.areas import AREAS
from spikesight.data.simulation.presets import Preset, Probe
from spikesight.data.simulation.receptive_fields import ReceptiveFields
from spikesight.data.simulation.streams import stream
from spikesight.errors import ConfigError

Floats = NDArray[np.float64]
FIRST_UNIT_ID: Final = 950910000


@dataclass(frozen=True)
class Population:
    """Parameters of every unit, good or poor, in order of id; arrays of shape (n_units,).

    Attributes
    ----------
    ids, area, peak_channel
        Unit id, structure acronym, channel id.
    good
        Whether the unit passes AllenSDK's default quality filters.
    fast_spiking
        Whether the waveform is narrow; these units inhibit their targets.
    receptive_fields
        Gabor of each unit.
    rate
        Mean rate during natural scenes, Hz.
    variation, late_variation
        Coefficient of variation of the early and the late response over scenes.
    peaked, late_peaked
        The same of their varying parts alone, see ``fit_nonlinearity``.
    grey, full_field
        Response to grey, and what a full-field flash or moving dots add to it, relative to the mean over scenes.
    polarity
        +1 = answers to bright flashes, -1 = to dark ones.
    temporal_frequency
        Preferred temporal frequency, Hz.
    latency, early_width, late_width
        Onset of the response and time constants of the kernels, s.
    late
        Part of the response that is late.
    refractory
        Absolute refractory period, s.
    """

    ids: NDArray[np.int64]
    area: NDArray[np.str_]
    peak_channel: NDArray[np.int64]
    good: NDArray[np.bool_]
    fast_spiking: NDArray[np.bool_]
    receptive_fields: ReceptiveFields
    rate: Floats
    variation: Floats
    late_variation: Floats
    peaked: Floats
    late_peaked: Floats
    grey: Floats
    full_field: Floats
    polarity: Floats
    temporal_frequency: Floats
    latency: Floats
    early_width: Floats
    late_width: Floats
    late: Floats
    refractory: Floats


def make_population(preset: Preset, channels: pd.DataFrame, n_units: int | None, seed: int) -> Population:
    """Draw the units of ``preset``.

    Parameters
    ----------
    preset
        The session.
    channels
        From ``make_channels``.
    n_units
        Good units, spread over the areas as the preset's own number is; None = the preset's number.
    seed
        Of the simulation.

    Raises
    ------
    ConfigError
        If ``n_units`` is not positive.
    """
    if n_units is not None and n_units < 1:
        raise ConfigError(f"expected at least one unit, got n_units={n_units}.")
    n_good = preset.n_units if n_units is None else n_units
    stretches = [(probe, number) for probe in preset.probes for number in range(len(probe.stretches))]
    shares = [probe.stretches[number].units for probe, number in stretches]
    rng = stream(seed, "placement")
    parts = []
    for good, total in ((True, n_good), (False, preset.n_poor_units)):
        for (probe, number), count in zip(stretches, apportion(total, shares), strict=True):
            sites = _sites(channels, probe, number)
            channel = rng.choice(sites, count) if count else np.empty(0, np.int64)
            parts.append(pd.DataFrame({"channel": channel, "good": good}))
    table = pd.concat(parts).sort_values(["channel", "good"], kind="stable")
    area = channels["location"].loc[table["channel"]].to_numpy().astype(str)
    return _draw(preset, table["channel"].to_numpy(np.int64), table["good"].to_numpy(bool), area, seed)


def apportion(total: int, shares: Sequence[float]) -> list[int]:
    """Split ``total`` in whole numbers by shares; what rounding leaves goes to the largest remainders."""
    exact = total * np.asarray(shares, np.float64) / np.sum(shares)
    counts = np.floor(exact).astype(int)
    for position in np.argsort(counts - exact, kind="stable")[: total - counts.sum()]:
        counts[position] += 1
    return [int(count) for count in counts]


def _sites(channels: pd.DataFrame, probe: Probe, number: int) -> NDArray[np.int64]:
    stretch = probe.stretches[number]
    chosen = channels[
        (channels["group_name"] == probe.name) & (channels["location"] == stretch.area) & channels["valid_data"]
    ]
    return chosen.index.to_numpy(np.int64)


def _draw(
    preset: Preset,
    channel: NDArray[np.int64],
    good: NDArray[np.bool_],
    area: NDArray[np.str_],
    seed: int,
) -> Population:
    rng, constants = stream(seed, "units"), preset.responses
    n_units = len(channel)

    def of_area(name: str) -> Floats:
        return np.array([getattr(AREAS[acronym], name) for acronym in area], np.float64)

    def spread(width: float) -> Floats:
        return np.exp(width * rng.standard_normal(n_units))

    loudness = rng.standard_normal(n_units)
    independent = rng.standard_normal(n_units)
    tie = constants.tuning_rate_correlation
    selectivity = tie * loudness + np.sqrt(1 - tie**2) * independent
    rate = constants.rate_median * np.exp(constants.rate_spread * loudness) * np.where(good, 1.0, constants.poor_rate)
    variation = constants.tuning_median * np.exp(constants.tuning_spread * selectivity) * of_area("tuning")
    late_variation = constants.late_tuning * variation * spread(0.3)
    fields = ReceptiveFields(
        azimuth=rng.uniform(-35.0, 35.0, n_units),
        elevation=rng.uniform(-25.0, 25.0, n_units),
        size=of_area("field_size") * spread(0.25),
        orientation=rng.uniform(0.0, np.pi, n_units),
        spatial_frequency=of_area("spatial_frequency") * spread(0.4),
        phase=rng.uniform(0.0, 2 * np.pi, n_units),
        complexity=rng.beta(1.2, 1.0, n_units),
    )
    return Population(
        ids=FIRST_UNIT_ID + 2 * np.arange(n_units, dtype=np.int64),
        area=area,
        peak_channel=channel,
        good=good,
        fast_spiking=rng.random(n_units) < constants.fast_spiking,
        receptive_fields=fields,
        rate=rate / (1 + (rate / constants.rate_ceiling) ** 2) ** 0.5,
        variation=variation,
        late_variation=late_variation,
        peaked=constants.peakedness * variation**constants.peakedness_power,
        late_peaked=constants.peakedness * late_variation**constants.peakedness_power,
        grey=rng.uniform(constants.grey_low, constants.grey_high, n_units),
        full_field=2.0 * variation * spread(0.3),
        polarity=rng.uniform(-1.0, 1.0, n_units),
        temporal_frequency=2.0 * spread(0.5),
        latency=of_area("latency") * spread(constants.latency_spread),
        early_width=constants.early_width * spread(constants.width_spread),
        late_width=constants.late_width * spread(constants.width_spread),
        late=rng.uniform(constants.late_low, constants.late_high, n_units),
        refractory=rng.uniform(constants.refractory_low, constants.refractory_high, n_units),
    )
