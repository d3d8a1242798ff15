"""The command line: parse, call, print."""

import signal
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

import spikesight
from spikesight import connectivity_cli
from spikesight.config import BenchmarkConfig
from spikesight.errors import SpikesightError

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal, as shells have it."""


class _Group(TyperGroup):
    """Turns our errors into one line on stderr and exit code 1, and Ctrl-C into one line and 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            with warnings.catch_warnings():
                # What joblib says when a benchmark is stopped: it would hide the one line that helps.
                warnings.filterwarnings("ignore", ".*(cancelled|not used)", UserWarning, r"joblib\.")
                return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            resumes = ctx.invoked_subcommand in {"benchmark", "connectivity", "demo"}
            typer.echo("stopped; start the same command again to resume" if resumes else "stopped", err=True)
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


def _default(key: str) -> str:
    """Write the default of an option as one would type it."""
    value = BenchmarkConfig.model_fields[key].default
    return f"Default: {','.join(value) if isinstance(value, tuple) else value}."


RUN_DEFAULT = "Default: runs/ and a name made of the question."
FILE_KINDS = (
    "NWB file, or binned trials: .nc as `spikesight bin` writes it, or .npz with counts (units, trials), unit_ids and "
    "columns along trials, or with X, y, groups: (trials, units) or (trials, bins, units), label, and block (optional)."
)
File = Annotated[Path, typer.Argument(metavar="FILE", help=FILE_KINDS)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Stimulus = Annotated[str | None, typer.Option(help="Stimulus to decode; natural_scenes if not given.")]
Target = Annotated[str | None, typer.Option(help="Column to decode, or several: x_position,y_position.")]
Bins = Annotated[int | None, typer.Option(help="Number of bins over each presentation. Default: 1.")]
BinSize = Annotated[float | None, typer.Option(help="Length of a bin, s; needs --window.")]
Window = Annotated[
    tuple[float, float] | None,
    typer.Option(help="Start and stop, s from the start of a presentation; one bin without --bin-size."),
]
Areas = Annotated[str | None, typer.Option(help="Keep units of these areas: VISp,VISl.")]
Quality = Annotated[bool | None, typer.Option(help="Quality filters on units; by default on for NWB files only.")]
Blanks = Annotated[
    Literal["keep", "drop"] | None, typer.Option(help=f"Blank presentations: a class, or dropped. {_default('blanks')}")
]
Wandb = Annotated[
    Literal["off", "offline", "online"] | None,
    typer.Option(help=f"Weights & Biases; online uploads, if a key is set, in the background. {_default('wandb')}"),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of options.")]
Assign = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set any option: units.quality=null.")
]


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
def inspect(file: File, quality: Quality = None, json: Json = False) -> None:
    """Say what a file holds: units per area, stimuli, what filters drop."""
    from spikesight import terminal
    from spikesight.inspection import inspect_file

    found = inspect_file(file, quality=quality)
    terminal.print_json(found) if json else terminal.print_inspection(found)


@app.command("bin")
def bin_(
    file: File,
    out: Annotated[Path, typer.Option(help="NetCDF file (.nc) to write.")],
    stimulus: Stimulus = None,
    target: Target = None,
    bins: Bins = None,
    bin_size: BinSize = None,
    window: Window = None,
    blanks: Blanks = None,
    areas: Areas = None,
    quality: Quality = None,
    assignments: Assign = None,
    json: Json = False,
) -> None:
    """Count spikes in the trials of one stimulus and write them as NetCDF."""
    from spikesight import terminal
    from spikesight.config import load_config
    from spikesight.data.counts import write_counts
    from spikesight.session_overview import session_card
    from spikesight.sources import load_source

    options = {"sources": [file], "stimulus": stimulus, "target": _names(target), "n_bins": bins, "bin_size": bin_size}
    more = {"window": window, "blanks": blanks, "areas": _names(areas, several=True), "quality": quality}
    dataset = load_source(file, load_config(overrides={**options, **more}, assignments=assignments or ())).dataset
    write_counts(dataset, out)
    card = {"out": str(out.resolve()), **session_card(dataset)}
    terminal.print_json(card) if json else terminal.print_card(card)


@app.command()
def benchmark(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help=f"One or more. {FILE_KINDS}")] = None,
    config: ConfigFile = None,
    assignments: Assign = None,
    stimulus: Stimulus = None,
    target: Target = None,
    decoders: Annotated[
        str | None, typer.Option(help=f"Names, see `spikesight decoders`. {_default('decoders')}")
    ] = None,
    selection: Annotated[str | None, typer.Option(help=f"tuned, default or both. {_default('selection')}")] = None,
    bins: Bins = None,
    bin_size: BinSize = None,
    window: Window = None,
    context: Annotated[
        str | None,
        typer.Option(help="Neighbouring presentations beside each trial's own: both, previous, next or N,M."),
    ] = None,
    detrend: Annotated[
        str | None,
        typer.Option(help="Take away the running mean over so many trials on either side: 200, or 200,causal."),
    ] = None,
    blanks: Blanks = None,
    splitter: Annotated[
        str | None, typer.Option(help=f"block-kfold, repeat-kfold or last-block. {_default('splitter')}")
    ] = None,
    folds: Annotated[int | None, typer.Option(help=f"Number of folds. {_default('n_splits')}")] = None,
    gap: Annotated[
        int | None, typer.Option(help=f"Trials left out on either side of a test run. {_default('gap')}")
    ] = None,
    areas: Areas = None,
    quality: Quality = None,
    seed: Annotated[int | None, typer.Option(help=f"Seed of everything random. {_default('seed')}")] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes at a time; one per core if not given.")] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Minutes after which no further fit is begun; run it again to go on.")
    ] = None,
    save_decoders: Annotated[bool | None, typer.Option("--save-decoders", help="Store every fitted decoder.")] = None,
    wandb: Wandb = None,
    out: Annotated[
        Path | None, typer.Option(help=f"Run directory; started again, it is resumed. {RUN_DEFAULT}")
    ] = None,
    json: Json = False,
) -> None:
    """Benchmark decoders on sessions: leaderboard, predictions and a report page."""
    from spikesight import terminal
    from spikesight.config import load_config
    from spikesight.experiment import run_benchmark

    if not files and config is None and not any(text.startswith("sources=") for text in assignments or ()):
        raise typer.BadParameter("give one or more FILEs, or --config with sources", param_hint="FILE")
    question = {"sources": files or None, "stimulus": stimulus, "target": _names(target), "blanks": blanks}
    binning = {"n_bins": bins, "bin_size": bin_size, "window": window}
    drift = {"context": context, "detrend": detrend}
    units = {"areas": _names(areas, several=True), "quality": quality}
    terms = {"decoders": _names(decoders, several=True), "selection": _names(selection, several=True)}
    split = {"splitter": splitter, "n_splits": folds, "gap": gap, "seed": seed}
    running = {"jobs": jobs, "time_limit": time_limit, "save_decoders": save_decoders, "wandb": wandb, "out": out}
    overrides = {**question, **binning, **drift, **units, **terms, **split, **running}
    asked = load_config(config, overrides=overrides, assignments=assignments or ())
    with terminal.TerminalProgress() as progress:
        run = run_benchmark(asked, progress)
    raise typer.Exit(terminal.print_run(run, as_json=json))


