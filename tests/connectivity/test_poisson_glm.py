import numpy as np
import pytest
from dense_glm import BIN, FREE, dense_design, dense_fit, driven_by_stimulus
from scipy.stats import binomtest
from sklearn.base import clone
from sklearn.linear_model import PoissonRegressor

from coupled_units import driven, independent, presentations, recording
from spikesight.connectivity.base import lag_bins
from spikesight.connectivity.finished import Finished
from spikesight.connectivity.poisson_glm import PoissonGLM
from spikesight.connectivity.registry import make
from spikesight.connectivity.spike_trains import read_trains
from spikesight.errors import ConfigError, OutputError, PresentationsError


def glm(**params):
    """With lags of one to three bins, history up to eight, and one baseline."""
    return PoissonGLM(**{"max_lag": 0.003, "history": 0.008, "min_spikes": 1, "drift": None, **params})


def test_weight_of_one_source_is_the_log_ratio_of_rates():
    source = [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0]
    target = [0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]
    # of 12 bins with a past, 3 follow a source's spike and hold 2 spikes, 9 do not and hold 1
    fitted = PoissonGLM(min_lag=BIN, max_lag=BIN, history=0, strength=FREE, drift=None, min_spikes=1).fit(
        recording(np.array([source, target]).T, BIN)
    )

    assert float(fitted.connectivity_[0, 1]) == pytest.approx(np.log((2 / 3) / (1 / 9)), abs=1e-6)
    assert float(fitted.baseline_[1, 0]) == pytest.approx(np.log(1 / 9), abs=1e-6)
    assert float(fitted.standard_errors_[0, 1, 0]) == pytest.approx(np.sqrt(1 / 2 + 1 / 1), abs=1e-5)
    assert float(fitted.lag_[0, 1]) == BIN


def test_ridge_is_that_of_scikit_learn():
    counts = recording(driven(4000, 4, lag=2, weight=0.4, mean=0.1), BIN, [1000, 3000])
    fitted = glm().fit(counts)
    trains = read_trains(counts)
    for target in range(4):
        X, bins = dense_design(trains, target, range(1, 4), 8)
        reference = PoissonRegressor(alpha=1 / len(X), solver="newton-cholesky", tol=1e-12)
        reference.fit(X[:, :-1], trains.counts[target, bins])
        weights = np.delete(fitted.weights_.to_numpy()[:, target], target, axis=0).ravel()
        np.testing.assert_allclose(weights, reference.coef_[:9], atol=1e-6)
        np.testing.assert_allclose(fitted.history_[target], reference.coef_[9:], atol=1e-6)
        assert float(fitted.baseline_[target, 0]) == pytest.approx(reference.intercept_, abs=1e-6)
    assert fitted.converged_.all()


@pytest.mark.parametrize("strength", [FREE, 1.0, 20.0])
def test_weights_and_standard_errors_are_those_of_a_dense_newton(strength):
    counts = recording(driven(3000, 3, lag=1, weight=0.5, mean=0.2), BIN)
    fitted = glm(strength=strength).fit(counts)
    X, bins = dense_design(read_trains(counts), 1, range(1, 4), 8)
    y = counts.to_numpy()[bins, 1]
    precision = np.r_[np.full(6, strength), np.ones(4), 0.0]

    theta, errors = dense_fit(X, y, precision, np.r_[np.zeros(10), np.log(y.mean())])

    np.testing.assert_allclose(fitted.weights_[[0, 2], 1].to_numpy().ravel(), theta[:6], atol=1e-6)
    np.testing.assert_allclose(fitted.standard_errors_[[0, 2], 1].to_numpy().ravel(), errors[:6], atol=1e-6)


