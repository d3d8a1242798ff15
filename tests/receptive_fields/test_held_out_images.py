"""Reconstruction and retrieval: what they reach on planted responses, and that test images teach them nothing."""

import numpy as np
import pandas as pd
import pytest

from planted_scenes import planted_scenes
from spikesight.errors import ConfigError, DataError, UnknownNameError
from spikesight.receptive_fields.gabor_pyramid import GaborPyramid, gabor_energy, gabor_pair
from spikesight.receptive_fields.image_folds import ImageKFold
from spikesight.receptive_fields.neural_images import METHODS, fit_reconstruction, response_weighted_sum
from spikesight.receptive_fields.reconstruction import reconstruct_images, summarise_reconstruction
from spikesight.receptive_fields.retrieval import DIRECTIONS, retrieve_images, summarise_retrieval
from spikesight.receptive_fields.scene_trials import SceneTrials, scene_trials


@pytest.fixture(scope="module")
def trials() -> SceneTrials:
    return scene_trials(*planted_scenes(n_images=60), longest_side=16)


@pytest.fixture(scope="module")
def many_trials() -> SceneTrials:
    return scene_trials(*planted_scenes(n_images=120, n_repeats=3), longest_side=12)


@pytest.fixture(scope="module")
def other_test_images(trials: SceneTrials) -> tuple[SceneTrials, np.ndarray, np.ndarray]:
    """The same trials with other pixels of all images of fold 0, and other responses to half of them."""
    test_rows = next(ImageKFold(5, 0).split(None, groups=trials.code))[1]
    asked = np.unique(trials.code[test_rows])
    changed, kept = asked[::2], asked[1::2]
    images, counts = trials.images.copy(), trials.counts.copy()
    images[asked] = np.random.default_rng(9).standard_normal(images[asked].shape) * 100
    counts[np.isin(trials.code, changed)] = 1000
    return trials._replace(images=images, counts=counts), changed, kept


@pytest.mark.parametrize("method", METHODS)
def test_pixels_and_responses_of_test_images_do_not_reach_a_reconstruction(
    trials: SceneTrials, other_test_images: tuple[SceneTrials, np.ndarray, np.ndarray], method: str
) -> None:
    """Bit for bit the same reconstruction of a test image whose own responses stayed as they were."""
    other, changed, kept = other_test_images
    before = reconstruct_images(trials, (method,)).images[method]
    after = reconstruct_images(other, (method,)).images[method]
    np.testing.assert_array_equal(before[kept], after[kept])
    assert not np.array_equal(before[changed], after[changed])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_responses_to_other_test_images_do_not_reach_a_rank(
    trials: SceneTrials, other_test_images: tuple[SceneTrials, np.ndarray, np.ndarray], direction: str
) -> None:
    other, _, kept = other_test_images
    only_counts = other._replace(images=trials.images)
    ranks = [
        table[(table["query"] == "mean") & table["frame"].isin(trials.frames[kept])]["rank"].to_numpy()
        for table in (retrieve_images(part, direction=direction) for part in (trials, only_counts))
    ]
    np.testing.assert_array_equal(*ranks)


@pytest.mark.parametrize("method", METHODS)
def test_planted_responses_give_images_back_better_than_shuffled(many_trials: SceneTrials, method: str) -> None:
    scores = reconstruct_images(many_trials, (method,), n_splits=4).scores
    assert len(scores) == many_trials.n_images
    summary = summarise_reconstruction(scores).set_index("measure")
    assert summary.loc["pixel_r", "gain_low"] > 0.0
    assert summary.loc["pixel_r", "mean"] > (0.15 if method == "neural-image" else 0.1)


def test_shuffled_responses_reconstruct_and_retrieve_at_chance(trials: SceneTrials) -> None:
    rng = np.random.default_rng(5)
    shuffled = trials._replace(images=trials.images[rng.permutation(trials.n_images)])
    summary = summarise_reconstruction(reconstruct_images(shuffled, ("ridge",)).scores).set_index("measure")
    assert summary.loc["pixel_r", "gain_low"] < 0.02
    found = summarise_retrieval(retrieve_images(shuffled)).set_index(["query", "measure"])
    assert found.loc[("mean", "top-1"), "low"] <= found.loc[("mean", "top-1"), "chance"] + 0.02


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_planted_responses_find_their_image_among_held_out_ones(trials: SceneTrials, direction: str) -> None:
    found = summarise_retrieval(retrieve_images(trials, direction=direction)).set_index(["query", "measure"])
    for query in ("mean", "trial"):
        assert found.loc[(query, "top-1"), "low"] > found.loc[(query, "top-1"), "chance"]
        assert found.loc[(query, "median rank"), "value"] < found.loc[(query, "median rank"), "chance"]
    assert found.loc[("mean", "top-1"), "n_candidates"] == 12
    assert found.loc[("mean", "top-1"), "chance"] == pytest.approx(1 / 12)
    assert found.loc[("mean", "top-5"), "chance"] == pytest.approx(5 / 12)
    assert found.loc[("trial", "top-1"), "n_queries"] == 240


