"""Numbers that can be counted by hand, and what is said of files that lack something."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from counts_by_hand import counts_of
from spikesight import exploration
from spikesight.data.binning import bin_spikes
from spikesight.data.presentations import Trials
from spikesight.data.session import Session
from spikesight.errors import (
    ConfigError,
    FileFormatError,
    NoTrialsError,
    NoUnitsError,
    PresentationsError,
    UnitIdsError,
)


def test_every_name_of_the_room_is_a_documented_function_every_time_it_is_asked_for() -> None:
    for _ in range(2):  # a module of the same name would take its place
        for name in exploration.__all__:
            assert callable(getattr(exploration, name))
            assert getattr(exploration, name).__doc__


def test_psth_is_the_mean_count_over_trials_and_units_divided_by_the_bin(by_hand_trials: Trials) -> None:
    table = exploration.psth(by_hand_trials, bin_size=0.01, margin=0.05, areas=["VISp"])
    shown = table[table["target"] == "5"].set_index(table.loc[table["target"] == "5", "time"].round(3))
    assert shown.loc[0.005, "mean"] == pytest.approx(2 / (2 * 2 * 0.01))  # two spikes of 2 units in 2 trials
    assert shown.loc[-0.025, "mean"] == pytest.approx(1 / (2 * 2 * 0.01))  # one spike before the start
    assert set(shown["n_trials"]) == {2}
    assert set(shown["n_units"]) == {2}
    assert len(shown) == 20


def test_psth_has_students_interval_over_trials(by_hand_trials: Trials) -> None:
    table = exploration.psth(by_hand_trials, bin_size=0.01, areas=["VISp"], per_class=False)
    row = table[table["time"].round(3) == 0.005].iloc[0]
    per_trial = np.array([1, 0, 1, 0]) / 2 / 0.01
    low, high = stats.t.interval(0.95, 3, per_trial.mean(), stats.sem(per_trial))
    assert row["target"] == "all"
    assert (row["low"], row["high"]) == (pytest.approx(max(low, 0)), pytest.approx(high))


def test_psth_of_a_single_trial_has_no_interval(by_hand_trials: Trials) -> None:
    one = replace(by_hand_trials, table=by_hand_trials.table.iloc[:1])
    assert exploration.psth(one)["low"].isna().all()


def test_psth_names_the_classes_and_areas_that_there_are(by_hand_trials: Trials) -> None:
    with pytest.raises(NoTrialsError, match=r"6 came.*Choose among its 2: 5, 7"):
        exploration.psth(by_hand_trials, classes=[6])
    with pytest.raises(NoUnitsError, match=r"LGd; the areas are: VISp, not given"):
        exploration.psth(by_hand_trials, areas=["LGd"])
    with pytest.raises(ConfigError, match="level"):
        exploration.psth(by_hand_trials, level=1.0)


def test_trial_spikes_are_counted_from_the_start_of_their_trial(by_hand_trials: Trials) -> None:
    spikes, units, trials = exploration.trial_spikes(by_hand_trials, classes=[7], margin=0.05)
    assert trials["trial"].tolist() == [11, 13]
    assert units["unit"].tolist() == [2, 1, 3]  # VISp from the surface down, then what has no area
    own = spikes[(spikes["unit"] == 1) & (spikes["trial"] == 13)]
    np.testing.assert_allclose(own["time"], [0.095])
    assert spikes["area"].isin(["VISp", "not given"]).all()
    assert len(spikes) == 6


def test_trial_spikes_keep_the_order_of_classes_and_the_first_repeats(by_hand_trials: Trials) -> None:
    _, _, trials = exploration.trial_spikes(by_hand_trials, classes=[7, 5], n_repeats=1)
    assert trials["target"].tolist() == ["7", "5"]
    with pytest.raises(UnitIdsError, match="99"):
        exploration.trial_spikes(by_hand_trials, units=[99])
    with pytest.raises(ConfigError, match="n_repeats"):
        exploration.trial_spikes(by_hand_trials, n_repeats=0)


def test_class_rates_divide_spikes_by_the_time_that_was_counted(by_hand_trials: Trials) -> None:
    rates = exploration.class_rates(bin_spikes(by_hand_trials, n_bins=2))
    assert rates.sel(unit=1, target=5).item() == pytest.approx(3 / 0.2)
    assert rates.sel(unit=3, target=7).item() == pytest.approx(4 / 0.2)
    assert rates["n_trials"].to_numpy().tolist() == [2, 2]
    assert rates.attrs["units"] == "spikes/s"


def test_class_rates_without_times_are_spikes_per_trial() -> None:
    counts = counts_of(np.array([[1], [3], [5]]), [0, 0, 1])
    counts = counts.assign_coords(stop_time=counts["start_time"] * np.nan)
    rates = exploration.class_rates(counts)
    assert rates.to_numpy().tolist() == [[2.0, 5.0]]
    assert rates.attrs["units"] == "spikes/trial"


def test_response_map_z_scores_each_unit_and_leaves_an_untuned_unit_at_zero() -> None:
    counts = counts_of(np.array([[0, 4, 2], [0, 4, 2], [2, 4, 0], [2, 4, 0]]), [1, 1, 2, 2], ["b", "a", "b"])
    responses = exploration.response_map(counts)
    assert responses["area"].to_numpy().tolist() == ["a", "b", "b"]
    assert responses.sel(unit=101).to_numpy().tolist() == [0.0, 0.0]
    assert responses["unit"].to_numpy().tolist() == [101, 102, 100]  # within b by the class they prefer
    np.testing.assert_allclose(responses.sel(unit=100), [-1, 1])
    with pytest.raises(ConfigError, match="scale"):
        exploration.response_map(counts, scale="percent")  # type: ignore[arg-type]


def _planted(n_trials: int = 400, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Two groups of three units that share noise, and one unit that never spikes."""
    rng = np.random.default_rng(seed)
    shared = rng.poisson(4, (n_trials, 2))
    groups = np.array([0, 1, 0, 1, 0, 1])
    counts = shared[:, groups] * 2 + rng.poisson(1, (n_trials, 6))
    return np.column_stack([counts, np.zeros(n_trials, int)]), list(np.arange(n_trials) % 4)


