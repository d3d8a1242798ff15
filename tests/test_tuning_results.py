import json
import math

import numpy as np
import pandas as pd
import pytest

from candidate_table import candidates, with_values
from spikesight.errors import DataError
from spikesight.tuning_results import (
    CANDIDATE_COLUMNS,
    INNER_ACCURACY,
    checked_candidates,
    optimisation_history,
    parallel_coordinates,
    parameter_importance,
    parameters_of,
)


def test_a_table_without_a_column_is_refused_with_its_name():
    with pytest.raises(DataError, match="missing: progress, chosen"):
        checked_candidates(candidates().drop(columns=["chosen", "progress"]))


def test_an_unknown_state_is_refused():
    with pytest.raises(DataError, match="got running"):
        checked_candidates(candidates().assign(state="running"))


@pytest.mark.parametrize(
    ("column", "value"), [("accuracy", "high"), ("fold", None), ("seconds", [1]), ("candidate", "x")]
)
def test_a_column_of_other_values_is_refused(column, value):
    table = candidates(n=4)
    table[column] = [value] * len(table)
    with pytest.raises(DataError, match="expected other values"):
        checked_candidates(table)


def test_sessions_that_are_numbers_and_errors_that_are_not_there_are_texts():
    table = checked_candidates(with_values([{}], [0.1], session=762602078, error=None))
    assert table.loc[0, ["session", "error"]].tolist() == ["762602078", ""]


def test_the_example_has_the_columns_of_a_table_of_candidates():
    assert set(candidates().columns) == set(CANDIDATE_COLUMNS)


def test_parameters_have_a_column_each_and_nan_where_a_candidate_lacks_one():
    table = with_values([{"rate": 0.1, "graph": "learned"}, {"rate": 2, "heads": 4}], [0.1, 0.2])
    values = parameters_of(table)
    assert list(values) == ["rate", "graph", "heads"]
    assert values["rate"].tolist() == [0.1, 2]
    assert values["graph"].tolist()[0] == "learned"
    assert pd.isna(values["graph"].iloc[1])
    assert pd.isna(values["heads"].iloc[0])
    assert values["heads"].iloc[1] == 4


def test_values_that_are_neither_numbers_texts_nor_truth_values_are_their_json():
    table = with_values([{"sizes": [64, 32], "prior": None, "on": True, "rate": math.inf, "n": 10**400}], [0.1])
    assert parameters_of(table).iloc[0].tolist() == ["[64, 32]", "null", True, "Infinity", str(10**400)]


@pytest.mark.parametrize("text", ["{[", "[1, 2]", "", None, "3"])
def test_params_that_are_no_json_object_are_refused_with_their_row(text):
    table = with_values([{}, {}], [0.1, 0.2])
    table["params"] = ["{}", text]
    with pytest.raises(DataError, match="row 1"):
        parameters_of(table)