def test_any_features_of_the_user_are_taken(trials: SceneTrials) -> None:
    pixels = trials.images.reshape(trials.n_images, -1)
    own = retrieve_images(trials, pixels)
    assert not own["rank"].equals(retrieve_images(trials)["rank"])
    with pytest.raises(DataError, match=r"finite features \(60 images, features\), got an array of shape \(59,"):
        retrieve_images(trials, pixels[1:])


def test_chance_is_that_of_a_random_order() -> None:
    rng = np.random.default_rng(0)
    n = np.repeat([10, 7], [2000, 3000])
    table = pd.DataFrame({"query": "mean", "frame": np.arange(5000), "n_candidates": n, "rank": rng.integers(1, n + 1)})
    summary = summarise_retrieval(table, n_resamples=50).set_index("measure")
    for measure in ("top-1", "top-5"):
        assert summary.loc[measure, "value"] == pytest.approx(summary.loc[measure, "chance"], abs=0.02)
    assert summary.loc["median rank", "value"] == summary.loc["median rank", "chance"] == 4


def test_chance_of_an_even_number_of_candidates_is_the_rank_of_answers_that_say_nothing() -> None:
    table = pd.DataFrame({"query": "mean", "frame": np.arange(20), "n_candidates": 10, "rank": 5.5})  # all tied
    row = summarise_retrieval(table, n_resamples=50).set_index("measure").loc["median rank"]
    assert row["value"] == row["chance"] == 5.5


def test_energies_are_those_of_a_convolution_by_hand() -> None:
    rng = np.random.default_rng(0)
    image = rng.standard_normal((13, 17))
    even, odd = gabor_pair(4.0, 0.7)
    reach = len(even) // 2
    padded = np.pad(image, reach, mode="symmetric")
    expected = np.zeros(image.shape)
    for row in range(13):
        for column in range(17):
            patch = padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1]
            expected[row, column] = np.hypot(*((patch * gabor[::-1, ::-1]).sum() for gabor in (even, odd)))
    np.testing.assert_allclose(gabor_energy(image[None], 4.0, 0.7)[0], expected, atol=1e-10)


def test_a_pyramid_sees_orientation_and_not_grey_or_sign() -> None:
    x = np.arange(32.0)
    grating = np.cos(2 * np.pi * x / 8)[None, :] * np.ones((32, 1))
    pyramid = GaborPyramid((8.0,), 4)
    features = pyramid.transform(np.stack([grating, -grating, grating.T, np.full((32, 32), 0.7)]))
    by_orientation = features.reshape(4, 4, -1).mean(2)
    assert by_orientation[0].argmax() == 0
    assert by_orientation[2].argmax() == 2
    np.testing.assert_allclose(features[0], features[1])
    np.testing.assert_allclose(features[3], 0, atol=1e-6)


def test_a_neural_image_is_the_weighted_sum_of_preferred_stimuli() -> None:
    preferred = np.zeros((3, 2, 2))
    preferred[0, 0, 0], preferred[1, 1, 1] = 5.0, 2.0
    image = response_weighted_sum(np.array([[1.0, -2.0, 9.0]]), preferred)
    np.testing.assert_allclose(image[0], [[1.0, 0.0], [0.0, -2.0]])


def test_the_same_seed_gives_the_same_network_and_leaves_the_global_generator_alone(trials: SceneTrials) -> None:
    import torch

    rows = np.random.default_rng(0).standard_normal((40, 6))
    code = np.arange(40) % 10
    state = torch.random.get_rng_state()
    first, second, third = (
        fit_reconstruction("network", rows, code, trials.images[:10], seed)(rows[:3]) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)
    assert torch.equal(state, torch.random.get_rng_state())


def test_unknown_names_and_images_that_do_not_do_are_refused(trials: SceneTrials) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'ridge'"):
        reconstruct_images(trials, ("rigde",))
    with pytest.raises(UnknownNameError, match="Known: features, responses"):
        retrieve_images(trials, direction="sideways")
    with pytest.raises(DataError, match="images of 7 pixels a side"):
        reconstruct_images(trials._replace(images=trials.images[:, :5]))
    for function in (reconstruct_images, retrieve_images):
        with pytest.raises(DataError, match="at least two images in each of 31 folds"):
            function(trials, n_splits=31)  # type: ignore[operator]
    with pytest.raises(ConfigError, match="wavelengths of 2 pixels or more"):
        GaborPyramid((1.0,))
    with pytest.raises(DataError, match="expected finite images"):
        GaborPyramid().transform(np.full((2, 8, 8), np.nan))
