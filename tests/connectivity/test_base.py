"""What all estimators share: options, units left out, labels, the edge table."""

import numpy as np
import pytest
from scipy.stats import norm

from coupled_units import driven, independent, presentations, recording
from spikesight.connectivity.base import lag_bins, peak_over_lags
from spikesight.connectivity.edges import EDGE_COLUMNS, distances, false_discovery_rates
from spikesight.connectivity.finished import Finished, fingerprint
from spikesight.connectivity.granger import Granger
from spikesight.connectivity.noise_correlation import NoiseCorrelation
from spikesight.errors import ConfigError, NoUnitsError, OutputError, PresentationsError


def test_lags_are_whole_bins_up_to_the_longest():
    assert lag_bins(0.006, 0.002).tolist() == [1, 2, 3]
    assert lag_bins(0.006, 0.001, min_lag=0.002).tolist() == [2, 3, 4, 5, 6]
    assert lag_bins(0.03, 0.01).tolist() == [1, 2, 3]


def test_the_peak_over_lags_pays_for_the_choice():
    z = np.zeros((3, 2, 2))
    z[1, 0, 1] = -2.5

    at, peak, p_value = peak_over_lags(z)

    assert at[0, 1] == 1
    assert peak[0, 1] == -2.5
    assert p_value[0, 1] == pytest.approx(1 - (1 - 2 * norm.sf(2.5)) ** 3)
    assert p_value[1, 0] == 1


def test_units_with_few_spikes_are_listed_and_left_out():
    counts = independent(5000, 4, 0.2)
    counts[:, 2] = 0
    counts[:7, 2] = 1

    fitted = Granger(min_spikes=100).fit(recording(counts))

    assert fitted.left_out_.to_dict("records") == [{"unit": 102, "n_spikes": 7, "reason": "fewer than 100 spikes"}]
    assert fitted.connectivity_.source_unit.to_numpy().tolist() == [100, 101, 103]


def test_matrices_are_labelled_and_have_an_empty_diagonal():
    fitted = Granger().fit(recording(driven()))

    assert fitted.connectivity_.dims == ("source_unit", "target_unit")
    assert np.diag(fitted.connectivity_).tolist() == [0] * 6
    for matrix in (fitted.p_values_, fitted.z_, fitted.lag_):
        assert np.isnan(np.diag(matrix)).all()
        assert np.isfinite(matrix.to_numpy()[~np.eye(6, dtype=bool)]).all()
    assert fitted.lag_.attrs["units"] == "s"
    assert set(np.unique(fitted.sign_)) <= {-1.0, 0.0, 1.0}


def test_the_edge_table_lists_every_ordered_pair_with_distance_and_areas():
    places = {
        "anterior_posterior_ccf_coordinate": ("unit", np.array([8000.0, 8000.0, -1.0])),
        "dorsal_ventral_ccf_coordinate": ("unit", np.array([1000.0, 1300.0, 1000.0])),
        "left_right_ccf_coordinate": ("unit", np.array([7000.0, 7400.0, 7000.0])),
        "area": ("unit", np.array(["VISp", "LGd", "VISp"])),
    }
    fitted = Granger().fit(recording(driven(n_units=3), **places))
    edges = fitted.edges()

    assert tuple(edges.columns) == EDGE_COLUMNS
    assert len(edges) == 6
    first = edges.iloc[0]
    assert (first.source_unit, first.target_unit) == (100, 101)
    assert (first.source_area, first.target_area, first.distance) == ("VISp", "LGd", 500.0)
    assert edges.loc[edges.source_unit == 102, "distance"].isna().all()
    assert edges.p_value.is_monotonic_increasing
    np.testing.assert_allclose(distances(fitted.units_)[0, 1], 500)


def test_false_discovery_rates_written_out_and_without_nan():
    found = false_discovery_rates(np.array([0.01, np.nan, 0.04, 0.03]))

    np.testing.assert_allclose(found, [0.03, np.nan, 0.04, 0.04])


def test_the_stimulus_is_removed_where_it_is_known_and_repeated():
    targets = np.arange(40) % 4
    counts = presentations(independent(40 * 50, 3, 0.3).reshape(40, 50, 3), targets)

    assert Granger(min_spikes=1).fit(counts).stimulus_ == "psth"
    assert Granger(min_spikes=1).fit(counts.drop_vars("target")).stimulus_ == "none"
    assert Granger(min_spikes=1).fit(counts.assign_coords(target=("trial", np.arange(40)))).stimulus_ == "none"
    assert Granger(min_spikes=1).fit(counts).n_dropped_segments_ == 0
    assert Granger(min_spikes=1, stimulus="none").fit(counts).stimulus_ == "none"


def test_trials_of_conditions_that_were_shown_once_are_left_out_where_the_stimulus_is_removed():
    targets = np.arange(40) % 4
    targets[7] = 99
    counts = presentations(independent(40 * 50, 3, 0.3).reshape(40, 50, 3), targets)

    found = Granger(min_spikes=1).fit(counts)
    without = Granger(min_spikes=1).fit(counts.isel(trial=targets != 99))

    assert (found.stimulus_, found.n_dropped_segments_) == ("psth", 1)
    np.testing.assert_array_equal(found.z_, without.z_)


