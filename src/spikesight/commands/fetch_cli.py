"""``spikesight fetch``: parse, call, print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spikesight.commands import cli_options as options

if TYPE_CHECKING:
    from spikesight.data.fetch import FetchRecord
    from spikesight.data.fetch_many import FailedFetch


def fetch(
    session_ids: Annotated[
        list[int] | None, typer.Argument(metavar="[SESSION]...", help="Ids of public sessions: 715093703.")
    ] = None,
    every: Annotated[
        str | None, typer.Option("--all", metavar="STIMULUS", help="Every session that was shown it: natural_scenes.")
    ] = None,
    source: Annotated[
        Literal["s3", "dandi"], typer.Option(help="Bucket of the Allen Institute, or dandisets 000021 and 000022.")
    ] = "s3",
    base_url: Annotated[
        str | None, typer.Option(help="Address of the source, if not SPIKESIGHT_S3_URL or SPIKESIGHT_DANDI_URL.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where files are kept, if not SPIKESIGHT_CACHE.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Fetch public sessions: resumed where it stopped, verified, kept in the cache folder."""
    from spikesight.commands import terminal
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.data.fetch_many import fetch_many
    from spikesight.figures.theme import counted

    wanted = list(session_ids or [])
    if every is not None:
        from spikesight.data import catalogue

        wanted += [int(session_id) for session_id in catalogue.sessions(stimulus=every).index]
    if not wanted:
        raise typer.BadParameter("name sessions, or a stimulus with --all. `spikesight sessions` lists them.")
    with TerminalProgress() as progress:
        done = fetch_many(wanted, source, base=base_url, cache=cache, progress=progress)
    rows = [_as_row(one) for one in done]
    failed = [str(row["session_id"]) for row in rows if row["error"]]
    if json:
        terminal.print_json(rows)
    else:
        for row in rows:
            if not row["error"]:
                typer.echo(f"{row['path']}  ({row['bytes'] / 1e6:.1f} MB; {row['verified']})")
    if failed:
        typer.echo(
            f"error: {len(failed)} of {counted(len(rows), 'session')} not fetched: {', '.join(failed)}", err=True
        )
        raise typer.Exit(1)


def _as_row(one: "FetchRecord | FailedFetch") -> dict[str, Any]:
    """Return what is printed of a session; the same keys whether it was fetched or not."""
    names = ("session_id", "path", "bytes", "verified", "source", "seconds", "error")
    return {name: getattr(one, name, None) for name in names}
