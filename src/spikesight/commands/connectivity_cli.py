"""``spikesight connectivity``: fit, validate, methods. Parse, call, print."""

from pathlib import Path
from typing import Annotated

import typer

from spikesight.commands import cli_options as options
from spikesight.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Estimate who drives whom, and check the estimators against known truth.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


@app.command()
def methods(json: Json = False) -> None:
    """List the connectivity estimators."""
    from spikesight.commands import terminal
    from spikesight.connectivity import registry

    terminal.print_methods({name: registry.spec(name) for name in registry.names()}, as_json=json)


@app.command()
def fit(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="NWB file (a path, the id of a public session, or an address), or binned trials of several bins "
            "(.npz, .nc).",
        ),
    ],
    source: options.Source = None,
    method: Annotated[str, typer.Option(help="Name, see `spikesight connectivity methods`.")] = "granger",
    period: Annotated[
        str | None,
        typer.Option(
            help="spontaneous, all, seconds such as 100:1600, or a stimulus: where its presentations were repeated, "
            "the mean response is removed. Default: spontaneous."
        ),
    ] = None,
    bin_size: Annotated[float | None, typer.Option(help="Seconds. Default: what suits the method.")] = None,
    areas: Annotated[str | None, typer.Option(help="Keep units of these areas: VISp,VISl.")] = None,
    units: Annotated[str | None, typer.Option(help="Keep these unit ids: 950910,950912.")] = None,
    quality: Annotated[
        bool | None, typer.Option(help="Quality filters on units; by default on for NWB files only.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Parameter of the method: max_lag=0.01, stimulus=shuffle."),
    ] = None,
    stability: Annotated[
        bool, typer.Option(help="Estimate halves of the recording, and another seed, and correlate the matrices.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run directory; started again, it is resumed. Default: runs/ and a name made of the question."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Estimate who drives whom: edges, matrix, graph, figures and a report page."""
    from spikesight.commands import terminal
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.connectivity_config import load_connectivity_config
    from spikesight.connectivity_run import run_connectivity

    question = {"source": file, "method": method, "period": period, "bin_size": bin_size, "seed": seed, "out": out}
    where = {"archive": source}
    kept = {"areas": _names(areas), "unit_ids": _names(units), "quality": quality, "stability": stability}
    config = load_connectivity_config({**question, **where, **kept}, assignments=assignments or ())
    with TerminalProgress() as progress:
        run = run_connectivity(config, progress)
    terminal.print_connectivity(run, as_json=json)


@app.command()
def validate(
    methods: Annotated[str | None, typer.Option(help="Names separated by commas. Default: all.")] = None,
    network: Annotated[
        str, typer.Option(help="reference (coupled point processes) or integrate-and-fire (with hidden units).")
    ] = "reference",
    seeds: Annotated[int, typer.Option(min=1, help="Number of simulated networks.")] = 3,
    minutes: Annotated[str | None, typer.Option(help="Lengths of the recording: 5,10,25. Default: all of it.")] = None,
    observed: Annotated[
        str | None, typer.Option(help="Shares of units that are seen: 1,0.5,0.25. Default: as the network has it.")
    ] = None,
    rates: Annotated[
        str | None, typer.Option(help="Median rates, spikes/s: 2,6. Default: as the network has it.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibration", help="False positives among pairs without an edge instead of scores.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A small network, to see that all works.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder that keeps finished rows; started again, it goes on.")
    ] = None,
    json: Json = False,
) -> None:
    """Score the estimators on simulated networks whose couplings are known."""
    from spikesight.commands import terminal
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.connectivity_validation import validate as validation

    names, networks = _names(methods), tuple(range(seeds))
    with TerminalProgress() as progress:
        if calibrate:
            table = validation.calibration(names, seeds=networks, quick=quick, out=out, progress=progress)
        else:
            table = validation.validate(
                names,
                network=network,
                seeds=networks,
                durations=_numbers(minutes, 60.0),
                fractions=_numbers(observed, 1.0),
                rates=_numbers(rates, 1.0),
                quick=quick,
                out=out,
                progress=progress,
            )
    summary = validation.summary(table)
    terminal.print_validation(table, summary, as_json=json)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str | None, factor: float) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(factor * float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"expected numbers separated by commas, got {text!r}.") from error
