"""Silence whole units in training, so that a network does not lean on a few of them."""

import torch
from torch import Tensor, nn

from spikesight.errors import ConfigError


class UnitDropout(nn.Module):
    """Silence each unit of each trial with a probability, in all bins at once; the others grow to make up for it.

    Parameters
    ----------
    probability
        Share of units that are silenced, from 0 to below 1.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ConfigError(f"expected a share of units from 0 to below 1, got unit_dropout={probability!r}.")
        self.probability = probability

    def forward(self, trials: Tensor) -> Tensor:
        """Take and return trials (B, T, N)."""
        if not self.training or self.probability == 0:
            return trials
        kept = torch.rand(len(trials), 1, trials.shape[2], device=trials.device) >= self.probability
        return trials * (kept / (1 - self.probability))

    def extra_repr(self) -> str:
        """Say the probability."""
        return f"{self.probability}"
