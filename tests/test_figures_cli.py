"""The figures of a session, as a user asks for them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from counts_by_hand import counts_of
from example_run import write_run
from lab_counts import write_lab_counts
from servers.fault_server import FaultServer
from spikesight.cli import app
from spikesight.config import BenchmarkConfig
from spikesight.data.counts import write_counts
from spikesight.demo import save_simulation
from spikesight.errors import OutputError, UnknownNameError
from spikesight.gallery.session_figures import FIGURES, draw_session
from spikesight.gallery.session_material import SessionMaterial

QUICK = "probe_map,rates,bins"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["figures", *(str(argument) for argument in arguments)])


def failed(*arguments: object, code: int = 1) -> str:
    """Run a command that must fail; return its one line on stderr."""
    done = run(*arguments)
    assert done.exit_code == code, done.output
    assert done.stdout == ""
    if code == 1:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("drawing: ")]
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
    return str(done.stderr)


@pytest.fixture(scope="module")
def session_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("session") / "tiny.nwb"
    save_simulation("tiny", 0, file)
    return file


def test_the_command_draws_every_figure_of_a_simulated_session(session_file: Path, tmp_path: Path) -> None:
    """In a process of its own, as typed; the pictures that were shown lie beside the file."""
    out = tmp_path / "new" / "figures"
    command = [sys.executable, "-m", "spikesight", "figures", str(session_file), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files = [out / f"{name}.png" for name in FIGURES]
    assert done.stdout.split() == [str(file) for file in files]
    assert sorted(path.name for path in out.iterdir()) == sorted(file.name for file in files)
    for file in files:
        picture = imread(file)[..., :3]
        assert picture.std() > 0.02, file  # something is drawn
        assert min(picture.shape[:2]) > 200
    assert "left out" not in done.stderr


def test_json_lists_files_and_what_was_left_out_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "counts.nc"
    rng = np.random.default_rng(0)
    write_counts(counts_of(rng.poisson(3, (60, 12)), list(np.arange(60) % 4)).assign_attrs(target="frame"), file)
    done = run(file, "--out", tmp_path / "figures", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    drawn = {Path(one).stem for one in found["files"]}
    assert {"rates", "response_map", "noise_correlations", "embedding_trials"} <= drawn
    assert drawn | set(found["left_out"]) == set(FIGURES)
    assert "counts.nc holds spike counts" in found["left_out"]["raster_units"]
    assert all(Path(one).is_file() for one in found["files"])


def test_only_and_format_choose_what_is_written(session_file: Path, tmp_path: Path) -> None:
    done = run(session_file, "--out", tmp_path, "--only", QUICK, "--format", "svg")
    assert done.exit_code == 0, done.output
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["bins.svg", "probe_map.svg", "rates.svg"]
    assert "height above the tip of the probe (um)" in (tmp_path / "probe_map.svg").read_text()


def test_the_same_session_gives_the_same_bytes(session_file: Path, tmp_path: Path) -> None:
    for form in ("png", "svg", "pdf"):
        first, again = (
            draw_session(session_file, tmp_path / folder, format=form, only=["rates"])[0][0] for folder in ("a", "b")
        )
        assert first.read_bytes() == again.read_bytes()


def test_another_stimulus_is_drawn_without_pictures(session_file: Path, tmp_path: Path) -> None:
    done = run(session_file, "--out", tmp_path, "--stimulus", "gabors", "--only", "scene_grid,response_map")
    assert done.exit_code == 0, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["response_map.png"]
    assert "left out scene_grid: presentations of 'gabors' do not name a picture" in done.stderr


def test_pictures_that_are_given_are_drawn(session_file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "pictures.npy", np.random.default_rng(0).integers(0, 255, (8, 20, 30), np.uint8))
    done = run(session_file, "--out", tmp_path, "--images", tmp_path / "pictures.npy", "--only", "scene_grid")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "scene_grid.png").is_file()


@pytest.mark.parametrize("public", [True, False])
def test_a_session_on_a_server_is_drawn_but_for_its_waveforms(
    public: bool, session_file: Path, fault_server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the id of a public session, and by an address."""
    path = "/visual-coding-neuropixels/ecephys-cache/session_715093703/session_715093703.nwb"
    fault_server.serve(path, session_file.read_bytes())
    monkeypatch.setenv("SPIKESIGHT_S3_URL", fault_server.url)
    monkeypatch.setenv("SPIKESIGHT_CACHE", str(tmp_path / "cache"))
    place = "715093703" if public else fault_server.url + path
    done = run(place, "--out", tmp_path / "out", "--only", f"{QUICK},mean_waveforms", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [Path(one).stem for one in found["files"]] == ["probe_map", "rates", "bins"]
    assert "fetch the session first" in found["left_out"]["mean_waveforms"]


def test_errors_say_what_was_expected_and_leave_nothing(session_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "there is none at" in failed(tmp_path / "none.nwb", "--out", out)
    assert "Did you mean 'probe_map'?" in failed(session_file, "--out", out, "--only", "probe_maps")
    assert "unknown format of figures 'jpg'" in failed(session_file, "--out", out, "--format", "jpg")
    assert "Did you mean 'gabors'?" in failed(session_file, "--out", out, "--stimulus", "gabor")
    assert "there is nothing at" in failed(session_file, "--out", out, "--images", tmp_path / "none.npy")
    assert not out.exists()
    failed(session_file, code=2)


def test_nothing_to_draw_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    file = write_lab_counts(tmp_path / "lab.npz")
    said = failed(file, "--out", tmp_path / "out", "--only", "probe_map")
    assert "nothing could be drawn" in said
    assert "probe_map: lab.npz holds spike counts" in said


def test_a_folder_that_cannot_be_written_is_an_error(session_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already")
    with pytest.raises(OutputError, match="Choose another folder"):
        draw_session(session_file, tmp_path / "file" / "below", only=["rates"])


def test_a_figure_that_is_written_again_replaces_the_old_one_and_leaves_no_part(
    session_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "rates.png").write_bytes(b"old")
    [file], _ = draw_session(session_file, tmp_path, only=["rates"])
    assert file.read_bytes()[:4] == b"\x89PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["rates.png"]
    with pytest.raises(UnknownNameError, match="format"):
        draw_session(session_file, tmp_path, format="gif")


def test_a_run_directory_gets_the_figures_of_its_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    done = run(folder, "--out", tmp_path / "figures", "--only", "leaderboard", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["files"]
    said = failed(folder, "--out", tmp_path / "figures", "--stimulus", "gabors", code=2)
    assert "--stimulus is for files of sessions" in " ".join(said.replace("│", " ").split())


def test_progress_counts_every_figure(session_file: Path, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []

    class Heard:
        def advance(self, task: str, done: int, total: int) -> None:
            heard.append((task, done, total))

        def note(self, text: str) -> None: ...

        def transfer(self, task: str, done: int, total: int) -> None: ...

        def search(self, label: str, candidates: pd.DataFrame, total: int, seconds_left: float | None) -> None: ...

    draw_session(session_file, tmp_path, only=["rates", "probe_map"], progress=Heard())
    assert [step for step in heard if step[0] == "drawing"] == [("drawing", done, 2) for done in range(3)]


def test_an_area_has_the_same_colour_in_every_figure_of_a_session(session_file: Path) -> None:
    material = SessionMaterial(BenchmarkConfig.model_validate({"sources": (str(session_file),)}), None, None)
    lines = FIGURES["psth_areas"](material).lines
    of_rates = {line.get_label().split(" (")[0]: line.get_color() for line in lines}
    labels = {text.get_text(): text.get_color() for text in FIGURES["raster_units"](material).texts}
    assert len(of_rates) > 2
    assert of_rates == {area: labels[area] for area in of_rates}
