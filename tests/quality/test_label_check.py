"""Labels: what sound, shuffled and hard ones explain."""

import re

import numpy as np
import pytest
import xarray as xr
from faulty_session import tuned_session, with_shuffled_labels

from spikesight.data.binning import bin_spikes
from spikesight.data.counts import read_counts
from spikesight.data.presentations import select_trials
from spikesight.quality.label_check import LEVEL, NOT_EXPLAINED, OK, TOO_LITTLE, WEAK, check_labels
from spikesight.quality.tuning import explained, halves, standardised


def counted(session):
    return bin_spikes(select_trials(session, "natural_scenes"), n_bins=1)


def dataset_of(counts, labels, blocks=None):
    n_trials, n_units = counts.shape
    start = 0.25 * np.arange(n_trials)
    return xr.Dataset(
        {"spike_counts": (("trial", "time", "unit"), counts[:, None, :].astype("uint16"))},
        {
            "trial": np.arange(n_trials),
            "time": [0.0],
            "unit": np.arange(n_units),
            "start_time": ("trial", start),
            "stop_time": ("trial", start + 0.25),
            "stimulus_block": ("trial", np.zeros(n_trials, int) if blocks is None else blocks),
            "repeat": ("trial", np.zeros(n_trials, int)),
            "target": ("trial", labels),
        },
        {"target": "frame", "stimulus_name": "natural_scenes"},
    )


def test_sound_labels_explain_much():
    found = check_labels(counted(tuned_session()))
    assert found.status == OK
    assert found.explained > 0.05
    assert found.z > 20
    assert (found.stimulus, found.target, found.n_classes) == ("natural_scenes", "frame", 12)


def test_a_check_is_told_in_a_sentence():
    sound, shuffled = tuned_session(), with_shuffled_labels(tuned_session())
    told = str(check_labels(counted(sound)))
    assert re.match(r"Labels explain \d+\.\d\d % of the variance of single units' counts; permuted labels ", told)
    assert told.endswith("do as well with p = 0.005.")
    assert str(check_labels(counted(shuffled))).endswith("(labels do not explain the counts).")


def test_shuffled_labels_are_flagged():
    found = check_labels(counted(with_shuffled_labels(tuned_session())))
    assert found.status == NOT_EXPLAINED
    assert found.is_flagged
    assert abs(found.explained) < 0.01


def test_shuffled_labels_pass_as_often_as_the_level_says_also_under_drift():
    """Slow drift of all units must not look like tuning."""
    rng = np.random.default_rng(0)
    drift = np.exp(np.cumsum(rng.normal(0, 0.05, 600)))
    p_values = []
    for _ in range(40):
        labels = rng.permutation(np.arange(600) % 10)
        p_values.append(check_labels(dataset_of(rng.poisson(3 * drift[:, None], (600, 15)), labels)).p_value)
    assert np.mean(np.array(p_values) <= 0.2) < 0.4
    assert np.mean(np.array(p_values) <= LEVEL) <= 0.1


def test_labels_that_explain_next_to_nothing_are_told_from_those_that_explain_nothing():
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.arange(6000) % 2)
    counts = rng.poisson(4 + 0.2 * labels[:, None], (6000, 60))
    assert check_labels(dataset_of(counts, labels)).status == WEAK


def test_weak_tuning_in_few_trials_is_not_flagged():
    rng = np.random.default_rng(2)
    for _ in range(10):
        labels = rng.permutation(np.arange(160) % 16)
        rates = 3 * (1 + 0.2 * rng.standard_normal((16, 12)))
        found = check_labels(dataset_of(rng.poisson(np.clip(rates[labels], 0, None)), labels))
        assert found.status in (OK, TOO_LITTLE)


@pytest.mark.parametrize("what", ["trials", "units", "repeats"])
def test_too_little_is_said_to_be_too_little(what):
    rng = np.random.default_rng(3)
    n_trials, n_units = (100 if what == "trials" else 200), (5 if what == "units" else 20)
    labels = np.arange(n_trials) if what == "repeats" else np.arange(n_trials) % 5
    found = check_labels(dataset_of(rng.poisson(3, (n_trials, n_units)), labels))
    assert found.status == TOO_LITTLE
    assert np.isnan(found.p_value)


def test_units_that_never_spike_do_no_harm():
    rng = np.random.default_rng(4)
    labels = rng.permutation(np.arange(400) % 4)
    counts = rng.poisson(3 + labels[:, None], (400, 15))
    counts[:, ::2] = 0
    assert check_labels(dataset_of(np.hstack([counts, counts]), labels)).status == OK


def test_explained_variance_is_that_of_the_tuning_and_not_of_the_noise():
    rng = np.random.default_rng(5)
    labels = rng.permutation(np.arange(8000) % 20)
    means = rng.standard_normal(20)
    values = (means[labels] + 3 * rng.standard_normal(8000)).astype(np.float32)[:, None]
    found = explained(values, *halves(labels))[0]
    assert found == pytest.approx(means.var(), rel=0.2)


def test_halves_are_means_over_even_and_odd_repeats():
    codes = np.array([0, 1, 0, 0, 1, 2])
    even, odd = (half.toarray() for half in halves(codes))
    np.testing.assert_allclose(even, [[0.5, 0, 0, 0.5, 0, 0], [0, 1, 0, 0, 0, 0]])
    np.testing.assert_allclose(odd, [[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0]])


def test_standardised_counts_have_mean_0_and_spread_1():
    values = standardised(np.random.default_rng(6).poisson(3, (500, 4)).astype(np.uint8))
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-5)
    assert (standardised(np.full((9, 2), 3)) == 0).all()


def test_labels_of_a_real_session_explain_its_counts_and_shuffled_ones_do_not(recordings):
    """Session 754312389: published decoders of natural scenes are at chance; its answers to gabors are sound."""
    dataset = read_counts(recordings / "allen-npx-gabors" / "session_754312389.npz")
    found = check_labels(dataset)
    assert found.status == OK
    assert found.explained == pytest.approx(0.10, abs=0.01)
    labels = np.random.default_rng(0).permutation(dataset["target"].to_numpy())
    assert check_labels(dataset.assign_coords(target=("trial", labels))).status == NOT_EXPLAINED
