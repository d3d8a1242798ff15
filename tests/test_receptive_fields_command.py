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
from spikesight.errors import RunDirectoryError
from spikesight.records.receptive_fields_record import receptive_field_section


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
    done = run(counts, "--images", images, "--shuffles", 9, "--folds", 3, "--out", out)
    assert done.exit_code == 0, done.output
    assert "Reconstruction of 30 images, none seen in training" in done.stdout
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


def test_a_section_of_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="expected a finished folder of `spikesight receptive-fields`"):
        receptive_field_section(tmp_path)


def test_what_is_missing_is_named(patches: Path, scenes: tuple[Path, Path], tmp_path: Path) -> None:
    counts, images = scenes
    assert "does not hold the images. Give them with --images" in failed(counts)
    other = xr.load_dataset(counts, engine="h5netcdf").drop_vars("frame").assign_attrs(target="orientation")
    write_counts(other.assign_attrs(stimulus_name="drifting_gratings"), tmp_path / "gratings.nc")
    assert "these are of drifting_gratings and do not" in failed(tmp_path / "gratings.nc")
    assert "there is nothing at" in failed(counts, "--images", tmp_path / "none.npz")
    assert "holds no trials of 'natural_scenes'. It holds: gabors" in failed(patches, "--stimulus", "natural_scenes")
    assert "there is none at" in failed(patches, "--shuffles", 9, "--compare", tmp_path / "none.csv")
    (tmp_path / "units.csv").write_text("unit_id,azimuth_rf\n3,1.0\n")
    assert "it lacks elevation_rf" in failed(patches, "--shuffles", 9, "--compare", tmp_path / "units.csv")
    (tmp_path / "units.csv").write_text("unit_id,azimuth_rf,elevation_rf,p_value_rf,on_screen_rf\n99,1,1,0,True\n")
    assert "none of 6 units is in the published table" in failed(
        patches, "--shuffles", 9, "--compare", tmp_path / "units.csv", "--out", tmp_path / "other"
    )
    assert "expected two folds or more" in failed(patches, "--folds", 1)
    np.save(tmp_path / "few.npy", np.zeros((5, 8, 8)))
    assert "are not among the 5 images" in failed(counts, "--images", tmp_path / "few.npy", "--out", tmp_path / "few")
    few = xr.load_dataset(counts, engine="h5netcdf")
    write_counts(few.isel(trial=(few["repeat"] == 0).to_numpy()), tmp_path / "once.nc")
    assert "expected at least two presentations of every image" in failed(
        tmp_path / "once.nc", "--images", images, "--out", tmp_path / "once"
    )
