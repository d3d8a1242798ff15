"""The section on searches: in the data of the page, in its markup, and as a browser shows it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from candidate_table import candidates, hostile, with_values
from example_run import write_run
from page_reading import EVIL, data_of, markup_of
from spikesight.errors import RunDirectoryError
from spikesight.records.run_record import RunRecord, read_run
from spikesight.reports.report import render
from spikesight.reports.tuning import importances, tuning_section

SESSION = "session 0"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return read_run(write_run(tmp_path_factory.mktemp("run") / "run", searched=("fa-lda", "svc-linear")))


@pytest.fixture(scope="module")
def page(record: RunRecord) -> str:
    return render(record)


def test_a_run_without_candidates_has_no_trace_of_the_section(tmp_path: Path) -> None:
    page = render(read_run(write_run(tmp_path / "run")))
    markup = re.sub(r"<style>.*?</style>", "", markup_of(page), flags=re.DOTALL)
    for word in ("Tuning", "searched", "inner accuracy", "candidates.parquet", 'data-plot="history"'):
        assert word not in markup
    assert set(data_of(page)) == {"theme", "groups", "sessions"}
    assert "tuning" not in data_of(page)["sessions"][0]
    assert "const drawTuning" not in page


def test_an_empty_table_of_candidates_is_like_none(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", searched=("lda",), candidates=candidates().iloc[:0])
    assert read_run(run).candidates is None
    assert "<h2>Tuning</h2>" not in render(read_run(run))


def test_a_session_without_a_search_has_no_section_beside_one_that_has(tmp_path: Path) -> None:
    table = candidates(("lda",), sessions=("session 1",), n=6)
    run = read_run(write_run(tmp_path / "run", n_sessions=2, searched=("lda",), candidates=table))
    page = render(run)
    assert page.count("<h2>Tuning</h2>") == 1
    assert ["tuning" in session for session in data_of(page)["sessions"]] == [False, True]


def test_a_row_puts_the_inner_accuracy_of_the_winners_beside_the_test_accuracy(record: RunRecord) -> None:
    section = tuning_section(record, SESSION)
    assert section is not None
    board = record.per_session.query("selection == 'searched'").set_index("decoder")
    assert [row["decoder"] for row in section["rows"]] == ["fa-lda", "svc-linear"]
    for row in section["rows"]:
        own = record.candidates.query("decoder == @row['decoder']")
        assert row["test"] == board.loc[row["decoder"], "accuracy"]
        assert (row["low"], row["high"]) == tuple(board.loc[row["decoder"], ["low", "high"]])
        assert row["inner"] == pytest.approx(own.loc[own["chosen"], "accuracy"].mean())
        assert row["minus"] == pytest.approx(row["inner"] - row["test"])
        assert row["n_searches"] == 2
        assert row["n_candidates"] == row["n_finished"] + row["n_pruned"] + row["n_failed"] == 48
        assert row["n_failed"] == 2
        ended = (own["started"] + own["seconds"]).groupby(own["fold"]).max()
        assert row["seconds"] == pytest.approx(ended.sum())


def test_winners_are_named_with_their_constants_fold_by_fold(record: RunRecord) -> None:
    section = tuning_section(record, SESSION)
    assert section is not None
    assert [(one["decoder"], one["fold"]) for one in section["winners"]] == [
        ("fa-lda", 0), ("fa-lda", 1), ("svc-linear", 0), ("svc-linear", 1)
    ]  # fmt: skip
    for winner in section["winners"]:
        chosen = record.candidates.query("decoder == @winner['decoder'] and fold == @winner['fold'] and chosen").iloc[0]
        params = json.loads(chosen["params"])
        assert f"hidden_size = {params['hidden_size']}" in winner["constants"]
        assert f"learning_rate = {params['learning_rate']:.4g}" in winner["constants"]
        assert winner["inner"] == chosen["accuracy"]
        tested = record.results.query("decoder == @winner['decoder'] and fold == @winner['fold']")
        assert winner["test"] == tested.query("selection == 'searched'")["accuracy"].item()


def test_the_inner_accuracy_of_the_results_stands_in_for_a_winner_that_is_not_marked(record: RunRecord) -> None:
    unmarked = replace(record, candidates=record.candidates.assign(chosen=False))
    section = tuning_section(unmarked, SESSION)
    assert section is not None
    assert [row["inner"] for row in section["rows"]] == [0.7, 0.7]
    assert {winner["constants"] for winner in section["winners"]} == {""}
    older = replace(unmarked, results=record.results.drop(columns="inner_accuracy"))
    section = tuning_section(older, SESSION)
    assert section is not None
    assert [row["inner"] for row in section["rows"]] == [None, None]


def test_candidates_of_a_decoder_that_has_no_row_in_the_results_are_shown_without_a_test_accuracy(
    tmp_path: Path,
) -> None:
    run = write_run(tmp_path / "run", searched=("lda",), candidates=candidates(("lda", "mlp"), n=6))
    section = tuning_section(read_run(run), SESSION)
    assert section is not None
    assert [(row["decoder"], row["test"] is None) for row in section["rows"]] == [("lda", False), ("mlp", True)]
    assert "<h2>Tuning</h2>" in render(read_run(run))


def test_the_page_holds_the_table_the_winners_and_why_candidates_failed(record: RunRecord, page: str) -> None:
    markup = markup_of(page)
    section = re.sub(r"\s+", " ", markup[markup.index("<h2>Tuning</h2>") :])
    rows = tuning_section(record, SESSION)
    assert rows is not None
    first = rows["rows"][0]
    assert f'<td class="n strong">{100 * first["test"]:.1f}</td>' in section
    assert f'<td class="n">{100 * first["inner"]:.1f}</td>' in section
    assert "Quote the accuracy on test trials" in section
    assert "it was picked as the best of many" in section
    assert rows["winners"][0]["constants"] in section
    assert "2</span> times: the loss is NaN after epoch 2" in section
    assert section.count("data-plot=") == 3


def test_pictures_are_drawn_of_the_candidates_in_one_order(record: RunRecord, page: str) -> None:
    data = data_of(page)
    drawn = {one["decoder"]: one for one in data["sessions"][0]["tuning"]}
    own = drawn["svc-linear"]
    table = record.candidates.query("decoder == 'svc-linear'").sort_values(["fold", "candidate"])
    assert own["searches"] == ["outer fold 0", "outer fold 1"]
    assert own["search"] == table["fold"].tolist()
    assert own["candidate"] == table["candidate"].tolist()
    np.testing.assert_allclose(np.array(own["accuracy"], float), table["accuracy"], rtol=1e-3)
    assert [("finished", "pruned", "failed")[state] for state in own["state"]] == table["state"].tolist()
    assert own["error"] == table["error"].tolist()
    rates = [json.loads(text)["learning_rate"] for text in table["params"]]
    axis = next(axis for axis in own["axes"] if axis["name"] == "learning_rate")
    assert axis["log"]
    assert np.argsort(axis["position"]).tolist() == np.argsort(rates).tolist()
    assert own["axes"][-1]["name"] == "inner accuracy"
    heads = next(axis for axis in own["axes"] if axis["name"] == "n_heads")
    assert [place is None for place in heads["position"]] == ["n_heads" not in text for text in table["params"]]
    assert set(data["groups"][0]["importance"]) == {"fa-lda", "svc-linear"}
    assert data["groups"][0]["importance"]["fa-lda"][0]["parameter"] == "learning_rate"


def test_importance_that_is_not_known_is_none_with_its_reason(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", searched=("lda",), candidates=candidates(("lda",), n=5)))
    [*rows] = importances(run)["lda"]
    assert {row["importance"] for row in rows} == {None}
    assert all("candidates with an accuracy, 20 are needed" in row["reason"] for row in rows)
    assert "20 are needed" in str(data_of(render(run))["groups"])


def test_decoders_beyond_the_budget_are_in_the_table_but_not_drawn(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikesight.reports.tuning.MOST_DRAWN", 50)
    section = tuning_section(record, SESSION)
    assert section is not None
    assert [one["decoder"] for one in section["drawn"]] == ["fa-lda"]
    assert section["left_out"] == 1
    assert len(section["rows"]) == 2
    monkeypatch.setattr("spikesight.reports.report.importances", lambda record: {})  # not asked for here
    assert "those of 1 more are in candidates.parquet" in render(record)


def test_seeds_are_told_apart_where_there_are_several(record: RunRecord) -> None:
    one = record.candidates
    several = replace(record, candidates=pd.concat([one, one.assign(seed=1)], ignore_index=True))
    section = tuning_section(several, SESSION)
    assert section is not None
    assert section["several_seeds"]
    assert section["drawn"][0]["searches"][:2] == ["outer fold 0, seed 0", "outer fold 0, seed 1"]
    assert section["rows"][0]["n_searches"] == 4


def test_a_table_that_is_none_of_candidates_is_named_with_what_is_missing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", searched=("lda",))
    pd.DataFrame({"decoder": ["lda"]}).to_parquet(run / "candidates.parquet")
    with pytest.raises(
        RunDirectoryError, match=r"candidates\.parquet: expected a table of candidates.*missing: session"
    ):
        read_run(run)
    with_values([{}], [0.1]).assign(params="[1]").to_parquet(run / "candidates.parquet")
    with pytest.raises(RunDirectoryError, match=r"candidates\.parquet: expected params as the JSON text"):
        read_run(run)


def test_every_string_of_the_table_is_escaped_and_numbers_that_json_lacks_are_left_out(tmp_path: Path) -> None:
    page = render(read_run(write_run(tmp_path / "run", searched=("lda",), candidates=hostile())))
    assert EVIL not in page
    assert "<img" not in markup_of(page)
    [drawn] = data_of(page)["sessions"][0]["tuning"]
    assert drawn["decoder"] == EVIL
    assert drawn["accuracy"] == [0.3, None, None, 0.2]