@pytest.mark.parametrize("kind", ["total", "signal", "noise"])
def test_unit_correlations_equal_numpys_and_leave_a_constant_unit_unknown(kind: str) -> None:
    counts, target = _planted()
    found = exploration.unit_correlations(counts_of(counts, target), kind).to_numpy()  # type: ignore[arg-type]
    labels = np.array(target)
    means = np.array([counts[labels == label].mean(axis=0) for label in range(4)])
    rows = {"total": counts, "signal": means, "noise": counts - means[labels]}[kind]
    np.testing.assert_allclose(found[:6, :6], np.corrcoef(rows[:, :6].T), atol=1e-12)
    assert np.isnan(found[6]).all()
    assert np.isnan(found[:, 6]).all()


def test_noise_correlation_does_not_see_what_the_classes_share() -> None:
    rng = np.random.default_rng(1)
    target = np.arange(600) % 6
    counts = rng.poisson(1 + 4 * target[:, None], (600, 2))
    total, noise = (
        exploration.unit_correlations(counts_of(counts, target.tolist()), kind).to_numpy()[0, 1]
        for kind in ("total", "noise")  # type: ignore[arg-type]
    )
    assert total > 0.7
    assert abs(noise) < 0.15


def test_cluster_units_brings_together_what_was_planted_and_constant_units_last() -> None:
    counts, target = _planted()
    clustered = exploration.cluster_units(exploration.unit_correlations(counts_of(counts, target)))
    order = clustered["unit"].to_numpy() - 100
    assert {frozenset(order[:3].tolist()), frozenset(order[3:6].tolist())} == {
        frozenset({0, 2, 4}),
        frozenset({1, 3, 5}),
    }
    assert order[6] == 6
    assert clustered["linkage"].shape == (5, 4)
    assert clustered["leaf"].to_numpy()[-1] == -1
    assert clustered["unit"].to_numpy().tolist() == clustered["other_unit"].to_numpy().tolist()


