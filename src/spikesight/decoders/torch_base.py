"""What all decoders that are networks share: scaling, the validation split, training, decoding in double precision."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from torch import nn

from spikesight.decoders.base import Codes, Floats, ProbabilisticDecoder
from spikesight.decoders.factor_noise import FactorNoise
from spikesight.decoders.input_prior import InputPrior
from spikesight.errors import ConfigError
from spikesight.networks.devices import one_thread, own_randomness
from spikesight.networks.priors import ClassMixing, InputNoise
from spikesight.networks.training import Epoch, TrainingSettings, fit_network
from spikesight.preprocessing import FLOOR, anscombe, standardise, validate_trials

_GAP = 10
"""Trials left out before the validation trials, where there are enough: neighbours share slow states of the brain."""
_CHUNK = 64
"""Trials that are decoded at once."""


@dataclass(kw_only=True, eq=False, repr=False)
class TorchDecoder(ProbabilisticDecoder):
    """A network of standardised square-root counts, trained by gradient descent on the cross entropy.

    Before training, noise and signal are learned in closed form from class means and residuals of the training trials:
    the network gets inputs whose shared noise is whitened and whose units are weighted by their signal, noise is added
    to them in every training trial, and its scores are those of patterns over classes that drive the units alike.

    Subclasses are dataclasses of their parameters, with the same three flags, and write ``_build``.

    Parameters
    ----------
    max_epochs
        Times that every training trial is seen.
    batch_size
        Trials per update, at most: an epoch has at least four updates.
    learning_rate
        Of AdamW, at its highest; it warms up and then falls along half a cosine.
    weight_decay
        Of weights; biases do not decay.
    label_smoothing
        Probability that each training label gives away to all classes alike.
    unit_dropout
        Share of the units that are silenced in a training trial, others each time.
    noise_factors
        Factors of the noise that units share, which is whitened; None: the network learns from plain standardised
        counts, and nothing is known before training.
    input_noise
        Standard deviation of the noise that is added to the inputs of a training trial, as a multiple of each unit's
        own; 0: none is.
    valid_fraction
        Share of the training trials, the last ones, that are set aside to choose the epoch; 0: none are.
    patience
        Epochs without a lower loss of the validation trials after which training stops; None: it goes on to the end.
    floor
        Smallest standard deviation to divide by.
    device
        Where training runs: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``. Decoding is on the CPU.
    random_state
        Seed of initialisation, order of trials and dropout.
    checkpoint
        Folder that keeps unfinished fits, which go on from there when they are started again; None: none is kept.
    on_epoch
        Called with the record of each epoch; whatever it raises stops the fit. The decoder can decode by then, as it is
        after that epoch.

    Attributes
    ----------
    network_ : torch.nn.Module
        The trained network, on the CPU.
    history_ : list of dict
        One record per epoch; see `spikesight.networks.training.fit_network`.
    n_parameters_ : int
        Trained numbers in the network.
    mean_, scale_ : ndarray of shape (n_bins, n_units)
        Mean over the training trials and standard deviation, the latter at least ``floor``.
    noise_scale_, noise_axes_, noise_variance_ : ndarray of shape (n_columns,), (n_columns, q), (q,)
        Noise of the standardised counts: see `spikesight.decoders.factor_noise.FactorNoise`.
    gain_ : ndarray of shape (n_columns,)
        Weight of each bin of each unit.
    class_patterns_ : ndarray of shape (n_classes, n_classes)
        From the network's scores to those of classes.

    Notes
    -----
    On two real sessions (81 gabor positions, percent correct in two folds), an MLP of plain standardised counts had
    36.5, with whitened inputs 40.3, with noise added to them 44.8, with units weighted by their signal 47.5, with
    patterns over classes 49.0, in half as many epochs 49.9; ``fa-lda`` had 51.1.

    References
    ----------
    Bishop (1995), "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7.
    """

    max_epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1.0
    label_smoothing: float = 0.1
    unit_dropout: float = 0.1
    noise_factors: int | None = 60
    input_noise: float = 1.25
    valid_fraction: float = 0.0
    patience: int | None = None
    floor: float = FLOOR
    device: str = "auto"
    random_state: int | None = 0
    checkpoint: str | Path | None = None
    on_epoch: Callable[[Epoch], object] | None = None

    of_the_fit: ClassVar[tuple[str, ...]] = ("checkpoint", "on_epoch")
    """Parameters that are not stored with a fitted decoder."""

    @abstractmethod
    def _build(self, n_bins: int, n_units: int, n_classes: int, rows: NDArray[np.float32]) -> nn.Module:
        """Return the untrained network: (B, n_bins, n_units) to logits (B, n_classes).

        Random numbers are drawn from torch's global generator, which is seeded and put back around this call.
        ``rows`` are the standardised training trials (n_trials, n_bins, n_units). When a stored decoder is loaded,
        n_trials is 0: values may depend on the trials, names and shapes of weights and buffers may not.
        """

    def untrained_network(self) -> nn.Module:
        """Return the network that a fitted decoder had before it was fitted, for stored weights to be put in.

        Raises
        ------
        ValueError
            If fitted attributes contradict each other.
        """
        shape = (self.n_bins_, self.n_units_)
        if self.mean_.shape != shape or self.scale_.shape != shape:  # a claim of a damaged file takes no memory
            raise ValueError(f"expected trials of shape {shape}, means and scales are of {self.mean_.shape}.")
        with own_randomness(torch.device("cpu"), 0):
            return self._build(*shape, len(self.classes_), np.empty((0, *shape), np.float32))

    def _fit(self, trials: NDArray[Any], codes: Codes) -> None:
        train, valid = self._rows_to_learn_from(len(trials))
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        rows = anscombe(trials, np.float32)
        learnt = rows if len(train) == len(rows) else rows[train]
        held_out = rows[valid]
        self.mean_, self.scale_ = standardise(learnt, self.floor)
        with one_thread():
            self._keep_prior(self._prior(learnt.reshape(len(learnt), -1), codes[train], seed))
            with own_randomness(torch.device("cpu"), seed):
                network = self._build(self.n_bins_, self.n_units_, len(self.classes_), learnt)
            self.network_ = network  # a decoder can be asked after every epoch
            self.history_ = fit_network(
                self._surrounded(network),
                torch.from_numpy(self._white(learnt)),
                torch.from_numpy(codes[train]),
                self._settings(),
                valid=(torch.from_numpy(self._scaled(held_out)), torch.from_numpy(codes[valid]))
                if len(valid)
                else None,
                seed=seed,
                device=self.device,
                on_epoch=self.on_epoch,
                checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
                described=self._described(),
            )
        self.n_parameters_ = sum(weights.numel() for weights in network.parameters() if weights.requires_grad)

    def quick_predict(self, X: ArrayLike) -> NDArray[Any]:
        """Decode in single precision: twice as quick as ``predict``, for a curve while the network is trained.

        A trial whose two best classes are all but equal may come out otherwise than in ``predict``.

        Parameters
        ----------
        X
            Trials, as for ``predict``.

        Returns
        -------
        ndarray of shape (n_trials,)
            Labels.
        """
        trials = validate_trials(self, X, reset=False, non_negative=True)
        return np.asarray(self.classes_[self._scores_in(trials, np.float32).argmax(axis=1)])

    def standardised(self, X: ArrayLike) -> Floats:
        """Return standardised square-root counts (n_trials, n_bins, n_units): 0 is the mean training trial."""
        trials = validate_trials(self, X, reset=False, non_negative=True)
        return np.asarray((anscombe(trials) - self.mean_) / self.scale_)

    def white(self, rows: Floats) -> Floats:
        """Return what the network sees of standardised trials (n_trials, n_bins, n_units); a linear map."""
        return np.asarray(self._white(rows))

    def _scores(self, trials: NDArray[Any]) -> Floats:
        # in double precision, so that a trial's answer does not hang on which others are decoded with it
        return self._scores_in(trials, np.float64)

    def _scores_in(self, trials: NDArray[Any], precision: type[np.floating[Any]]) -> Floats:
        network = copy.deepcopy(self.network_).cpu().eval()
        if precision is np.float64:
            network = network.double()
        scores = []
        with one_thread(), torch.no_grad():
            for first in range(0, len(trials), _CHUNK):
                rows = self._scaled(anscombe(trials[first : first + _CHUNK], precision))
                scores.append(network(torch.from_numpy(rows)).numpy() @ self.class_patterns_)
        return np.concatenate(scores)

    def _scaled(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return what the network sees of square-root counts (n_trials, n_bins, n_units), in their precision."""
        return self._white((rows - self.mean_.astype(rows.dtype)) / self.scale_.astype(rows.dtype))

    def _white(self, rows: NDArray[Any]) -> NDArray[Any]:
        noise = FactorNoise(self.noise_scale_, self.noise_axes_, self.noise_variance_)
        return (
            InputPrior(noise, self.gain_, self.class_patterns_).apply(rows.reshape(len(rows), -1)).reshape(rows.shape)
        )

    def _prior(self, rows: NDArray[np.float32], codes: Codes, seed: int) -> InputPrior:
        if self.noise_factors is None:
            return InputPrior.none(rows.shape[1], len(self.classes_))
        if self.noise_factors < 0:
            raise ConfigError(f"expected zero or more noise_factors, or None, got {self.noise_factors!r}.")
        return InputPrior.fit(rows, codes, len(self.classes_), self.noise_factors, seed)

    def _keep_prior(self, prior: InputPrior) -> None:
        self.noise_scale_, self.noise_axes_ = prior.noise.private, prior.noise.axes
        self.noise_variance_, self.gain_, self.class_patterns_ = prior.noise.shared, prior.gain, prior.patterns

    def _surrounded(self, network: nn.Module) -> nn.Module:
        """Return the network as it is trained: noise before it, patterns over classes behind it."""
        if not self.input_noise >= 0:
            raise ConfigError(f"expected input_noise of 0 or more, got {self.input_noise!r}.")
        deviation = torch.from_numpy(self.input_noise * self.gain_).float().reshape(self.n_bins_, self.n_units_)
        return nn.Sequential(
            InputNoise(deviation), network, ClassMixing(torch.from_numpy(self.class_patterns_).float())
        )

    def _described(self) -> str:
        """Name the class and all parameters, those of nested estimators too, but not those of the fit alone."""
        params = {name: value for name, value in self.get_params().items() if name not in self.of_the_fit}
        return f"{type(self).__qualname__} {sorted(params.items())!r}"

    def _settings(self) -> TrainingSettings:
        return TrainingSettings(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            patience=self.patience,
        )

    def _rows_to_learn_from(self, n_trials: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return training rows and validation rows, which are the last ones, behind a gap."""
        if not 0 <= self.valid_fraction < 1:
            raise ConfigError(f"expected valid_fraction from 0 to below 1, got {self.valid_fraction!r}.")
        n_valid = int(np.ceil(self.valid_fraction * n_trials))
        n_rest = n_trials - n_valid
        if n_rest < 1:
            raise ConfigError(f"valid_fraction={self.valid_fraction!r} leaves none of {n_trials} trials to learn from.")
        n_train = n_rest - min(_GAP, n_rest // 10) if n_valid else n_trials
        return np.arange(n_train), np.arange(n_rest, n_trials)
