"""Images as the neurons see them: from the responses to an image back to an image.

Three ways, each fitted on training images only and asked about images that it never saw:

- the *neural image*: the sum of the units' preferred stimuli (receptive fields, gratings), each weighted by how much
  the unit answered, in standard deviations;
- ridge: the linear map from responses to pixels with the smallest error (Stanley, Li & Dan 1999, J. Neurosci. 19:8036);
- network: the same with a hidden layer between.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesight.preprocessing import FLOOR, anscombe, standardise
from spikesight.receptive_fields.image_folds import inner_image_folds
from spikesight.receptive_fields.regression import fit_regression
from spikesight.receptive_fields.scene_trials import average_rows
from spikesight.receptive_fields.scenes import fit_maps

Floats = NDArray[np.float64]

METHODS: Final = ("neural-image", "ridge", "network")
HIDDEN_SIZE: Final = 128
MAX_EPOCHS: Final = 60
PATIENCE: Final = 8
_VALID_SHARE: Final = 6
"""One image in so many is kept out of the network's training, to end it in time."""


Reconstruction = Callable[[Floats], Floats]
"""What turns responses (n, n_units) into changes from the mean training image, (n, rows, columns)."""


class Scaling(NamedTuple):
    """Square-root counts in standard deviations of the training trials."""

    mean: Floats
    scale: Floats

    def __call__(self, counts: Floats) -> Floats:
        """Scale ``counts`` (n, n_units)."""
        return np.asarray((anscombe(counts) - self.mean) / self.scale)


def fit_scaling(counts: Floats) -> Scaling:
    """Learn each unit's mean and floored standard deviation from training trials (n_trials, n_units)."""
    return Scaling(*standardise(anscombe(counts), FLOOR))


def response_weighted_sum(responses: Floats, preferred: Floats) -> Floats:
    """Add up preferred stimuli, each of unit norm, by how much its unit answered.

    Parameters
    ----------
    responses
        Standard deviations from the mean, shape (n, n_units).
    preferred
        Shape (n_units, rows, columns); one that is 0 everywhere adds nothing.

    Returns
    -------
    Shape (n, rows, columns).
    """
    norm = np.sqrt((preferred**2).sum((1, 2)))
    unit = np.divide(preferred, norm[:, None, None], out=np.zeros_like(preferred), where=norm[:, None, None] > 0)
    return np.asarray(np.einsum("nu,uyx->nyx", responses, unit, optimize=True))


def fit_reconstruction(
    method: str, responses: Floats, code: NDArray[np.intp], images: Floats, seed: int
) -> Reconstruction:
    """Fit one of ``METHODS`` on training trials.

    Parameters
    ----------
    method
        ``"neural-image"``, ``"ridge"`` or ``"network"``.
    responses
        Scaled responses of training trials, shape (n_trials, n_units).
    code
        Row in ``images`` of each trial's image.
    images
        Training images, each shown in at least one trial, shape (n_images, rows, columns).
    seed
        Of inner folds, weights and batches.
    """
    means = average_rows(responses, code, len(images))
    change = images - images.mean(0)
    if method == "neural-image":
        maps, fitted = fit_maps(change, means, "smooth", seed)
        # Each has a say by how well it predicts on inner folds: a map that predicts nothing is noise of full size.
        weights = np.maximum(fitted.inner_r, 0.0)
        return lambda rows: response_weighted_sum(rows * weights, maps)
    if method == "ridge":
        pixels = change.reshape(len(change), -1)
        folds = inner_image_folds(np.arange(len(images)), seed)
        ridge = fit_regression(means, pixels, folds, shared=True)
        return lambda rows: ridge.predict(rows).reshape(len(rows), *change.shape[1:])
    return _fit_network(responses, code, change, seed)


def _fit_network(responses: Floats, code: NDArray[np.intp], change: Floats, seed: int) -> Reconstruction:
    """Fit a network of one hidden layer on single trials; some training images tell when to stop."""
    import torch
    from torch import nn

    from spikesight.networks.training import TrainingSettings, fit_network

    rng = np.random.default_rng(seed)
    order = rng.permutation(len(change))
    is_valid = np.isin(code, order[: max(1, len(change) // _VALID_SHARE)])
    targets = change.reshape(len(change), -1) / (float(change.std()) or 1.0)

    def tensor(values: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float32)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Dropout(0.3),
            nn.Linear(responses.shape[1], HIDDEN_SIZE),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(HIDDEN_SIZE, targets.shape[1]),
        )
    fit_network(
        network,
        tensor(responses[~is_valid]),
        tensor(targets[code[~is_valid]]),
        TrainingSettings(max_epochs=MAX_EPOCHS, patience=PATIENCE, weight_decay=0.05, learning_rate=1e-3),
        valid=(tensor(responses[is_valid]), tensor(targets[code[is_valid]])),
        loss=nn.functional.mse_loss,
        seed=seed,
        device="cpu",
    )

    def reconstruct(rows: Floats) -> Floats:
        with torch.no_grad():
            pixels = network(tensor(rows)).numpy().astype(float)
        return np.asarray(pixels.reshape(len(rows), *change.shape[1:]))

    return reconstruct
