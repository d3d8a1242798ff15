"""What all estimators share: options, units left out, labels, the edge table."""

import numpy as np
import pytest
from coupled_units import driven, independent, presentations, recording
from scipy.stats import norm

from spikesight.connectivity.base import lag_bins, peak_over_lags
from spikesight.connectivity.edges import EDGE_COLUMNS, distances, false_discovery_rates
from spikesight.connectivity.finished import Finished, fingerprint
from spikesight.connectivity.granger import Granger
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
    assert Granger(min_spikes=1, stimulus="none").fit(counts).stimulus_ == "none"


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"stimulus": "psth"}, ConfigError, "with a coordinate 'target'"),
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


def test_parts_are_kept_and_damaged_ones_are_not_there(tmp_path):
    kept = Finished(tmp_path / "parts")
    kept.put("unit-3", slopes=np.arange(3.0), found=np.array(True))

    assert kept.get("unit-3")["slopes"].tolist() == [0, 1, 2]
    assert kept.get("unit-4") is None
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["unit-3.npz"]
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
