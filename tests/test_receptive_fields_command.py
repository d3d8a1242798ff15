"""``spikesight receptive-fields`` from a file to a folder, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from planted_places import CENTRES, planted_trials
from planted_scenes import planted_scenes
from spikesight.cli import app
from spikesight.data.counts import write_counts
from spikesight.data.images import read_images
from spikesight.errors import DataError, RunDirectoryError
from spikesight.receptive_fields import run as receptive_fields_run
from spikesight.receptive_fields.published import read_published
from spikesight.receptive_fields.scene_trials import doubt_of_numbers
from spikesight.records.receptive_fields_record import receptive_field_section

HEADER = "unit_id,azimuth_rf,elevation_rf,p_value_rf,on_screen_rf\n"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["receptive-fields", *(str(argument) for argument in arguments)])


def failed(*arguments: object) -> str:
    done = run(*arguments)
    assert done.exit_code == 1, done.output
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: ")
    return str(done.stderr)


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("patches") / "patches.nc"
    write_counts(planted_trials(), file)
    return file


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("scenes")
    dataset, images = planted_scenes(n_images=30)
    write_counts(dataset, folder / "scenes.nc")
    np.savez(folder / "images.npz", images=images.to_numpy(), frame=images["frame"].to_numpy())
    return folder / "scenes.nc", folder / "images.npz"


def test_patches_become_maps_a_table_and_figures(patches: Path, tmp_path: Path) -> None:
    published = pd.DataFrame(
        {
            "ecephys_unit_id": [3, 5, 7, 9],
            "azimuth_rf": 50 + CENTRES[:, 0],
            "elevation_rf": 10 + CENTRES[:, 1],
            "p_value_rf": 0.0,
            "on_screen_rf": True,
        }
    )
    published.to_parquet(tmp_path / "units.parquet")
    out = tmp_path / "run"
    arguments = ("--shuffles", 199, "--compare", tmp_path / "units.parquet", "--out", out)
    done = run(patches, *arguments, "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["run"] == str(out)
    assert (summary["n_units"], summary["n_significant"], summary["n_trials"]) == (6, 4, 1620)
    assert summary["agreement"]["azimuth"]["r"] > 0.98
    assert summary["agreement"]["elevation"]["n"] == 4
    maps = xr.load_dataset(out / "receptive_fields.nc", engine="h5netcdf")
    assert maps["receptive_field"].dims == ("unit", "y", "x")
    units = pd.read_parquet(out / "units.parquet").set_index("unit")
    np.testing.assert_allclose(units.loc[3, ["centre_x", "centre_y"]].astype(float), CENTRES[0], atol=3)
    assert {"area", "size", "p_value", "held_out_r"} <= set(units)
    drawn = sorted(file.name for file in (out / "figures").iterdir())
    assert drawn == ["agreement.png", "centres.png", "receptive_fields.png"]
    assert not (out / "parts").exists()
    section = receptive_field_section(out)
    assert section["title"] == "Receptive fields"
    assert [figure["name"] for figure in section["figures"]] == ["receptive_fields", "centres", "agreement"]
    assert "4 units (67%) answer to some places more than to others" in section["sentences"][1]
    assert "about 0 would seem to" in section["sentences"][1]
    assert len(section["units"]) == 6
    again = run(patches, *arguments)
    assert again.exit_code == 0, again.output
    assert "Centres against published ones, azimuth: r = " in again.stdout
    assert "belongs to a run with another config" in failed(patches, "--shuffles", 50, "--out", out)


def test_images_become_maps_reconstructions_and_ranks(scenes: tuple[Path, Path], tmp_path: Path) -> None:
    counts, images = scenes
    out = tmp_path / "run"
    (tmp_path / "units.csv").write_text(f"{HEADER}0,1,1,0,True\n")
    options = ("--shuffles", 9, "--folds", 3, "--compare", tmp_path / "units.csv")
    done = run(counts, "--images", images, *options, "--out", out)
    assert done.exit_code == 0, done.output
    assert "Reconstruction of 30 images, none seen in training" in done.stdout
    assert "no centre is compared" in done.stderr
    assert "Retrieval among 10 images never seen in training" in done.stdout
    made = xr.load_dataset(out / "neural_images.nc", engine="h5netcdf")["image"]
    assert made["kind"].to_numpy().tolist() == ["shown", "neural-image", "ridge", "network"]
    assert made.sizes["frame"] == 30
    assert len(pd.read_parquet(out / "reconstruction.parquet")) == 90
    ranks = pd.read_parquet(out / "retrieval.parquet")
    section = receptive_field_section(out)
    assert set(section["reconstruction"]["method"]) == {"neural-image", "ridge", "network"}
    assert len(section["retrieval"]) == 12
    assert set(ranks["direction"]) == {"responses", "features"}
    drawn = sorted(file.name for file in (out / "figures").iterdir())
    assert drawn == ["contrast_maps.png", "neural_images.png", "receptive_fields.png", "retrieval.png"]


@pytest.mark.parametrize(
    ("kept", "before", "said"),
    [
        (
            slice(None),
            1,
            "taken as frames 0 to 30: 30 of 31 images are shown (not 30), the trials show 30 frames from 0 to",
        ),
        (slice(None), 0, None),
        (slice(5), 0, "taken as frames 0 to 4: 5 of 5 images are shown, the trials show 30 frames from 0 to 29"),
    ],
)
def test_images_without_numbers_are_told_where_they_are_not_just_the_frames_that_were_shown(
    scenes: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: slice,
    before: int,
    said: str | None,
) -> None:
    counts, images = scenes
    stack = np.load(images)["images"][kept]
    np.save(tmp_path / "stack.npy", np.concatenate([np.zeros((before, *stack.shape[1:])), stack]))
    np.savez(tmp_path / "numbered.npz", images=stack, frame=np.arange(len(stack)))

    def stop(*_: object) -> None:
        raise DataError("far enough")

    monkeypatch.setattr(receptive_fields_run, "_from_images", stop)
    told = failed(counts, "--images", tmp_path / "stack.npy", "--out", tmp_path / "run")
    assert ("no frame numbers" in told) == (said is not None)
    assert (said or "far enough") in told
    assert "no frame numbers" not in failed(
        counts, "--images", tmp_path / "numbered.npz", "--out", tmp_path / "numbered"
    )


def test_frames_that_begin_at_one_are_told_of_images_without_numbers(scenes: tuple[Path, Path]) -> None:
    dataset = xr.load_dataset(scenes[0], engine="h5netcdf")
    images = read_images(scenes[1])
    images.attrs["is_numbered"] = False
    shifted = dataset.assign_coords(frame=dataset["frame"] + 1)
    assert doubt_of_numbers(dataset, images) == ""
    assert "29 of 30 images are shown (not 0), the trials show 30 frames from 1 to 30." in doubt_of_numbers(
        shifted, images
    )


def test_a_section_of_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="expected a finished folder of `spikesight receptive-fields`"):
        receptive_field_section(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.csv", None, "expected a table of published units, there is none at"),
        ("none.truth.npz", None, "expected the truth of a simulated session, there is none at"),
        ("units.csv", "unit_id,azimuth_rf\n3,1.0\n", "it lacks elevation_rf"),
        ("units.csv", f"{HEADER}3,1,1,0,True\n3,1,1,0,True\n", "some unit_id come twice or more"),
        ("units.csv", f"{HEADER}3,left,1,0,True\n", "azimuth_rf has something else"),
        ("units.csv", f"{HEADER}3,1,1,0,maybe\n", "true or false in on_screen_rf"),
        ("truth.truth.npz", "no archive", "truth.truth.npz"),
    ],
)
def test_known_centres_are_refused_before_a_session_is_read(
    patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(receptive_fields_run, "load_source", lambda *_: pytest.fail("the session was read"))
    assert said in failed(patches, "--compare", tmp_path / name, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_known_centres_of_other_units_are_refused_before_maps_are_made(
    patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "units.csv").write_text(f"{HEADER}99,1,1,0,True\n")
    monkeypatch.setattr(receptive_fields_run, "gabor_maps", lambda *_, **__: pytest.fail("maps were made"))
    assert "none of 6 units is in the published table" in failed(
        patches, "--compare", tmp_path / "units.csv", "--out", tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()


def test_a_published_unit_without_a_place_is_kept_and_is_not_on_the_screen(tmp_path: Path) -> None:
    (tmp_path / "units.csv").write_text(f"{HEADER}3,1,1,0,True\n5,,,,\n7,2,2,0,False\n")
    table = read_published(tmp_path / "units.csv")
    assert table["on_screen_rf"].to_dict() == {3: True, 5: False, 7: False}
    assert table["azimuth_rf"].isna().to_dict() == {3: False, 5: True, 7: False}


def test_what_is_missing_is_named(patches: Path, scenes: tuple[Path, Path], tmp_path: Path) -> None:
    counts, images = scenes
    assert "does not hold the images. Give them with --images" in failed(counts)
    other = xr.load_dataset(counts, engine="h5netcdf").drop_vars("frame").assign_attrs(target="orientation")
    write_counts(other.assign_attrs(stimulus_name="drifting_gratings"), tmp_path / "gratings.nc")
    assert "these are of drifting_gratings and do not" in failed(tmp_path / "gratings.nc")
    assert "there is nothing at" in failed(counts, "--images", tmp_path / "none.npz")
    assert "holds no trials of 'natural_scenes'. It holds: gabors" in failed(patches, "--stimulus", "natural_scenes")
    assert "expected two folds or more" in failed(patches, "--folds", 1)
    np.save(tmp_path / "few.npy", np.zeros((5, 8, 8)))
    assert "are not among the 5 images" in failed(counts, "--images", tmp_path / "few.npy", "--out", tmp_path / "few")
    few = xr.load_dataset(counts, engine="h5netcdf")
    write_counts(few.isel(trial=(few["repeat"] == 0).to_numpy()), tmp_path / "once.nc")
    assert "expected at least two presentations of every image" in failed(
        tmp_path / "once.nc", "--images", images, "--out", tmp_path / "once"
    )
