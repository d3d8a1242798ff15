"""``spikesight tune``: parse, call, print."""

from typing import Annotated

import typer

from spikesight.commands import cli_options as options


def tune(
    files: options.Files = None,
    decoder: Annotated[str, typer.Option(help="Name, or several: mlp,st-gat. See `spikesight decoders`.")] = "fa-lda",
    sessions: options.Sessions = None,
    source: options.Source = None,
    keep_files: options.KeepFiles = None,
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
    asked = options.question(files, sessions, source, keep_files, stimulus)
    question = {**asked, "target": options.names(target), "blanks": blanks}
    binning = {"n_bins": bins, "bin_size": bin_size, "window": window}
    drift = {"context": context, "detrend": detrend}
    units = {"areas": options.names(areas, several=True), "quality": quality}
    terms = {"decoders": options.names(decoder, several=True), "selection": ["searched", "default"]}
    searching = {"tuning": options.tuning_options(search, candidates, budget, scheduler, space)}
    split = {"splitter": splitter, "n_splits": folds, "gap": gap, "seed": seed}
    running = {"jobs": jobs, "ray": ray, "save_decoders": save_decoders, "out": out}
    following = {"wandb": wandb}
    overrides = {**question, **binning, **drift, **units, **terms, **searching, **split, **running, **following}
    options.run_asked(config, overrides, assignments, resume=resume, as_json=json)
