"""What is known of each simulated area: when it answers, how large its receptive fields are, what it is tuned to.

Latencies and receptive-field sizes follow the order of Siegle et al., Nature 592 (2021), figure 2: LGd first, then
VISp, VISl and VISrl, LP, VISal, VISpm, VISam, with receptive fields growing along the way. The hippocampus and nuclei
outside of the visual system get a late, weak and unspecific drive.
"""

from typing import Final, NamedTuple


class Area(NamedTuple):
    """One area's typical unit.

    Attributes
    ----------
    level
        Place in the visual hierarchy, 0 = LGd. Couplings between areas cost the more time the further they reach.
    latency
        Onset of the response, s.
    field_size
        Standard deviation of the Gabor envelope, degrees.
    spatial_frequency
        Preferred spatial frequency, cycles per degree.
    tuning
        Factor on the coefficient of variation of the tuning curve over scenes; 1 = VISp.
    running
        Added to the log gain of running.
    """

    level: float
    latency: float
    field_size: float
    spatial_frequency: float
    tuning: float
    running: float


AREAS: Final[dict[str, Area]] = {
    "LGd": Area(0.0, 0.034, 4.5, 0.035, 0.85, 0.10),
    "VISp": Area(1.0, 0.044, 6.0, 0.045, 1.15, 0.10),
    "VISl": Area(1.5, 0.051, 8.0, 0.040, 1.00, 0.00),
    "VISrl": Area(1.6, 0.050, 8.5, 0.035, 0.90, -0.06),
    "LP": Area(2.0, 0.055, 11.0, 0.030, 0.55, 0.00),
    "VISal": Area(2.2, 0.055, 9.0, 0.035, 1.00, -0.04),
    "VISpm": Area(2.6, 0.062, 9.5, 0.040, 0.85, 0.02),
    "VISam": Area(3.0, 0.064, 10.0, 0.035, 0.85, 0.02),
    "APN": Area(3.0, 0.060, 14.0, 0.030, 0.30, 0.10),
    "CA1": Area(5.0, 0.100, 16.0, 0.030, 0.12, 0.05),
    "CA3": Area(5.0, 0.110, 16.0, 0.030, 0.10, 0.05),
    "DG": Area(5.0, 0.110, 16.0, 0.030, 0.10, 0.05),
}
"""Area acronym -> its typical unit."""