def test_bins_of_many_spikes_are_fitted_as_well():
    counts = recording(driven(2000, 3, lag=1, weight=1.0, mean=2.0), 0.010)
    fitted = PoissonGLM(max_lag=0.02, history=0, strength=FREE, drift=None, min_lag=0.01).fit(counts)
    X, bins = dense_design(read_trains(counts), 1, range(1, 3), 0)
    y = counts.to_numpy()[bins, 1]

    theta, errors = dense_fit(X, y, np.full(5, 0.0), np.r_[np.zeros(4), np.log(y.mean())])

    np.testing.assert_allclose(fitted.weights_[[0, 2], 1].to_numpy().ravel(), theta[:4], atol=1e-6)
    np.testing.assert_allclose(fitted.standard_errors_[[0, 2], 1].to_numpy().ravel(), errors[:4], atol=1e-6)
    # with so many spikes the test of a weight near 0 is Wald's
    wald = (theta / errors)[2:4]
    assert float(fitted.z_[2, 1]) == pytest.approx(wald[np.abs(wald).argmax()], abs=0.1)


def test_relabelling_units_relabels_the_result():
    counts = recording(driven(8000, 4, lag=2, weight=0.4), BIN)
    order = [2, 0, 3, 1]

    straight, other = glm().fit(counts), glm().fit(counts.isel(unit=order))

    for name in ("connectivity_", "z_", "p_values_", "lag_"):
        back = getattr(other, name).sel(source_unit=counts.unit.to_numpy(), target_unit=counts.unit.to_numpy())
        np.testing.assert_allclose(getattr(straight, name), back, atol=1e-6)


@pytest.mark.parametrize("penalty", ["ridge", "group-lasso"])
@pytest.mark.parametrize(("weight", "mean"), [(0.3, 0.03), (-0.9, 0.1)])
def test_planted_edge_is_found_with_direction_lag_and_sign(penalty, weight, mean):
    counts = recording(driven(30_000, 5, lag=2, weight=weight, mean=mean, source=3, sink=0), BIN)

    fitted = make("poisson-glm", penalty=penalty, max_lag=0.004).fit(counts)

    strength = np.abs(fitted.connectivity_.to_numpy())
    assert np.unravel_index(strength.argmax(), strength.shape) == (3, 0)
    assert float(fitted.sign_[3, 0]) == np.sign(weight)
    assert float(fitted.lag_[3, 0]) == pytest.approx(0.002)
    if penalty == "ridge":
        p_values = fitted.p_values_.to_numpy()
        assert p_values[3, 0] < 1e-6
        assert p_values[0, 3] > 1e-3
        assert np.array_equal(np.sign(fitted.z_.fillna(0)), np.sign(fitted.connectivity_))


def test_no_lag_reaches_over_a_border():
    counts = independent(600, 3, 0.2, seed=2)
    swapped = np.concatenate([counts[250:], counts[:250]])

    one, other = glm().fit(recording(counts, BIN, [250, 350])), glm().fit(recording(swapped, BIN, [350, 250]))
    joined = glm().fit(recording(counts, BIN))

    np.testing.assert_allclose(one.weights_, other.weights_, atol=1e-9)
    assert np.abs(one.weights_ - joined.weights_).max() > 1e-4


def test_refractory_unit_stays_finite():
    counts = independent(5000, 2, 0.3, seed=4)
    counts[1:, 0][counts[:-1, 0] > 0] = 0  # never two bins in a row; a spike before a cleared one goes as well
    counts[1:, 0][counts[:-1, 0] > 0] = 0

    fitted = glm().fit(recording(counts, BIN))

    assert -6 < float(fitted.history_[0, 0]) < -3
    assert fitted.converged_.all()


def test_fit_that_is_cut_short_says_so_and_tests_nothing():
    fitted = glm(max_iter=1).fit(recording(driven(2000, 3, weight=0.9), BIN))

    assert not fitted.converged_.any()
    assert np.isfinite(fitted.weights_).all()
    assert fitted.p_values_.isnull().all()


def test_strong_coupling_from_equal_rates_converges():
    counts = np.minimum(independent(20_000, 2, 0.01, seed=5), 1)
    counts[1:, 1] = np.maximum(counts[1:, 1], counts[:-1, 0])  # every spike of the source is followed

    fitted = glm(strength=1e-3).fit(recording(counts, BIN))

    assert fitted.converged_.all()
    assert float(fitted.connectivity_[0, 1]) == pytest.approx(np.log(1 / 0.01), abs=0.2)


def test_large_strength_removes_every_source():
    fitted = glm(penalty="group-lasso", strength=1e4).fit(recording(driven(5000, 4), BIN))

    assert (fitted.weights_ == 0).all()
    assert fitted.lag_.isnull().all()
    assert fitted.converged_.all()


