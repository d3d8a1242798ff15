"""What the two encoders that are networks share: validation trials, training, encoding in double precision."""

import copy
from abc import abstractmethod
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from torch import Tensor, nn
from torch.nn import functional

from spikesight.encoders.base import Encoder, Floats
from spikesight.encoders.pca import components_possible
from spikesight.errors import ConfigError
from spikesight.networks.devices import one_thread, own_randomness
from spikesight.networks.training import TrainingSettings, fit_network

GAUSSIAN: Final = "gaussian"
POISSON: Final = "poisson"
_GAP = 10
"""Trials left out before the validation trials, where there are enough: neighbours share slow states of the brain."""
_FEWEST = 20
"""Trials below which none are set aside."""
_CHUNK = 512
"""Rows that are encoded at once."""


class TorchEncoder(Encoder):
    """A network that makes components of rows, trained to make the rows again from them.

    Subclasses write ``_build`` and ``_loss``.
    """

    n_components: int
    hidden_size: int
    likelihood: str
    max_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    valid_fraction: float
    patience: int | None
    device: str
    random_state: int | None

    @abstractmethod
    def _build(self, n_units: int) -> nn.Module:
        """Return the untrained network; its ``code`` makes components of rows."""

    @abstractmethod
    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss over rows."""

    def untrained_network(self) -> nn.Module:
        """Return the network as it was before it was fitted, for stored weights to be put in.

        Raises
        ------
        ValueError
            If fitted attributes contradict each other.
        """
        if self.mean_.shape != (self.n_units_,) or self.scale_.shape != (self.n_units_,):
            raise ValueError(f"expected means and scales of {self.n_units_} units, they are of {self.mean_.shape}.")
        with own_randomness(torch.device("cpu"), 0):
            return self._build(self.n_units_)

    def _learn(self, rows: Floats, trials: NDArray[Any], y: ArrayLike | None) -> None:
        self._check()
        self.n_components_ = components_possible(self.n_components, len(rows) + 1, rows.shape[1])
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        inputs = torch.from_numpy(rows.astype(np.float32))
        counts = torch.from_numpy(trials.reshape(rows.shape).astype(np.float32))
        targets = counts if self.likelihood == POISSON else inputs
        learnt, held_out = self._rows_to_learn_from(len(trials))
        with one_thread():
            with own_randomness(torch.device("cpu"), seed):
                network = self._build(rows.shape[1])
                self._start(network, counts[learnt])
            self.history_ = fit_network(
                network,
                inputs[learnt],
                targets[learnt],
                self._settings(),
                valid=(inputs[held_out], targets[held_out]) if len(held_out) else None,
                loss=self._loss,
                seed=seed,
                device=self.device,
            )
        self.network_ = network
        self.n_parameters_ = sum(weights.numel() for weights in network.parameters())

    def _encode(self, rows: Floats) -> Floats:
        # in double precision, so that a trial's components do not hang on which others are encoded with it
        network: Any = copy.deepcopy(self.network_).double().eval()
        with one_thread(), torch.no_grad():
            parts = [network.code(part).numpy() for part in torch.split(torch.from_numpy(rows), _CHUNK)]
        return np.concatenate(parts)

    def _start(self, network: Any, counts: Tensor) -> None:
        """Begin where every unit is as active as in the training rows; else the first epochs would learn just that."""
        if self.likelihood == POISSON:
            mean = counts.mean(dim=0).clamp(min=1e-2)
            with torch.no_grad():
                network.rebuild[-1].bias.copy_(mean + torch.log(-torch.expm1(-mean)))  # softplus of it is the mean

    def _rows_to_learn_from(self, n_trials: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return rows to learn from and rows of the validation trials, which are the last ones, behind a gap."""
        n_valid = int(np.ceil(self.valid_fraction * n_trials)) if n_trials >= _FEWEST else 0
        n_rest = n_trials - n_valid
        n_train = n_rest - min(_GAP, n_rest // 10) if n_valid else n_trials
        return np.arange(n_train * self.n_bins_), np.arange(n_rest * self.n_bins_, n_trials * self.n_bins_)

    def _settings(self) -> TrainingSettings:
        return TrainingSettings(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
        )

    def _check(self) -> None:
        if self.likelihood not in (GAUSSIAN, POISSON):
            raise ConfigError(f"expected likelihood={GAUSSIAN!r} or {POISSON!r}, got {self.likelihood!r}.")
        if not self.hidden_size >= 1:
            raise ConfigError(f"expected hidden_size of at least 1, got {self.hidden_size!r}.")
        if not 0 <= self.valid_fraction < 1:
            raise ConfigError(f"expected valid_fraction from 0 to below 1, got {self.valid_fraction!r}.")


def reconstruction_loss(made: Tensor, targets: Tensor, likelihood: str) -> Tensor:
    """Return the mean over rows of the negative log-likelihood of a row, up to a constant of the data.

    Parameters
    ----------
    made
        What the network makes of the components, (n_rows, n_units): means (Gaussian, of variance 1: z-scores), or
        rates before a softplus (Poisson).
    targets
        z-scores, or counts.
    likelihood
        ``"gaussian"`` or ``"poisson"``.
    """
    if likelihood == GAUSSIAN:
        return 0.5 * ((made - targets) ** 2).sum(dim=1).mean()
    rate = functional.softplus(made) + 1e-6
    return (rate - targets * torch.log(rate)).sum(dim=1).mean()


def layers(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    """Return one hidden layer between two linear maps."""
    return nn.Sequential(nn.Linear(n_in, n_hidden), nn.GELU(), nn.Linear(n_hidden, n_out))
