"""Receptive fields: what a Gabor-energy unit must and must not answer to."""

import numpy as np
import pytest

from spikesight.data.simulation.receptive_fields import ReceptiveFields, drive, fit_nonlinearity
from spikesight.data.simulation.scenes import gabor_patches, gratings, natural_scenes


def fields(**changes):
    plain = {
        "azimuth": 0.0,
        "elevation": 0.0,
        "size": 8.0,
        "orientation": 0.0,
        "spatial_frequency": 0.04,
        "phase": 0.0,
        "complexity": 1.0,
    }
    values = {name: np.atleast_1d(np.asarray(value, float)) for name, value in {**plain, **changes}.items()}
    n_units = max(map(len, values.values()))
    return ReceptiveFields(**{name: np.resize(value, n_units) for name, value in values.items()})


def test_a_uniform_screen_drives_no_unit():
    assert drive(np.full((1, 76, 96), 0.7, np.float32), fields(complexity=[0.0, 1.0])).max() < 1e-3


def test_a_complex_unit_answers_to_every_phase_alike_and_a_simple_one_to_its_own():
    phases = np.arange(8) / 8
    images = gratings(np.zeros(8), np.full(8, 0.04), phases)
    responses = drive(images, fields(complexity=[1.0, 0.0]))
    assert np.ptp(responses[:, 0]) < 0.1 * responses[:, 0].mean()
    assert responses[0, 1] > 0
    assert responses[4, 1] == 0


def test_a_unit_prefers_its_orientation_and_spatial_frequency():
    orientations = np.array([0.0, 45.0, 90.0])
    assert drive(gratings(orientations, np.full(3, 0.04), np.zeros(3)), fields())[:, 0].argmax() == 0
    frequencies = np.array([0.01, 0.04, 0.16])
    assert drive(gratings(np.zeros(3), frequencies, np.zeros(3)), fields())[:, 0].argmax() == 1


def test_a_unit_answers_to_patches_in_its_field_only():
    images = gabor_patches(np.array([0.0, 40.0]), np.array([0.0, 0.0]), np.array([0.0, 0.0]))
    near, far = drive(images, fields(spatial_frequency=0.08))[:, 0]
    assert near > 20 * far


def test_drive_is_linear_in_contrast():
    image = natural_scenes(np.random.default_rng(0), 1)
    np.testing.assert_allclose(drive(2 * image, fields()), 2 * drive(image, fields()), rtol=1e-4)


def test_coarse_pixels_change_the_drive_of_a_wide_field_little():
    images = natural_scenes(np.random.default_rng(0), 20)
    wide = fields(size=16.0, spatial_frequency=0.02)
    np.testing.assert_allclose(drive(images, wide, coarseness=2), drive(images, wide), rtol=0.1, atol=0.05)


@pytest.mark.parametrize("variation", [0.1, 0.5, 1.0])
def test_the_nonlinearity_gives_the_variation_that_was_asked_for(variation):
    scene_drive = drive(natural_scenes(np.random.default_rng(0), 118), fields(azimuth=[-20.0, 0.0, 20.0]))
    wanted = np.full(3, variation)
    response = fit_nonlinearity(scene_drive, wanted, 1.5 * wanted)(scene_drive)
    np.testing.assert_allclose(response.mean(0), 1, rtol=1e-3)
    np.testing.assert_allclose(response.std(0), wanted, rtol=0.02)


def test_stimuli_beyond_the_scenes_do_not_drive_a_unit_without_bound():
    scene_drive = drive(natural_scenes(np.random.default_rng(0), 118), fields())
    respond = fit_nonlinearity(scene_drive, np.array([1.0]), np.array([1.5]))
    assert respond(100 * scene_drive).max() < 3 * respond(scene_drive).max()
