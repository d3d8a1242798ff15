"""A convolutional network: filters over a few bins of all units."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from spikesight.decoders.torch_base import TorchDecoder
from spikesight.networks.sequence import SequenceNetwork, TemporalConvolution


@dataclass(kw_only=True, eq=False, repr=False)
class CNN(TorchDecoder):
    """Temporal convolution: a bin's features are its units; the filters' outputs in all bins are read out together.

    Parameters
    ----------
    n_filters
        Filters of each layer.
    kernel_size
        Bins that a filter sees; an odd number.
    n_layers
        Number of layers.
    dropout
        Share of the filters' outputs that are silenced in a training trial.
    """

    n_filters: int = 128
    kernel_size: int = 3
    n_layers: int = 1
    dropout: float = 0.1

    def _build(self, n_bins: int, n_units: int, n_classes: int, rows: NDArray[np.float32]) -> nn.Module:
        block = TemporalConvolution(n_units, n_bins, self.n_filters, self.kernel_size, self.n_layers)
        return SequenceNetwork(block, n_classes, unit_dropout=self.unit_dropout, dropout=self.dropout)
