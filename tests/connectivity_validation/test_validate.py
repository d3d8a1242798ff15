"""The comparison of estimators: rows, settings, failures, going on after a stop, calibration, stability."""

import numpy as np
import pandas as pd
import pytest
from tiny_estimators import LaggedCounts

from spikesight.connectivity import registry
from spikesight.connectivity.registry import EstimatorSpec
from spikesight.connectivity_validation.methods import CORRELATION, Method, method_of, methods_of
from spikesight.connectivity_validation.validate import COLUMNS, SCORES, calibration, stability, summary, validate
from spikesight.errors import ConfigError, UnknownNameError


class Told:
    def __init__(self):
        self.calls = []

    def advance(self, task, done, total):
        self.calls.append((task, done, total))


@pytest.fixture(autouse=True)
def tiny():
    """Register an estimator that works and one that fails."""
    registry.register("lagged", EstimatorSpec("tiny_estimators:LaggedCounts", "for tests", 0.002))
    registry.register("failing", EstimatorSpec("tiny_estimators:Failing", "for tests", 0.005))
    LaggedCounts.shapes.clear()
    yield
    registry.unregister("lagged")
    registry.unregister("failing")


def test_a_row_for_every_method_and_seed():
    told = Told()

    table = validate(["lagged", CORRELATION], seeds=(0, 1), quick=True, progress=told)

    assert table.columns.tolist() == list(COLUMNS)
    assert table[["method", "seed"]].to_numpy().tolist() == [
        ["lagged", 0], [CORRELATION, 0], ["lagged", 1], [CORRELATION, 1]
    ]  # fmt: skip
    assert (table.network == "reference").all()
    assert (table.n_units == 16).all()
    assert (table.error == "").all()
    own = table[table.method == "lagged"]
    assert own[[name for name in SCORES if "common" not in name]].notna().all(axis=None)
    assert table.loc[table.method == CORRELATION, ["false_positives_5pct", "lag_error_ms"]].isna().all(axis=None)
    assert (table.loc[table.method == CORRELATION, "direction"] == 0.5).all()
    assert told.calls == [("validation", done, 4) for done in (1, 2, 3, 4)]


def test_estimators_see_trials_where_there_is_a_stimulus_and_the_whole_recording_where_there_is_none():
    validate(["lagged"], seeds=(0,), quick=True)
    validate(["lagged"], network="independent", seeds=(0,), quick=True)
    assert LaggedCounts.shapes == [{"trial": 480, "time": 125, "unit": 16}, {"time": 60_000, "unit": 16}]


def test_durations_fractions_and_rates_are_crossed():
    table = validate(["lagged"], seeds=(0,), durations=(30, 60), fractions=(1.0, 0.5), rates=(3, 12), quick=True)

    assert table[["rate_asked", "fraction_observed", "duration"]].to_numpy().tolist() == [
        [rate, fraction, duration] for rate in (3, 12) for fraction in (1.0, 0.5) for duration in (30, 60)
    ]
    assert table.n_units.tolist() == [16, 16, 8, 8] * 2
    assert 2 * table.mean_rate[:4].mean() < table.mean_rate[4:].mean()
    assert [shape["trial"] for shape in LaggedCounts.shapes] == [120, 240] * 4


def test_half_of_an_integrate_and_fire_network_is_hidden_unless_asked():
    table = validate(["lagged"], network="integrate-and-fire", seeds=(0,), quick=True)
    assert table[["n_units", "fraction_observed"]].to_numpy().tolist() == [[12, 0.5]]
    whole = validate(["lagged"], network="integrate-and-fire", seeds=(0,), fractions=(1.0,), quick=True)
    assert whole.n_units.tolist() == [24]


def test_a_method_that_fails_is_recorded_with_its_reason():
    table = validate(["failing", "lagged"], seeds=(0,), quick=True)

    failed = table.iloc[0]
    assert failed.error == "DataError: expected better counts than these."
    assert failed[list(SCORES)].isna().all()
    assert failed.n_units == 16
    assert table.iloc[1].error == ""


def test_finished_rows_are_read_again(tmp_path):
    asked = {"seeds": (0, 1), "quick": True, "out": tmp_path}
    first = validate(["lagged", "failing"], **asked)
    assert len(LaggedCounts.shapes) == 2

    again = validate(["lagged", "failing"], **asked)

    assert len(LaggedCounts.shapes) == 2
    pd.testing.assert_frame_equal(first, again)
    assert len(list((tmp_path / "rows").iterdir())) == 2  # failures are tried again


