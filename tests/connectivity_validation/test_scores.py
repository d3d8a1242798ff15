"""Scores on matrices small enough to be counted by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.metrics import average_precision_score, roc_auc_score

from spikesight.connectivity_validation.scores import Matrices, evidence, matrices_of, mean_over_seeds, score
from spikesight.connectivity_validation.simulated_network import SimulatedNetwork
from spikesight.errors import DataError

NAN = np.nan


def known(weight, delay=0.002, common=None):
    weight = np.asarray(weight, float)
    n_units = len(weight)
    return SimulatedNetwork(
        spike_times=(np.empty(0),) * n_units,
        duration=1.0,
        presentations=pd.DataFrame({"start_time": [], "stop_time": [], "target": []}),
        weight=weight,
        delay=np.where(weight != 0, delay, NAN),
        observed=10 + np.arange(n_units),
        n_simulated=n_units,
        common_input=np.zeros(weight.shape, bool) if common is None else np.asarray(common, bool),
    )


def found(z, p_values=NAN, lag=NAN, sign=None, connectivity=None):
    z = np.asarray(z, float)
    connectivity = z if connectivity is None else np.asarray(connectivity, float)
    return Matrices(
        connectivity,
        z,
        np.broadcast_to(np.asarray(p_values, float), z.shape),
        np.broadcast_to(np.asarray(lag, float), z.shape),
        np.sign(connectivity) if sign is None else np.asarray(sign, float),
    )


TRUTH = [[0, 2.0, 0], [0, 0, 0], [0, -0.5, 0]]
COMMON = [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
Z = [[NAN, 5, 1], [2, NAN, 3], [1, -2.5, NAN]]
P = [[NAN, 1e-6, 0.5], [0.04, NAN, 0.005], [0.9, 0.01, NAN]]
LAG = [[NAN, 0.003, 0.001], [0.001, NAN, 0.001], [0.001, 0.009, NAN]]


def test_scores_of_three_units_counted_by_hand():
    scores = score(known(TRUTH, common=COMMON), found(Z, P, LAG))

    # In order: 5 (edge), 3, 2.5 (edge), 2, 1, 1.
    assert scores.auroc == pytest.approx(7 / 8)
    assert scores.average_precision == pytest.approx((1 + 2 / 3) / 2)
    # 5 > 2, but 2.5 < 3.
    assert scores.direction == 0.5
    assert scores.sign_accuracy == 1.0
    # Only the first edge ranks before all others.
    assert scores.tpr_at_1pct == 0.5
    # Of the two strongest only the first is an edge: 3 ms against 2 ms.
    assert scores.lag_error_ms == pytest.approx(1.0)
    # Without an edge: p of .5, .04, .005 and .9.
    assert scores.false_positives_5pct == 0.5
    assert scores.false_positives_1pct == 0.25
    assert scores.false_positives_5pct_common == 0.0
    assert scores.auroc_common == 1.0


def test_a_wrong_or_missing_sign_is_wrong():
    sign = np.sign(np.nan_to_num(Z))
    sign[2, 1] = 1
    assert score(known(TRUTH), found(Z, sign=sign)).sign_accuracy == 0.5
    sign[2, 1] = 0
    assert score(known(TRUTH), found(Z, sign=sign)).sign_accuracy == 0.5


def test_a_symmetric_estimate_has_no_direction():
    symmetric = np.array([[0, 3, 1], [3, 0, 2], [1, 2, 0]]) * 1.0
    symmetric[0, 1] *= 1 + 1e-13
    assert score(known(TRUTH), found(symmetric)).direction == 0.5


def test_edges_both_ways_do_not_count_for_direction():
    both = [[0, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert score(known(both), found([[0, 1, 4], [2, 0, 0], [3, 0, 0]])).direction == 1.0


def test_weights_rank_where_there_is_no_z():
    without = found(np.full((3, 3), NAN), connectivity=[[0, -0.4, 0.1], [0.2, 0, 0.1], [0, 0.3, 0]])
    assert evidence(without).tolist() == [[0, 0.4, 0.1], [0.2, 0, 0.1], [0, 0.3, 0]]
    assert score(known(TRUTH), without).auroc == 1.0


def test_pairs_without_a_z_rank_last_and_infinite_ones_first():
    ranked = evidence(found([[NAN, NAN, 1], [-np.inf, NAN, 2], [1, 1, NAN]]))
    assert ranked[0, 1] == 0
    assert ranked[1, 0] > 1e300


def test_what_has_no_answer_is_nan():
    scores = score(known(np.zeros((3, 3))), found(Z))
    assert np.isnan([value for name, value in scores._asdict().items()]).all()


def test_matrices_of_another_size_are_refused():
    with pytest.raises(DataError, match=r"shape \(3, 3\)"):
        score(known(TRUTH), found([[0, 1], [1, 0]]))


def test_units_that_were_left_out_get_no_evidence():
    class Fitted:
        pass

    fitted = Fitted()
    ids = [12, 10]  # unit 11 was left out, and the order is another
    for name in ("connectivity_", "z_", "p_values_", "lag_", "sign_"):
        values = xr.DataArray(
            [[0.0, 7.0], [8.0, 0.0]], {"source_unit": ids, "target_unit": ids}, ("source_unit", "target_unit")
        )
        setattr(fitted, name, values)

    matrices = matrices_of(fitted, known(TRUTH))

    assert matrices.connectivity.tolist() == [[0, 0, 8], [0, 0, 0], [7, 0, 0]]
    assert matrices.sign.tolist() == [[0, 0, 8], [0, 0, 0], [7, 0, 0]]
    assert np.isnan(matrices.z[1]).all()
    assert np.isnan(matrices.p_values[:, 1]).all()


def test_rankings_agree_with_scikit_learn_on_random_matrices():
    rng = np.random.default_rng(0)
    truth = np.where(rng.random((12, 12)) < 0.2, 1.0, 0.0)
    np.fill_diagonal(truth, 0)
    z = rng.standard_normal((12, 12)) + truth
    off = ~np.eye(12, dtype=bool)
    scores = score(known(truth), found(z))
    assert scores.auroc == pytest.approx(roc_auc_score(truth[off] > 0, np.abs(z)[off]))
    assert scores.average_precision == pytest.approx(average_precision_score(truth[off] > 0, np.abs(z)[off]))
    threshold = np.sort(np.abs(z)[off & (truth == 0)])[::-1][1]  # one of 100 and more may be as high
    assert scores.tpr_at_1pct == pytest.approx((np.abs(z)[truth > 0] > threshold).mean())


def test_the_mean_over_seeds_has_a_student_interval():
    found_mean = mean_over_seeds([0.8, 0.9, NAN, 1.0])
    assert found_mean.mean == pytest.approx(0.9)
    # t(0.975, 2) = 4.3027; the standard deviation is 0.1.
    assert found_mean.low == pytest.approx(0.9 - 4.3027 * 0.1 / np.sqrt(3), abs=1e-4)
    assert found_mean.high == pytest.approx(0.9 + 4.3027 * 0.1 / np.sqrt(3), abs=1e-4)
    assert found_mean.n == 3


def test_the_mean_of_nothing_is_nan():
    assert np.isnan(mean_over_seeds([NAN]).mean)
    assert mean_over_seeds([]).n == 0
    assert np.isnan(mean_over_seeds([0.5]).low)
