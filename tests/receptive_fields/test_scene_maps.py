"""Maps over images against the filters that made the responses."""

from pathlib import Path

import numpy as np
import pytest

from planted_scenes import N_UNITS, planted_fields, planted_scenes
from spikesight.data.binning import bin_spikes
from spikesight.data.images import images_of_simulation
from spikesight.data.presentations import select_trials
from spikesight.data.simulation import Simulation, simulate_session, truth_path
from spikesight.errors import ConfigError, DataError, StimulusNotFoundError, TooFewRepeatsError
from spikesight.receptive_fields.gabors import gabor_maps
from spikesight.receptive_fields.image_folds import ImageKFold
from spikesight.receptive_fields.preferred import preferred_gratings
from spikesight.receptive_fields.regression import correlate_columns
from spikesight.receptive_fields.scene_trials import scene_trials
from spikesight.receptive_fields.scenes import scene_maps
from spikesight.receptive_fields.truth import compare_with_truth, fields_of_truth, true_envelopes, true_filters

SIMPLE, COMPLEX = slice(0, N_UNITS // 2), slice(N_UNITS // 2, N_UNITS)


def test_maps_over_many_images_are_the_filters_of_the_simulator() -> None:
    dataset, images = planted_scenes(n_images=350, n_repeats=2)
    trials = scene_trials(dataset, images, longest_side=24)
    maps = scene_maps(trials, n_shuffles=9)
    even = true_filters(planted_fields(), trials.x, trials.y)
    envelope = true_envelopes(planted_fields(), trials.x, trials.y)
    filters = correlate_columns(*(part.reshape(N_UNITS, -1).T for part in (maps["receptive_field"].to_numpy(), even)))
    places = correlate_columns(*(part.reshape(N_UNITS, -1).T for part in (maps["contrast_map"].to_numpy(), envelope)))
    assert np.median(filters[SIMPLE]) > 0.8
    assert np.median(np.abs(filters[COMPLEX])) < 0.3  # they have none
    assert np.median(places[COMPLEX]) > 0.45
    assert (maps["held_out_r"][SIMPLE] > 0.4).all()
    assert (maps["by"][SIMPLE] == "pixels").mean() > 0.8
    assert (maps["by"][COMPLEX] == "contrast").mean() > 0.8
    found = np.column_stack([maps["centre_x"], maps["centre_y"]])
    true = np.column_stack([planted_fields().azimuth, planted_fields().elevation])
    assert np.median(np.abs(found - true)) < 6.0


@pytest.fixture(scope="module")
def demo() -> Simulation:
    return simulate_session("demo", seed=0)


@pytest.mark.slow
def test_maps_of_a_simulated_session_are_nearer_to_their_own_filters_than_to_those_of_others(
    demo: Simulation, tmp_path: Path
) -> None:
    session = tmp_path / "demo.nwb"
    demo.truth.save(truth_path(session))
    dataset = bin_spikes(select_trials(demo.session, "natural_scenes"), n_bins=1)
    maps = scene_maps(scene_trials(dataset, images_of_simulation(session), 24), n_shuffles=9).assign_coords(
        unit=dataset["unit"]
    )
    table = compare_with_truth(maps, demo.truth)
    shuffled = compare_with_truth(maps.assign_coords(unit=np.roll(dataset["unit"], 7)), demo.truth)
    assert table["map_r"].mean() > 0.06
    assert abs(shuffled["map_r"].mean()) < 0.03
    assert table["contrast_map_r"].mean() > shuffled["contrast_map_r"].mean() + 0.1
    sure = (maps["contrast_held_out_r"] > 0.4).to_numpy()
    assert table["contrast_map_r"][sure].mean() > 0.3


@pytest.mark.slow
def test_centres_of_patches_and_preferred_gratings_of_a_simulated_session_are_the_true_ones(demo: Simulation) -> None:
    maps = gabor_maps(bin_spikes(select_trials(demo.session, "gabors"), n_bins=1), n_shuffles=199)
    table = compare_with_truth(maps, demo.truth)
    sure = (maps["held_out_r"] > 0.15).to_numpy()  # three presentations at each place
    assert sure.sum() >= 10
    for ours, true in (("centre_x", "true_x"), ("centre_y", "true_y")):
        assert np.corrcoef(maps[ours][sure], table[true][sure])[0, 1] > 0.85
    gratings = bin_spikes(select_trials(demo.session, "static_gratings", "orientation"), n_bins=1)
    preferred = preferred_gratings(gratings)
    tilt = fields_of_truth(demo.truth, preferred.index.to_numpy()).orientation
    near = np.cos(2 * (np.deg2rad(preferred["preferred_orientation"]) - tilt))
    assert near[preferred["selectivity"] > 0.15].mean() > 0.7
    assert near.mean() > 0.4


def test_shuffled_images_predict_at_chance() -> None:
    dataset, images = planted_scenes(n_images=80)
    turned = images.assign_coords(frame=np.random.default_rng(1).permutation(80)).sortby("frame")
    maps = scene_maps(scene_trials(dataset, turned, 16), n_shuffles=9)
    assert abs(float(maps["held_out_r"].mean())) < 0.1
    assert abs(float(maps["contrast_held_out_r"].mean())) < 0.1


def test_an_image_is_in_one_fold_with_all_of_its_presentations() -> None:
    frames = np.tile(np.arange(23), 4)
    tested = []
    for train, test in ImageKFold(5, seed=3).split(None, groups=frames):
        assert not set(frames[train]) & set(frames[test])
        assert len(train) + len(test) == len(frames)
        tested += sorted(set(frames[test]))
    assert sorted(tested) == list(range(23))
    first, second = (next(ImageKFold(5, seed).split(None, groups=frames))[1] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_images_are_averaged_over_areas_with_their_degrees() -> None:
    dataset, images = planted_scenes(n_images=6)
    trials = scene_trials(dataset, images, longest_side=48)
    assert trials.images.shape == (6, 38, 48)
    np.testing.assert_allclose(trials.images[0, 0, 0], images.to_numpy()[0, :2, :2].mean(), rtol=1e-5)
    np.testing.assert_allclose(trials.x[:2], [-58.75, -56.25])
    assert trials.in_degrees
    assert scene_trials(dataset, images.drop_vars(["azimuth", "elevation"])).in_degrees is False


def test_blank_presentations_are_left_out() -> None:
    dataset, images = planted_scenes(n_images=6)
    frames = dataset["frame"].to_numpy().astype(float)
    frames[:2] = -1, np.nan
    trials = scene_trials(dataset.assign_coords(frame=("trial", frames)), images)
    assert len(trials.code) == dataset.sizes["trial"] - 2


def test_trials_and_images_that_do_not_fit_are_refused() -> None:
    dataset, images = planted_scenes(n_images=6)
    with pytest.raises(StimulusNotFoundError, match=r"2 are not among the 4 images: \[4, 5\]"):
        scene_trials(dataset, images.isel(frame=slice(0, 4)))
    with pytest.raises(
        StimulusNotFoundError, match=r"these are of gabors and do not. Choose --stimulus natural_scenes"
    ):
        scene_trials(dataset.drop_vars("frame").assign_attrs(stimulus_name="gabors"), images)
    first = dataset["repeat"].to_numpy() == 0
    with pytest.raises(TooFewRepeatsError, match="at least two presentations of every image, frame 0 has 1"):
        scene_trials(dataset.isel(trial=first), images)
    with pytest.raises(DataError, match="at least four images"):
        scene_trials(dataset.isel(trial=(dataset["frame"] < 3).to_numpy()), images)
    twice = images.copy()
    twice[4] = images[1]
    with pytest.raises(DataError, match="1 and 4 are the same, so that neither can be held out"):
        scene_trials(dataset, twice)
    with pytest.raises(DataError, match=r"as many images as folds \(7\), got 6"):
        scene_maps(scene_trials(dataset, images, 12), n_splits=7)
    with pytest.raises(ConfigError, match="at least 2 folds"):
        ImageKFold(1)
    with pytest.raises(DataError, match="need the number of the image"):
        next(ImageKFold(2).split(np.zeros(4)))
