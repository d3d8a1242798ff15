"""Recurrent networks: the bins of a trial one after the other."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from spikesight.decoders.torch_base import TorchDecoder
from spikesight.networks.sequence import SequenceNetwork
from spikesight.networks.temporal import make_temporal


@dataclass(kw_only=True, eq=False, repr=False)
class RecurrentDecoder(TorchDecoder):
    """One recurrent layer, read out after the last bin.

    Parameters
    ----------
    hidden_size
        Width of the state.
    dropout
        Share of the last state that is silenced in a training trial.
    """

    hidden_size: int = 256
    dropout: float = 0.1

    @property
    @abstractmethod
    def _kind(self) -> str:
        """Name of the block in `spikesight.networks.temporal`."""

    def _build(self, n_bins: int, n_units: int, n_classes: int, rows: NDArray[np.float32]) -> nn.Module:
        block = make_temporal(self._kind, n_units, self.hidden_size, n_bins)
        return SequenceNetwork(block, n_classes, unit_dropout=self.unit_dropout, dropout=self.dropout)


@dataclass(kw_only=True, eq=False, repr=False)
class LSTM(RecurrentDecoder):
    """Long short-term memory over the bins; parameters as of `RecurrentDecoder`."""

    _kind = "lstm"


@dataclass(kw_only=True, eq=False, repr=False)
class GRU(RecurrentDecoder):
    """Gated recurrent units over the bins; parameters as of `RecurrentDecoder`."""

    _kind = "gru"
