"""Every figure that a run directory has data for, as files."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikesight.errors import DataError, OutputError, UnknownNameError
from spikesight.figures.saving import check_format, save_figure
from spikesight.gallery.connectivity_pictures import CONNECTIVITY_FIGURES
from spikesight.gallery.pictures import Picture
from spikesight.gallery.run_material import RunMaterial
from spikesight.gallery.run_pictures import RUN_FIGURES
from spikesight.records.connectivity_record import holds_connectivity
from spikesight.records.finished_run import read_finished_run
from spikesight.records.run_record import RunRecord
from spikesight.tracking.progress import Progress
from spikesight.tracking.run_directory import in_file_name

Makers = Mapping[str, Callable[[Any], Iterable[Picture]]]


def draw_run(
    run: str | Path,
    out: str | Path,
    *,
    format: str = "png",
    only: Sequence[str] = (),
    images: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[list[Path], dict[str, str]]:
    """Draw every figure that a run directory has data for.

    Parameters
    ----------
    run
        Directory of a finished benchmark, search or connectivity estimate.
    out
        Folder to write to; made if it is not there. Files of the same name are replaced.
    format
        ``"png"``, ``"svg"`` or ``"pdf"``; an animation is a GIF.
    only
        Names of figures to draw, see `figure_names`; all if empty.
    images
        Pictures of the stimulus (`spikesight.data.images.read_images`); those of a simulated session are found beside
        its file.
    progress
        Hears how far it is.

    Returns
    -------
    files : list of Path
        What was written. A figure of one session or decoder has its name behind that of the figure.
    left_out : dict
        Name of each figure that was not drawn -> why.

    Raises
    ------
    RunDirectoryError
        If ``run`` has no results, or is damaged.
    UnknownNameError
        If there is no such figure or format.
    OutputError
        If ``out`` cannot be written.
    FileFormatError
        If there are no pictures at ``images``.
    """
    check_format(format)
    run, out = Path(run), Path(out)
    finished = read_finished_run(run)
    makers = _makers(run)
    for name in only:
        if name not in makers:
            raise UnknownNameError("figure of this run", name, makers)
    names = [name for name in makers if not only or name in only]
    record = RunMaterial(finished, images) if isinstance(finished, RunRecord) else finished
    if isinstance(record, RunMaterial):
        record.check_images()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {out}: {error.strerror or error}. Choose another folder.") from error
    left_out: dict[str, str] = {}
    pictures: dict[str, Picture] = {}
    for name in names:
        try:
            pictures |= {"-".join([name, *map(in_file_name, one.of)]): one for one in makers[name](record)}
        except DataError as error:
            left_out[name] = str(error)
    files: list[Path] = []
    for done, (stem, picture) in enumerate(pictures.items()):
        if progress is not None:
            progress.advance("drawing", done, len(pictures))
        try:
            files.append(_written(picture, out, stem, format))
        except DataError as error:
            left_out[stem] = str(error)
    if progress is not None:
        progress.advance("drawing", len(pictures), len(pictures))
    return files, left_out


def figure_names(run: str | Path) -> list[str]:
    """Return the names of figures that runs of this kind may have."""
    return list(_makers(Path(run)))


def _makers(run: Path) -> Makers:
    return CONNECTIVITY_FIGURES if holds_connectivity(run) else RUN_FIGURES


def _written(picture: Picture, out: Path, stem: str, format: str) -> Path:
    if picture.animate is not None:
        return picture.animate(out / f"{stem}.gif")
    return save_figure(picture.draw(), out / f"{stem}.{format}")