def test_correlations_of_too_little_say_so() -> None:
    counts, target = _planted(2)
    with pytest.raises(NoTrialsError, match="at least 3 trials"):
        exploration.unit_correlations(counts_of(counts, target))
    with pytest.raises(NoTrialsError, match="leave 0 for noise"):
        exploration.unit_correlations(counts_of(_planted(4)[0], [0, 1, 2, 3]), "noise")
    with pytest.raises(NoUnitsError, match="at least 2 units whose counts vary, 0 of 2"):
        exploration.cluster_units(exploration.unit_correlations(counts_of(np.ones((5, 2)), [0] * 5)))
    with pytest.raises(ConfigError, match="kind"):
        exploration.unit_correlations(counts_of(counts, target), "partial")  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_embeddings_are_the_same_for_the_same_seed_and_part_what_differs(method: str) -> None:
    rng = np.random.default_rng(2)
    target = np.arange(60) % 2
    counts = rng.poisson(np.where(target[:, None] == np.arange(20)[None, :] % 2, 12, 1))
    data = counts_of(counts, target.tolist())
    first, again = (exploration.embed_trials(data, method=method) for _ in range(2))  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(first, again)
    centres = first.groupby("target")[["x", "y"]].mean().to_numpy()
    spread = first.groupby("target")[["x", "y"]].std().to_numpy().max()
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * spread
    assert first.attrs["method"] == method
    assert first.attrs["of"] == "trials"


def test_embed_units_gives_a_place_and_an_area_to_every_unit_of_a_session(scenes: Trials) -> None:
    dataset = bin_spikes(scenes, n_bins=1)
    table = exploration.embed_units(dataset, method="tsne")
    assert sorted(table["unit"]) == sorted(dataset["unit"].to_numpy())
    assert np.isfinite(table[["x", "y"]].to_numpy()).all()
    assert "perplexity" in table.attrs["x_label"]


def test_embeddings_refuse_what_cannot_be_placed() -> None:
    with pytest.raises(NoTrialsError, match="at least 3 trials"):
        exploration.embed_trials(counts_of(np.ones((2, 5)), [0, 1]))
    with pytest.raises(NoTrialsError, match="at least 2 classes"):
        exploration.embed_units(counts_of(np.ones((5, 5)), [0] * 5))
    with pytest.raises(ConfigError, match="method"):
        exploration.embed_trials(counts_of(np.ones((5, 5)), [0] * 5), method="umap")  # type: ignore[arg-type]


def test_unit_rates_of_a_session_are_spikes_over_the_time_from_first_to_last_spike(by_hand: Session) -> None:
    rates = exploration.unit_rates(by_hand).set_index("unit")
    assert rates.loc[1, "rate"] == pytest.approx(5 / (4.095 - 0.97))
    assert rates.loc[3, "area"] == "not given"


def test_unit_rates_of_counts_without_times_are_refused() -> None:
    counts = counts_of(np.ones((5, 2)), [0] * 5)
    assert exploration.unit_rates(counts)["rate"].tolist() == [2.0, 2.0]
    with pytest.raises(NoTrialsError, match="the file holds none"):
        exploration.unit_rates(counts.assign_coords(stop_time=counts["start_time"] * np.nan))


def test_presentation_timeline_lists_blocks_in_minutes_and_invalid_times(simulated: Session) -> None:
    table = exploration.presentation_timeline(simulated)
    assert table["start"].is_monotonic_increasing
    own = table[table["stimulus"] == "natural_scenes"]
    shown = simulated.stimulus_presentations["natural_scenes"]
    assert own["n_presentations"].sum() == len(shown)
    assert own["start"].min() == pytest.approx(shown["start_time"].min() / 60)
    assert (table["kind"] == "invalid").sum() == len(simulated.invalid_times)