def test_other_parameters_are_other_rows(tmp_path):
    asked = {"seeds": (0,), "quick": True, "out": tmp_path}
    validate(["lagged"], **asked)
    validate([method_of("lagged", scale=2.0)], **asked)
    validate(["lagged"], **{**asked, "seeds": (1,)})
    validate(["lagged"], durations=(60,), **asked)
    validate(["lagged"], network="independent", **asked)
    assert len(LaggedCounts.shapes) == 5


def test_a_damaged_row_is_computed_again(tmp_path):
    asked = {"seeds": (0,), "quick": True, "out": tmp_path}
    first = validate(["lagged"], **asked)
    [file] = (tmp_path / "rows").iterdir()
    file.write_bytes(b"PAR1 half a file")

    again = validate(["lagged"], **asked)

    assert len(LaggedCounts.shapes) == 2
    pd.testing.assert_frame_equal(first.drop(columns="seconds"), again.drop(columns="seconds"))


def test_all_registered_estimators_and_the_yardstick_are_the_default():
    assert [method.name for method in methods_of(None)] == [CORRELATION, *registry.names()]
    assert method_of("lagged").bin_size == 0.002
    assert method_of(CORRELATION).bin_size == 0.025


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"methods": ["laged"]}, UnknownNameError, "Did you mean 'lagged'"),
        ({"methods": ["lagged", "lagged"]}, ConfigError, "different names"),
        ({"network": "referense"}, UnknownNameError, "Did you mean 'reference'"),
        ({"seeds": ()}, ConfigError, "at least one seed"),
        ({"durations": ()}, ConfigError, "at least one seed, duration"),
        ({"durations": (0.0,)}, ConfigError, "durations above 0"),
        ({"fractions": (1.5,)}, ConfigError, "fractions of units"),
        ({"rates": (0.0,)}, ConfigError, "rate above 0"),
    ],
)
def test_impossible_questions_are_refused(asked, error, message):
    with pytest.raises(error, match=message):
        validate(**{"methods": ["lagged"], "quick": True, **asked})


def test_the_summary_averages_over_seeds():
    setting = {"network": "reference", "duration": 60.0, "fraction_observed": 1.0, "error": ""}
    rows = [{"method": "a", "seed": seed, "auroc": auroc, **setting} for seed, auroc in enumerate((0.8, 0.9, 1.0))]
    rows.append({"method": "b", "seed": 0, "auroc": 0.95, **setting})
    rows.append({"method": "b", "seed": 1, **setting, "error": "DataError: no"})
    table = pd.DataFrame(rows, columns=list(COLUMNS))

    averaged = summary(table)

    assert averaged.method.tolist() == ["b", "a"]
    assert averaged[["n_seeds", "n_failed", "error"]].to_numpy().tolist() == [[1, 1, "DataError: no"], [3, 0, ""]]
    assert averaged.auroc.tolist() == pytest.approx([0.95, 0.9])
    assert averaged.auroc_low.tolist() == pytest.approx([np.nan, 0.6516], abs=1e-4, nan_ok=True)
    assert averaged.auroc_high.tolist() == pytest.approx([np.nan, 1.1484], abs=1e-4, nan_ok=True)


def test_settings_stay_in_their_order_in_the_summary():
    table = validate(["lagged", CORRELATION], seeds=(0, 1), durations=(120, 30), quick=True)
    assert summary(table).duration.tolist() == [120, 120, 30, 30]


def test_calibration_measures_false_positives_of_every_kind():
    table = calibration(["lagged"], seeds=(0,), quick=True)

    assert table.network.tolist() == ["independent", "stimulus", "gain", "hidden"]
    assert table.n_edges.tolist()[:3] == [0, 0, 0]
    assert table.n_edges[3] > 0
    assert table.n_units.tolist() == [16, 16, 16, 8]
    assert table.auroc.isna().tolist() == [True, True, True, False]
    # An estimator that knows nothing of the stimulus and of gain; nothing is wrong where there is neither.
    positives = table.false_positives_5pct
    assert positives[0] < 0.12
    assert positives[1] > positives[0]


def test_calibration_refuses_unknown_kinds():
    with pytest.raises(UnknownNameError, match="kind of calibration"):
        calibration(["lagged"], kinds=("dependent",))


def test_stability_compares_halves_and_seeds():
    found = stability("lagged", quick=True)
    assert found.seed_to_seed == pytest.approx(1.0)
    assert 0.2 < found.split_half < 1.0


def test_a_method_with_options_of_its_own_keeps_its_name():
    table = validate([Method("coarse", "lagged", {"scale": 0.5}, bin_size=0.005)], seeds=(0,), quick=True)
    assert table.method.tolist() == ["coarse"]
    assert LaggedCounts.shapes[0]["time"] == 50
