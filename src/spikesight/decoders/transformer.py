"""A Transformer: every bin of a trial looks at every other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from spikesight.decoders.torch_base import TorchDecoder
from spikesight.networks.sequence import SequenceNetwork
from spikesight.networks.temporal import make_temporal


@dataclass(kw_only=True, eq=False, repr=False)
class Transformer(TorchDecoder):
    """Self-attention over the bins, which carry a learned vector of their position; read out from their mean.

    Parameters
    ----------
    hidden_size
        Width of a bin; ``n_heads`` must divide it.
    n_heads, n_layers
        Heads of the attention, and layers.
    dropout
        Share of hidden values that are silenced in a training trial.
    """

    hidden_size: int = 256
    n_heads: int = 4
    n_layers: int = 1
    dropout: float = 0.1

    def _build(self, n_bins: int, n_units: int, n_classes: int, rows: NDArray[np.float32]) -> nn.Module:
        block = make_temporal(
            "transformer",
            n_units,
            self.hidden_size,
            n_bins,
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            dropout=self.dropout,
        )
        return SequenceNetwork(block, n_classes, unit_dropout=self.unit_dropout, dropout=self.dropout)
