"""The command line of the catalogue."""

from typing import Annotated

import typer

from spikesight import cli_options as options


def sessions(
    stimulus: Annotated[str | None, typer.Option(help="Only sessions that were shown it: natural_scenes.")] = None,
    area: Annotated[str | None, typer.Option(help="Only sessions with units there: VISp.")] = None,
    genotype: Annotated[str | None, typer.Option(help="Only mice of this line or genotype: Sst, wt.")] = None,
    json: options.Json = False,
) -> None:
    """List the public sessions: what was shown, to which mouse, and units per area."""
    from spikesight import terminal
    from spikesight.data import catalogue

    table = catalogue.sessions(stimulus, area, genotype)
    terminal.print_sessions(catalogue.as_records(table), table.attrs["source"], as_json=json)
