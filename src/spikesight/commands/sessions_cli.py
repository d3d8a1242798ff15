"""The command line of the catalogue."""

from typing import Annotated

import typer

from spikesight.commands import cli_options as options


def sessions(
    stimulus: Annotated[str | None, typer.Option(help="Only sessions that were shown it: natural_scenes.")] = None,
    area: Annotated[str | None, typer.Option(help="Only sessions with units there: VISp.")] = None,
    genotype: Annotated[str | None, typer.Option(help="Only mice of this line or genotype: Sst, wt.")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Read the bucket's own tables first.")] = False,
    json: options.Json = False,
) -> None:
    """List the public sessions: what was shown, to which mouse, and units per area."""
    from spikesight.commands import terminal
    from spikesight.data import catalogue

    if refresh:
        _refresh()
    table = catalogue.sessions(stimulus, area, genotype)
    terminal.print_sessions(catalogue.as_records(table), table.attrs["source"], as_json=json)


def _refresh() -> None:
    """Read the bucket's tables; where that fails, say so and go on with what is known."""
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.data.catalogue_refresh import refresh
    from spikesight.data.http import telling
    from spikesight.errors import RemoteError

    try:
        with TerminalProgress() as progress:
            progress.note("reading the tables of the bucket")
            refresh(patience=telling(progress))
    except RemoteError as error:
        typer.echo(f"not refreshed: {' '.join(str(error).split())} This is the list that was known before.", err=True)
