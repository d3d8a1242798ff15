"""Scenes: the statistics that are promised, and where patches and gratings lie."""

import numpy as np
import pytest

from spikesight.data.simulation.scenes import (
    HEIGHT,
    WIDTH,
    dead_leaves,
    gabor_patches,
    gratings,
    movie,
    natural_scenes,
    one_over_f,
    screen,
)


def amplitude_slope(images):
    """Slope of log amplitude over log frequency, averaged over images; 1/f images have -1."""
    height, width = images.shape[1:]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    amplitude = np.sqrt((np.abs(np.fft.fft2(images)) ** 2).mean(0))
    inside = (frequency > 0.03) & (frequency < 0.3)
    return np.polyfit(np.log(frequency[inside]), np.log(amplitude[inside]), 1)[0]


def edge_kurtosis(images):
    steps = np.diff(images, axis=2).ravel()
    return ((steps - steps.mean()) ** 4).mean() / steps.var() ** 2


def test_one_over_f_noise_has_an_amplitude_spectrum_that_falls_as_one_over_f():
    images = np.stack([one_over_f(np.random.default_rng(seed), HEIGHT, WIDTH) for seed in range(30)])
    assert amplitude_slope(images) == pytest.approx(-1, abs=0.05)


def test_dead_leaves_have_a_natural_spectrum_and_sharp_edges():
    images = np.stack([dead_leaves(np.random.default_rng(seed), HEIGHT, WIDTH) for seed in range(30)])
    noise = np.stack([one_over_f(np.random.default_rng(seed), HEIGHT, WIDTH) for seed in range(30)])
    assert amplitude_slope(images) == pytest.approx(-1.3, abs=0.3)
    assert edge_kurtosis(images) > 3 * edge_kurtosis(noise)


def test_dead_leaves_are_centred_and_of_unit_contrast():
    image = dead_leaves(np.random.default_rng(0), HEIGHT, WIDTH)
    assert image.mean() == pytest.approx(0, abs=1e-5)
    assert image.std() == pytest.approx(1, abs=1e-5)


def test_natural_scenes_differ_from_each_other_and_in_contrast():
    images = natural_scenes(np.random.default_rng(0), 12)
    correlations = np.corrcoef(images.reshape(12, -1))
    assert images.shape == (12, HEIGHT, WIDTH)
    assert np.abs(correlations[np.triu_indices(12, 1)]).max() < 0.6
    assert images.std((1, 2)).max() > 1.3 * images.std((1, 2)).min()


def test_frames_of_a_movie_resemble_their_neighbours_more_than_distant_ones():
    frames = movie(np.random.default_rng(0), 60).reshape(60, -1)
    correlations = np.corrcoef(frames)
    assert np.diagonal(correlations, 1).mean() > np.diagonal(correlations, 50).mean() + 0.3


def test_a_gabor_patch_lies_where_it_is_asked_for():
    image = gabor_patches(np.array([20.0]), np.array([-10.0]), np.array([0.0]))[0]
    azimuth, elevation = screen()
    rows, columns = np.nonzero(image)
    assert azimuth[columns].mean() == pytest.approx(20, abs=1)
    assert elevation[rows].mean() == pytest.approx(-10, abs=1)
    assert np.ptp(azimuth[columns]) == pytest.approx(20, abs=2.5)


def test_a_grating_of_orientation_zero_varies_along_azimuth_only():
    image = gratings(np.array([0.0]), np.array([0.04]), np.array([0.0]))[0]
    assert np.ptp(image, axis=0).max() == pytest.approx(0, abs=1e-6)
    assert np.ptp(image, axis=1).min() == pytest.approx(1.6, abs=0.05)