def test_tiny_strength_is_a_fit_without_a_penalty():
    counts = recording(driven(5000, 3, mean=0.2), BIN)

    free = glm(strength=FREE).fit(counts)
    lasso = glm(penalty="group-lasso", strength=FREE).fit(counts)

    np.testing.assert_allclose(lasso.weights_, free.weights_, atol=1e-6)
    np.testing.assert_allclose(lasso.history_, free.history_, atol=1e-6)


def test_group_lasso_has_weights_but_no_test():
    fitted = glm(penalty="group-lasso").fit(recording(driven(5000, 4), BIN))

    assert fitted.p_values_.isnull().all()
    assert fitted.z_.isnull().all()
    assert fitted.standard_errors_.isnull().all()
    assert float(fitted.connectivity_[0, 1]) > 0.5


@pytest.mark.parametrize("rate", [2.0, 10.0])
def test_independent_units_are_rarely_called_connected(rate):
    counts = recording(independent(200_000, 14, rate * BIN, seed=9), BIN)

    p_values = PoissonGLM().fit(counts).p_values_.to_numpy()

    p_values = p_values[np.isfinite(p_values)]
    for level, allowed in ((0.05, 0.065), (0.01, 0.015)):
        assert binomtest(int((p_values < level).sum()), p_values.size, allowed, "greater").pvalue > 0.01
    assert 0.4 < p_values.mean() < 0.75


def test_shared_stimulus_is_not_taken_for_coupling():
    counts = driven_by_stimulus(10)

    blind, aware = PoissonGLM(stimulus="none").fit(counts), PoissonGLM().fit(counts)

    assert aware.stimulus_ == "psth"
    assert float((aware.p_values_ < 0.05).sum()) <= 5  # of 30
    assert float((blind.p_values_ < 0.05).sum()) >= 8


def test_shared_drift_is_taken_up_by_blocks():
    rng = np.random.default_rng(13)
    gain = np.repeat(np.exp(rng.normal(0, 1.0, 24)), 5000)
    counts = recording(rng.poisson(0.015 * gain[:, None], (120_000, 5)).astype(np.uint8), BIN)

    still, drifting = PoissonGLM(drift=None).fit(counts), PoissonGLM(drift=5.0).fit(counts)

    assert dict(drifting.baseline_.sizes) == {"target_unit": 5, "block": 24}
    assert np.corrcoef(drifting.baseline_[0], np.log(gain[::5000]))[0, 1] > 0.95
    assert float((still.p_values_ < 0.01).sum()) > 10
    assert float((drifting.p_values_ < 0.01).sum()) <= 2


class _DiskOfTwo(Finished):
    """Has room for two parts."""

    def put(self, name, **arrays):
        if len(list(self._folder.glob("*.npz"))) == 2:
            raise OutputError("no space left")
        super().put(name, **arrays)


class _Heard:
    def __init__(self):
        self.said = []

    def advance(self, task, done, total):
        self.said.append((task, done, total))


def test_broken_fit_goes_on_where_it_was(tmp_path, monkeypatch):
    counts = recording(driven(5000, 5), BIN)
    whole = glm().fit(counts)
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 1)
    with pytest.raises(OutputError):
        glm().fit(counts, keep=_DiskOfTwo(tmp_path))
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 2)
    fit_target, fitted = PoissonGLM._fit_target, []
    monkeypatch.setattr(PoissonGLM, "_fit_target", lambda self, *a: fitted.append(a[1]) or fit_target(self, *a))
    heard = _Heard()

    resumed = glm().fit(counts, progress=heard, keep=Finished(tmp_path))

    assert sorted(fitted) == [2, 3, 4]
    assert heard.said == [("poisson-glm", done, 5) for done in range(1, 6)]
    for name in ("connectivity_", "p_values_", "weights_", "standard_errors_", "baseline_", "history_"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))


