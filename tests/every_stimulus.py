"""A short session of each type in which every stimulus has repeats enough to be decoded."""

from functools import cache

from spikesight.data.session import Session
from spikesight.data.simulation.presets import Block, Preset, Probe, SessionType, Stretch
from spikesight.data.simulation.simulate import _simulate

ROWS: dict[SessionType, dict[str, int]] = {
    "brain_observatory_1.1": {
        **{"gabors": 270, "flashes": 40, "drifting_gratings": 246, "natural_movie_three": 2400},
        **{"natural_movie_one": 1800, "static_gratings": 1440, "natural_scenes": 180},
    },
    "functional_connectivity": {
        **{"gabors": 270, "flashes": 40, "drifting_gratings_contrast": 180, "natural_movie_one_more_repeats": 1800},
        **{"natural_movie_one_shuffled": 4500, "dot_motion": 280, "drifting_gratings_75_repeats": 160},
    },
}
"""Presentations of each stimulus; each is shown in two blocks."""


def preset(session_type: SessionType) -> Preset:
    """Two probes, movies of 3 and 8 seconds, 3 x 3 places, 8 scenes."""
    halves = [Block(stimulus=name, rows=rows // 2) for name, rows in ROWS[session_type].items()]
    grey = Block(stimulus="spontaneous", seconds=15)
    probes = (
        Probe(name="probeB", stretches=(Stretch(area="VISpm", channels=1, units=1),)),
        Probe(
            name="probeC",
            stretches=(Stretch(area="LGd", channels=0.5, units=1), Stretch(area="VISp", channels=0.5, units=2)),
        ),
    )
    return Preset(
        session_type=session_type,
        probes=probes,
        channels_per_probe=48,
        n_units=90,
        n_poor_units=3,
        schedule=(*(block for half in (halves, halves) for shown in half for block in (grey, shown)), grey),
        n_scenes=8,
        gabor_grid=3,
        movie_one_frames=90,
        movie_three_frames=240,
    )


@cache
def session_with_every_stimulus(session_type: SessionType, seed: int = 0) -> Session:
    """Simulate the session."""
    return _simulate(f"every stimulus of {session_type}", preset(session_type), seed, None).session
