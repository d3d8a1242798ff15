"""``spikesight attribution``. Parse, call, print."""

from pathlib import Path
from typing import Annotated

import typer

from spikesight.commands import cli_options as options


def attribution(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of a finished benchmark.")],
    decoder: Annotated[
        str | None, typer.Option(help="Name in its leaderboard: fa-lda, vae+lda. Default: the best in competition.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="permutation (any decoder), shap (linear ones: fa-lda, lda, logistic, pca-logistic, ridge), "
            "integrated-gradients (networks) or ablation (any)."
        ),
    ] = "permutation",
    seeds: Annotated[
        int, typer.Option(help="Seeds of the fit, where it has one, and of permutations and random orders.")
    ] = 5,
    permutations: Annotated[int, typer.Option(help="Permutations of each unit, under each seed in each fold.")] = 4,
    refit: Annotated[
        bool, typer.Option("--refit", help="With ablation: fit the decoder again without the units, too.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Directory; started again, it is resumed. Default: attribution/DECODER-METHOD in RUN."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Say which units carry the prediction of a benchmark's decoder, on its held-out trials."""
    from spikesight.attribution.run import run_attribution
    from spikesight.commands import terminal_attribution
    from spikesight.commands.terminal_progress import TerminalProgress

    with TerminalProgress() as progress:
        written = run_attribution(
            run,
            decoder=decoder,
            method=method,
            seeds=seeds,
            permutations=permutations,
            refit=refit,
            out=out,
            progress=progress,
        )
    terminal_attribution.print_attribution(written, as_json=json)
