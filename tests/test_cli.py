import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xarray as xr
from typer.main import get_command
from typer.testing import CliRunner

import spikesight
from example_run import write_run
from lab_counts import write_lab_counts
from spikesight.cli import ORDER, app
from spikesight.decoders import registry

QUICK = ("--decoders", "fa-lda,poisson-bayes", "--selection", "default", "--folds", "3", "--gap", "2", "--jobs", "1")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def failed(*arguments: object, code: int = 1) -> str:
    """Run a command that must fail; return its one line on stderr."""
    done = run(*arguments)
    assert done.exit_code == code, done.output
    assert done.stdout == ""
    if code == 1:
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
    return str(done.stderr)


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    return write_lab_counts(tmp_path / "lab.npz")


@pytest.fixture(scope="module")
def session_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("session") / "tiny.nwb"
    done = run("simulate", "--preset", "tiny", "--seed", "1", "--out", file)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(file)
    return file


def test_help_lists_every_command_in_the_order_in_which_one_meets_them() -> None:
    done = run("--help")
    assert done.exit_code == 0
    listed = re.findall(r"^│ ([a-z]+(?:-[a-z]+)*) ", done.stdout.partition("─ Commands ─")[2], re.MULTILINE)
    assert tuple(listed) == ORDER
    assert set(ORDER) == set(get_command(app).commands)  # type: ignore[attr-defined]
    assert ORDER.index("fetch") < ORDER.index("inspect") < ORDER.index("benchmark") < ORDER.index("tune")


def test_help_says_that_the_preset_of_tests_is_too_small_to_decode() -> None:
    shown = " ".join(CliRunner(env={"COLUMNS": "200"}).invoke(app, ["simulate", "--help"]).stdout.split())
    assert "tiny is for tests, too small to decode well" in shown


@pytest.mark.parametrize(
    ("command", "defaults"),
    [
        (
            "benchmark",
            {
                **{"--folds": "5", "--gap": "10", "--splitter": "block-kfold", "--selection": "tuned,default"},
                **{"--decoders": "chance,logistic", "--blanks": "keep", "--bins": "1", "--seed": "0", "--out": "runs/"},
            },
        ),
        ("bin", {"--blanks": "keep", "--bins": "1"}),
    ],
)
def test_help_shows_defaults(command: str, defaults: dict[str, str]) -> None:
    options = get_command(app).commands[command].params  # type: ignore[attr-defined]
    shown = {name: option.help for option in options for name in option.opts if hasattr(option, "help")}
    for name, default in defaults.items():
        assert re.search(rf"Default: {default}", shown[name]), shown[name]
    wide = CliRunner(env={"COLUMNS": "200"}).invoke(app, [command, "--help"])
    assert "Default: keep." in wide.stdout


def test_help_says_what_counts_files_hold_and_what_exit_codes_mean() -> None:
    wide = CliRunner(env={"COLUMNS": "400"})
    assert "Exit codes: 0 " in wide.invoke(app, ["--help"]).stdout
    for command in ("inspect", "bin", "benchmark", "predict"):
        shown = " ".join(wide.invoke(app, [command, "--help"]).stdout.split())
        assert "counts (units, trials)" in shown
        assert "X, y" in shown


def test_an_interrupted_benchmark_says_how_to_resume(monkeypatch: pytest.MonkeyPatch, counts: Path) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spikesight.experiment.run_benchmark", interrupt)
    said = "stopped; start the same command again to resume (searches: with --resume)\n"
    assert failed("benchmark", counts, code=130) == said


def test_version_is_printed() -> None:
    assert run("--version").stdout == f"spikesight {spikesight.__version__}\n"


def test_simulate_writes_the_truth_beside_the_session(session_file: Path) -> None:
    assert sorted(path.name for path in session_file.parent.iterdir()) == ["tiny.nwb", "tiny.nwb.truth.npz"]


def test_inspect_describes_a_session(session_file: Path) -> None:
    done = run("inspect", session_file)
    assert done.exit_code == 0
    assert "natural_scenes" in done.stdout
    assert "units per area" in done.stdout
    found = json.loads(run("inspect", session_file, "--json").stdout)
    assert found["kind"] == "session"
    assert found["n_units"] == sum(found["units_per_area"].values())
    every = json.loads(run("inspect", session_file, "--no-quality", "--json").stdout)
    assert every["n_units"] == found["n_units"] + sum(found["dropped_units"].values())


def test_inspect_describes_counts(counts: Path) -> None:
    found = json.loads(run("inspect", counts, "--json").stdout)
    assert (found["kind"], found["n_trials"], found["n_units"], found["n_classes"]) == ("counts", 120, 12, 4)
    assert "120 trials of 4 classes" in run("inspect", counts).stdout


