"""A candidate: what is written down of it, how it goes on, and how it fails."""

import json

import numpy as np
import pandas as pd
import pytest

from searched_decoder import Searched, labelled_folds
from spikesight.decoders import registry
from spikesight.errors import RunDirectoryError
from spikesight.evaluation.candidates import SET_ASIDE, UNFINISHED, Record, best_record, candidate_table, read_records
from spikesight.evaluation.candidates import score_candidate as score
from spikesight.evaluation.fitting import InnerFold
from spikesight.tuning_results.table import FAILED, FINISHED


def scored(folder, record, *, report=lambda progress, accuracy: None, estimator=None):
    return score(estimator or Searched(), labelled_folds(), record, folder, report, folder / "fits")


def test_a_candidate_is_reported_after_every_epoch_and_scored_on_both_folds(tmp_path):
    told = []
    done = scored(tmp_path, Record(0, {"skill": 0.75}), report=lambda *step: told.append(step))
    assert (done.state, done.accuracy, done.progress) == (FINISHED, 0.75, 1.0)
    assert done.fold_accuracies == (0.75, 0.75)
    assert told == [(0.25, 0.75), (0.5, 0.75), (0.75, 0.75), (1.0, 0.75)]
    assert read_records(tmp_path) == [done]


def test_a_decoder_without_epochs_is_reported_once_per_fold(tmp_path):
    told = []
    rng = np.random.default_rng(0)
    y = np.arange(40) % 4
    X = rng.poisson(5, (40, 1, 3))
    folds = [InnerFold(X[:20], y[:20], X[20:], y[20:])] * 2
    done = score(registry.make("ridge"), folds, Record(0, {"alpha": 5.0}), tmp_path, lambda *s: told.append(s), None)
    assert [progress for progress, _ in told] == [0.5, 1.0]
    assert done.accuracy == np.mean(done.fold_accuracies)


def test_a_candidate_goes_on_with_the_folds_that_are_left(tmp_path):
    diary = tmp_path / "diary"
    record = Record(3, {"skill": 0.5}, fold_accuracies=(1.0,), accuracy=1.0, progress=0.5, seconds=100.0)
    done = scored(tmp_path, record, estimator=Searched(diary=str(diary)))
    assert done.fold_accuracies == (1.0, 0.5)
    assert done.accuracy == 0.75
    assert diary.read_text().count("\n") == 1
    assert done.seconds > 100


def test_one_that_raises_is_failed_with_its_reason_and_keeps_its_traceback(tmp_path):
    done = scored(tmp_path, Record(0, {"mishap": "raises"}))
    assert done.state == FAILED
    assert done.error == "MemoryError: no memory left for the weights"
    assert "in _meet" in (tmp_path / "00000.traceback.txt").read_text()
    assert read_records(tmp_path) == [done]


def test_a_loss_that_is_no_longer_finite_is_a_failure_with_advice(tmp_path):
    rng = np.random.default_rng(0)
    fold = InnerFold(rng.poisson(5, (40, 1, 3)), np.arange(40) % 4, rng.poisson(5, (20, 1, 3)), np.arange(20) % 4)
    record = Record(0, {"learning_rate": 1e30, "max_epochs": 3})
    done = score(registry.make("mlp"), [fold], record, tmp_path, lambda *s: None, None)
    assert done.state == FAILED
    assert "lower learning_rate" in done.error


def test_what_a_listener_raises_to_stop_leaves_the_candidate_unfinished(tmp_path):
    def stop(progress, accuracy):
        raise SystemExit

    with pytest.raises(SystemExit):
        scored(tmp_path, Record(0, {"skill": 0.5}), report=stop)
    (left,) = read_records(tmp_path)
    assert (left.state, left.progress) == (UNFINISHED, 0.25)


@pytest.mark.parametrize("name", ["mlp", "lstm", "gcn", "st-gat", "transformer"])
def test_being_asked_after_every_epoch_changes_no_weight(name):
    rng = np.random.default_rng(1)
    y = np.arange(60) % 3
    X = rng.poisson(rng.gamma(2, 2, (3, 2, 8))[y])
    alone = registry.make(name, max_epochs=3).fit(X, y)
    asked = registry.make(name, max_epochs=3)
    told = []
    asked.set_params(on_epoch=lambda epoch: told.append(np.mean(asked.quick_predict(X) == y))).fit(X, y)
    assert len(told) == 3
    assert told[-1] == asked.score(X, y)
    np.testing.assert_array_equal(alone.predict_proba(X), asked.predict_proba(X))


def test_the_table_has_a_row_per_candidate_in_the_order_of_proposals(tmp_path):
    for record in (
        Record(1, {"skill": 0.5}, FINISHED, (0.5, 0.5), 0.5, 1.0, started=110.0, seconds=4.0),
        Record(0, {"skill": 0.25}, FAILED, started=100.0, error="MemoryError: none"),
    ):
        record.write(tmp_path)
    pd.testing.assert_frame_equal(
        candidate_table(read_records(tmp_path)),
        pd.DataFrame(
            {
                "candidate": [0, 1],
                "state": ["failed", "finished"],
                "accuracy": [np.nan, 0.5],
                "progress": [0.0, 1.0],
                "started": [0.0, 10.0],
                "seconds": [0.0, 4.0],
                "error": ["MemoryError: none", ""],
                "params": ['{"skill": 0.25}', '{"skill": 0.5}'],
            }
        ),
    )


def test_the_best_is_the_first_of_the_finished_ones_with_the_highest_accuracy():
    def record(number, state, accuracy):
        return Record(number, {}, state, accuracy=accuracy)

    known = [record(0, UNFINISHED, 0.9), record(1, FINISHED, 0.5), record(2, FINISHED, 0.6), record(3, FINISHED, 0.6)]
    assert best_record(known).candidate == 2
    assert best_record(known[:1]) is None


def test_a_record_goes_on_only_for_the_same_parameters(tmp_path):
    Record(2, {"skill": 0.5}, fold_accuracies=(0.5,)).write(tmp_path)
    assert Record.resumed(tmp_path, 2, {"skill": 0.5}).fold_accuracies == (0.5,)
    assert Record.resumed(tmp_path, 2, {"skill": 0.6}).fold_accuracies == ()
    assert Record.resumed(tmp_path, 1, {"skill": 0.5}).fold_accuracies == ()


def test_a_finished_record_makes_room_and_is_not_lost(tmp_path):
    Record(2, {"skill": 0.5}, FINISHED, (0.5,), 0.5, 1.0).write(tmp_path)
    Record.resumed(tmp_path, 2, {"skill": 0.6}).write(tmp_path)
    assert [(record.candidate, dict(record.params)) for record in read_records(tmp_path)] == [
        (2, {"skill": 0.6}),
        (SET_ASIDE, {"skill": 0.5}),
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"candidate": 1, "params": {}, "odd": 1})])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "00001.json").write_text(text)
    with pytest.raises(RunDirectoryError, match=r"00001.json.*Delete the file"):
        read_records(tmp_path)
