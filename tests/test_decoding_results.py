"""Tables for figures of decoding."""

import numpy as np
import pandas as pd
import pytest

from spikesight.decoding_results import (
    accuracy_against,
    class_accuracy,
    learning_curves,
    reliability,
)
from spikesight.decoding_results.proportions import wilson_interval
from spikesight.errors import ConfigError, DataError
from spikesight.metrics import calibration_error


def _run(
    n_bins: int = 1, right: float = 0.5, params: str = "{}", decoder: str = "lstm", sessions: tuple[str, ...] = ("a",)
) -> tuple[pd.DataFrame, pd.DataFrame]:
    n = 40
    results = pd.DataFrame(
        [
            {"session": session, "decoder": decoder, "selection": "default", "fold": fold, "seed": 0, "n_bins": n_bins,
             "params": params, "chance": 0.25, "n_test": n // 2}
            for session in sessions for fold in (0, 1)
        ]
    )  # fmt: skip
    predictions = pd.concat(
        pd.DataFrame(
            {"session": session, "decoder": decoder, "selection": "default", "seed": 0, "row": np.arange(n),
             "correct": np.arange(n) % 10 < 10 * right}
        )
        for session in sessions
    )  # fmt: skip
    return results, predictions


def test_accuracy_is_gathered_over_the_bins_of_several_runs() -> None:
    table = accuracy_against([_run(5, 0.7), _run(1, 0.5, sessions=("a", "b"))], "n_bins")
    assert list(table["value"]) == [1, 5]
    assert list(table["accuracy"]) == [0.5, pytest.approx(0.7)]
    assert list(table["n_sessions"]) == [2, 1]
    assert (table["low"] <= table["accuracy"]).all()
    assert (table["high"] >= table["accuracy"]).all()
    assert (table["chance"] == 0.25).all()


def test_a_parameter_that_a_row_does_not_tell_is_the_decoders_default() -> None:
    runs = [_run(params='{"hidden_size": 32}'), _run(params="{}"), _run(decoder="fa-lda"), _run(decoder="a reference")]
    table = accuracy_against(runs, "hidden_size")
    assert table[["decoder", "value"]].to_numpy().tolist() == [["lstm", 32.0], ["lstm", 256.0]]


def test_rows_whose_folds_chose_differently_are_left_out() -> None:
    results, predictions = _run()
    results["params"] = ['{"hidden_size": 32}', '{"hidden_size": 64}']
    assert accuracy_against([(results, predictions)], "hidden_size").empty


def test_a_decoder_of_which_a_fold_or_a_session_failed_is_not_compared() -> None:
    whole, part = _run(5, 0.5, sessions=("a", "b")), _run(5, 0.9, decoder="gru", sessions=("a",))
    run = tuple(pd.concat(tables, ignore_index=True) for tables in zip(whole, part, strict=True))
    assert accuracy_against([run], "n_bins")["decoder"].tolist() == ["lstm"]


def test_chance_is_the_mean_over_sessions_as_the_accuracy_is() -> None:
    results, predictions = _run(5, 0.5, sessions=("a", "b"))
    results["chance"] = results["session"].map({"a": 0.1, "b": 0.3})
    results["n_test"] = results["session"].map({"a": 20, "b": 200})
    assert accuracy_against([(results, predictions)], "n_bins")["chance"].item() == pytest.approx(0.2)


def test_two_runs_with_the_same_number_are_refused() -> None:
    with pytest.raises(DataError, match="several with n_bins = 5 of lstm"):
        accuracy_against([_run(5), _run(5)], "n_bins")


def test_reliability_sorts_trials_by_confidence() -> None:
    predictions = pd.DataFrame(
        {
            "decoder": "lda", "selection": "tuned", "confidence": [0.05, 0.34, 0.36, 1.0, np.nan],
            "correct": [False, True, False, True, True],
        }
    )  # fmt: skip
    table = reliability(predictions, 5)
    assert table["n"].tolist() == [1, 2, 1]
    assert table["bin_low"].tolist() == [0.0, 0.2, 0.8]
    np.testing.assert_allclose(table["confidence"], [0.05, 0.35, 1.0])
    np.testing.assert_allclose(table["accuracy"], [0, 0.5, 1])
    assert calibration_error(table) == pytest.approx((0.05 + 2 * 0.15 + 0) / 4)
    with pytest.raises(ConfigError, match="n_bins"):
        reliability(predictions, 0)
    with pytest.raises(DataError, match="from 0 to 1"):
        reliability(predictions.assign(confidence=1.5))


def test_a_decoder_that_is_as_good_as_it_claims_has_a_small_calibration_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=20_000)
    honest = pd.DataFrame(
        {"decoder": "a", "selection": "b", "confidence": confidence, "correct": rng.uniform(size=20_000) < confidence}
    )
    boastful = honest.assign(correct=rng.uniform(size=20_000) < confidence**3)
    assert calibration_error(reliability(honest)) < 0.015
    assert calibration_error(reliability(boastful)) == pytest.approx(0.25, abs=0.02)


def test_class_accuracy_says_what_a_class_is_taken_for() -> None:
    predictions = pd.DataFrame({"y_true": [1, 1, 1, 2, 2], "y_pred": [2, 2, 3, 2, 2]})
    table = class_accuracy(predictions.assign(correct=predictions["y_true"] == predictions["y_pred"]))
    assert table["label"].tolist() == ["2", "1"]
    assert table["accuracy"].tolist() == [1.0, 0.0]
    assert table["taken_for"].tolist() == ["", "2"]
    assert table["n_taken"].tolist() == [0, 2]
    assert table["n"].tolist() == [2, 3]


def test_wilsons_interval_is_that_of_the_textbook_and_knows_no_trials() -> None:
    low, high = wilson_interval([0, 15, 148, 0], [10, 15, 263, 0])
    np.testing.assert_allclose(low[:3], [0, 0.796, 0.5024], atol=5e-4)
    np.testing.assert_allclose(high[:3], [0.2775, 1, 0.6213], atol=5e-4)
    assert np.isnan(low[3])
    assert np.isnan(high[3])


def test_the_epoch_of_the_lowest_validation_loss_was_kept_or_the_last() -> None:
    key = {"session": "s", "decoder": "lstm", "selection": "default", "seed": 0}
    rows = [{**key, "fold": 0, "epoch": at, "valid_loss": loss} for at, loss in enumerate([3, 1, 1, 2.0])]
    rows += [{**key, "fold": 1, "epoch": at, "valid_loss": np.nan} for at in (2, 0, 1)]
    table = learning_curves(pd.DataFrame(rows))
    kept = table[table["chosen"]]
    assert kept[["fold", "epoch"]].to_numpy().tolist() == [[0, 1], [1, 2]]
    assert kept["validated"].tolist() == [True, False]
