"""Maps over the places of patches: against planted fields, and against the published centres."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from planted_places import CENTRES, planted_trials
from spikesight.data.counts import read_counts
from spikesight.errors import (
    ConfigError,
    DataError,
    FileFormatError,
    StimulusNotFoundError,
    TooFewRepeatsError,
    UnknownNameError,
)
from spikesight.receptive_fields.centres import centres_of_maps
from spikesight.receptive_fields.cosine_prior import cosine_prior
from spikesight.receptive_fields.gabors import gabor_maps
from spikesight.receptive_fields.published import read_published
from spikesight.receptive_fields.regression import correlate_columns, fit_regression
from spikesight.receptive_fields.significance import permutation_p_values


def test_planted_centres_are_found_and_only_they_are_significant() -> None:
    maps = gabor_maps(planted_trials(), n_shuffles=199)
    found = np.column_stack([maps["centre_x"], maps["centre_y"]])[:4]
    assert np.abs(found - CENTRES).max() < 3.0
    assert (maps["p_value"][:4] == 1 / 200).all()
    assert (maps["p_value"][4:] > 0.01).all()
    assert (maps["held_out_r"][:4] > 0.3).all()
    assert (np.abs(maps["held_out_r"][4:]) < 0.1).all()


def test_the_smooth_map_of_few_trials_is_nearer_to_the_truth_than_the_mean_counts() -> None:
    maps = gabor_maps(planted_trials(n_repeats=4, rate=2.0), n_shuffles=1)
    x, y = np.meshgrid(maps["x"], maps["y"])
    for unit, (centre_x, centre_y) in enumerate(CENTRES):
        truth = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / 200).ravel()
        smooth, mean = (np.corrcoef(maps[name][unit].to_numpy().ravel(), truth)[0, 1]
                        for name in ("receptive_field", "mean_count"))  # fmt: skip
        assert smooth > mean


def test_without_a_prior_the_map_is_the_mean_count_at_each_place() -> None:
    dataset = planted_trials()
    maps = gabor_maps(dataset, n_shuffles=1)
    counts = dataset["spike_counts"].sum("time")
    at = (dataset["x_position"] == 10.0) & (dataset["y_position"] == -30.0)
    np.testing.assert_allclose(maps["mean_count"].sel(x=10.0, y=-30.0), counts[at.to_numpy()].mean("trial"))


def test_test_trials_do_not_reach_what_is_fitted() -> None:
    """Held-out predictions of a fold are the same whatever was counted in its test trials."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 5)), rng.standard_normal((60, 3))
    train = np.arange(40)
    inner = [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]
    first = fit_regression(x[train], y[train], inner)
    y[40:], x[40:] = 1e6, -1e6
    second = fit_regression(x[train], y[train], inner)
    for before, after in zip(first, second, strict=True):
        np.testing.assert_array_equal(before, after)


def test_shuffled_places_are_predicted_at_chance_and_tested_uniformly() -> None:
    rng = np.random.default_rng(1)
    counts, places = rng.poisson(1.0, (810, 60)).astype(float), np.tile(np.arange(81), 10)
    p_values = permutation_p_values(counts, places, np.zeros(810, int), n_shuffles=99)
    assert 0.2 < (p_values < 0.5).mean() < 0.8
    assert (p_values < 0.05).mean() < 0.15


def test_labels_are_shuffled_within_blocks_only() -> None:
    """A rate that changes between blocks which showed other places is no receptive field."""
    rng = np.random.default_rng(2)
    blocks = np.repeat([0, 1], 200)
    places = np.where(blocks == 0, rng.integers(0, 2, 400), rng.integers(2, 4, 400))
    counts = rng.poisson(np.where(blocks == 0, 1.0, 8.0)[:, None], (400, 20)).astype(float)
    within = permutation_p_values(counts, places, blocks, n_shuffles=99)
    across = permutation_p_values(counts, places, np.zeros(400, int), n_shuffles=99)
    assert (across == 0.01).all()
    assert within.mean() > 0.2


def test_all_strengths_of_the_ridge_are_solved_as_the_normal_equations_are() -> None:
    rng = np.random.default_rng(3)
    for shape in ((50, 8), (8, 50)):
        x, y = rng.standard_normal(shape), rng.standard_normal((shape[0], 2))
        centred = x - x.mean(0)
        squares = np.linalg.svd(centred, compute_uv=False) ** 2
        unit = squares[squares > 1e-9].mean()
        expected = np.linalg.solve(centred.T @ centred + 0.3 * unit * np.eye(shape[1]), centred.T @ (y - y.mean(0)))
        found = fit_regression(x, y, [], strengths=(0.3,))
        np.testing.assert_allclose(found.weights, expected, atol=1e-9)
        np.testing.assert_allclose(found.predict(x).mean(0), y.mean(0))


def test_cosines_with_factors_are_the_penalty_on_second_differences() -> None:
    """Ridge on products equals the quadratic form of the Laplacian with reflecting borders, built by hand."""
    shape = (4, 5)
    rng = np.random.default_rng(4)
    second = []
    for n in shape:
        matrix = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
        matrix[0, 0] = matrix[-1, -1] = 1
        second.append(matrix)
    laplacian = np.kron(second[0], np.eye(5)) + np.kron(np.eye(4), second[1])
    belief = cosine_prior(shape, "smooth")
    back = np.diag(1 / belief.scale.ravel())
    penalty = back @ (np.eye(20) + laplacian @ laplacian) @ back
    images, y = rng.standard_normal((30, *shape)), rng.standard_normal((30, 1))
    x = images.reshape(30, -1) - images.reshape(30, -1).mean(0)
    expected = np.linalg.solve(x.T @ x + 7.0 * penalty, x.T @ (y - y.mean()))
    products = belief.to_cosines(images)
    centred = products - products.mean(0)
    weights = np.linalg.solve(centred.T @ centred + 7.0 * np.eye(20), centred.T @ (y - y.mean()))
    np.testing.assert_allclose(belief.to_maps(weights.T).ravel(), expected[:, 0], atol=1e-9)


