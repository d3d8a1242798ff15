"""The command line: parse, call, print."""

import os
import signal
import sys
import threading
import time
import warnings
from multiprocessing.util import _exit_function  # type: ignore[attr-defined]
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import spikesight
from spikesight.commands import (
    attribution_cli,
    connectivity_cli,
    fetch_cli,
    figures_cli,
    receptive_fields_cli,
    serve_cli,
    sessions_cli,
    tune_cli,
)
from spikesight.commands import cli_options as options
from spikesight.errors import SpikesightError

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal, as shells have it."""
READERS = ("spikesight-read-ahead", "spikesight-stream")
"""How the names of threads begin that wait for servers; what they write may end at any byte."""
PATIENCE_AT_THE_END = 1.0
"""Seconds that they get to end by themselves."""
HOW_TO_RESUME = {
    "benchmark": "; start the same command again to resume (searches: with --resume)",
    "tune": "; start the same command again with --resume to go on",
    "fetch": "; start the same command again to go on at the byte it had",
    **dict.fromkeys(("connectivity", "demo", "attribution"), "; start the same command again to resume"),
}
"""What a command that was stopped tells, by its name."""
ORDER = (
    *("sessions", "fetch", "inspect", "simulate", "demo", "bin", "benchmark", "tune", "decoders", "predict", "report"),
    *("figures", "serve", "connectivity", "receptive-fields", "attribution", "slurm"),
)
"""Commands as one meets them: data, decoding, what is seen of it, and what else there is."""


class _Group(TyperGroup):
    """Turns our errors into one line on stderr and exit code 1, and Ctrl-C into one line and 130."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of commands in the order of the help."""
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            with warnings.catch_warnings():
                # What joblib says when a benchmark is stopped: it would hide the one line that helps.
                warnings.filterwarnings("ignore", ".*(cancelled|not used|worker stopped)", UserWarning, r"joblib\.")
                return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            typer.echo(f"stopped{HOW_TO_RESUME.get(ctx.invoked_subcommand, '')}", err=True)
            raise typer.Exit(INTERRUPTED) from stop
        except (SpikesightError, OSError, MemoryError) as error:
            if ctx.params.get("debug") or isinstance(error, BrokenPipeError):
                raise
            typer.echo(f"error: {' '.join(str(error).split()) or type(error).__name__}", err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Group, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
    epilog="Exit codes: 0 all went well, 1 an error (one line on stderr) or some fits failed, 2 wrong usage, "
    "130 stopped by Ctrl-C.",
)  # fmt: skip

