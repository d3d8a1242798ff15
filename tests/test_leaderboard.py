import pandas as pd
import pytest

from spikesight.leaderboard import mean_leaderboard, session_leaderboard


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
