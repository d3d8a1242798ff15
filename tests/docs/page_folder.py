"""A folder in which a page's blocks are run: small simulated sessions under the names that pages use."""

import functools
import os
import subprocess
import sys
from pathlib import Path

from page_blocks import ROOT

from spikesight.data.nwb_write import write_session
from spikesight.data.simulation import truth_path
from spikesight.data.simulation.presets import Block, Preset, Probe, Stretch
from spikesight.data.simulation.simulate import Simulation, _simulate

ROWS = {
    **{"gabors": 270, "flashes": 20, "drifting_gratings": 120, "natural_movie_three": 480},
    **{"static_gratings": 480, "natural_scenes": 360},
}
"""Presentations of each stimulus."""
SESSIONS = {0: "session.nwb", 1: "session_715093703.nwb", 2: "session_719161530.nwb"}
"""Seed -> name."""
COUNTS = {"counts.nc": "natural_scenes", "counts.npz": "natural_scenes"}
SCENES_YAML = "sources: [session.nwb]\ndecoders: [fa-lda, lda]\nselection: [default]\nn_splits: 2\nout: runs/scenes\n"
SPACE_YAML = "mlp:\n  hidden_size: {low: 16, high: 32, log: true, whole: true}\n"
PUBLIC = {715093703: 1, 719161530: 2}
"""Id of a public session -> seed of what stands for it."""


def preset() -> Preset:
    """Forty units of VISp and VISl, a movie of 8 seconds, 3 x 3 places, 8 scenes."""
    grey = Block(stimulus="spontaneous", seconds=30)
    shown = [Block(stimulus=name, rows=rows) for name, rows in ROWS.items()]
    probes = (
        Probe(name="probeC", stretches=(Stretch(area="VISp", channels=1, units=1),)),
        Probe(name="probeD", stretches=(Stretch(area="VISl", channels=1, units=1),)),
    )
    return Preset(
        probes=probes,
        channels_per_probe=48,
        n_units=40,
        n_poor_units=3,
        schedule=(*(block for one in shown for block in (grey, one)), grey),
        n_scenes=8,
        gabor_grid=3,
        movie_one_frames=90,
        movie_three_frames=240,
    )


@functools.cache
def simulation(seed: int) -> Simulation:
    """Simulate one of the sessions."""
    return _simulate("for the pages", preset(), seed, None)


def write_inputs(folder: Path) -> None:
    """Write sessions, counts and files of options."""
    from spikesight import bin_spikes, read_session, select_trials, write_counts

    for seed, name in SESSIONS.items():
        write_session(simulation(seed).session, folder / name)
        simulation(seed).truth.save(truth_path(folder / name))
    session = read_session(folder / SESSIONS[0])
    for name, stimulus in COUNTS.items():
        write_counts(bin_spikes(select_trials(session, stimulus), n_bins=1), folder / name)
    (folder / "scenes.yaml").write_text(SCENES_YAML)
    (folder / "space.yaml").write_text(SPACE_YAML)


def link_inputs(inputs: Path, folder: Path) -> None:
    """Put the inputs into a page's own folder, and the session where ``spikesight demo`` would have put it."""
    (folder / "demo").mkdir(exist_ok=True)
    for file in inputs.iterdir():
        (folder / file.name).symlink_to(file)
        if file.name.startswith(SESSIONS[0]):
            (folder / "demo" / file.name).symlink_to(file)


def write_wrapper(folder: Path) -> Path:
    """Write a ``spikesight`` that does less of what it is asked, and return the folder for PATH."""
    folder.mkdir()
    script = folder / "spikesight"
    script.write_text(
        f"#!{sys.executable}\n"
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from not_run import smaller\nfrom spikesight.cli import main\n"
        "sys.argv = ['spikesight', *smaller(sys.argv[1:])]\nif __name__ == '__main__':\n    main()\n"
    )
    script.chmod(0o755)
    return folder


def run_command(
    command: str, folder: Path, bin_folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run one line of a page with bash, as a reader would."""
    path = os.pathsep.join([str(bin_folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {**os.environ, **environment, "PATH": path, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "120"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=own, capture_output=True, text=True, timeout=600
    )
