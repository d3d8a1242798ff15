"""Options that several commands share, and how their texts become values."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from spikesight.config import BenchmarkConfig, load_config, read_yaml
from spikesight.tuning_config import TuningConfig


def default_of(key: str) -> str:
    """Write the default of an option as one would type it."""
    value = BenchmarkConfig.model_fields[key].default
    return f"Default: {','.join(value) if isinstance(value, tuple) else value}."


def tuning_default(key: str) -> str:
    """Write the default of an option of a search."""
    return f"Default: {TuningConfig.model_fields[key].default}."


RUN_DEFAULT = "Default: runs/ and a name made of the question."
FILE_KINDS = (
    "NWB file: a path, the id of a public session, or an address (s3://, https://, dandi:000021/ID). Or binned trials: "
    ".nc as `spikesight bin` writes it, or .npz with counts (units, trials), unit_ids and columns along trials, or "
    "with X, y, groups: (trials, units) or (trials, bins, units), label, and block (optional)."
)
File = Annotated[str, typer.Argument(metavar="FILE", help=FILE_KINDS)]
Source = Annotated[
    Literal["s3", "dandi"] | None,
    typer.Option(help=f"Where public sessions are read. {default_of('archive')}"),
]
Sessions = Annotated[
    str | None,
    typer.Option(help="Public sessions: all with a stimulus (natural_scenes), or ids (715093703,719161530)."),
]
KeepFiles = Annotated[
    bool | None, typer.Option("--keep-files", help="Fetch the whole files of public sessions first, and keep them.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Stimulus = Annotated[str | None, typer.Option(help="Stimulus to decode; natural_scenes if not given.")]
Target = Annotated[
    str | None,
    typer.Option(help="What to decode: a column, several (x_position,y_position), or a name: direction, segment, all."),
]
Bins = Annotated[int | None, typer.Option(help="Number of bins over each presentation. Default: 1.")]
BinSize = Annotated[float | None, typer.Option(help="Length of a bin, s; needs --window.")]
Window = Annotated[
    tuple[float, float] | None,
    typer.Option(help="Start and stop, s from the start of a presentation; one bin without --bin-size."),
]
Areas = Annotated[str | None, typer.Option(help="Keep units of these areas: VISp,VISl.")]
Quality = Annotated[bool | None, typer.Option(help="Quality filters on units; by default on for NWB files only.")]
Blanks = Annotated[
    Literal["keep", "drop"] | None,
    typer.Option(help=f"Blank presentations: a class, or dropped. {default_of('blanks')}"),
]
Running = Annotated[
    Literal["stationary", "running", "all"] | None,
    typer.Option(help=f"Keep trials by the mean running speed, 1 cm/s and more or less. {default_of('running')}"),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of options.")]
Assign = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set any option: units.quality=null.")
]


Files = Annotated[list[str] | None, typer.Argument(metavar="FILE", help=f"One or more. {FILE_KINDS}")]
Context = Annotated[
    str | None, typer.Option(help="Neighbouring presentations beside each trial's own: both, previous, next or N,M.")
]
Detrend = Annotated[
    str | None,
    typer.Option(help="Take away the running mean over so many trials on either side: 200, or 200,causal."),
]
Splitter = Annotated[
    str | None, typer.Option(help=f"block-kfold, repeat-kfold or last-block. {default_of('splitter')}")
]
Folds = Annotated[int | None, typer.Option(help=f"Number of folds. {default_of('n_splits')}")]
Gap = Annotated[int | None, typer.Option(help=f"Trials left out on either side of a test run. {default_of('gap')}")]
Seed = Annotated[int | None, typer.Option(help=f"Seed of everything random. {default_of('seed')}")]
Jobs = Annotated[int | None, typer.Option(help="Processes at a time; one per core if not given.")]
Ray = Annotated[
    str | None, typer.Option(help="Run on Ray: local, auto, or host:port of a cluster; `spikesight slurm` makes one.")
]
Wandb = Annotated[
    Literal["off", "offline", "online"] | None,
    typer.Option(help=f"Weights & Biases; online uploads, if a key is set, in the background. {default_of('wandb')}"),
]
SaveDecoders = Annotated[bool | None, typer.Option("--save-decoders", help="Store every fitted decoder.")]
Out = Annotated[Path | None, typer.Option(help=f"Run directory; started again, it is resumed. {RUN_DEFAULT}")]
Search = Annotated[
    str | None,
    typer.Option(help=f"What proposes candidates: optuna-gp, optuna-tpe, random or hebo. {tuning_default('search')}"),
]
Candidates = Annotated[
    int | None, typer.Option(help=f"Candidates per decoder and outer fold. {tuning_default('candidates')}")
]
Budget = Annotated[
    str | None,
    typer.Option(help="Time per decoder and outer fold: 30m, 90s, 2h; plain numbers are minutes. Default: no limit."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help=f"asha gives up candidates that are behind after the same share of training; none does not. "
        f"{tuning_default('scheduler')}"
    ),
]
SpaceFile = Annotated[
    Path | None,
    typer.Option(
        help="YAML file of search ranges by decoder, then by parameter: mlp: {hidden_size: {low: 32, high: 64}}."
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with a search that was stopped; unpickles Ray's state, so only in a directory of yours."
    ),
]


def tuning_options(
    search: str | None, candidates: int | None, budget: str | None, scheduler: str | None, space: Path | None
) -> dict[str, Any]:
    """Gather the options of a search that were given."""
    given = {"search": search, "candidates": candidates, "budget": budget, "scheduler": scheduler}
    ranges = None if space is None else read_yaml(space)
    return {name: value for name, value in {**given, "space": ranges}.items() if value is not None}


def question(
    files: list[str] | None, asked: str | None, source: str | None, keep_files: bool | None, stimulus: str | None
) -> dict[str, Any]:
    """Say which sessions are decoded, and what they were shown: files that are named, and public sessions."""
    where = {"archive": source, "keep_files": keep_files}
    if asked is None:
        return {"sources": files or None, **where, "stimulus": stimulus}
    from spikesight.data.location import public_sessions

    ids, shown = public_sessions(asked)
    return {"sources": [*(files or []), *ids], **where, "stimulus": stimulus or shown}


def names(text: str | None, *, several: bool = False) -> Any:
    """Split names at commas; a single one stays a string unless several are meant."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    return names if several or len(names) > 1 else text.strip()


def run_asked(
    config: Path | None, overrides: dict[str, Any], assignments: list[str] | None, *, resume: bool, as_json: bool
) -> None:
    """Run what a file of options, the command line and assignments ask for, and end with its exit code."""
    from spikesight.commands import terminal
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.experiment import run_benchmark

    named = overrides["sources"] or any(text.startswith("sources=") for text in assignments or ())
    if not named and config is None:
        raise typer.BadParameter("give one or more FILEs, or --config with sources", param_hint="FILE")
    asked = load_config(config, overrides=overrides, assignments=assignments or ())
    with TerminalProgress() as progress:
        run = run_benchmark(asked, progress, resume=resume)
    raise typer.Exit(terminal.print_run(run, as_json=as_json))
