"""The sessions that can be simulated, as data: probes, schedule and the constants of the responses.

The constants of ``Responses`` were found once, by comparing simulated with real units (``REAL_QUARTILES``) and by the
accuracy of a linear decoder; the presets are frozen since. ``tests/data/simulation/test_presets.py`` holds the sha256
of their parameters: no later change to a decoder may be helped by changing the data it is measured on.
"""

import hashlib
import json
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from spikesight.data.simulation.areas import AREAS
from spikesight.errors import UnknownNameError

SessionType = Literal["brain_observatory_1.1", "functional_connectivity"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Block(_Frozen):
    """A stretch of one stimulus: ``rows`` presentations, or ``seconds`` of grey screen for ``spontaneous``."""

    stimulus: str
    rows: int = 0
    seconds: float = 0.0


class Invalid(_Frozen):
    """An invalid interval over the ``rows`` presentations of ``stimulus`` that start at ``first_row``."""

    label: str
    stimulus: str
    first_row: int
    rows: int


class Stretch(_Frozen):
    """Neighbouring channels in one area, listed from the probe's tip: parts of the channels and of the units.

    ``area`` "" lies outside of the brain and holds no good unit.
    """

    area: str
    channels: float
    units: float


class Probe(_Frozen):
    """One probe and the areas along it, from the tip up; the channel parts of a probe add up to 1."""

    name: str
    stretches: tuple[Stretch, ...]


class Responses(_Frozen):
    """Distributions over units and time that every preset shares.

    Attributes
    ----------
    rate_median, rate_spread, rate_ceiling
        Log-normal rate during natural scenes: median (Hz), standard deviation of the logarithm, soft maximum (Hz).
    poor_rate
        Rates of units that fail the quality filters, relative to those of good units.
    tuning_median, tuning_spread
        Log-normal coefficient of variation of the tuning curve over scenes, before the area's factor.
    tuning_rate_correlation
        Correlation of log tuning and log rate: units that fire much are less selective.
    peakedness, peakedness_power
        The varying part of a response has ``peakedness * variation ** peakedness_power`` as its own coefficient of
        variation: how few scenes a unit answers to.
    late_tuning
        The late response's coefficient of variation, as a part of the early one's.
    grey_low, grey_high
        Response to grey as a part of the mean response to scenes, uniform over units.
    late_low, late_high
        Part of the response that is late, uniform over units.
    latency_spread
        Standard deviation of the logarithm of the latency within an area.
    early_width, late_width, width_spread
        Medians of the time constants of the two kernels (s), and their spread (logarithm).
    running_mean, running_spread
        Log gain of running over standing still: mean and standard deviation over units.
    latents, latent_seconds, latent_strength
        Shared fluctuations: how many, their time constants (s, from - to, spaced by equal ratios), and the standard
        deviation over units of the loadings on each, in log gain.
    arousal_strength
        Mean loading of all units on the first latent.
    private_seconds, private_median, private_spread
        Fluctuation of the gain of each unit alone: time constant (s), median over units of its standard deviation in
        log gain, and the spread (logarithm).
    drift_seconds, drift_strength
        Slow drift of each unit: time constant (s), standard deviation in log gain.
    refractory_low, refractory_high
        Absolute refractory period, s, uniform over units.
    inputs_within, inputs_between
        Mean number of coupled inputs a unit gets from its own area and from others on all probes.
    coupling_median, coupling_spread
        Log-normal strength: by how much a source spike multiplies the target's rate at the peak, minus 1.
    fast_spiking
        Part of the units with a narrow waveform, whose spikes lower the rates of their targets.
    """

    rate_median: float = 4.46
    rate_spread: float = 1.25
    rate_ceiling: float = 60.0
    poor_rate: float = 0.5
    tuning_median: float = 0.66
    tuning_spread: float = 0.78
    tuning_rate_correlation: float = -0.35
    peakedness: float = 1.5
    peakedness_power: float = 1.2
    late_tuning: float = 0.7
    grey_low: float = 0.5
    grey_high: float = 1.05
    late_low: float = 0.2
    late_high: float = 0.6
    latency_spread: float = 0.28
    early_width: float = 0.029
    late_width: float = 0.060
    width_spread: float = 0.3
    running_mean: float = 0.5
    running_spread: float = 0.45
    latents: int = 5
    latent_seconds: tuple[float, float] = (0.2, 20.0)
    latent_strength: float = 0.17
    arousal_strength: float = 0.15
    private_seconds: float = 0.3
    private_median: float = 0.12
    private_spread: float = 1.0
    drift_seconds: float = 900.0
    drift_strength: float = 0.15
    refractory_low: float = 0.0015
    refractory_high: float = 0.004
    inputs_within: float = 1.2
    inputs_between: float = 0.6
    coupling_median: float = 3.0
    coupling_spread: float = 0.5
    fast_spiking: float = 0.2


class Preset(_Frozen):
    """A session that can be simulated.

    Attributes
    ----------
    session_type
        As in the files.
    probes, channels_per_probe
        Probes and how many sites each has.
    n_units, n_poor_units
        Units that pass AllenSDK's default quality filters, and units that fail at least one of them.
    schedule
        Blocks in the order shown; each is followed by the next without a pause.
    n_scenes, gabor_grid, movie_one_frames, movie_three_frames
        How many scenes there are beside the blank, how many places a side the Gabor patches take, and the lengths of
        the two movies in frames.
    invalid
        Invalid intervals.
    responses
        Distributions over units and time.
    """

    session_type: SessionType = "brain_observatory_1.1"
    probes: tuple[Probe, ...]
    channels_per_probe: int = 384
    n_units: int
    n_poor_units: int
    schedule: tuple[Block, ...]
    n_scenes: int = 118
    gabor_grid: int = 9
    movie_one_frames: int = 900
    movie_three_frames: int = 3600
    invalid: tuple[Invalid, ...] = ()
    responses: Responses = Responses()


def _probe(name: str, *stretches: tuple[str, float, float]) -> Probe:
    return Probe(name=name, stretches=tuple(Stretch(area=a, channels=c, units=u) for a, c, u in stretches))


def _blocks(*blocks: tuple[str, float]) -> tuple[Block, ...]:
    return tuple(
        Block(stimulus=name, seconds=amount) if name == "spontaneous" else Block(stimulus=name, rows=int(amount))
        for name, amount in blocks
    )


_SIX_PROBES: Final = (
    _probe("probeA", ("LP", 0.20, 45), ("DG", 0.12, 25), ("CA1", 0.16, 60), ("VISam", 0.30, 200), ("", 0.22, 0)),
    _probe("probeB", ("APN", 0.15, 40), ("DG", 0.12, 25), ("CA1", 0.16, 60), ("VISpm", 0.32, 190), ("", 0.25, 0)),
    _probe("probeC", ("LGd", 0.18, 70), ("CA3", 0.10, 20), ("CA1", 0.15, 50), ("VISp", 0.35, 230), ("", 0.22, 0)),
    _probe("probeD", ("LGd", 0.15, 60), ("DG", 0.12, 20), ("CA1", 0.15, 50), ("VISl", 0.34, 200), ("", 0.24, 0)),
    _probe("probeE", ("LP", 0.18, 50), ("DG", 0.12, 20), ("CA1", 0.15, 50), ("VISal", 0.32, 200), ("", 0.23, 0)),
    _probe("probeF", ("LP", 0.18, 50), ("CA3", 0.10, 20), ("CA1", 0.16, 45), ("VISrl", 0.33, 200), ("", 0.23, 0)),
)
_THREE_PROBES: Final = (_SIX_PROBES[2], _SIX_PROBES[3], _SIX_PROBES[0])
_TWO_PROBES: Final = (
    _probe("probeB", ("CA1", 0.20, 3), ("VISpm", 0.55, 9), ("", 0.25, 0)),
    _probe("probeC", ("LGd", 0.30, 4), ("VISp", 0.45, 8), ("", 0.25, 0)),
)

# Order and lengths of a brain_observatory_1.1 session: 15 stimulus blocks between 15 stretches of grey, 2.5 hours.
_BRAIN_OBSERVATORY: Final = _blocks(
    *[("spontaneous", 60), ("gabors", 3645), ("spontaneous", 289), ("flashes", 150), ("spontaneous", 2)],
    *[("drifting_gratings", 200), ("spontaneous", 31), ("natural_movie_three", 18000), ("spontaneous", 30)],
    *[("natural_movie_one", 9000), ("spontaneous", 30), ("drifting_gratings", 200), ("spontaneous", 301)],
    *[("natural_movie_three", 18000), ("spontaneous", 30), ("drifting_gratings", 228), ("spontaneous", 1)],
    *[("static_gratings", 1920), ("spontaneous", 30), ("natural_scenes", 1920), ("spontaneous", 300)],
    *[("natural_scenes", 1920), ("spontaneous", 30), ("static_gratings", 1920), ("spontaneous", 30)],
    *[("natural_movie_one", 9000), ("spontaneous", 30), ("natural_scenes", 2110), ("spontaneous", 43)],
    *[("static_gratings", 2160)],
)
# The design of the other session type is scaled down to about 25 minutes; the order is a free choice.
_FUNCTIONAL_CONNECTIVITY: Final = _blocks(
    *[("spontaneous", 60), ("gabors", 729), ("spontaneous", 30), ("flashes", 60), ("spontaneous", 30)],
    *[("drifting_gratings_contrast", 72), ("spontaneous", 60), ("natural_movie_one_more_repeats", 4500)],
    *[("spontaneous", 30), ("natural_movie_one_shuffled", 1800), ("spontaneous", 30), ("dot_motion", 112)],
    *[("spontaneous", 60), ("drifting_gratings_75_repeats", 80), ("spontaneous", 300)],
)
_TINY: Final = _blocks(
    *[("spontaneous", 10), ("gabors", 54), ("flashes", 4), ("spontaneous", 4), ("drifting_gratings", 4)],
    *[("natural_movie_three", 60), ("natural_movie_one", 60), ("static_gratings", 20), ("natural_scenes", 36)],
    *[("spontaneous", 6), ("natural_scenes", 36), ("static_gratings", 20), ("natural_scenes", 36)],
    *[("spontaneous", 10)],
)
_DEMO: Final = _blocks(
    *[("spontaneous", 20), ("gabors", 243), ("spontaneous", 5), ("flashes", 20), ("spontaneous", 5)],
    *[("natural_scenes", 476), ("spontaneous", 20), ("static_gratings", 240), ("spontaneous", 5)],
    *[("natural_scenes", 476), ("spontaneous", 5), ("drifting_gratings", 20), ("spontaneous", 5)],
    *[("natural_scenes", 476), ("spontaneous", 20)],
)
_SCENES: Final = _blocks(
    *[("spontaneous", 10), ("natural_scenes", 1920), ("spontaneous", 30), ("natural_scenes", 1920)],
    *[("spontaneous", 30), ("natural_scenes", 2110), ("spontaneous", 10)],
)

PRESETS: Final[dict[str, Preset]] = {
    "tiny": Preset(
        probes=_TWO_PROBES,
        channels_per_probe=48,
        n_units=24,
        n_poor_units=4,
        schedule=_TINY,
        n_scenes=8,
        gabor_grid=3,
        movie_one_frames=30,
        movie_three_frames=60,
        invalid=(
            Invalid(label="probeB", stimulus="gabors", first_row=10, rows=3),
            Invalid(label="all_probes", stimulus="static_gratings", first_row=30, rows=2),
            Invalid(label="stimulus", stimulus="flashes", first_row=1, rows=1),
        ),
    ),
    "demo": Preset(probes=_THREE_PROBES, n_units=150, n_poor_units=30, schedule=_DEMO),
    "scenes": Preset(probes=_SIX_PROBES, n_units=500, n_poor_units=0, schedule=_SCENES),
    "allen": Preset(
        probes=_SIX_PROBES,
        n_units=2000,
        n_poor_units=779,
        schedule=_BRAIN_OBSERVATORY,
        invalid=(Invalid(label="probeE", stimulus="gabors", first_row=1200, rows=8),),
    ),
    "functional_connectivity": Preset(
        session_type="functional_connectivity",
        probes=_SIX_PROBES,
        n_units=300,
        n_poor_units=60,
        schedule=_FUNCTIONAL_CONNECTIVITY,
    ),
}
"""Name -> session: ``tiny`` for tests, ``demo``, ``scenes`` (only natural scenes, in the full design), ``allen`` (a
whole session of the real size) and ``functional_connectivity`` (the session type without natural scenes)."""


def get_preset(name: str) -> Preset:
    """Look up a preset.

    Raises
    ------
    UnknownNameError
        If there is none of that name; offers the nearest.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise UnknownNameError("preset", name, PRESETS) from None


def presets_digest() -> str:
    """Return the sha256 of all presets and of the table of areas, as canonical JSON (sorted keys, no spaces)."""
    plain = {name: preset.model_dump(mode="json") for name, preset in PRESETS.items()}
    areas = {name: area._asdict() for name, area in AREAS.items()}
    return hashlib.sha256(json.dumps([plain, areas], sort_keys=True, separators=(",", ":")).encode()).hexdigest()
