"""Networks that see a trial at once: every bin of every unit is an input of its own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from spikesight.decoders.torch_base import TorchDecoder
from spikesight.errors import ConfigError
from spikesight.networks.dropout import UnitDropout


@dataclass(kw_only=True, eq=False, repr=False)
class MLP(TorchDecoder):
    """One hidden layer.

    Parameters
    ----------
    hidden_size
        Width of the hidden layer.
    n_layers
        Number of hidden layers.
    dropout
        Share of hidden values that are silenced in a training trial.
    """

    hidden_size: int = 256
    n_layers: int = 1
    dropout: float = 0.1

    def _build(self, n_bins: int, n_units: int, n_classes: int, rows: NDArray[np.float32]) -> nn.Module:
        if self.n_layers < 1:
            raise ConfigError(f"expected n_layers of at least 1, got {self.n_layers!r}.")
        layers: list[nn.Module] = [UnitDropout(self.unit_dropout), nn.Flatten()]
        width = n_bins * n_units
        for _ in range(self.n_layers):
            layers += [nn.Linear(width, self.hidden_size), nn.GELU(), nn.Dropout(self.dropout)]
            width = self.hidden_size
        return nn.Sequential(*layers, nn.Linear(width, n_classes))


@dataclass(kw_only=True, eq=False, repr=False)
class DeepMLP(MLP):
    """Two hidden layers; parameters as of `MLP`."""

    n_layers: int = 2