app.add_typer(connectivity_cli.app, name="connectivity")
app.command()(tune_cli.tune)
app.command()(attribution_cli.attribution)
app.command()(sessions_cli.sessions)
app.command()(fetch_cli.fetch)
app.command()(figures_cli.figures)
app.command()(serve_cli.serve)
app.command("receptive-fields")(receptive_fields_cli.receptive_fields)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spikesight {spikesight.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Decode what a mouse sees from the spikes of single neurons."""


@app.command()
def inspect(
    file: options.File,
    quality: options.Quality = None,
    quick: Annotated[
        bool | None,
        typer.Option(help="Leave out the checks of clocks and labels, which read spikes. Default: on servers only."),
    ] = None,
    source: options.Source = None,
    json: options.Json = False,
) -> None:
    """Say what a file holds and what is wrong with it: units, stimuli and their timing, clocks, labels."""
    from spikesight.commands import terminal, terminal_inspection
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.inspection import inspect_file

    with TerminalProgress() as progress:
        found = inspect_file(file, quality=quality, quick=quick, source=source or "s3", progress=progress)
    terminal.print_json(found) if json else terminal_inspection.print_inspection(found)


@app.command("bin")
def bin_(
    file: options.File,
    out: Annotated[Path, typer.Option(help="File to write: NetCDF (.nc), or .npz.")],
    stimulus: options.Stimulus = None,
    target: options.Target = None,
    bins: options.Bins = None,
    bin_size: options.BinSize = None,
    window: options.Window = None,
    blanks: options.Blanks = None,
    running: options.Running = None,
    areas: options.Areas = None,
    quality: options.Quality = None,
    assignments: options.Assign = None,
    source: options.Source = None,
    json: options.Json = False,
) -> None:
    """Count spikes in the trials of one stimulus and write them as NetCDF or .npz."""
    from spikesight.commands import terminal
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.config import load_config
    from spikesight.data.counts import write_counts
    from spikesight.evaluation.sources import load_source
    from spikesight.records.session_overview import session_card

    question = {**options.question([file], None, source, None, stimulus), "target": options.names(target)}
    binning = {"n_bins": bins, "bin_size": bin_size, "window": window}
    units = {"areas": options.names(areas, several=True), "quality": quality, "blanks": blanks}
    units["running"] = running
    config = load_config(overrides={**question, **binning, **units}, assignments=assignments or ())
    with TerminalProgress() as progress:
        dataset = load_source(config.sources[0], config, progress).dataset
    write_counts(dataset, out)
    card = {"out": str(out.resolve()), **session_card(dataset)}
    terminal.print_json(card) if json else terminal.print_card(card)


@app.command()
def benchmark(
    files: options.Files = None,
    sessions: options.Sessions = None,
    source: options.Source = None,
    keep_files: options.KeepFiles = None,
    config: options.ConfigFile = None,
    assignments: options.Assign = None,
    stimulus: options.Stimulus = None,
    target: options.Target = None,
    decoders: Annotated[
        str | None, typer.Option(help=f"Names, see `spikesight decoders`. {options.default_of('decoders')}")
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            help="What stands in front of the decoders, in rows beside theirs: pca, factor-analysis, autoencoder, vae, "
            "or a transformer's path (sklearn.decomposition:FastICA). Several: give it again. Default: none."
        ),
    ] = None,
    selection: Annotated[
        str | None, typer.Option(help=f"tuned, searched, default or several. {options.default_of('selection')}")
    ] = None,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="Search every decoder's constants: --selection searched,default.")
    ] = False,
    search: options.Search = None,
    candidates: options.Candidates = None,
    budget: options.Budget = None,
    scheduler: options.Scheduler = None,
    space: options.SpaceFile = None,
    resume: options.Resume = False,
    bins: options.Bins = None,
    bin_size: options.BinSize = None,
    window: options.Window = None,
    context: options.Context = None,
    detrend: options.Detrend = None,
    blanks: options.Blanks = None,
    running: options.Running = None,
    control: Annotated[
        str | None,
        typer.Option(help="Rows that see no spike: running, pupil or behaviour (both), or several. Default: none."),
    ] = None,
    splitter: options.Splitter = None,
    folds: options.Folds = None,
    gap: options.Gap = None,
    areas: options.Areas = None,
    quality: options.Quality = None,
    seed: options.Seed = None,
    jobs: options.Jobs = None,
    ray: options.Ray = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Minutes after which no further fit is begun; run it again to go on.")
    ] = None,
    save_decoders: options.SaveDecoders = None,
    wandb: options.Wandb = None,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Benchmark decoders on sessions: leaderboard, predictions and a report page."""
    asked_selection = options.names(selection, several=True)
    if tuned:
        asked_selection = list(dict.fromkeys(["searched", *(asked_selection or ["default"])]))
    asked = options.question(files, sessions, source, keep_files, stimulus)
    question = {**asked, "target": options.names(target), "blanks": blanks}
    binning = {"n_bins": bins, "bin_size": bin_size, "window": window}
    drift = {"context": context, "detrend": detrend}
    units = {"areas": options.names(areas, several=True), "quality": quality, "running": running}
    terms = {"decoders": options.names(decoders, several=True), "selection": asked_selection}
    terms["controls"] = options.names(control, several=True)
    terms["encoders"] = options.names(",".join(encoder), several=True) if encoder else None
    searching = {"tuning": options.tuning_options(search, candidates, budget, scheduler, space)}
    split = {"splitter": splitter, "n_splits": folds, "gap": gap, "seed": seed}
    execution = {"jobs": jobs, "ray": ray, "time_limit": time_limit, "save_decoders": save_decoders, "out": out}
    following = {"wandb": wandb}
    overrides = {**question, **binning, **drift, **units, **terms, **searching, **split, **execution, **following}
    options.run_asked(config, overrides, assignments, resume=resume, as_json=json)


@app.command()
def predict(
    decoder: Annotated[Path, typer.Argument(metavar="DECODER", help="Folder of a stored decoder (--save-decoders).")],
    file: options.File,
    json: options.Json = False,
) -> None:
    """Decode every trial of a file with a stored decoder."""
    from spikesight.commands import terminal
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.prediction import predict_file

    with TerminalProgress() as progress:
        table = predict_file(decoder, file, progress=progress)
    terminal.print_predictions(table, as_json=json)


@app.command()
def decoders(
    name: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Say more of these.")] = None,
    chart: Annotated[
        Path | None,
        typer.Option(
            help="Draw the network NAME, or all that can be made of graphs, as a flow chart: .svg, .png, .pdf."
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """List the decoders that can be benchmarked, and plug-ins that are broken."""
    from spikesight.commands import terminal
    from spikesight.decoders import registry

    if chart is not None:
        from spikesight.gallery.decoder_chart import draw_decoder_chart

        if name and len(name) > 1:
            raise typer.BadParameter(
                "give one NAME to draw, or none for all that graph decoders may be", param_hint="NAME"
            )
        drawn = draw_decoder_chart(name[0] if name else None, chart).resolve()
        terminal.print_json({"chart": str(drawn)}) if json else typer.echo(drawn)
        return
    found = {one: registry.spec(one) for one in name or registry.names()}
    terminal.print_decoders(found, registry.broken(), details=bool(name), as_json=json)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="NWB file to write; its truth goes beside it.")],
    preset: Annotated[
        str,
        typer.Option(
            help="demo, scenes, allen or functional_connectivity; tiny is for tests, too small to decode well."
        ),
    ] = "demo",
    seed: Annotated[int, typer.Option(help="Same seed, same session.")] = 0,
    units: Annotated[int | None, typer.Option(help="Number of good units instead of the preset's own.")] = None,
) -> None:
    """Simulate a session with known tuning, gain and couplings as an NWB file."""
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.demo import save_simulation

    with TerminalProgress() as progress:
        progress.note(f"simulating (preset {preset}, seed {seed})")
        save_simulation(preset, seed, out, n_units=units, progress=progress)
    typer.echo(out.resolve())


@app.command()
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Run directories of benchmarks or connectivity fits, and folders of receptive fields, on one page.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write; of a single run: report.html in the run directory.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The images that were shown: small pictures of them beside the classes.")
    ] = None,
) -> None:
    """Write the report page of a run again, or one page of several runs."""
    from spikesight.reports.report import write_report

    pictures = None
    if images is not None:
        from spikesight.data.images import read_images

        pictures = read_images(images)
    typer.echo(write_report(runs, out, pictures).resolve())


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the simulated session and its run.")] = Path("demo"),
) -> None:
    """Simulate a session, decode it, and write a report: no download, under two minutes."""
    from spikesight.commands import terminal
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.demo import run_demo

    with TerminalProgress() as progress:
        run = run_demo(out, progress)
    raise typer.Exit(terminal.print_run(run))


