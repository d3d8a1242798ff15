"""``spikesight serve``: parse, call, print."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def serve(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory: at work, finished, stopped, or not begun yet.")
    ],
    port: Annotated[int, typer.Option(help="Port of 127.0.0.1 to listen on; 0 takes any that is free.")] = 8765,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser, if there is a screen.")] = True,
) -> None:
    """Show the report of a run that is at work, on a page of this machine that follows it; Ctrl-C ends it."""
    from spikesight.reports.serve import LiveServer

    with LiveServer(run, port) as server:
        typer.echo(f"{server.address}  (Ctrl-C ends it)")
        if browser and _has_screen():
            import webbrowser

            webbrowser.open(server.address)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            typer.echo("ended; the run goes on", err=True)


def _has_screen() -> bool:
    """Whether a browser would open in a window; one in the terminal would take it over."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
