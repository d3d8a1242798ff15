"""A first result without a download: simulate, write, read back, bin, decode, report."""

from pathlib import Path
from typing import Final

from spikesight.config import BenchmarkConfig
from spikesight.data.nwb_write import write_session
from spikesight.data.simulation import simulate_session, truth_path
from spikesight.errors import OutputError
from spikesight.experiment import run_benchmark
from spikesight.tracking.progress import Progress

PRESET: Final = "demo"
SEED: Final = 0
DECODERS: Final = ("fa-lda", "lda", "poisson-bayes", "ridge", "svc-linear", "pca-logistic")
SESSION: Final = "session.nwb"
RUN: Final = "run"


def run_demo(out: Path, progress: Progress) -> Path:
    """Simulate a session, write it as an NWB file, and benchmark six decoders on what is read back from that file.

    The same simulation gives the same bytes, so a second demo in the same folder finds its finished fits again.

    Parameters
    ----------
    out
        A folder; gets ``session.nwb``, its truth, and the run directory ``run``.
    progress
        Hears how far it is.

    Returns
    -------
    Path
        The run directory.

    Raises
    ------
    OutputError
        If ``out`` cannot be written.
    RunDirectoryError
        If the folder holds the demo of another version.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {out}: {error.strerror or error}. Choose another folder.") from error
    file = out / SESSION
    progress.note(f"1/4 simulating a session (preset {PRESET!r}, seed {SEED})")
    save_simulation(PRESET, SEED, file, progress=progress)
    progress.note(f"2/4 wrote {file} in the Allen layout, its truth beside it")
    progress.note("3/4 reading it back, binning its natural scenes, decoding them")
    run = run_benchmark(BenchmarkConfig(sources=(file,), decoders=DECODERS, seed=SEED, out=out / RUN), progress)
    progress.note("4/4 wrote the report")
    return run


def save_simulation(
    preset: str, seed: int, file: Path, *, n_units: int | None = None, progress: Progress | None = None
) -> None:
    """Simulate a session and write it and its truth, replacing what is there.

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    OutputError
        If the file cannot be written.
    """
    simulation = simulate_session(preset, seed, n_units=n_units)
    tell = None if progress is None else lambda done, total: progress.advance("writing units", done, total)
    write_session(simulation.session, file, overwrite=True, progress=tell)
    simulation.truth.save(truth_path(file))