def test_shuffles_leave_independent_units_their_uniform_p_values():
    targets = np.arange(60) % 3
    rates = np.random.default_rng(3).gamma(1.0, 0.06, (3, 60, 1)) * np.ones((1, 1, 14))
    counts = presentations(np.random.default_rng(4).poisson(rates[targets]).astype(np.uint8), targets)

    found = NoiseCorrelation(window=None, stimulus="shuffle", n_shuffles=60).fit(counts)
    p = found.p_values_.to_numpy()[np.triu_indices(14, 1)]

    assert 0.35 < np.median(p) < 0.65
    assert (p < 0.05).mean() < 0.12


def test_shuffles_test_both_sides_and_tell_the_sign():
    rng = np.random.default_rng(5)
    drive = rng.gamma(2.0, 20.0, 10)[np.arange(200) % 10]
    swing = rng.uniform(0.3, 1.7, 200)
    counts = np.stack([rng.poisson(drive * swing), rng.poisson(drive * (2 - swing))], axis=1)[:, None, :]
    trials = presentations(counts.astype(np.uint16), np.arange(200) % 10)

    found = NoiseCorrelation(window=None, stimulus="shuffle", n_shuffles=50).fit(trials)

    assert found.connectivity_.to_numpy()[0, 1] < -0.1
    assert found.z_.to_numpy()[0, 1] < -4
    assert found.p_values_.to_numpy()[0, 1] < 0.001


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"stimulus": "psth"}, ConfigError, "with a coordinate 'target'"),
        ({"random_state": -1}, ConfigError, "random_state of 0 or more"),
        ({"stimulus": "shuffle"}, ConfigError, "several trials"),
        ({"stimulus": "mean"}, ConfigError, "one of auto, none, psth, shuffle"),
        ({"min_spikes": 0}, ConfigError, "min_spikes of at least 1"),
        ({"min_spikes": 10**6}, NoUnitsError, r"at least two units of 1000000 spikes .* 0 of 6"),
        ({"max_lag": 100.0}, PresentationsError, "periods of at least 50001 bins"),
        ({"max_lag": -1.0}, ConfigError, "max_lag above 0"),
    ],
)
def test_what_cannot_be_honoured_is_refused(options, error, said):
    with pytest.raises(error, match=said):
        Granger(**options).fit(recording(independent()))


@pytest.mark.parametrize(
    ("lengths", "n_shuffles", "said"),
    [((2, 3), 100, "one condition and length to exchange"), ((4, 4), 1, "n_shuffles of at least 2")],
)
def test_shuffles_that_would_exchange_nothing_are_refused(lengths, n_shuffles, said):
    counts = recording(independent(1000 * sum(lengths), 3), periods=[1000 * length for length in lengths])
    with pytest.raises(ConfigError, match=said):
        Granger(stimulus="shuffle", n_shuffles=n_shuffles).fit(counts)


def test_units_without_an_area_have_an_empty_one():
    counts = recording(independent(2000, 3, 0.3), area=("unit", np.array(["VISp", np.nan, ""], object)))

    assert Granger(min_spikes=1).fit(counts).units_.area.tolist() == ["VISp", "", ""]


def test_parts_are_kept_and_damaged_ones_are_not_there(tmp_path):
    kept = Finished(tmp_path / "parts")
    kept.put("unit-3", slopes=np.arange(3.0), found=np.array(True))

    assert kept.get("unit-3")["slopes"].tolist() == [0, 1, 2]
    assert kept.get("unit-4") is None
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["unit-3.npz"]
    whole = (tmp_path / "parts" / "unit-3.npz").read_bytes()
    for at in range(0, len(whole), 7):
        (tmp_path / "parts" / "unit-3.npz").write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
        found = kept.get("unit-3")
        assert found is None or found.keys() <= {"slopes", "found"} or len(found) == 2
    (tmp_path / "parts" / "unit-3.npz").write_bytes(b"PK\x03\x04 cut")
    assert kept.get("unit-3") is None


def test_a_part_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot keep a finished part"):
        Finished(tmp_path / "file").put("x", a=np.zeros(1))


def test_nowhere_keeps_nothing():
    kept = Finished.nowhere()
    kept.put("x", a=np.zeros(1))
    assert kept.get("x") is None


def test_a_fingerprint_tells_counts_and_options_apart():
    counts = independent(50, 2)
    names = {fingerprint(counts, "a"), fingerprint(counts, "b"), fingerprint(counts + 1, "a"), fingerprint(counts, "a")}
    assert len(names) == 3


def test_cost_grows_with_shuffles():
    counts = presentations(independent(40 * 50, 3, 0.5).reshape(40, 50, 3), np.zeros(40, int))

    once = Granger().cost(counts).seconds
    shuffled = Granger(stimulus="shuffle", n_shuffles=9).cost(counts).seconds

    assert once > 0
    assert shuffled == pytest.approx(10 * once)
