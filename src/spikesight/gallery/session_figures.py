"""Every figure that a session has data for, as files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from spikesight import exploration, figures
from spikesight.config import BenchmarkConfig
from spikesight.errors import DataError, FileFormatError, OutputError, StimulusNotFoundError, UnknownNameError
from spikesight.exploration import choices
from spikesight.figures.saving import check_format, save_figure
from spikesight.gallery.session_material import SessionMaterial
from spikesight.places import Place
from spikesight.schema import AREA, START, STOP, TARGET, TRIAL, UNIT
from spikesight.tracking.progress import Progress

MOST_UNITS: Final = 60
"""Units of a raster."""
MOST_CLASSES: Final = 4
MOST_AREAS: Final = 8
MOST_TRIALS: Final = 1000
"""Trials of an embedding."""
MOST_WAVEFORMS: Final = 320


def draw_session(
    place: Place,
    out: str | Path,
    *,
    format: str = "png",
    stimulus: str | None = None,
    target: str | tuple[str, ...] | None = None,
    images: Path | None = None,
    only: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[list[Path], dict[str, str]]:
    """Draw every figure that a file has data for.

    Parameters
    ----------
    place
        NWB file or file of counts; the id of a public session, or an address.
    out
        Folder to write to; made if it is not there. Files of the same name are replaced.
    format
        ``"png"``, ``"svg"`` or ``"pdf"``.
    stimulus, target
        Whose trials are drawn, and what their classes are; natural scenes, or what was shown most, if None.
    images
        Pictures of the stimulus (`spikesight.data.images.read_images`).
    only
        Names of ``FIGURES`` to draw; all if empty.
    overrides
        Further options of a `BenchmarkConfig`, such as ``areas`` and ``quality``.
    progress
        Hears how far it is.

    Returns
    -------
    files : list of Path
        What was written, in the order of ``FIGURES``.
    left_out : dict
        Name of each figure that was not drawn -> why.

    Raises
    ------
    UnknownNameError
        If there is no such figure or format.
    OutputError
        If ``out`` cannot be written.
    SpikesightError
        If the file cannot be read at all.
    """
    out = Path(out)
    check_format(format)
    for name in only:
        if name not in FIGURES:
            raise UnknownNameError("figure of a session", name, FIGURES)
    asked = {"sources": (place,), "stimulus": stimulus, "target": target, **(overrides or {})}
    given = {name: value for name, value in asked.items() if value is not None}
    material = SessionMaterial(BenchmarkConfig.model_validate(given), images, progress)
    _check_readable(material, stimulus)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {out}: {error.strerror or error}. Choose another folder.") from error
    names = [name for name in FIGURES if not only or name in only]
    files, left_out = [], {}
    for done, name in enumerate(names):
        if progress is not None:
            progress.advance("drawing", done, len(names))
        try:
            files.append(save_figure(FIGURES[name](material), out / f"{name}.{format}"))
        except DataError as error:
            left_out[name] = str(error)
    if progress is not None:
        progress.advance("drawing", len(names), len(names))
    return files, left_out


def _check_readable(material: SessionMaterial, stimulus: str | None) -> None:
    """Refuse a file that cannot be read, or that lacks what was asked for by name, before anything is drawn."""
    try:
        session = material.session
    except FileFormatError:
        material.dataset  # noqa: B018 - a file of counts, or one whose error is worth telling
        return
    if stimulus is not None and stimulus not in session.stimulus_presentations:
        material.trials  # noqa: B018 - says which stimuli there are
    if material.images is not None:
        material.pictures  # noqa: B018 - a path that was given has to hold pictures


def _probe_map(material: SessionMaterial) -> Any:
    session = material.session
    return figures.plot_probe_map(exploration.probe_map(session), sites=exploration.probe_sites(session))


def _units_in_ccf(material: SessionMaterial) -> Any:
    return figures.plot_units_in_ccf(exploration.probe_map(material.session, ccf=True))


def _presentations(material: SessionMaterial) -> Any:
    return figures.plot_presentations(exploration.presentation_timeline(material.session))


def _scene_grid(material: SessionMaterial) -> Any:
    pictures, table = material.pictures, material.trials.table
    if "frame" not in table:
        raise StimulusNotFoundError(
            f"presentations of {material.trials.stimulus!r} do not name a picture (column 'frame'); choose natural "
            "scenes or a movie with --stimulus."
        )
    frames, n_shown = np.unique(table["frame"].dropna().to_numpy(), return_counts=True)
    repeats = {int(frame): int(n) for frame, n in zip(frames, n_shown, strict=True)}
    return figures.plot_scene_grid(pictures, repeats=repeats)


def _raster_units(material: SessionMaterial) -> Any:
    trials = material.trials
    shown = choices.spread_classes(trials, 3)
    units = choices.most_active_units(trials.session, MOST_UNITS)
    spikes, rows, _ = exploration.trial_spikes(trials, classes=shown, units=units, n_repeats=1)
    ax = figures.plot_raster(spikes, rows=rows, stop=_duration(material))
    ax.set_title(f"one trial of each of {len(shown)} classes", fontsize=9.5, pad=16)
    return ax


def _raster_trials(material: SessionMaterial) -> Any:
    unit, classes = _example(material)
    spikes, _, rows = exploration.trial_spikes(material.trials, classes=classes, units=[unit])
    ax = figures.plot_raster(spikes, rows=rows, stop=_duration(material), by="trial")
    ax.set_title(f"unit {unit} ({_area_of(material, unit)}), which tells classes apart best", fontsize=9.5)
    return ax


def _psth_areas(material: SessionMaterial) -> Any:
    areas = material.trials.session.units[AREA].astype(str)
    most = sorted(area or "not given" for area in areas.value_counts().head(MOST_AREAS).index)
    table = exploration.psth(material.trials, bin_size=_short_bin(material), per_class=False, areas=most)
    return figures.plot_psth(table, stop=_duration(material))


def _psth_classes(material: SessionMaterial) -> Any:
    unit, classes = _example(material)
    table = exploration.psth(
        material.trials, bin_size=2 * _short_bin(material), classes=classes, areas=[_area_of(material, unit)]
    )
    return figures.plot_psth(table, stop=_duration(material))


def _mean_waveforms(material: SessionMaterial) -> Any:
    if material.streamed:
        raise FileFormatError(
            "mean waveforms are hundreds of megabytes, and are not read from a server; fetch the session first: "
            "`spikesight fetch`."
        )
    session = material.session
    units = choices.most_active_units(session, MOST_WAVEFORMS)
    return figures.plot_mean_waveforms(exploration.mean_waveforms(session, units=units))


def _rates(material: SessionMaterial) -> Any:
    return figures.plot_rate_distributions(exploration.unit_rates(_session_or_counts(material)))


def _signal_correlations(material: SessionMaterial) -> Any:
    correlation = exploration.unit_correlations(material.dataset, "signal")
    return figures.plot_unit_correlations(exploration.cluster_units(correlation))


def _noise_correlations(material: SessionMaterial) -> Any:
    correlation = exploration.unit_correlations(material.dataset, "noise")
    return figures.plot_unit_correlations(exploration.cluster_units(correlation))


def _response_map(material: SessionMaterial) -> Any:
    return figures.plot_response_map(exploration.response_map(material.dataset))


def _embedding_units(material: SessionMaterial) -> Any:
    return figures.plot_embedding(exploration.embed_units(material.dataset, method="tsne"))


def _embedding_trials(material: SessionMaterial) -> Any:
    return figures.plot_embedding(exploration.embed_trials(material.dataset, method="tsne", most=MOST_TRIALS))


def _running_and_pupil(material: SessionMaterial) -> Any:
    return figures.plot_running_and_pupil(exploration.behaviour_over_session(material.session))


def _bins(material: SessionMaterial) -> Any:
    trials = material.trials
    label = choices.spread_classes(trials, 1)[0]
    trial = int(trials.table.index[trials.table[TARGET] == label][0])
    spikes, _, rows = exploration.trial_spikes(trials, classes=[label], n_repeats=1, margin=0)
    ax = figures.plot_bins(exploration.cut_trial(trials, trial), spikes=spikes[spikes[TRIAL] == rows[TRIAL].iloc[0]])
    n_units = len(trials.session.units)
    ax.set_title(f"one trial of class {label}, spikes of {n_units:,} units together", fontsize=9.5)
    return ax


FIGURES: Final[dict[str, Callable[[SessionMaterial], Any]]] = {
    "probe_map": _probe_map,
    "units_in_ccf": _units_in_ccf,
    "presentations": _presentations,
    "scene_grid": _scene_grid,
    "raster_units": _raster_units,
    "raster_trials": _raster_trials,
    "psth_areas": _psth_areas,
    "psth_classes": _psth_classes,
    "mean_waveforms": _mean_waveforms,
    "rates": _rates,
    "signal_correlations": _signal_correlations,
    "noise_correlations": _noise_correlations,
    "response_map": _response_map,
    "embedding_units": _embedding_units,
    "embedding_trials": _embedding_trials,
    "running_and_pupil": _running_and_pupil,
    "bins": _bins,
}
"""Name of a figure, and of its file -> what draws it."""


def _example(material: SessionMaterial) -> tuple[int, list[Any]]:
    """Choose the unit that tells classes apart best, and classes from the one it answers to most to the least."""
    trials = material.trials  # before counts, so that a file of counts is refused with its reason
    unit = choices.best_tuned_unit(material.dataset.sel({UNIT: trials.session.units.index.to_numpy()}))
    shown = material.dataset.isel({TRIAL: ~material.dataset[TARGET].isin(choices.blank_labels(trials)).to_numpy()})
    return unit, choices.classes_by_response(shown, unit, MOST_CLASSES)


def _area_of(material: SessionMaterial, unit: int) -> str:
    return cast(str, material.trials.session.units.loc[unit, AREA]) or "not given"


def _duration(material: SessionMaterial) -> float:
    """Median length of a presentation, s."""
    table = material.trials.table
    return float((table[STOP] - table[START]).median())


def _short_bin(material: SessionMaterial) -> float:
    """Return a twenty-fifth of a presentation, but no less than 10 ms: s, in whole hundredths."""
    return max(0.01, round(_duration(material) / 25, 2))


def _session_or_counts(material: SessionMaterial) -> Any:
    try:
        return material.session
    except FileFormatError:
        return material.dataset