def test_the_best_so_far_is_of_finished_candidates_alone_and_of_each_search_by_itself():
    first = with_values([{}] * 5, [np.nan, 0.3, 0.9, 0.2, 0.5])
    first["state"] = ["failed", "finished", "pruned", "finished", "finished"]
    second = with_values([{}] * 2, [0.1, 0.05], fold=1)
    history = optimisation_history(pd.concat([first, second])[::-1])
    one, other = history[history["fold"] == 0], history[history["fold"] == 1]
    assert one["candidate"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_equal(one["best"].tolist(), [np.nan, 0.3, 0.3, 0.3, 0.5])
    assert one["pruned"].tolist() == [False, False, True, False, False]
    assert other["best"].tolist() == [0.1, 0.1]


def test_the_best_when_a_candidate_ended_knows_those_that_had_finished_by_then():
    table = with_values([{}] * 3, [0.5, 0.4, 0.3])
    table["started"], table["seconds"] = [0.0, 0.0, 10.0], [100.0, 10.0, 10.0]  # the first ends last
    history = optimisation_history(table)
    assert history["best"].tolist() == [0.5, 0.5, 0.5]
    assert history["ended"].tolist() == [100, 10, 20]
    assert history["best_when_ended"].tolist() == [0.5, 0.4, 0.4]


def _axis(values, accuracy=None, name="x"):
    table = with_values([{} if value is None else {name: value} for value in values], accuracy or [0.1] * len(values))
    lines, ticks = parallel_coordinates(table)
    return lines[lines["parameter"] == name], ticks[ticks["parameter"] == name]


def test_an_axis_of_numbers_runs_from_the_least_to_the_greatest():
    lines, ticks = _axis([0.0, 1.0, 0.25, None])
    np.testing.assert_allclose(lines["position"], [0, 1, 0.25, np.nan])
    assert set(ticks["scale"]) == {"linear"}
    assert ticks["label"].tolist() == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    np.testing.assert_allclose(ticks["position"], [0, 0.2, 0.4, 0.6, 0.8, 1])
    assert lines["value"].tolist() == ["0", "1", "0.25", ""]


def test_an_axis_is_logarithmic_beyond_two_decades_and_linear_up_to_them():
    lines, ticks = _axis([1e-5, 1e-1, 1e-3])
    np.testing.assert_allclose(lines["position"], [0, 1, 0.5])
    assert set(ticks["scale"]) == {"log"}
    assert ticks["label"].tolist() == ["1e-05", "0.0001", "0.001", "0.01", "0.1"]
    np.testing.assert_allclose(ticks["position"], [0, 0.25, 0.5, 0.75, 1])
    assert set(_axis([1.0, 100.0])[1]["scale"]) == {"linear"}
    assert set(_axis([-1.0, 1.0, 1000.0])[1]["scale"]) == {"linear"}


def test_zero_stands_at_the_foot_of_a_logarithmic_axis():
    lines, ticks = _axis([0, 1e-6, 1e-2])
    zero, least, most = lines["position"]
    assert zero == 0
    assert 0.05 < least < 0.3
    assert most == 1
    assert ticks["label"].tolist()[0] == "0"
    assert ticks["position"].tolist()[0] == 0


def test_levels_are_evenly_spaced_with_numbers_before_texts():
    lines, ticks = _axis(["auto", 0.2, 10, "auto", None])
    np.testing.assert_allclose(lines["position"], [1, 0, 0.5, 1, np.nan])
    assert ticks["label"].tolist() == ["0.2", "10", "auto"]
    assert set(ticks["scale"]) == {"levels"}


def test_truth_values_are_levels():
    lines, ticks = _axis([True, False])
    assert lines["position"].tolist() == [1, 0]
    assert ticks["label"].tolist() == ["false", "true"]


@pytest.mark.parametrize("values", [[3, 3], ["a", "a"]])
def test_a_parameter_of_one_value_stands_in_the_middle(values):
    lines, ticks = _axis(values)
    assert lines["position"].tolist() == [0.5, 0.5]
    assert ticks["position"].tolist() == [0.5]


def test_the_last_axis_is_the_inner_accuracy_in_percent():
    lines, ticks = parallel_coordinates(with_values([{"x": 1}, {"x": 2}, {"x": 3}], [0.2, np.nan, 0.6]))
    assert lines["parameter"].unique().tolist() == ["x", INNER_ACCURACY]
    last = lines[lines["parameter"] == INNER_ACCURACY]
    np.testing.assert_allclose(last["position"], [0, np.nan, 1])
    assert last["value"].tolist() == ["20.0 %", "", "60.0 %"]
    assert ticks[ticks["parameter"] == INNER_ACCURACY]["label"].tolist() == ["20 %", "30 %", "40 %", "50 %", "60 %"]


def test_decoders_have_axes_of_their_own_and_folds_share_them():
    tables = [
        with_values([{"x": 0}, {"x": 1}], [0.1, 0.2]),
        with_values([{"x": 4}, {"x": 2}], [0.1, 0.2], fold=1),
        with_values([{"y": 7}], [0.3], decoder="lda"),
    ]
    lines, _ = parallel_coordinates(pd.concat(tables))
    own = lines[lines["parameter"] == "x"]
    assert set(own["decoder"]) == {"mlp"}
    assert own["position"].tolist() == [0, 0.25, 1, 0.5]
    assert set(lines[lines["parameter"] == "y"]["decoder"]) == {"lda"}


@pytest.mark.parametrize("values", [[1e308, -1e308], [1e-320, 1e300], [1.0, 1.0 + 1e-15], [0.0, 5e-324], [2**62, -3]])
def test_positions_of_numbers_of_any_size_are_finite_and_on_the_axis(values):
    lines, ticks = _axis(values)
    for positions in (lines["position"], ticks["position"]):
        assert positions.between(-1e-9, 1 + 1e-9).all()


def test_an_empty_table_makes_empty_data():
    empty = candidates().iloc[:0]
    assert len(optimisation_history(empty)) == 0
    assert [len(part) for part in parallel_coordinates(empty)] == [0, 0]
    assert len(parameter_importance(empty)) == 0


def _by_parameter(importance):
    return importance.set_index("parameter")


def test_the_importance_is_that_of_the_learning_rate_although_its_bad_values_were_pruned():
    """What made the forest with pruned rows the choice: finished rows alone, the best ones, show too little."""
    whole = _by_parameter(parameter_importance(candidates(folds=3, n=40, pruned=False)))
    halved = candidates(folds=3, n=40)
    assert (halved["state"] == "pruned").mean() > 0.4
    found = _by_parameter(parameter_importance(halved))
    finished = _by_parameter(parameter_importance(halved[halved["state"] == "finished"]))
    assert whole["importance"]["learning_rate"] > 0.6
    assert found["importance"]["learning_rate"] == pytest.approx(whole["importance"]["learning_rate"], abs=0.2)
    assert finished["importance"]["learning_rate"] < found["importance"]["learning_rate"] - 0.1
    assert found.index[0] == "learning_rate"
    assert found["low"]["learning_rate"] > 0.4
    assert found["low"]["input_noise"] < 0.02
    assert (found["low"] <= found["importance"]).all()
    assert (found["importance"] <= found["high"]).all()
    assert found["foretold"].iloc[0] > 0.6
    assert found["n_searches"].iloc[0] == 3


def test_parameters_without_effect_have_no_importance_however_many_there_are():
    found = parameter_importance(candidates(folds=2, n=30, effects=False, pruned=False))
    assert (found["importance"].abs() < 0.15).all()
    assert (found["foretold"] < 0.1).all()


def test_what_differs_between_searches_is_taken_away():
    table = candidates(folds=2, n=30, effects=False, pruned=False, failed=0)
    table["accuracy"] += 0.5 * table["fold"]
    table["params"] = [
        json.dumps({"fold": fold, **json.loads(text)}) for fold, text in table[["fold", "params"]].values
    ]
    assert _by_parameter(parameter_importance(table))["high"]["fold"] < 0.05


def test_the_same_seed_gives_the_same_importance():
    table = candidates(n=12)
    once = parameter_importance(table, 3)
    pd.testing.assert_frame_equal(once, parameter_importance(table, 3))
    assert not once.equals(parameter_importance(table, 4))


def test_too_few_candidates_have_no_importance_and_a_reason():
    found = parameter_importance(candidates(folds=1, n=20))
    assert found["importance"].isna().all()
    assert set(found["reason"]) == {"19 candidates with an accuracy, 20 are needed"}
    assert set(found["parameter"]) >= {"learning_rate", "graph", "n_heads"}


def test_the_same_few_settings_again_and_again_have_no_importance():
    found = parameter_importance(with_values([{"x": at % 5} for at in range(40)], np.linspace(0.1, 0.5, 40)))
    assert set(found["reason"]) == {"5 different settings, 10 are needed"}


def test_a_parameter_that_never_changed_has_no_importance_beside_one_that_did():
    settings = [{"x": at, "fixed": 3} for at in range(30)]
    found = _by_parameter(parameter_importance(with_values(settings, np.linspace(0.1, 0.5, 30))))
    assert found["reason"]["fixed"] == "the same in all candidates"
    assert math.isnan(found["importance"]["fixed"])
    assert found["importance"]["x"] > 0.5


def test_equal_accuracies_have_no_importance():
    found = parameter_importance(with_values([{"x": at} for at in range(30)], [0.4] * 30))
    assert found["reason"].tolist() == ["all candidates of a search reached the same accuracy"]


def test_a_failed_candidate_and_a_lone_one_do_not_count():
    table = pd.concat([candidates(folds=2, n=15, failed=2), candidates(folds=1, n=1, failed=0).assign(fold=7)])
    found = parameter_importance(table)
    assert set(found["n_candidates"]) == {26}
    assert set(found["n_searches"]) == {2}


def test_of_many_candidates_some_are_drawn(monkeypatch):
    monkeypatch.setattr("spikesight.tuning_results.importance.MOST_CANDIDATES", 30)
    table = with_values([{"x": at} for at in range(200)], np.linspace(0.1, 0.5, 200))
    found = parameter_importance(table)
    assert found["n_candidates"].tolist() == [30]
    assert found["importance"][0] > 0.5


def test_importance_of_a_parameter_that_only_some_have_is_told():
    rows = [{"kind": "a", "depth": at} if at % 2 else {"kind": "b"} for at in range(60)]
    accuracy = [0.3 + 0.005 * at if at % 2 else 0.3 for at in range(60)]
    found = _by_parameter(parameter_importance(with_values(rows, accuracy)))
    assert found["low"]["depth"] > 0.2
