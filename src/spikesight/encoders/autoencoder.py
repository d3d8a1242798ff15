"""An autoencoder: components from which a network makes the activity of all units again."""

import torch
from torch import Tensor, nn

from spikesight.encoders.base import N_COMPONENTS
from spikesight.encoders.torch_encoder import GAUSSIAN, TorchEncoder, layers, reconstruction_loss
from spikesight.errors import ConfigError
from spikesight.preprocessing import FLOOR


class _Network(nn.Module):
    """Rows to components (``code``) and back (``rebuild``); units are silenced at random in training."""

    def __init__(self, n_units: int, hidden_size: int, n_components: int, unit_dropout: float) -> None:
        super().__init__()
        self.silence = nn.Dropout(unit_dropout)
        self.code = layers(n_units, hidden_size, n_components)
        self.rebuild = layers(n_components, hidden_size, n_units)

    def forward(self, rows: Tensor) -> Tensor:
        made: Tensor = self.rebuild(self.code(self.silence(rows)))
        return made


class AutoencoderEncoder(TorchEncoder):
    """A denoising autoencoder with one hidden layer on either side of its components.

    It is trained to make each row of all units again from components of the row with some units silenced, so that it
    has to learn what units tell of each other. The loss is a negative log-likelihood: Gaussian of z-scored square-root
    counts (squared error; the default), or Poisson of the counts, with a softplus as rate.

    Training stops when validation trials, the last tenth of the training trials behind a gap, have not been made better
    for ``patience`` epochs; the best weights are kept.

    Parameters
    ----------
    n_components
        Size of the bottleneck; at most the number of units.
    hidden_size
        Of the layers beside it.
    likelihood
        ``"gaussian"`` or ``"poisson"``.
    unit_dropout
        Share of the units that are silenced in a training row.
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
        Seed of initialisation, order of trials and silencing.

    Attributes
    ----------
    network_ : torch.nn.Module
    history_ : list of dict
    n_parameters_ : int

    References
    ----------
    Hinton and Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks", Science 313; Vincent et
    al. (2010), "Stacked denoising autoencoders", JMLR 11.
    """

    def __init__(
        self,
        n_components: int = N_COMPONENTS,
        *,
        hidden_size: int = 128,
        likelihood: str = GAUSSIAN,
        unit_dropout: float = 0.2,
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
        self.unit_dropout = unit_dropout
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
        if not 0 <= self.unit_dropout < 1:
            raise ConfigError(f"expected unit_dropout from 0 to below 1, got {self.unit_dropout!r}.")

    def _build(self, n_units: int) -> nn.Module:
        return _Network(n_units, self.hidden_size, self.n_components_, self.unit_dropout)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return reconstruction_loss(outputs.to(torch.float32), targets, self.likelihood)
