"""The running mean that is taken away: whose it is, how far it reaches, and what decoders see of it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesight.decoders import registry
from spikesight.detrending import FEWEST, Detrending, FittedDetrending
from spikesight.errors import ConfigError, DataError, FileFormatError
from spikesight.preprocessing import anscombe


def roots_of(detrended):
    """Square-root counts as a decoder makes them."""
    return anscombe(detrended)


def column(values):
    return np.asarray(values, float)[:, None, None]


def counts_with_roots(roots):
    return column(np.square(roots) - 0.375)


def test_the_mean_of_the_trials_around_is_taken_away_from_square_roots():
    counts = counts_with_roots([1, 2, 4, 8, 16])
    rows = np.arange(5)
    _, found = Detrending(1).fit_transform(counts, rows, np.zeros(5))
    means = np.array([1.5, 7 / 3, 14 / 3, 28 / 3, 12])
    detrended = np.array([1, 2, 4, 8, 16]) - means
    expected = detrended - detrended.min() + np.sqrt(0.375)
    np.testing.assert_allclose(roots_of(found).ravel(), expected, rtol=1e-6)


def test_causal_takes_the_trials_before_and_not_the_trial_itself():
    roots = np.arange(1.0, 41.0)
    _, found = Detrending(20, causal=True).fit_transform(counts_with_roots(roots), np.arange(40), np.zeros(40))
    means = [roots[max(0, at - 20) : at] for at in range(40)]
    level = roots.mean()
    filled = [
        (before.sum() + max(0, FEWEST - len(before)) * level) / max(FEWEST, len(before)) if len(before) else level
        for before in means
    ]
    expected = roots - filled
    np.testing.assert_allclose(np.diff(roots_of(found).ravel()), np.diff(expected), rtol=1e-4, atol=1e-5)


def brute_force(counts, rows, stretches, setting, level):
    roots = anscombe(counts)
    out = np.empty_like(roots)
    for at, row in enumerate(rows):
        last = row - 1 if setting.causal else row + setting.n_trials
        inside = (rows >= row - setting.n_trials) & (rows <= last) & (stretches == stretches[at])
        missing = max(0, min(FEWEST, setting.n_trials) - inside.sum())
        out[at] = roots[at] - (roots[inside].sum(axis=0) + missing * level) / (inside.sum() + missing)
    return out


@given(data=st.data())
def test_it_is_the_mean_over_rows_of_the_same_set_and_stretch_within_that_many_trials(data):
    n_session = data.draw(st.integers(3, 60))
    rows = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=n_session, max_size=n_session)))
    if not len(rows):
        return
    stretches = np.sort(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    setting = Detrending(data.draw(st.integers(1, 15)), data.draw(st.booleans()))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    counts = rng.poisson(3, (len(rows), 2, 3)).astype("uint8")
    fitted, found = setting.fit_transform(counts, rows, stretches)
    expected = brute_force(counts, rows, stretches, setting, anscombe(counts).mean(axis=0))
    np.testing.assert_allclose(fitted.lowest, expected.min(axis=0), atol=1e-5)
    np.testing.assert_allclose(roots_of(found), expected - expected.min(axis=0) + np.sqrt(0.375), atol=1e-5)
    assert found.dtype == np.float32
    assert (found >= 0).all()


def test_constant_rates_are_left_as_they_are_but_for_a_constant():
    rng = np.random.default_rng(0)
    counts = rng.poisson(5, (4000, 1, 4))
    _, found = Detrending(1999).fit_transform(counts, np.arange(4000), np.zeros(4000))
    off = roots_of(found) - anscombe(counts)
    assert (off.std(axis=0) < 0.02).all()


def test_a_drift_is_gone_and_the_signal_on_top_stays():
    rng = np.random.default_rng(1)
    n = 2000
    drift = 3 + 2 * np.sin(np.arange(n) / 300)
    signal = rng.choice([-0.5, 0.5], n)
    _, found = Detrending(50).fit_transform(counts_with_roots(drift + signal), np.arange(n), np.zeros(n))
    left = roots_of(found).ravel()
    assert abs(np.corrcoef(left, drift)[0, 1]) < 0.1
    assert np.corrcoef(left, signal)[0, 1] > 0.98


def test_test_rows_are_compared_with_test_rows_and_training_rows_with_training_rows():
    rng = np.random.default_rng(2)
    rows = np.arange(200)
    counts = rng.poisson(4, (200, 1, 3))
    train, test = rows[:120], rows[130:]
    fitted, from_train = Detrending(30).fit_transform(counts[train], train, np.zeros(120))
    from_test = fitted.transform(counts[test], test, np.zeros(70))
    changed = counts.copy()
    changed[test] += 50
    again, from_train_again = Detrending(30).fit_transform(changed[train], train, np.zeros(120))
    np.testing.assert_array_equal(from_train, from_train_again)
    raised = np.square(anscombe(counts[test]) + 7) - 0.375
    np.testing.assert_allclose(roots_of(again.transform(raised, test, np.zeros(70))), roots_of(from_test), atol=1e-5)


def test_values_of_test_rows_below_all_of_training_are_raised_to_the_smallest():
    train = counts_with_roots([2.0, 3.0] * 20)
    fitted, _ = Detrending(50).fit_transform(train, np.arange(40), np.zeros(40))
    found = fitted.transform(counts_with_roots([3.0] * 39 + [0.7]), np.arange(40), np.zeros(40))
    assert found.min() == found[-1, 0, 0]
    np.testing.assert_allclose(roots_of(found)[-1], np.sqrt(0.375), rtol=1e-6)


def test_a_single_trial_is_compared_with_the_level_of_training_for_the_most_part():
    fitted, _ = Detrending(200).fit_transform(counts_with_roots([2.0, 4.0] * 50), np.arange(100), np.zeros(100))
    one = fitted.transform(counts_with_roots([4.0]), np.array([7]), np.zeros(1))
    expected = 4 - (4 + (FEWEST - 1) * 3) / FEWEST - fitted.lowest.item() + np.sqrt(0.375)
    np.testing.assert_allclose(roots_of(one), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["fa-lda", "lda", "logistic", "svc-rbf"])
def test_decoders_of_standardised_square_roots_see_the_detrended_values(name):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 150)
    counts = rng.poisson(3 + 2 * labels[:, None, None], (150, 1, 8))
    rows, together = np.arange(150), np.zeros(150)
    _, detrended = Detrending(20).fit_transform(counts, rows, together)
    decoder = registry.make(name).fit(detrended, labels)
    roots = brute_force(counts, rows, together, Detrending(20), 0)
    # the same values, at another level: what is standardised does not hang on it
    moved = np.square(roots + 20) - 0.375
    np.testing.assert_array_equal(decoder.predict(detrended), registry.make(name).fit(moved, labels).predict(moved))


def test_what_was_fitted_is_the_same_after_json():
    rng = np.random.default_rng(4)
    counts = rng.poisson(2, (60, 2, 5))
    fitted, _ = Detrending(5, causal=True).fit_transform(counts, np.arange(60), np.zeros(60))
    again = FittedDetrending.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again.setting == fitted.setting
    np.testing.assert_array_equal(again.level, fitted.level)
    np.testing.assert_array_equal(again.lowest, fitted.lowest)


@pytest.mark.parametrize(
    "damage",
    [
        {"level": None},
        {"level": [[1.0]]},
        {"lowest": [[float("nan")] * 5] * 2},
        {"n_trials": 0},
        {"causal": [], "level": "x"},
    ],
)
def test_damaged_detrending_is_refused(damage):
    fitted, _ = Detrending(5).fit_transform(np.ones((9, 2, 5)), np.arange(9), np.zeros(9))
    with pytest.raises(FileFormatError, match="is damaged"):
        FittedDetrending.from_dict({**fitted.to_dict(), **damage})


def test_rows_out_of_order_and_trials_of_another_shape_are_refused():
    with pytest.raises(DataError, match="ascending"):
        Detrending(5).fit_transform(np.ones((3, 1, 2)), np.array([0, 2, 1]), np.zeros(3))
    fitted, _ = Detrending(5).fit_transform(np.ones((3, 1, 2)), np.arange(3), np.zeros(3))
    with pytest.raises(DataError, match=r"\(1, 2\).*got \(2, 2\)"):
        fitted.transform(np.ones((3, 2, 2)), np.arange(3), np.zeros(3))


def test_a_mean_over_no_trial_is_refused():
    with pytest.raises(ConfigError, match="1 or more trials"):
        Detrending(0)


def test_a_setting_is_written_as_it_is_asked_for():
    assert str(Detrending(200)) == "200"
    assert str(Detrending(50, causal=True)) == "50, causal"
