"""``spikesight tune``: parse, call, print."""

from typing import Annotated

import typer

from spikesight import cli_options as options


def tune(
    files: options.Files = None,
    decoder: Annotated[str, typer.Option(help="Name, or several: mlp,st-gat. See `spikesight decoders`.")] = "fa-lda",
    config: options.ConfigFile = None,
    assignments: options.Assign = None,
    search: options.Search = None,
    candidates: options.Candidates = None,
    budget: options.Budget = None,
    scheduler: options.Scheduler = None,
    space: options.SpaceFile = None,
    resume: options.Resume = False,
    stimulus: options.Stimulus = None,
    target: options.Target = None,
    bins: options.Bins = None,
    bin_size: options.BinSize = None,
    window: options.Window = None,
    context: options.Context = None,
    detrend: options.Detrend = None,
    blanks: options.Blanks = None,
    splitter: options.Splitter = None,
    folds: options.Folds = None,
    gap: options.Gap = None,
    areas: options.Areas = None,
    quality: options.Quality = None,
    seed: options.Seed = None,
    jobs: options.Jobs = None,
    ray: options.Ray = None,
    save_decoders: options.SaveDecoders = None,
    wandb: options.Wandb = None,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Search a decoder's constants, and score the winner of each outer fold beside the defaults.

    Candidates are compared on inner folds of the training trials; the test trials of an outer fold are read once, with
    its winner. `spikesight decoders NAME` shows what is searched.
    """
    from spikesight import terminal
    from spikesight.config import load_config
    from spikesight.experiment import run_benchmark
    from spikesight.terminal_progress import TerminalProgress

    if not files and config is None and not any(text.startswith("sources=") for text in assignments or ()):
        raise typer.BadParameter("give one or more FILEs, or --config with sources", param_hint="FILE")
    question = {"sources": files or None, "stimulus": stimulus, "target": options.names(target), "blanks": blanks}
    binning = {"n_bins": bins, "bin_size": bin_size, "window": window}
    drift = {"context": context, "detrend": detrend}
    units = {"areas": options.names(areas, several=True), "quality": quality}
    terms = {"decoders": options.names(decoder, several=True), "selection": ["searched", "default"]}
    searching = {"tuning": options.tuning_options(search, candidates, budget, scheduler, space)}
    split = {"splitter": splitter, "n_splits": folds, "gap": gap, "seed": seed}
    running = {"jobs": jobs, "ray": ray, "save_decoders": save_decoders, "out": out}
    following = {"wandb": wandb}
    overrides = {**question, **binning, **drift, **units, **terms, **searching, **split, **running, **following}
    asked = load_config(config, overrides=overrides, assignments=assignments or ())
    with TerminalProgress() as progress:
        run = run_benchmark(asked, progress, resume=resume)
    raise typer.Exit(terminal.print_run(run, as_json=json))