def test_bin_writes_netcdf_that_benchmark_reads(session_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "counts.nc"
    done = run("bin", session_file, "--bin-size", "0.05", "--window", "-0.05", "0.2", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    card = json.loads(done.stdout)
    assert (card["n_bins"], card["window"], card["out"]) == (5, [-0.05, 0.2], str(out))
    with xr.open_dataset(out) as dataset:
        assert dataset["spike_counts"].sizes == {"trial": card["n_trials"], "time": 5, "unit": card["n_units"]}
    done = run("benchmark", out, *QUICK, "--out", tmp_path / "run", "--json")
    assert done.exit_code == 0, done.output
    assert {row["n_bins"] for row in json.loads(done.stdout)["results"]} == {5}


def test_bin_takes_a_tuple_of_columns_as_target(session_file: Path, tmp_path: Path) -> None:
    options = ("--stimulus", "gabors", "--target", "x_position,y_position", "--areas", "VISp")
    card = json.loads(run("bin", session_file, *options, "--out", tmp_path / "x.nc", "--json").stdout)
    assert card["target"] == "x_position, y_position"
    assert list(card["units_per_area"]) == ["VISp"]


def test_benchmark_prints_a_leaderboard_and_where_the_report_is(counts: Path, tmp_path: Path) -> None:
    done = run("benchmark", counts, *QUICK, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "block-kfold, gap 2" in done.stdout
    for word in ("fa-lda", "poisson-bayes", "chance", "accuracy %", "[95 %]", "minus best [95 %]", "trials", "seconds"):
        assert word in done.stdout
    assert "test trials only" in " ".join(done.stdout.split())
    assert f"report: {tmp_path / 'run' / 'report.html'}" in done.stdout
    assert "decoding: 9 of 9" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_benchmark_prints_only_json_on_stdout_when_asked(counts: Path, tmp_path: Path) -> None:
    found = json.loads(run("benchmark", counts, *QUICK, "--out", tmp_path / "run", "--json").stdout)
    assert {"session", "decoder", "fold", "accuracy", "chance"} <= set(found["results"][0])
    assert {row["decoder"] for row in found["leaderboard"]} == {"chance", "fa-lda", "poisson-bayes"}
    assert found["over_sessions"] is None
    assert Path(found["report"]).is_file()


def test_a_second_benchmark_resumes_and_says_so(counts: Path, tmp_path: Path) -> None:
    first = run("benchmark", counts, *QUICK, "--out", tmp_path / "run", "--json")
    second = run("benchmark", counts, *QUICK, "--out", tmp_path / "run", "--json")
    assert "holds 9 finished fits" in second.stderr
    assert json.loads(second.stdout)["results"] == json.loads(first.stdout)["results"]


def test_several_sessions_print_their_mean_and_one_line_each(tmp_path: Path) -> None:
    files = [write_lab_counts(tmp_path / f"s{seed}.npz", seed=seed) for seed in (0, 1)]
    done = run("benchmark", *files, *QUICK, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "Mean over 2 sessions" in done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines if line and line[0] in ("s0", "s1")] == ["s0", "s1"]


def test_options_lie_over_the_config_file_and_set_over_both(counts: Path, tmp_path: Path) -> None:
    file = tmp_path / "benchmark.yaml"
    file.write_text(f"sources: [{counts}]\ndecoders: [fa-lda]\nselection: [default]\nn_splits: 4\ngap: 1\nseed: 1\n")
    arguments = ("--config", file, "--folds", "3", "--gap", "2", "--set", "gap=3", "--out", tmp_path / "run", "--json")
    done = run("benchmark", *arguments)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["results"]
    assert {row["fold"] for row in rows} == {0, 1, 2}
    assert {(row["gap"], row["seed"]) for row in rows} == {(3, 1)}


def test_a_failed_fit_is_told_and_exits_with_one(counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, X: object, y: object) -> None:
        raise ValueError("out of luck")

    monkeypatch.setattr(registry.get("poisson-bayes"), "fit", refuse)
    done = run("benchmark", counts, *QUICK, "--out", tmp_path / "run")
    assert done.exit_code == 1
    assert "fa-lda" in done.stdout
    assert "error: 3 fits failed" in done.stderr
    assert "out of luck" in done.stderr


def test_predict_decodes_with_a_stored_decoder(counts: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("benchmark", counts, *QUICK, "--save-decoders", "--out", out).exit_code == 0
    [folder] = [path for path in (out / "decoders").iterdir() if "fa-lda" in path.name and "fold0" in path.name]
    done = run("predict", folder, counts, "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert len(rows) == 120
    assert sum(row["correct"] for row in rows) > 60
    assert set(rows[0]) == {"trial", "start_time", "y_true", "y_pred", "correct", "confidence", "role"}
    tested = pd.read_parquet(out / "predictions.parquet").query("decoder == 'fa-lda' and fold == 0")
    trials = {role: [row["trial"] for row in rows if row["role"] == role] for role in ("training", "gap", "test")}
    assert trials["test"] == list(range(40)) == tested["trial"].tolist()
    assert trials["gap"] == [40, 41]
    assert trials["training"] == list(range(42, 120))
    assert [row["y_pred"] for row in rows if row["role"] == "test"] == tested["y_pred"].tolist()
    shown = " ".join(run("predict", folder, counts).stdout.split())
    assert "of 40 test or new trials right" in shown
    assert "not counted: 78 trials of its training, 2 of the gap" in shown


def test_predict_counts_every_trial_of_another_session_as_new(counts: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("benchmark", counts, *QUICK, "--save-decoders", "--out", out).exit_code == 0
    folder = next((out / "decoders").iterdir())
    rows = json.loads(run("predict", folder, write_lab_counts(tmp_path / "other.npz", seed=1), "--json").stdout)
    assert {row["role"] for row in rows} == {"new"}


def test_predict_refuses_a_decoder_away_from_its_run(counts: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("benchmark", counts, *QUICK, "--save-decoders", "--out", out).exit_code == 0
    moved = shutil.copytree(next((out / "decoders").iterdir()), tmp_path / "elsewhere" / "decoder")
    assert "inside its run directory" in failed("predict", moved, counts)


def test_predict_refuses_a_file_with_other_units_and_a_folder_without_decoder(counts: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run("benchmark", counts, *QUICK, "--save-decoders", "--out", out)
    folder = next((out / "decoders").iterdir())
    fewer = write_lab_counts(tmp_path / "fewer.npz", n_units=5)
    assert "lacks 7 of them" in failed("predict", folder, fewer)
    failed("predict", tmp_path, counts)


def test_decoders_are_listed_with_what_they_do_with_several_bins() -> None:
    found = json.loads(run("decoders", "--json").stdout)
    assert [row["name"] for row in found["decoders"]] == registry.names()
    assert all(row["summary"] and row["several bins"] and row["candidates"] for row in found["decoders"])
    assert found["broken"] == {}
    lines = run("decoders").stdout.splitlines()
    assert [line.split()[0] for line in lines] == registry.names()  # one line each
    more = run("decoders", "fa-lda").stdout
    assert "candidates: q = 15 | 30 | 60 | 120 | 240" in more
    assert "several bins: one model of the stacked bins" in more
    assert "did you mean" in failed("decoders", "fa-ldo").lower()


def test_decoders_draws_a_network_or_all_that_graph_decoders_may_be(tmp_path: Path) -> None:
    chart = tmp_path / "st-gat.svg"
    assert run("decoders", "st-gat", "--chart", chart).stdout.strip() == str(chart)
    assert "spatial block: gatv2" in chart.read_text(encoding="utf-8")
    every = tmp_path / "all.svg"
    assert json.loads(run("decoders", "--chart", every, "--json").stdout) == {"chart": str(every)}
    assert "400 combinations" in every.read_text(encoding="utf-8")
    assert run("decoders", "lstm", "gru", "--chart", tmp_path / "two.svg").exit_code == 2
    assert "expected a neural decoder" in failed("decoders", "fa-lda", "--chart", tmp_path / "lda.svg")
    assert {file.name for file in tmp_path.iterdir()} == {"st-gat.svg", "all.svg"}


def test_a_broken_plug_in_is_listed_and_not_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "broken", lambda: {"my-decoder": "ImportError: no module named 'mine'"})
    done = run("decoders")
    assert done.exit_code == 0
    assert "broken plug-in my-decoder: ImportError" in done.stdout


def test_report_is_written_again(tmp_path: Path) -> None:
    record = write_run(tmp_path / "run")
    done = run("report", record, "--out", tmp_path / "page.html")
    assert done.stdout.strip() == str(tmp_path / "page.html")
    assert (tmp_path / "page.html").is_file()
    assert not (record / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inspect", "no.nwb"), "none at no.nwb"),
        (("benchmark", "no.nwb"), "no.nwb"),
        (("benchmark", "{counts}", "--decoders", "fa-ldaa"), "Did you mean 'fa-lda'"),
        (("benchmark", "{counts}", "--set", "sed=1"), "sed: unknown key. Did you mean 'seed'?"),
        (("benchmark", "{counts}", "--splitter", "kfold"), "splitter (--splitter): expected 'block-kfold'"),
        (("benchmark", "{counts}", "--config", "no.yaml"), "no.yaml does not exist"),
        (("benchmark", "{counts}", "--target", "colour"), "colour"),
        (("benchmark", "{counts}", "{counts}"), "several times; leave out the repeats."),
        (("bin", "{counts}", "--out", "counts.txt"), ".nc"),
        (("bin", "{counts}", "--out", "nodir/x.nc"), "there is no folder nodir"),
        (("report", "{folder}"), "no config.yaml"),
        (("report", "{folder}/nowhere"), "nowhere is not there. Give the --out of `spikesight benchmark`"),
        (("report", "{folder}"), "`spikesight tune` or `spikesight connectivity fit`, and beside one of these that of"),
        (("figures", "{folder}", "--out", "{folder}/x"), "`spikesight tune` or `spikesight connectivity fit`."),
        (("attribution", "{counts}"), "is a file. Give the --out of `spikesight benchmark` or `spikesight tune`."),
        (("simulate", "--preset", "huge", "--out", "{folder}/x.nwb"), "unknown preset 'huge'"),
        (("simulate", "--preset", "tiny", "--out", "{folder}/no/x.nwb"), "no"),
    ],
)
def test_an_error_of_ours_is_one_line_on_stderr_and_exit_code_1(
    arguments: tuple[str, ...], words: str, counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = [argument.format(counts=counts, folder=tmp_path) for argument in arguments]
    done = run(*filled)
    assert done.exit_code == 1, done.output
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert words in line
    assert "Traceback" not in done.output


def test_a_file_that_is_not_nwb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.nwb").write_text("not NWB")
    assert "text.nwb" in failed("inspect", tmp_path / "text.nwb")


def test_a_session_without_the_stimulus_names_those_it_has(session_file: Path, tmp_path: Path) -> None:
    words = failed("bin", session_file, "--stimulus", "movies", "--out", tmp_path / "x.nc")
    assert "natural_scenes" in words


def test_an_address_of_ray_that_is_none_is_refused_before_anything_is_written(counts: Path, tmp_path: Path) -> None:
    refused = failed("benchmark", counts, "--ray", "nowhere", "--out", tmp_path / "run")
    assert "expected 'local', 'auto' or 'host:port'" in refused
    assert not (tmp_path / "run").exists()


def test_wrong_usage_exits_with_2() -> None:
    failed("benchmark", "--no-such-option", code=2)
    assert "give one or more FILEs, or --config with sources" in failed("benchmark", code=2)
    failed("decode", code=2)


def test_debug_lets_the_error_through() -> None:
    done = run("--debug", "inspect", "no.nwb")
    assert isinstance(done.exception, spikesight.SpikesightError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_directory_without_permission_is_refused(counts: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert "cannot write" in failed("benchmark", counts, *QUICK, "--out", closed / "run")


def test_an_output_directory_that_is_a_file_is_refused(counts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write" in failed("benchmark", counts, *QUICK, "--out", tmp_path / "file")


def test_a_run_directory_in_use_is_refused(counts: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"):
        assert "in use" in failed("benchmark", counts, *QUICK, "--out", tmp_path / "run")


def test_a_run_directory_of_another_config_is_refused(counts: Path, tmp_path: Path) -> None:
    assert run("benchmark", counts, *QUICK, "--out", tmp_path / "run").exit_code == 0
    assert "another config" in failed("benchmark", counts, *QUICK, "--seed", "5", "--out", tmp_path / "run")


def test_the_module_runs_as_a_script() -> None:
    done = subprocess.run([sys.executable, "-m", "spikesight", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"spikesight {spikesight.__version__}\n"


@pytest.mark.slow
def test_demo_ends_with_a_leaderboard_and_a_report_and_can_be_run_again(tmp_path: Path) -> None:
    first = run("demo", "--out", tmp_path / "demo")
    assert first.exit_code == 0, first.output
    page = Path(first.stdout.strip().splitlines()[-1].removeprefix("report: "))
    assert page.is_absolute()
    assert page.is_file()
    for name in ("chance", "fa-lda", "lda", "poisson-bayes", "ridge", "svc-linear", "pca-logistic", "oracle"):
        assert name in first.stdout
    second = run("demo", "--out", tmp_path / "demo")
    assert second.exit_code == 0, second.output
    assert "resuming" in second.stderr
    assert second.stdout == first.stdout


@pytest.mark.slow
def test_a_request_to_terminate_leaves_no_worker_behind(tmp_path: Path) -> None:
    counts = write_lab_counts(tmp_path / "lab.npz", n_trials=3000, n_units=100, n_classes=60)
    command = [
        "benchmark",
        str(counts),
        "--decoders",
        "svc-poly,svc-rbf",
        "--jobs",
        "2",
        "--out",
        str(tmp_path / "run"),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "spikesight", *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert any(line.startswith("decoding") for line in process.stderr)
        process.terminate()
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert told.endswith("stopped; start the same command again to resume (searches: with --resume)\n")
    assert "Warning" not in told
    for _ in range(200):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a worker is still running")
