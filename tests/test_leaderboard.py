import numpy as np
import pandas as pd
import pytest

from spikesight.records.leaderboard import mean_leaderboard, most_thorough, session_leaderboard
from spikesight.statistics import block_bootstrap, paired_difference

MINUS_BEST = ["minus_best", "minus_best_low", "minus_best_high"]


def _run(correct: dict[tuple[str, str], list[int]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results and predictions of two folds from whether each trial was decoded, by (session, decoder)."""
    results, predictions = [], []
    for (session, decoder), right in correct.items():
        row = {"session": session, "decoder": decoder, "selection": "default", "seed": 0}
        half = len(right) // 2
        frame = pd.DataFrame({"row": range(len(right)), "correct": [bool(one) for one in right]})
        frame["y_true"] = ["a" if at % 4 else "b" for at in frame["row"]]
        frame["fold"] = [int(at >= half) for at in frame["row"]]
        predictions.append(frame.iloc[::-1].assign(**row))
        for fold, own in frame.groupby("fold"):
            sizes = {"n_test": len(own), "n_classes": 2, "n_units": 7, "n_bins": 1}
            times = {"fit_seconds": 1.0, "predict_seconds": 0.5}
            results.append({**row, "fold": fold, "chance": 0.5, "top5_accuracy": float("nan"), **sizes, **times})
    return pd.DataFrame(results), pd.concat(predictions, ignore_index=True)


def test_folds_are_pooled_over_trials() -> None:
    table = session_leaderboard(*_run({("s", "lda"): [0, 1, 1, 1, 0, 1, 1, 0]}))
    [row] = table.to_dict("records")
    assert (row["accuracy"], row["n_trials"], row["seconds"]) == (5 / 8, 8, 3.0)
    assert row["balanced_accuracy"] == pytest.approx((5 / 6 + 0 / 2) / 2)
    assert row["low"] <= row["accuracy"] <= row["high"]


def test_the_interval_does_not_depend_on_the_order_of_rows() -> None:
    results, predictions = _run({("s", "lda"): [0, 1, 1, 0, 1, 1, 0, 1] * 30})
    pd.testing.assert_frame_equal(
        session_leaderboard(results, predictions),
        session_leaderboard(results, predictions.sample(frac=1, random_state=1)),
    )


def test_the_best_row_of_each_session_comes_first_and_sessions_keep_their_order() -> None:
    runs = {("t", "lda"): [0, 1] * 4, ("t", "ridge"): [1] * 8, ("s", "lda"): [1] * 8, ("s", "ridge"): [0] * 8}
    table = session_leaderboard(*_run(runs))
    assert list(table[["session", "decoder"]].itertuples(index=False, name=None)) == [
        ("t", "ridge"), ("t", "lda"), ("s", "lda"), ("s", "ridge")
    ]  # fmt: skip


def test_the_mean_over_sessions_weighs_sessions_not_trials() -> None:
    results, predictions = _run({("s", "lda"): [1] * 8, ("t", "lda"): [0] * 40})
    [row] = mean_leaderboard(session_leaderboard(results, predictions), predictions).to_dict("records")
    assert (row["accuracy"], row["n_sessions"], row["n_trials"]) == (0.5, 2, 48)
    assert (row["low"], row["high"]) == (0.5, 0.5)


def test_a_decoder_tested_on_fewer_trials_is_left_out() -> None:
    results, predictions = _run({("s", "lda"): [1] * 8, ("s", "ridge"): [0] * 8})
    failed = (results["decoder"] == "lda") & (results["fold"] == 1)
    lost = (predictions["decoder"] == "lda") & (predictions["fold"] == 1)
    table = session_leaderboard(results[~failed], predictions[~lost])
    assert table["decoder"].tolist() == ["ridge"]


def test_a_decoder_missing_in_a_session_has_no_mean_over_sessions() -> None:
    results, predictions = _run({("s", "lda"): [1] * 8, ("s", "ridge"): [0] * 8, ("t", "lda"): [1] * 8})
    table = mean_leaderboard(session_leaderboard(results, predictions), predictions)
    assert table["decoder"].tolist() == ["lda"]


def _answers(seed: int, share: float, n: int = 400) -> list[int]:
    return [int(one) for one in np.random.default_rng(seed).random(n) < share]


def test_every_row_is_compared_with_the_best_on_the_same_trials() -> None:
    answers = {"lda": _answers(0, 0.8), "ridge": _answers(1, 0.6)}
    table = session_leaderboard(*_run({("s", name): right for name, right in answers.items()})).set_index("decoder")
    assert table.loc["lda", MINUS_BEST].isna().all()
    difference = np.subtract(answers["ridge"], answers["lda"])
    low, high = block_bootstrap(difference, extremes=(-1, 1))
    assert table.loc["ridge", MINUS_BEST].tolist() == pytest.approx([difference.mean(), low, high])
    assert high < 0


def test_a_difference_on_the_same_trials_is_surer_than_two_accuracies_apart() -> None:
    right = _answers(0, 0.5)
    worse = [0 if at % 40 == 0 else one for at, one in enumerate(right)]
    table = session_leaderboard(*_run({("s", "lda"): right, ("s", "ridge"): worse})).set_index("decoder")
    row = table.loc["ridge"]
    assert row["minus_best_high"] - row["minus_best_low"] < (row["high"] - row["low"]) / 2


def test_a_decoder_that_always_agrees_with_the_best_is_within_an_exact_bound_of_it() -> None:
    right = _answers(0, 0.5)
    row = session_leaderboard(*_run({("s", "lda"): right, ("s", "ridge"): right})).iloc[1]
    bound = 1 - 0.025 ** (1 / 8)
    assert row[MINUS_BEST].tolist() == pytest.approx([0, -bound, bound])


def test_a_row_with_the_same_answer_to_every_trial_as_the_best_has_no_interval() -> None:
    right = _answers(0, 0.5)
    results, predictions = _run({("s", "lda"): right, ("s", "ridge"): right})
    same = predictions.assign(y_pred=predictions["y_true"])
    row = session_leaderboard(results, same).iloc[1]
    assert row["minus_best"] == 0
    assert row[MINUS_BEST[1:]].isna().all()
    other = same.assign(y_pred=same["y_true"].where(same["decoder"] == "lda", "c"))
    assert session_leaderboard(results, other).iloc[1][MINUS_BEST].notna().all()


def test_references_and_guessing_are_never_the_best_but_are_compared_with_it() -> None:
    answers = {("s", name): _answers(at, share) for at, (name, share) in enumerate(
        {"oracle": 0.95, "chance": 0.9, "lda": 0.7}.items()
    )}  # fmt: skip
    results, predictions = _run(answers)
    for table in (results, predictions):
        table.loc[table["decoder"] == "oracle", "selection"] = "reference"
    table = session_leaderboard(results, predictions).set_index("decoder")
    assert table["minus_best"].isna().tolist() == [False, False, True]
    assert table.loc["oracle", "minus_best_low"] > 0


def test_without_a_decoder_in_competition_there_is_no_difference() -> None:
    table = session_leaderboard(*_run({("s", "chance"): [0, 1] * 4}))
    assert table[MINUS_BEST].isna().all(axis=None)


def test_rows_that_were_tested_on_other_trials_are_not_compared() -> None:
    results, predictions = _run({("s", "lda"): [1] * 8, ("s", "ridge"): [0] * 8})
    lost = [("lda", 0), ("ridge", 1)]
    kept = [frame[[pair not in lost for pair in zip(frame["decoder"], frame["fold"], strict=True)]]
            for frame in (results, predictions)]  # fmt: skip
    assert session_leaderboard(*kept)["minus_best"].isna().all()


def test_differences_over_sessions_are_those_of_student() -> None:
    shares = {"lda": (0.8, 0.7, 0.9), "ridge": (0.5, 0.6, 0.7)}
    runs = {(f"s{at}", name): _answers(at, share) for name, own in shares.items() for at, share in enumerate(own)}
    results, predictions = _run(runs)
    table = mean_leaderboard(session_leaderboard(results, predictions), predictions).set_index("decoder")
    ridge, lda = ([np.mean(runs[f"s{at}", name]) for at in range(3)] for name in ("ridge", "lda"))
    assert table.loc["ridge", MINUS_BEST].tolist() == pytest.approx(list(paired_difference(ridge, lda)[:3]))
    assert table.loc["lda", MINUS_BEST].isna().all()


def test_an_interval_over_few_sessions_does_not_reach_beyond_what_a_difference_can_be() -> None:
    shares = {"lda": (1.0, 1.0, 1.0), "ridge": (0.0, 0.0, 1.0)}
    runs = {(f"s{at}", name): _answers(at, share) for name, own in shares.items() for at, share in enumerate(own)}
    results, predictions = _run(runs)
    table = mean_leaderboard(session_leaderboard(results, predictions), predictions).set_index("decoder")
    mean, low, high = table.loc["ridge", MINUS_BEST]
    assert paired_difference([0, 0, 1], [1, 1, 1]).low < -2
    assert low == -1.0 < mean < 0 < high <= 1.0


def test_a_difference_over_two_sessions_has_no_interval() -> None:
    runs = {(f"s{at}", name): _answers(at, share) for name, share in (("lda", 0.8), ("ridge", 0.5)) for at in range(2)}
    results, predictions = _run(runs)
    table = mean_leaderboard(session_leaderboard(results, predictions), predictions).set_index("decoder")
    assert table.loc["ridge", "minus_best"] < 0
    assert table.loc["ridge", MINUS_BEST[1:]].isna().all()


def test_without_a_decoder_in_all_sessions_there_is_no_mean() -> None:
    results, predictions = _run({("s0", "lda"): [1] * 8, ("s1", "ridge"): [1] * 8})
    assert mean_leaderboard(session_leaderboard(results, predictions), predictions).empty


def test_the_most_thorough_rows_are_searched_ones_else_tuned_else_default_and_references() -> None:
    rows = [("a", "searched"), ("a", "tuned"), ("a", "default"), ("b", "default"), ("b", "tuned"), ("c", "default"),
            ("oracle", "reference")]  # fmt: skip
    table = pd.DataFrame(rows, columns=["decoder", "selection"])
    kept = most_thorough(table).to_numpy().tolist()
    assert kept == [["a", "searched"], ["b", "tuned"], ["c", "default"], ["oracle", "reference"]]


def test_searched_rows_compete() -> None:
    results, predictions = _run({("s", "lda"): [1] * 8, ("s", "ridge"): [0] * 8})
    results["selection"] = predictions["selection"] = "searched"
    table = session_leaderboard(results, predictions).set_index("decoder")
    assert table["minus_best"].isna().tolist() == [True, False]