def test_every_place_has_the_same_prior_variance() -> None:
    belief = cosine_prior((6, 9), "smooth")
    draws = belief.to_maps(np.random.default_rng(0).standard_normal((20000, 54)))
    np.testing.assert_allclose(draws.var(0) / draws.var(0).mean(), 1.0, atol=0.06)


def test_the_centre_of_a_gaussian_is_its_own_and_a_constant_map_has_none() -> None:
    x, y = np.arange(0.0, 50.0, 5.0), np.arange(-20.0, 20.0, 5.0)
    gaussian = np.exp(-((x[None] - 22.0) ** 2 + (y[:, None] + 4.0) ** 2) / 128)
    table = centres_of_maps(np.stack([gaussian, np.ones_like(gaussian)]), x, y, smoothing=0)
    assert abs(table["x"][0] - 22.0) < 0.5
    assert abs(table["y"][0] + 4.0) < 0.5
    assert 200 < table["size"][0] < 400  # a disc of radius 8 * sqrt(2 ln 2) has 279
    assert table.loc[1].isna().all()


def test_other_stimuli_unknown_priors_and_single_presentations_are_refused() -> None:
    dataset = planted_trials(n_repeats=2)
    with pytest.raises(StimulusNotFoundError, match=r"these are of natural_scenes.*Choose --stimulus gabors"):
        gabor_maps(dataset.drop_vars("x_position").assign_attrs(stimulus_name="natural_scenes"))
    with pytest.raises(UnknownNameError, match="Did you mean 'smooth'"):
        gabor_maps(dataset, prior="smoth")
    with pytest.raises(TooFewRepeatsError, match=r"at least two presentations at every place.*81 of 81 places"):
        gabor_maps(planted_trials(n_repeats=1))
    with pytest.raises(StimulusNotFoundError, match="two or more places along x"):
        gabor_maps(dataset.isel(trial=(dataset["x_position"] == 0).to_numpy()))
    with pytest.raises(ConfigError, match="at least one shuffle"):
        gabor_maps(dataset, n_shuffles=0)


def test_too_few_trials_for_inner_folds_are_told_as_such() -> None:
    dataset = planted_trials(n_repeats=13)
    near = ((abs(dataset["x_position"] - 5) < 6) & (abs(dataset["y_position"] - 5) < 6)).to_numpy()
    few = dataset.isel(trial=near)
    start = 0.25 * np.arange(few.sizes["trial"])
    few = few.assign_coords(start_time=("trial", start), stop_time=("trial", start + 0.25))
    with pytest.raises(
        DataError, match=r"inner folds of the training trials, and the \d+ of fold \d of 3 with a gap of 10"
    ):
        gabor_maps(few, n_splits=3, n_shuffles=1)
    assert gabor_maps(few, n_splits=3, gap=2, n_shuffles=1).attrs["n_trials"] == 52


def test_values_that_are_not_finite_and_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="expected finite"):
        fit_regression(np.full((3, 2), np.nan), np.zeros((3, 1)), [], strengths=(1.0,))
    with pytest.raises(DataError, match=r"got \(3, 2\) and \(4, 1\)"):
        fit_regression(np.zeros((3, 2)), np.zeros((4, 1)), [], strengths=(1.0,))
    with pytest.raises(DataError, match="expected inner folds"):
        fit_regression(np.zeros((3, 2)), np.zeros((3, 1)), [])
    with pytest.raises(DataError, match="a place and a block for each trial"):
        permutation_p_values(np.zeros((3, 2)), np.zeros(2, int), np.zeros(3, int))


def test_a_constant_column_correlates_with_nothing() -> None:
    np.testing.assert_array_equal(correlate_columns(np.ones((4, 1)), np.arange(4.0)[:, None]), [0.0])


@pytest.mark.parametrize(
    "session", ["719161530", *(pytest.param(name, marks=pytest.mark.slow) for name in ("754829445", "762602078"))]
)
def test_centres_of_real_units_agree_with_the_published_ones(recordings: Path, session: str) -> None:
    folder = recordings / "allen-npx-gabors"
    if not (folder / f"session_{session}.npz").is_file():
        pytest.skip(f"no gabor session {session} in {folder}")
    published = pd.read_parquet(folder / "units_all_sessions.parquet").set_index("ecephys_unit_id")
    maps = gabor_maps(read_counts(folder / f"session_{session}.npz"), n_shuffles=49)
    theirs = published.loc[maps["unit"].to_numpy()]
    sure = (theirs["on_screen_rf"] & (theirs["p_value_rf"] < 0.01) & theirs["azimuth_rf"].notna()).to_numpy()
    assert sure.sum() > 100
    for ours, name in (("centre_x", "azimuth_rf"), ("centre_y", "elevation_rf")):
        assert np.corrcoef(maps[ours][sure], theirs[name][sure])[0, 1] >= 0.9
    assert ((maps["p_value"] <= 0.02).to_numpy() == (theirs["p_value_rf"] < 0.02).to_numpy())[sure].mean() > 0.95


def test_a_published_table_with_a_unit_twice_is_refused(tmp_path: Path) -> None:
    row = {"unit_id": 7, "azimuth_rf": 50.0, "elevation_rf": 10.0, "p_value_rf": 0.0, "on_screen_rf": True}
    pd.DataFrame([row, row]).to_csv(tmp_path / "units.csv", index=False)
    with pytest.raises(FileFormatError, match="one row for each unit"):
        read_published(tmp_path / "units.csv")
