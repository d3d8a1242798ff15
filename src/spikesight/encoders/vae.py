"""A variational autoencoder: components with a prior, so that only what pays for itself is encoded."""

import torch
from torch import Tensor, nn

from spikesight.encoders.base import N_COMPONENTS
from spikesight.encoders.torch_encoder import POISSON, TorchEncoder, layers, reconstruction_loss
from spikesight.errors import ConfigError
from spikesight.preprocessing import FLOOR

_WARM_UP = 10
"""Epochs in which the weight of the prior rises to its own: from the start, it would empty most components."""


class _Network(nn.Module):
    """Rows to means of components (``code``) and back; in training a sample of the components is rebuilt.

    The output is (what was rebuilt, mean, log variance, weight of the prior) side by side, for the loss.
    """

    weight: Tensor

    def __init__(self, n_units: int, hidden_size: int, n_components: int, beta: float) -> None:
        super().__init__()
        self.n_components, self.beta = n_components, beta
        self.both = layers(n_units, hidden_size, 2 * n_components)
        self.rebuild = layers(n_components, hidden_size, n_units)
        self.register_buffer("weight", torch.zeros(()))

    def start_epoch(self) -> None:
        self.weight += (self.beta - self.weight).clamp(max=self.beta / _WARM_UP)

    def code(self, rows: Tensor) -> Tensor:
        both: Tensor = self.both(rows)
        return both[:, : self.n_components]

    def forward(self, rows: Tensor) -> Tensor:
        mean, log_variance = self.both(rows).split(self.n_components, dim=1)
        log_variance = log_variance.clamp(-10, 10)
        drawn = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean) if self.training else mean
        weight = self.weight if self.training else torch.full_like(self.weight, self.beta)
        return torch.cat([self.rebuild(drawn), mean, log_variance, weight.expand(len(rows), 1)], dim=1)


class VAEEncoder(TorchEncoder):
    """A variational autoencoder with one hidden layer on either side of its components; the means are given on.

    The loss is the negative evidence bound: the negative log-likelihood of a row given components that are drawn from a
    Gaussian around their means, and ``beta`` times the divergence of that Gaussian from the standard one. The
    likelihood is Poisson of the counts, with a softplus as rate (the default), or Gaussian of z-scored square-root
    counts, of variance 1. The divergence gets its weight over the first ten epochs.

    Training stops when the bound of validation trials, the last tenth of the training trials behind a gap, has not
    become better for ``patience`` epochs, each at its mean components; the best weights are kept.

    Parameters
    ----------
    n_components
        Components; at most the number of units. Those that do not pay stay near 0.
    hidden_size
        Of the layers beside them.
    likelihood
        ``"poisson"`` or ``"gaussian"``.
    beta
        Weight of the divergence; 1: the evidence bound.
    max_epochs, batch_size, learning_rate, weight_decay
        Training, as of `spikesight.networks.training`.
    valid_fraction
        Share of the training trials, the last ones, that choose the epoch; fewer than 20 trials set none aside.
    patience
        Epochs without a lower loss of these after which training stops; None: it goes on to the end.
    floor
        Smallest standard deviation to divide by.
    device
        Where training runs: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``. Encoding is on the CPU.
    random_state
        Seed of initialisation, order of trials and draws.

    Attributes
    ----------
    network_ : torch.nn.Module
    history_ : list of dict
    n_parameters_ : int

    References
    ----------
    Kingma and Welling (2014), "Auto-encoding variational Bayes", ICLR; Sonderby et al. (2016), "Ladder variational
    autoencoders", NeurIPS (the slow start of the divergence); Higgins et al. (2017), "beta-VAE", ICLR.
    """

    def __init__(
        self,
        n_components: int = N_COMPONENTS,
        *,
        hidden_size: int = 128,
        likelihood: str = POISSON,
        beta: float = 1.0,
        max_epochs: int = 40,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
        valid_fraction: float = 0.1,
        patience: int | None = 8,
        floor: float = FLOOR,
        device: str = "auto",
        random_state: int | None = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_size = hidden_size
        self.likelihood = likelihood
        self.beta = beta
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.valid_fraction = valid_fraction
        self.patience = patience
        self.floor = floor
        self.device = device
        self.random_state = random_state

    def _check(self) -> None:
        super()._check()
        if not self.beta >= 0:
            raise ConfigError(f"expected beta of 0 or more, got {self.beta!r}.")

    def _build(self, n_units: int) -> nn.Module:
        return _Network(n_units, self.hidden_size, self.n_components_, self.beta)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        n_units, k = targets.shape[1], self.n_components_
        made, mean, log_variance, weight = torch.split(outputs.to(torch.float32), [n_units, k, k, 1], dim=1)
        divergence = 0.5 * (mean**2 + torch.exp(log_variance) - log_variance - 1).sum(dim=1)
        bound: Tensor = reconstruction_loss(made, targets, self.likelihood) + (weight[:, 0] * divergence).mean()
        return bound
