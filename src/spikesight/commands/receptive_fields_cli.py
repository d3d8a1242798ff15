"""``spikesight receptive-fields``: parse, call, print."""

from pathlib import Path
from typing import Annotated

import typer

from spikesight.commands import cli_options as options


def receptive_fields(
    file: options.File,
    stimulus: Annotated[
        str | None,
        typer.Option(
            help="gabors, or one whose presentations name an image (natural_scenes). Default: what a file of counts "
            "holds, else gabors."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="The images: a folder of numbered .png or .tif files, or a stack (.npy, .npz). Default: those of a "
            "simulated session."
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            help="Known centres: a table of published units (.parquet, .csv), or the truth of a simulated session. "
            "Default: the truth beside the file, if there is one."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. Default: runs/ and a name made of the question.")
    ] = None,
    window: options.Window = None,
    areas: options.Areas = None,
    quality: options.Quality = None,
    folds: Annotated[int, typer.Option(help="Folds of trials (gabors) or of images. Default: 5.")] = 5,
    shuffles: Annotated[int, typer.Option(help="Shuffles of the test of each unit. Default: 999.")] = 999,
    seed: Annotated[int, typer.Option(help="Seed of everything random. Default: 0.")] = 0,
    source: options.Source = None,
    json: options.Json = False,
) -> None:
    """Map what each unit sees; of images, also reconstruct and find those that were held out."""
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.commands.terminal_receptive_fields import print_receptive_fields
    from spikesight.receptive_fields.run import Question, run_receptive_fields

    chosen = options.names(areas, several=True)
    question = Question(
        file=file,
        stimulus=stimulus,
        images=images,
        compare=compare,
        out=out,
        areas=None if chosen is None else tuple(chosen),
        quality=quality,
        window=window,
        source=source,
        folds=folds,
        shuffles=shuffles,
        seed=seed,
    )
    with TerminalProgress() as progress:
        found = run_receptive_fields(question, progress)
    print_receptive_fields(found, as_json=json)
