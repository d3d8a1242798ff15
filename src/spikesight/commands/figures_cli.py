"""The command line of figures."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spikesight.commands import cli_options as options


def figures(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN",
            help=f"{options.FILE_KINDS} Or the run directory of a benchmark or of `spikesight connectivity fit`.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the figures, one file each.")],
    format: Annotated[str, typer.Option(help="png, svg or pdf.")] = "png",
    stimulus: Annotated[
        str | None, typer.Option(help="Whose trials are drawn; natural_scenes, or what was shown most, if not given.")
    ] = None,
    target: options.Target = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Pictures of the stimulus: .npy or .npz (n, height, width), or a folder of numbered .png."),
    ] = None,
    only: Annotated[str | None, typer.Option(help="Names of figures: probe_map,rates. Default: all.")] = None,
    areas: options.Areas = None,
    quality: options.Quality = None,
    source: options.Source = None,
    json: options.Json = False,
) -> None:
    """Draw every figure that a session, or a run, has data for; say which were left out and why."""
    import matplotlib as mpl

    from spikesight.commands import terminal
    from spikesight.commands.terminal_progress import TerminalProgress
    from spikesight.errors import DataError

    mpl.use("Agg")  # files are written, no window is opened
    wanted = options.names(only, several=True) or ()
    of_sessions = {"stimulus": stimulus, "target": options.names(target)}
    of_sessions["overrides"] = {
        "areas": options.names(areas, several=True), "quality": quality, "archive": source
    }  # fmt: skip
    with TerminalProgress() as progress:
        if Path(file).is_dir():
            files, left_out = _draw_run(
                Path(file), of_sessions, out, format=format, images=images, only=wanted, progress=progress
            )
        else:
            from spikesight.gallery.session_figures import draw_session

            files, left_out = draw_session(
                file, out, format=format, images=images, only=wanted, progress=progress, **of_sessions
            )
    if not files:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise DataError(f"nothing could be drawn of {file}. {reasons}")
    if json:
        terminal.print_json({"files": [str(file.resolve()) for file in files], "left_out": left_out})
    else:
        _print(files, left_out)


def _print(files: list[Path], left_out: dict[str, str]) -> None:
    """Write the files, one a line, and after them what was left out."""
    for file in files:
        typer.echo(file.resolve())
    for name, reason in left_out.items():
        typer.echo(f"left out {name}: {' '.join(reason.split())}", err=True)


def _draw_run(run: Path, of_sessions: dict[str, Any], out: Path, **options: Any) -> tuple[list[Path], dict[str, str]]:
    """Draw the figures of a run, for which options of sessions mean nothing."""
    from spikesight.gallery.run_figures import draw_run

    given = {**of_sessions["overrides"], **{name: of_sessions[name] for name in ("stimulus", "target")}}
    called = {"archive": "source"}
    useless = [f"--{called.get(name, name)}" for name, value in given.items() if value is not None]
    if useless:
        raise typer.BadParameter(f"{run} is a run directory; {', '.join(useless)} is for files of sessions")
    return draw_run(run, out, **options)