def test_weights_stay_those_of_the_spikes_after_shuffles():
    counts = presentations(independent(6000, 3, 0.2, seed=14).reshape(60, 100, 3), np.arange(60) % 2, BIN)

    plain = glm(stimulus="none").fit(counts)
    shuffled = glm(stimulus="shuffle", n_shuffles=3).fit(counts)

    np.testing.assert_array_equal(shuffled.weights_, plain.weights_)
    assert np.isfinite(shuffled.z_.to_numpy()[0, 1])
    assert not np.array_equal(shuffled.connectivity_, plain.connectivity_)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"penalty": "lasso"}, "expected penalty to be one of ridge, group-lasso, got 'lasso'"),
        ({"strength": 0.0}, "expected strength above 0"),
        ({"max_iter": 0}, "expected max_iter above 0"),
        ({"tol": np.nan}, "expected tol above 0"),
        ({"history": -1.0}, "expected history of 0 s or more"),
        ({"drift": 0.0}, "expected drift to be None or a positive number"),
        ({"max_lag": 0.0005}, "expected bins no wider than the lags asked"),
    ],
)
def test_option_without_sense_is_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        glm(**{"min_lag": 0.0, **params}).fit(recording(independent(500, 2), BIN))


def test_unit_that_only_spikes_where_its_past_is_unknown_is_named():
    counts = independent(100, 2, 0.5, seed=15)
    counts[3:, 1] = 0

    with pytest.raises(PresentationsError, match="unit 101 has none"):
        glm().fit(recording(counts, BIN))


def test_labels_and_dims_of_what_is_known_beyond_the_matrices():
    fitted = clone(glm(max_lag=0.004, min_lag=0.002)).fit(recording(independent(3000, 3), BIN))

    assert dict(fitted.weights_.sizes) == {"source_unit": 3, "target_unit": 3, "lag": 3}
    np.testing.assert_allclose(fitted.weights_.lag, [0.002, 0.003, 0.004])
    np.testing.assert_allclose(fitted.history_.term, [0.001, 0.002, 0.003, 0.005])
    assert fitted.weights_.source_unit.to_numpy().tolist() == [100, 101, 102]
    assert (fitted.weights_.to_numpy()[np.arange(3), np.arange(3)] == 0).all()
    assert lag_bins(0.004, BIN, 0.002).tolist() == [2, 3, 4]


def test_cost_grows_with_units_and_length():
    small = glm().cost(recording(independent(5000, 3), BIN))
    more = glm().cost(recording(independent(5000, 12), BIN))
    longer = glm().cost(recording(independent(20_000, 3), BIN))

    assert 0 < small.seconds < more.seconds
    assert 3 * small.seconds < longer.seconds < 6 * small.seconds
    assert small.n_bytes < longer.n_bytes


def test_targets_with_fewer_spikes_than_couplings_have_no_p_values():
    counts = independent(4000, 6, 0.05)
    counts[300:, 5] = 0  # about 15 spikes, into which 5 sources times 4 lags lead
    fitted = PoissonGLM(max_lag=4 * BIN, min_lag=BIN, min_spikes=5).fit(recording(counts, BIN))

    assert np.isnan(fitted.p_values_.sel(target_unit=105)).all()
    assert np.isfinite(fitted.p_values_.sel(source_unit=105, target_unit=[100, 101, 102, 103, 104])).all()


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_sources_that_fire_alike_do_not_lend_each_other_p_values(kept):
    p = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        first = rng.random(100_000) < 0.01
        second = first & (rng.random(100_000) < kept)
        counts = np.column_stack([first, second, rng.random((100_000, 2)) < 0.01]).astype(np.uint8)
        edges = PoissonGLM(min_spikes=50).fit(recording(counts, BIN)).edges()
        p.append(edges.p_value[edges.source_unit.isin([100, 101]) & edges.target_unit.isin([102, 103])])

    assert (np.concatenate(p) < 0.01).mean() <= 0.1
    assert np.concatenate(p).min() > 1e-4


def test_a_strong_edge_keeps_its_evidence_beside_a_source_of_many_spikes():
    edges = PoissonGLM(min_spikes=50).fit(recording(driven(120_000, 4, lag=4, weight=0.5, mean=0.02), BIN)).edges()

    assert edges.iloc[0][["source_unit", "target_unit"]].tolist() == [100, 101]
    assert edges.iloc[0].z > 20