def test_presentation_timeline_of_a_session_without_presentations_says_so(by_hand: Session) -> None:
    with pytest.raises(PresentationsError, match="by hand has none"):
        exploration.presentation_timeline(replace(by_hand, stimulus_presentations={}))


def test_probe_map_says_where_units_sit_and_what_a_file_does_not_tell(by_hand: Session, simulated: Session) -> None:
    table = exploration.probe_map(by_hand)
    assert table["depth"].tolist() == [100.0, 300.0, 200.0]
    assert table["left_right"].isna().all()
    with pytest.raises(FileFormatError, match="left_right_ccf_coordinate of units; none of 3 has them"):
        exploration.probe_map(by_hand, ccf=True)
    assert len(exploration.probe_map(simulated, ccf=True)) == len(simulated.units)
    with pytest.raises(FileFormatError, match="probe_vertical_position"):
        exploration.probe_map(counts_of(np.ones((3, 2)), [0, 0, 1]))


def test_probe_sites_join_the_sites_of_one_area(simulated: Session, by_hand: Session) -> None:
    sites = exploration.probe_sites(simulated)
    assert (sites["top"] >= sites["bottom"]).all()
    for _, stretches in sites.groupby("probe"):
        assert (stretches["area"].to_numpy()[1:] != stretches["area"].to_numpy()[:-1]).all()
        np.testing.assert_allclose(stretches["top"].to_numpy()[:-1], stretches["bottom"].to_numpy()[1:])
    assert exploration.probe_sites(by_hand).empty


def test_mean_waveforms_are_those_of_the_largest_site_with_the_trough_at_zero(by_hand: Session) -> None:
    wave = np.zeros((3, 82))
    wave[1, 20] = -50
    wave[2, 30] = -80
    table = exploration.mean_waveforms(replace(by_hand, mean_waveforms={1: wave}))
    trough = table.loc[table["voltage"].idxmin()]
    assert (trough["time"], trough["voltage"]) == (0.0, -80.0)
    assert table["time"].max() == pytest.approx((81 - 30) / 30)
    assert set(table["unit"]) == {1}


def test_mean_waveforms_of_a_file_without_any_say_so(by_hand: Session) -> None:
    with pytest.raises(FileFormatError, match="holds none"):
        exploration.mean_waveforms(by_hand)
    with pytest.raises(FileFormatError, match="none of 3 units has one"):
        exploration.mean_waveforms(replace(by_hand, mean_waveforms={}))


def test_behaviour_over_session_is_thinned_by_averaging_and_told_in_minutes(by_hand: Session) -> None:
    start = np.arange(0, 120, 0.5)
    running = pd.DataFrame({"start_time": start, "stop_time": start + 0.5, "velocity": np.where(start < 60, 2.0, 6.0)})
    table = exploration.behaviour_over_session(replace(by_hand, running=running), n_points=4)
    assert table["time"].tolist() == [0.25, 0.75, 1.25, 1.75]
    np.testing.assert_allclose(table["value"], [2, 2, 6, 6])
    assert set(table["units"]) == {"cm/s"}
    with pytest.raises(FileFormatError, match="holds neither"):
        exploration.behaviour_over_session(by_hand)


def test_cut_trial_counts_the_same_spikes_in_every_cut(by_hand_trials: Trials) -> None:
    table = exploration.cut_trial(by_hand_trials, 10, n_bins=(1, 2, 10))
    assert table.groupby("n_bins")["count"].sum().tolist() == [3, 3, 3]
    assert table[table["n_bins"] == 2]["count"].tolist() == [2, 1]
    assert table[table["n_bins"] == 10]["right"].max() == pytest.approx(0.1)
    with pytest.raises(NoTrialsError, match="got 99"):
        exploration.cut_trial(by_hand_trials, 99)
