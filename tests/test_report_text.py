"""Sentences of a report hold for the run that they are about."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from example_run import write_run
from spikesight.commands.terminal import leaderboard_tables
from spikesight.records.leaderboard import is_competing
from spikesight.records.run_record import RunRecord, read_run
from spikesight.reports.text import headline, methods


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return read_run(write_run(tmp_path_factory.mktemp("one") / "run"))


def _text(record: RunRecord, n_blocks: tuple[int, ...] = (1,), **columns: Any) -> str:
    """Methods of the same run with other columns of its results and other numbers of blocks, a session each."""
    cards = [{**record.cards[0], "blocks": [{"block": at} for at in range(number)]} for number in n_blocks]
    config = {**record.config, "n_splits": 4}
    return " ".join(methods(replace(record, cards=cards, config=config, results=record.results.assign(**columns))))


def test_block_kfold_of_a_single_block_names_its_runs_and_gap(record: RunRecord) -> None:
    text = _text(record)
    assert "contiguous runs of trials were set aside in turn (block-kfold, 2 folds)" in text
    assert "; 10 trials on either side of a test run were left out of training." in text
    assert "stimulus block" not in text


def test_block_kfold_of_several_blocks_says_where_the_gap_ends(record: RunRecord) -> None:
    text = _text(record, (3,))
    assert "runs of trials, bounded by stimulus blocks, were set aside" in text
    assert "up to 10 trials on either side" in text
    assert "The gap does not reach into a block that a pause parts from the test trials." in text


def test_folds_without_a_gap_say_so(record: RunRecord) -> None:
    assert "(block-kfold, 2 folds), without a gap." in _text(record, gap=0)


def test_the_answer_says_what_its_fits_had_not_seen_and_what_flatters_it(record: RunRecord) -> None:
    trust = headline(record)["trust"]
    assert "by a fit that had seen neither it nor up to 10 trials beside it." in trust
    n_rows = int(is_competing(record.per_session).sum())
    assert f"Best of {n_rows} rows, picked by these very trials, which flatters it slightly." in trust
    assert f"The best of {n_rows} rows was picked by its own test accuracy" in _text(record)
    without = headline(replace(record, results=record.results.assign(gap=0)))["trust"]
    assert "had not seen it; the trials right beside it may have been in training." in without


def test_a_single_row_is_not_called_the_best_of_several(record: RunRecord) -> None:
    alone = record.per_session[is_competing(record.per_session)].head(1)
    assert "Best of" not in headline(replace(record, per_session=alone))["trust"]
    assert "best of" not in _text(replace(record, per_session=alone))


def test_repeat_kfold_says_that_neighbours_in_time_were_trained_on(record: RunRecord) -> None:
    text = _text(record, (3,), splitter="repeat-kfold", gap=0)
    assert "There is no gap: neighbours in time of test trials, which are trials of other classes, were trained" in text


@pytest.mark.parametrize(
    ("n_blocks", "tested"),
    [
        ((1,), "the last 1/4 of the trials were set aside (last-block, one fold); 10 trials before the test trials"),
        ((2,), "the last stimulus block was set aside (last-block, one fold); up to 10 trials before the test trials"),
        ((2, 1), "the last stimulus block, or of a session of a single block the last 1/4 of the trials, were set"),
    ],
)
def test_last_block_names_what_it_tested(record: RunRecord, n_blocks: tuple[int, ...], tested: str) -> None:
    assert tested in _text(record, n_blocks, splitter="last-block", fold=0)


def test_a_splitter_from_elsewhere_is_named(record: RunRecord) -> None:
    assert "as GroupKFold chose them (GroupKFold, 2 folds)." in _text(record, splitter="GroupKFold")


def test_the_numbers_of_candidates_are_those_that_the_rows_compared(record: RunRecord) -> None:
    assert "on training trials alone, each decoder from 5 candidates. Rows marked default" in _text(record)
    fewer = record.results["n_candidates"].where(record.results["decoder"] != "lda", 2)
    assert "each decoder from 5 candidates (but lda from 2)." in _text(record, n_candidates=fewer)


def test_the_number_of_candidates_is_not_said_of_a_run_that_did_not_keep_it(record: RunRecord) -> None:
    older = replace(record, results=record.results.drop(columns="n_candidates"))
    assert "Rows marked tuned chose their constants on training trials alone. Rows" in _text(older)


def test_fa_lda_weighs_its_models_on_training_trials_if_there_are_several_bins(record: RunRecord) -> None:
    sentence = "With several bins fa-lda weighs its two models on inner folds of training trials"
    assert sentence not in _text(record)
    assert sentence in _text(record, n_bins=5)
    assert sentence not in _text(record, n_bins=5, decoder="lda")


def test_rows_are_compared_by_paired_differences_and_the_best_is_said_to_be_flattered(tmp_path: Path) -> None:
    one = " ".join(methods(read_run(write_run(tmp_path / "one"))))
    assert "Rows are compared by paired differences, not by their intervals" in one
    assert "The best of 6 rows was picked by its own test accuracy, which flatters it slightly." in one
    assert "Student" not in one
    assert "over sessions with Student's t" in " ".join(methods(read_run(write_run(tmp_path / "two", n_sessions=2))))


def test_the_terminal_shows_differences_in_a_table_that_fits_118_columns(record: RunRecord) -> None:
    from rich.console import Console

    [table] = leaderboard_tables(record)
    console = Console(width=200)
    assert console.measure(table).maximum <= 118
    with console.capture() as shown:
        console.print(table)
    row = record.per_session.query("decoder == 'lda' and selection == 'tuned'").iloc[0]
    values = [100 * row[name] for name in ("minus_best", "minus_best_low", "minus_best_high")]
    assert "{:+.1f} [{:+.1f}, {:+.1f}]".format(*values) in shown.get()


def _terminal(record: RunRecord) -> str:
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as shown:
        for table in leaderboard_tables(record):
            console.print(table)
    return shown.get()


def test_the_table_of_sessions_shows_one_value_for_each_decoder_whatever_ways_its_constants_were_set(
    tmp_path: Path,
) -> None:
    record = read_run(write_run(tmp_path / "run", n_sessions=2, searched=("lda",)))
    shown = _terminal(record)
    by_session = shown[shown.index("half its interval") :]
    assert by_session.startswith("half its interval, searched or else tuned")
    for shown_row in ("decoder == 'lda' and selection == 'searched'", "decoder == 'fa-lda' and selection == 'tuned'"):
        own = record.per_session.query(shown_row)
        assert all(f"{100 * value:.1f} ±" in by_session for value in own["accuracy"])
    assert by_session.count("±") == 2 * 5  # five decoders in two sessions
    without = _terminal(read_run(write_run(tmp_path / "other", n_sessions=2)))
    assert "half its interval, tuned  " in without


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return read_run(write_run(tmp_path_factory.mktemp("searched") / "run", searched=("fa-lda", "lda")))


def _with_settings(record: RunRecord, **settings: Any) -> str:
    tuning = {key: value for key, value in {**record.config["tuning"], **settings}.items() if value is not None}
    return " ".join(methods(replace(record, config={**record.config, "tuning": tuning})))


def test_the_answer_says_that_constants_were_searched(searched: RunRecord) -> None:
    best = searched.per_session.assign(selection=lambda rows: rows["selection"].replace("tuned", "searched"))
    assert headline(replace(searched, per_session=best))["how"].startswith("(constants searched on training trials;")


def test_methods_describe_the_search_that_was_made(searched: RunRecord) -> None:
    text = " ".join(methods(searched))
    assert "Rows marked tuned chose their constants on training trials alone, each decoder from 5 candidates." in text
    assert (
        "Rows marked searched: on the training trials of each outer fold Optuna's TPESampler, a tree-structured Parzen "
        "estimator (Bergstra et al. 2011), chose up to 24 candidates, within 20 minutes a fold. A candidate's inner "
        "accuracy is the mean over contiguous inner folds of these trials."
    ) in text
    assert "not among the best 1/3 of those that had been trained as far were stopped" in text
    assert "ASHA, Li et al. 2020; first after 25% of their training)" in text
    assert "its test trials were read once" in text
    states = searched.candidates["state"].value_counts()
    assert (
        f"Of 96 candidates in all {states['finished']} finished, {states['pruned']} were pruned or cut off by the end "
        "of the time, and 4 failed."
    ) in text


@pytest.mark.parametrize(
    ("search", "named"),
    [
        ("optuna-gp", "Optuna's GPSampler, a Gaussian process of what earlier candidates reached, chose up to 24"),
        ("random", "random search (Bergstra and Bengio 2012) drew up to 24 candidates"),
        ("hebo", "HEBO, a Gaussian process of transformed accuracies (Cowen-Rivers et al. 2022), chose"),
        ("of-their-own", "the search of-their-own chose up to 24 candidates"),
    ],
)
def test_methods_name_the_search(searched: RunRecord, search: str, named: str) -> None:
    assert named in _with_settings(searched, search=search)


def test_methods_say_nothing_of_settings_that_a_run_did_not_keep(searched: RunRecord) -> None:
    config = {key: value for key, value in searched.config.items() if key != "tuning"}
    text = " ".join(methods(replace(searched, config=config, candidates=None)))
    assert "Rows marked searched: on the training trials of each outer fold a search chose candidates. A candid" in text
    assert "minutes" not in text
    assert "ASHA" not in text
    assert "None" not in text
    assert "in all" not in text


def test_methods_say_where_no_candidate_was_stopped_early(searched: RunRecord) -> None:
    text = _with_settings(searched, scheduler="none", budget=None)
    assert "None was stopped early." in text
    assert "ASHA" not in text
    assert "minutes" not in text


def test_methods_of_a_run_without_a_search_do_not_speak_of_one(record: RunRecord) -> None:
    assert "searched" not in " ".join(methods(record))


def test_the_terminal_shows_sessions_that_share_no_decoder_one_by_one(tmp_path: Path) -> None:
    two = read_run(write_run(tmp_path / "two", n_sessions=2))
    kept = [(row.session, row.decoder) in (("session 0", "lda"), ("session 1", "fa-lda")) for row in
            two.per_session.itertuples()]  # fmt: skip
    [table] = leaderboard_tables(replace(two, per_session=two.per_session[kept], over_sessions=None))
    assert table.row_count == 2
    alone = replace(two, per_session=two.per_session[kept], over_sessions=None)
    assert "of session session 0 are decoded correctly" in " ".join(headline(alone)["share"].split())
