"""Quartiles of real units that the simulator is calibrated against.

Source: unit metrics of the Allen Brain Observatory, Visual Coding - Neuropixels (Allen Institute, 2019; Siegle et al.,
Nature 592, 2021): 19,318 visual-cortex units (VISp, VISl, VISrl, VISal, VISpm, VISam) of the 32 sessions of type
``brain_observatory_1.1``. Kept are the 8,301 that pass AllenSDK's default filters (``amplitude_cutoff <= 0.1``,
``presence_ratio >= 0.95``, ``isi_violations <= 0.5``), because these are the units that ``read_session`` hands out by
default, and the simulator's good units pass the same filters. (All 19,318 fire less: 1.19, 3.34 and 7.07 Hz.)
Units whose metric is NaN (a silent preferred scene, a mouse that never ran) are left out.
"""

from typing import Final, NamedTuple


class Quartiles(NamedTuple):
    """The 25th, 50th and 75th percentile."""

    lower: float
    median: float
    upper: float


REAL_QUARTILES: Final[dict[str, Quartiles]] = {
    "firing_rate_ns": Quartiles(1.8828, 4.4601, 10.1023),
    "fano_ns": Quartiles(0.9889, 1.5000, 2.2946),
    "image_selectivity_ns": Quartiles(0.2563, 0.4277, 0.6163),
    "lifetime_sparseness_ns": Quartiles(0.0725, 0.1611, 0.3401),
    "time_to_peak_ns": Quartiles(0.0845, 0.1115, 0.1435),
    "run_mod_ns": Quartiles(0.0266, 0.2644, 0.4619),
}
"""Metric -> quartiles over units: Hz, -, -, -, s, -."""

N_REAL_UNITS: Final = 8301

VISUAL_CORTEX: Final = ("VISp", "VISl", "VISrl", "VISal", "VISpm", "VISam")
"""The areas that the real units above come from; simulated units of other areas are not compared with them."""


def relative_deviation(metric: str, quartiles: Quartiles) -> Quartiles:
    """Return how far ``quartiles`` are from the real ones, as fractions (0.25 = the limit the presets keep to).

    A deviation is measured against the real quartile itself, except for ``run_mod_ns``: a signed index whose lower
    quartile is next to zero, where a percentage of the value means nothing. It is measured against the real
    interquartile range instead.
    """
    real = REAL_QUARTILES[metric]
    scale = Quartiles(*[real.upper - real.lower] * 3) if metric == "run_mod_ns" else real
    deviations = [(ours - theirs) / unit for ours, theirs, unit in zip(quartiles, real, scale, strict=True)]
    return Quartiles(*deviations)
