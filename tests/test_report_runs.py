"""Several runs on one page: which are pooled, which stay apart, and what the page says of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from example_run import write_run
from page_reading import EVIL, data_of, markup_of
from spikesight.errors import ConfigError
from spikesight.records.merged_runs import different_terms, pool_runs, run_names
from spikesight.records.run_record import read_run
from spikesight.reports.report import render, write_report


def _ask(run: Path, **changes: object) -> Path:
    """Change what a run was asked."""
    file = run / "config.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))
    return run


def _keep(run: Path, **columns: object) -> Path:
    """Leave rows of a run out, or change columns of its tables."""
    for name in ("results.parquet", "predictions.parquet"):
        table = pd.read_parquet(run / name)
        for column, wanted in columns.items():
            table = table[table[column].isin(wanted)]
        table.to_parquet(run / name, index=False)
    return run


def test_runs_over_different_sessions_make_one_leaderboard_over_all_of_them(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, n_sessions=2, session=f"{name}-{{}}") for name in ("one", "two")]
    [pool] = pool_runs([read_run(run) for run in runs])
    assert pool.name == "one + two"
    assert [card["session_id"] for card in pool.record.cards] == ["one-0", "one-1", "two-0", "two-1"]
    assert set(pool.record.over_sessions["n_sessions"]) == {4}
    page = render([read_run(run) for run in runs])
    assert "Leaderboard, mean over 4 sessions" in page
    assert "not on equal terms" not in page
    assert [session["name"] for session in data_of(page)["sessions"]] == ["one-0", "one-1", "two-0", "two-1"]


def test_runs_of_different_decoders_on_one_session_share_its_leaderboard(tmp_path: Path) -> None:
    one = _keep(write_run(tmp_path / "one"), decoder=["fa-lda", "chance"])
    two = _keep(write_run(tmp_path / "two"), decoder=["lda", "chance"])
    [pool] = pool_runs([read_run(one), read_run(two)])
    assert sorted(set(pool.record.per_session["decoder"])) == ["chance", "fa-lda", "lda"]
    assert pool.notes == ("1 row that two runs have, with the same answer to every trial, is shown once.",)
    assert len(pool.record.cards) == 1


def test_a_row_that_two_runs_have_alike_is_counted_once(tmp_path: Path) -> None:
    one, two = (read_run(write_run(tmp_path / name)) for name in ("one", "two"))
    [pool] = pool_runs([one, two])
    pd.testing.assert_frame_equal(pool.record.per_session, one.per_session)


def test_rows_of_one_session_that_differ_between_runs_are_labelled_by_run(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two")
    table = pd.read_parquet(two / "predictions.parquet")
    own = (table["decoder"] == "lda") & (table["selection"] == "tuned")
    table.loc[own, "y_pred"], table.loc[own, "correct"] = table.loc[own, "y_true"], True
    table.to_parquet(two / "predictions.parquet", index=False)
    page = render([read_run(one), read_run(two)])
    rows = {(row["decoder"], row["selection"]): row["accuracy"] for row in data_of(page)["sessions"][0]["leaderboard"]}
    assert rows["lda (two)", "tuned"] == 1
    assert rows["lda (one)", "tuned"] < 1
    assert ("fa-lda", "tuned") in rows
    assert "Runs differ in what lda answered to the same trials" in page


@pytest.mark.parametrize("session", ["same {}", "of {name} {}"])
def test_a_decoder_that_runs_gave_different_constants_is_never_averaged_over_them(tmp_path: Path, session: str) -> None:
    runs = [write_run(tmp_path / name, session=session.replace("{name}", name)) for name in ("one", "two")]
    _ask(runs[0], params={"lda": {"shrinkage": 0.5}})
    [pool] = pool_runs([read_run(run) for run in runs])
    assert pool.notes[-1] == "Runs gave lda different constants: rows have the name of their run."
    assert {"lda (one)", "lda (two)", "fa-lda"} <= set(pool.record.per_session["decoder"])
    if pool.record.over_sessions is not None:
        assert not pool.record.over_sessions["decoder"].str.startswith("lda").any()


@pytest.mark.parametrize(
    "asked",
    [
        {"encoders": ["vae"], "encoder_params": {"vae": {"n_components": 8}}},
        {"encoders": ["vae"], "params": {"lda": {"shrinkage": 0.5}}},
        {"encoders": ["somewhere.else:vae"]},
    ],
)
def test_a_decoder_behind_an_encoder_of_other_constants_is_never_averaged(tmp_path: Path, asked: dict) -> None:
    runs = [write_run(tmp_path / name, session=f"of {name} {{}}") for name in ("one", "two")]
    for run in runs:
        for file in ("results.parquet", "predictions.parquet"):
            table = pd.read_parquet(run / file)
            table.assign(decoder=table["decoder"].replace("svc-linear", "vae+lda")).to_parquet(run / file, index=False)
        _ask(run, encoders=["vae"])
    _ask(runs[1], **asked)
    [pool] = pool_runs([read_run(run) for run in runs])
    assert {"vae+lda (one)", "vae+lda (two)"} <= set(pool.record.per_session["decoder"])
    assert not pool.record.over_sessions["decoder"].str.startswith("vae").any()
    assert "fa-lda" in set(pool.record.over_sessions["decoder"])


def test_guessing_that_differs_between_runs_is_shown_once_and_never_competes(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two")
    table = pd.read_parquet(two / "predictions.parquet")
    table.loc[table["decoder"] == "chance", "y_pred"] = table["y_true"].iloc[0]
    table.to_parquet(two / "predictions.parquet", index=False)
    [pool] = pool_runs([read_run(one), read_run(two)])
    assert (pool.record.per_session["decoder"] == "chance").sum() == 1


@pytest.mark.parametrize(
    ("asked", "term"),
    [({"n_bins": 5}, None), ({"seed": 3}, "seed"), ({"running": "stationary"}, "running"), ({"n_splits": 3}, "folds")],
)
def test_runs_that_were_asked_something_else_are_not_pooled_and_the_page_says_so(
    tmp_path: Path, asked: dict[str, object], term: str | None
) -> None:
    one, two = write_run(tmp_path / "one"), _ask(write_run(tmp_path / "two"), **asked)
    if "n_bins" in asked:
        table = pd.read_parquet(two / "results.parquet").assign(n_bins=5)
        table.to_parquet(two / "results.parquet", index=False)
        term = "bins"
    records = [read_run(one), read_run(two)]
    pools = pool_runs(records)
    assert [pool.name for pool in pools] == ["one", "two"]
    assert [name for name, _ in different_terms(pools)] == [term]
    page = render(records)
    assert "These runs are not on equal terms" in page
    assert [session["name"] for session in data_of(page)["sessions"]] == ["session 0 (one)", "session 0 (two)"]


def test_a_run_that_was_not_asked_for_areas_has_all_of_them(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one"), _ask(write_run(tmp_path / "two"), areas=["VISp"])
    assert different_terms(pool_runs([read_run(one), read_run(two)])) == [("areas", ["all", "VISp"])]


def test_runs_of_one_session_with_other_test_trials_are_not_pooled(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two", n_trials=240)
    pools = pool_runs([read_run(one), read_run(two)])
    assert [name for name, _ in different_terms(pools)] == ["test trials of the same session"]


def test_a_search_is_pooled_with_none_but_not_with_another_search(tmp_path: Path) -> None:
    plain = read_run(write_run(tmp_path / "plain", session="a {}"))
    searched = read_run(write_run(tmp_path / "searched", session="b {}", searched=("lda",)))
    run = _ask(write_run(tmp_path / "longer", session="c {}", searched=("lda",)), tuning={"budget": 99})
    assert [pool.name for pool in pool_runs([plain, searched])] == ["plain + searched"]
    pools = pool_runs([searched, read_run(run)])
    assert [name for name, _ in different_terms(pools)] == ["search for constants"]


def test_a_row_that_lacks_a_session_is_left_out_of_the_mean_and_named(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", session="a {}")
    two = _keep(write_run(tmp_path / "two", session="b {}"), decoder=["fa-lda", "chance"])
    page = render([read_run(one), read_run(two)])
    assert "Left out, because they do not have all sessions: oracle reference, lda tuned" in page


def test_runs_that_share_no_decoder_have_no_mean_and_the_page_says_so(tmp_path: Path) -> None:
    one = _keep(write_run(tmp_path / "one", session="a {}"), decoder=["lda"])
    two = _keep(write_run(tmp_path / "two", session="b {}"), decoder=["fa-lda"])
    page = render([read_run(one), read_run(two)])
    assert "Left out: no decoder has a row in all of these sessions." in page
    assert data_of(page)["groups"][0]["overSessions"] is None


def test_runs_of_different_versions_that_share_a_leaderboard_say_so(tmp_path: Path) -> None:
    one, two = (write_run(tmp_path / name, session=f"{name} {{}}") for name in ("one", "two"))
    file = two / "provenance.json"
    file.write_text(file.read_text().replace("0.1.0", "0.2.0"))
    [pool] = pool_runs([read_run(one), read_run(two)])
    assert pool.notes == ("These runs were made by different versions of spikesight: one by 0.1.0, two by 0.2.0.",)


def test_several_runs_need_a_file_to_write_to(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, session=f"{name} {{}}") for name in ("one", "two")]
    with pytest.raises(ConfigError, match="name it with --out"):
        write_report(runs)
    with pytest.raises(ConfigError, match="each run once"):
        write_report([runs[0], runs[0]], tmp_path / "page.html")
    with pytest.raises(ConfigError, match="at least one"):
        write_report([])
    assert write_report(runs, tmp_path / "page.html") == tmp_path / "page.html"
    assert write_report(runs[:1]) == runs[0] / "report.html"


def test_names_of_runs_tell_them_apart() -> None:
    assert run_names([Path("/x/a"), Path("/x/b")]) == ["a", "b"]
    assert run_names([Path("/x/a"), Path("/y/a")]) == ["x/a", "y/a"]


def test_provenance_and_methods_are_those_of_every_run(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one"), _ask(write_run(tmp_path / "two"), seed=7)
    markup = markup_of(render([read_run(one), read_run(two)]))
    assert "Provenance of one" in markup
    assert "Provenance of two" in markup
    assert "(seed 0)" in markup
    assert "(seed 7)" in markup


def test_names_of_runs_and_sessions_are_escaped_where_runs_are_apart(tmp_path: Path) -> None:
    name = EVIL.replace("/", "|")
    one = write_run(tmp_path / name, session=f"{EVIL} {{}}")
    two = _ask(write_run(tmp_path / "two"), running=EVIL)
    page = render([read_run(one), read_run(two)])
    assert name not in page
    assert EVIL not in page


def test_the_command_takes_several_runs_and_images(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from spikesight.cli import app

    runs = [str(write_run(tmp_path / name, session=f"{name} {{}}")) for name in ("one", "two")]
    without = CliRunner().invoke(app, ["report", *runs])
    assert without.exit_code == 1
    assert "name it with --out" in without.output
    np.savez(tmp_path / "scenes.npz", images=np.random.default_rng(0).random((12, 8, 9)))
    out = str(tmp_path / "page.html")
    done = CliRunner().invoke(app, ["report", *runs, "--out", out, "--images", str(tmp_path / "scenes.npz")])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert [session["name"] for session in data_of(page)["sessions"]] == ["one 0", "two 0"]
    assert len(data_of(page)["pictures"]) == 12