@app.command()
def slurm(
    config: Annotated[Path, typer.Argument(metavar="RUN.yaml", help="File of options, as --config takes it.")],
    nodes: Annotated[int, typer.Option(help="Number of nodes.")],
    cpus: Annotated[int, typer.Option(help="Cores on each node.")],
    time: Annotated[str, typer.Option(help="Time limit: 90 (minutes), 12:00:00, 2-00 (days-hours).")],
    gpus: Annotated[int, typer.Option(help="GPUs on each node.")] = 0,
    partition: Annotated[str | None, typer.Option(help="Where the job runs.")] = None,
    account: Annotated[str | None, typer.Option(help="Who pays.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory of each node: 64G.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the job; that of RUN.yaml if not given.")] = None,
    set_up: Annotated[
        list[str] | None, typer.Option(metavar="LINE", help="Line of shell that comes first: 'module load python'.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Script to write; RUN.sbatch here if not given.")] = None,
    json: options.Json = False,
) -> None:
    """Write a SLURM batch script: a Ray cluster, and a run on it that goes on where it stopped."""
    from spikesight.commands import terminal
    from spikesight.slurm import SlurmJob, submission, write_slurm_script

    job = SlurmJob(nodes, cpus, time, gpus, partition, account, memory, name, set_up or ())
    script = write_slurm_script(config, job, out or Path(f"{config.stem}.sbatch"))
    if json:
        terminal.print_json({"script": str(script), "submit": submission(script)})
    else:
        typer.echo(f"{script}\nsubmit it: {submission(script)}")


def main() -> None:
    """Run the command line; a request to terminate ends it as Ctrl-C does, so that no worker is left behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except SystemExit as end:
        _leave_readers(end.code)
        raise


def _leave_readers(code: Any) -> None:
    """End at once if a server is still waited for: Python and HDF5 would wait for it, minutes if it has gone silent."""
    until = time.monotonic() + PATIENCE_AT_THE_END
    while any(thread.name.startswith(READERS) for thread in threading.enumerate()):  # is_alive errs after Ctrl-C
        if time.monotonic() > until:
            _exit_function()  # the semaphores of worker processes, of which somebody would complain
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code if isinstance(code, int) else int(code is not None))
        time.sleep(0.02)