@app.command()
def predict(
    decoder: Annotated[Path, typer.Argument(metavar="DECODER", help="Folder of a stored decoder (--save-decoders).")],
    file: File,
    json: Json = False,
) -> None:
    """Decode every trial of a file with a stored decoder."""
    from spikesight import terminal
    from spikesight.prediction import predict_file

    table = predict_file(decoder, file)
    terminal.print_predictions(table, as_json=json)


@app.command()
def decoders(
    name: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Say more of these.")] = None,
    json: Json = False,
) -> None:
    """List the decoders that can be benchmarked, and plug-ins that are broken."""
    from spikesight import terminal
    from spikesight.decoders import registry

    found = {one: registry.spec(one) for one in name or registry.names()}
    terminal.print_decoders(found, registry.broken(), details=bool(name), as_json=json)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="NWB file to write; its truth goes beside it.")],
    preset: Annotated[str, typer.Option(help="tiny, demo, scenes, allen or functional_connectivity.")] = "demo",
    seed: Annotated[int, typer.Option(help="Same seed, same session.")] = 0,
    units: Annotated[int | None, typer.Option(help="Number of good units instead of the preset's own.")] = None,
) -> None:
    """Simulate a session with known tuning, gain and couplings as an NWB file."""
    from spikesight import terminal
    from spikesight.demo import save_simulation

    with terminal.TerminalProgress() as progress:
        progress.note(f"simulating (preset {preset}, seed {seed})")
        save_simulation(preset, seed, out, n_units=units, progress=progress)
    typer.echo(out.resolve())


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of a benchmark or a connectivity fit.")],
    out: Annotated[Path | None, typer.Option(help="HTML file to write; report.html in the run directory.")] = None,
) -> None:
    """Write the report page of a run again."""
    from spikesight.connectivity_record import holds_connectivity
    from spikesight.connectivity_report import write_connectivity_report
    from spikesight.report import write_report

    write = write_connectivity_report if holds_connectivity(run) else write_report
    typer.echo(write(run, out).resolve())


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the simulated session and its run.")] = Path("demo"),
) -> None:
    """Simulate a session, decode it, and write a report: no download, under two minutes."""
    from spikesight import terminal
    from spikesight.demo import run_demo

    with terminal.TerminalProgress() as progress:
        run = run_demo(out, progress)
    raise typer.Exit(terminal.print_run(run))


def _names(text: str | None, *, several: bool = False) -> Any:
    """Split names at commas; a single one stays a string unless several are meant."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    return names if several or len(names) > 1 else text.strip()


def main() -> None:
    """Run the command line; a request to terminate ends it as Ctrl-C does, so that no worker is left behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
