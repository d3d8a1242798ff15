"""Receptive fields of one file, from the file to a folder of tables, maps and figures."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.config import load_config
from spikesight.data.images import AZIMUTH, ELEVATION, read_images
from spikesight.data.location import identity
from spikesight.data.simulation.truth import GroundTruth, truth_path
from spikesight.errors import ConfigError, StimulusNotFoundError
from spikesight.evaluation.sources import LoadedSource, load_source
from spikesight.figures.saving import draw_png
from spikesight.places import Place, as_place, holds_counts, stem_of, without_secrets
from spikesight.receptive_fields.gabors import X_POSITION, gabor_maps
from spikesight.receptive_fields.known_centres import KnownCentres, check_units, read_known
from spikesight.receptive_fields.published import agreement, compare_with_published
from spikesight.receptive_fields.reconstruction import Reconstructions, reconstruct_images, summarise_reconstruction
from spikesight.receptive_fields.retrieval import DIRECTIONS, retrieve_images, summarise_retrieval
from spikesight.receptive_fields.scene_trials import SceneTrials, doubt_of_numbers, frames_of, scene_trials
from spikesight.receptive_fields.scenes import scene_maps
from spikesight.receptive_fields.significance import N_SHUFFLES
from spikesight.receptive_fields.truth import compare_with_truth
from spikesight.records.receptive_fields_record import FIGURES, MAPS, NEURAL_IMAGES, RECONSTRUCTION, RETRIEVAL, UNITS
from spikesight.schema import AREA, UNIT
from spikesight.tracking.progress import Progress, Silent
from spikesight.tracking.provenance import describe_run
from spikesight.tracking.run_directory import PARTS, SUMMARY, RunDirectory

MAP_SIDE: Final = 24
"""Pixels of the longer side of maps and reconstructions: 5 degrees each on a screen of 120."""
SIGNIFICANT: Final = 0.01
DPI: Final = 160
_ONE_PERCENT: Final = 2.33
"""Standard deviations that one in a hundred correlations of nothing exceeds; one is 1 / sqrt(n)."""
_COMPRESSED: Final = {"zlib": True, "complevel": 1}


@dataclass(frozen=True)
class Question:
    """What is asked of one file.

    Attributes
    ----------
    file
        As everywhere: a path, the id of a public session, an address.
    stimulus
        ``"gabors"``, or one whose presentations name a frame; None: what a file of counts holds, else gabors.
    images
        Of the frames; None: those of a simulated session, whose truth lies beside it.
    compare
        Published units (Parquet, CSV) or the truth of a simulated session; None: the truth beside the file, if any.
    out
        Folder; None: ``runs/`` and a name made of the question.
    areas, quality, window, source
        As for a benchmark.
    folds, shuffles, seed
        Outer folds, shuffles of the test of each unit, seed of everything random.
    """

    file: Place
    stimulus: str | None = None
    images: Path | None = None
    compare: Path | None = None
    out: Path | None = None
    areas: tuple[str, ...] | None = None
    quality: bool | None = None
    window: tuple[float, float] | None = None
    source: str | None = None
    folds: int = 5
    shuffles: int = N_SHUFFLES
    seed: int = 0

    def run_directory(self) -> Path:
        """Return ``out``, or a name made of the file and the stimulus."""
        name = "-".join(["receptive-fields", stem_of(as_place(self.file)), self.stimulus or "gabors"])
        return self.out or Path("runs") / name.replace("/", "_")


def run_receptive_fields(question: Question, progress: Progress | None = None) -> dict[str, Any]:
    """Map the units of one file and write all that a user gets.

    Parameters
    ----------
    question
        What to do.
    progress
        Hears how far it is.

    Returns
    -------
    dict
        The summary, as in ``summary.json``, and ``run``, the folder: ``receptive_fields.nc``, ``units.parquet``,
        ``figures/*.png``, config and provenance; for images also ``neural_images.nc``, ``reconstruction.parquet`` and
        ``retrieval.parquet``.

    Raises
    ------
    SpikesightError
        With what was expected, what came and what to do.
    """
    if question.folds < 2 or question.shuffles < 1 or question.seed < 0:
        raise ConfigError(
            f"expected two folds or more, a shuffle or more and a seed that is not negative, got {question.folds}, "
            f"{question.shuffles} and {question.seed}."
        )
    tell = progress if progress is not None else Silent()
    known = None if question.compare is None else read_known(question.compare)
    place = as_place(question.file)
    stimulus = question.stimulus or (None if holds_counts(place) else "gabors")
    asked = {"sources": [place], "stimulus": stimulus, "areas": question.areas, "quality": question.quality}
    config = load_config(overrides={**asked, "window": question.window, "archive": question.source})
    loaded = load_source(config.sources[0], config, tell)
    is_gabors = X_POSITION in loaded.dataset.coords or (stimulus or "").startswith("gabors")
    images = None if is_gabors else read_images(_images_of(question, loaded))
    if images is not None and (doubt := doubt_of_numbers(loaded.dataset, images)):
        tell.note(doubt)
    known = _comparable(known, loaded, images, tell)
    recorded = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(question).items()}
    recorded["file"] = without_secrets(str(question.file))
    recorded.pop("out")
    with RunDirectory(question.run_directory(), recorded) as run:
        inputs = [identity(loaded.path)] if loaded.path is not None else []
        run.write_provenance(describe_run(question.seed, inputs))
        if images is None:
            options: dict[str, Any] = {"n_splits": question.folds, "n_shuffles": question.shuffles}
            maps = gabor_maps(loaded.dataset, **options, seed=question.seed, progress=tell)
            found: dict[str, Any] = {}
        else:
            maps, found = _from_images(run, question, loaded, images, tell)
        units, compared = _compare(maps, known, question.seed)
        run.write_file(MAPS, lambda file: _write_dataset(maps, file))
        run.write_table(UNITS, units.reset_index())
        for name, draw in _unit_figures(maps, units, compared).items():
            run.write_file(f"{FIGURES}/{name}.png", partial(draw_png, draw, dpi=DPI))
        summary = {**_summary(maps, units, loaded, question), **compared, **found}
        run.write_json(SUMMARY, summary)
        shutil.rmtree(run.path / PARTS)
    return {"run": str(run.path.resolve()), **summary}


def _images_of(question: Question, loaded: LoadedSource) -> Path:
    """Find the images: those that are given, or the scenes of a simulated session."""
    frames_of(loaded.dataset)  # a stimulus without images is told before anything is asked for them
    if question.images is not None:
        return question.images
    truth = None if loaded.path is None else truth_path(loaded.path)
    if truth is not None and truth.is_file():
        return truth
    stimulus = loaded.dataset.attrs.get("stimulus_name") or "this stimulus"
    raise StimulusNotFoundError(
        f"{loaded.name} says which image of {stimulus} was shown and does not hold the images. Give them with "
        "--images: a folder of numbered .png or .tif files, or an .npy or .npz stack."
    )


def _from_images(
    run: RunDirectory, question: Question, loaded: LoadedSource, images: xr.DataArray, tell: Progress
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Map units over images, reconstruct and retrieve images that were held out; write the tables of both."""
    coarse, fine = (scene_trials(loaded.dataset, images, *side) for side in ((MAP_SIDE,), ()))
    options: dict[str, Any] = {"n_splits": question.folds, "seed": question.seed, "progress": tell}
    units = {name: loaded.dataset[name] for name in (UNIT, AREA) if name in loaded.dataset.coords}
    maps = scene_maps(coarse, **options, n_shuffles=question.shuffles).assign_coords(units)
    maps.attrs["session_id"] = loaded.session_id
    made = reconstruct_images(coarse, **options)
    ranks = pd.concat(
        [retrieve_images(fine, direction=name, **options).assign(direction=name)
         for name in DIRECTIONS],
        ignore_index=True,
    )  # fmt: skip
    stack = _stack(coarse, made)
    run.write_file(NEURAL_IMAGES, lambda file: _write_dataset(stack.to_dataset(name="image"), file))
    run.write_table(RECONSTRUCTION, made.scores)
    run.write_table(RETRIEVAL, ranks)
    from spikesight import figures

    drawn = {
        "neural_images": lambda: figures.plot_neural_images(stack, scores=made.scores),
        "retrieval": lambda: figures.plot_retrieval(ranks[ranks["direction"] == DIRECTIONS[0]]),
    }
    for name, draw in drawn.items():
        run.write_file(f"{FIGURES}/{name}.png", partial(draw_png, draw, dpi=DPI))
    tables = {
        "reconstruction": summarise_reconstruction(made.scores, seed=question.seed),
        "retrieval": pd.concat([summarise_retrieval(own, seed=question.seed).assign(direction=name)
                                for name, own in ranks.groupby("direction", sort=False)]),
    }  # fmt: skip
    return maps, {name: table.to_dict("records") for name, table in tables.items()}


def _stack(trials: SceneTrials, made: Reconstructions) -> xr.DataArray:
    """Put what was shown and what was made of it into one array."""
    return xr.DataArray(
        np.stack([trials.images, *made.images.values()]),
        dims=("kind", "frame", "y", "x"),
        coords={"kind": ["shown", *made.images], "frame": trials.frames, "y": trials.y, "x": trials.x},
    )


def _comparable(
    known: KnownCentres | None, loaded: LoadedSource, images: xr.DataArray | None, tell: Progress
) -> KnownCentres | None:
    """Return what is known of the units: what was given, or the truth beside the file; None without degrees."""
    if images is not None and not {AZIMUTH, ELEVATION} <= set(images.coords):
        if known is not None:
            tell.note("the images do not say how many degrees their pixels are, so no centre is compared")
        return None
    if known is None and loaded.path is not None and truth_path(loaded.path).is_file():
        known = read_known(truth_path(loaded.path))
    if known is not None:
        check_units(known, loaded.dataset[UNIT].to_numpy())
    return known


def _compare(maps: xr.Dataset, known: KnownCentres | None, seed: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Make the table of units, and put what is known of them beside it."""
    columns = {str(name): values.to_numpy() for name, values in maps.data_vars.items() if values.dims == (UNIT,)}
    area = maps[AREA].to_numpy().astype(str) if AREA in maps.coords else ""
    units = pd.DataFrame({AREA: area, **columns}, index=pd.Index(maps[UNIT].to_numpy(), name="unit"))
    if known is None:
        return units, {}
    if isinstance(known, GroundTruth):
        units = units.join(compare_with_truth(maps, known))
        kept, reference = units[_is_mapped(units, maps)], "true"
    else:
        units = units.join(compare_with_published(maps, known))
        kept, reference = units[units["is_sure"].fillna(False).astype(bool)], "published"
    pairs = {name: (kept[f"centre_{axis}"], kept[f"{reference}_{axis}"]) for name, axis in
             (("azimuth", "x"), ("elevation", "y"))}  # fmt: skip
    result: dict[str, Any] = {"reference": reference}
    for name, (ours, theirs) in pairs.items():
        both = (ours.notna() & theirs.notna()).to_numpy()
        result[name] = agreement(ours.to_numpy(float)[both], theirs.to_numpy(float)[both], seed=seed)
    for column in ("map_r", "contrast_map_r"):
        if column in units:
            result[column] = {"median": float(units[column].median()), "best": float(units[column].max())}
    return units, {"agreement": result}


def _unit_figures(maps: xr.Dataset, units: pd.DataFrame, compared: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Say how to draw maps, centres and their agreement."""
    from spikesight import figures

    x, y = maps["x"].to_numpy(), maps["y"].to_numpy()
    in_degrees = maps["x"].attrs.get("units") == "degrees"
    half = (abs(x[1] - x[0]) / 2, abs(y[1] - y[0]) / 2)
    screen = (x.min() - half[0], x.max() + half[0], y.min() - half[1], y.max() + half[1])
    drawn: dict[str, Callable[[], Any]] = {"receptive_fields": lambda: figures.plot_receptive_fields(maps)}
    if "contrast_map" in maps:
        drawn["contrast_maps"] = lambda: figures.plot_receptive_fields(maps, variable="contrast_map")
    kept = units[_is_mapped(units, maps)]
    if in_degrees:
        drawn["centres"] = lambda: figures.plot_receptive_field_centres(kept, screen=screen)
    if compared:
        reference = compared["agreement"]["reference"]
        sure = units[units["is_sure"].fillna(False).astype(bool)] if "is_sure" in units else kept
        drawn["agreement"] = lambda: figures.plot_centre_agreement(sure, reference=reference)
    return drawn


def _summary(maps: xr.Dataset, units: pd.DataFrame, loaded: LoadedSource, question: Question) -> dict[str, Any]:
    """Numbers of the maps."""
    r = {name: [float(value) for value in units[name].quantile([0.25, 0.5, 0.75])]
         for name in ("held_out_r", "contrast_held_out_r") if name in units}  # fmt: skip
    return {
        "session_id": loaded.session_id,
        "stimulus": str(maps.attrs["stimulus_name"]),
        "n_units": len(units),
        "n_trials": int(maps.attrs["n_trials"]),
        "n_images": int(maps.attrs["n_images"]) if "n_images" in maps.attrs else None,
        "n_mapped": int(_is_mapped(units, maps).sum()),
        "n_significant": int((units["p_value"] <= SIGNIFICANT).sum()),
        "significance": SIGNIFICANT,
        "quartiles": r,
        "n_splits": question.folds,
        "n_shuffles": question.shuffles,
        "seed": question.seed,
    }


def _is_mapped(units: pd.DataFrame, maps: xr.Dataset) -> "pd.Series[bool]":
    """Tell which units have a map to speak of.

    Of gabors: those whose counts depend on the place. A unit that tells images apart need not be mapped by them: its
    map has to predict the response to held-out images, better than 99 % of maps would by chance; it has two.
    """
    if "n_images" not in maps.attrs:
        return units["p_value"] <= SIGNIFICANT
    best = np.maximum(units["held_out_r"], units["contrast_held_out_r"])
    mapped: pd.Series[bool] = best > _ONE_PERCENT / np.sqrt(float(maps.attrs["n_images"]))
    return mapped


def _write_dataset(dataset: xr.Dataset, file: Path) -> None:
    dataset.to_netcdf(file, engine="h5netcdf", encoding={str(name): _COMPRESSED for name in dataset.data_vars
                                                         if dataset[name].dtype.kind in "fiu"})  # fmt: skip
