"""What is known before training, put around a network: how noisy its inputs are, and which classes are alike."""

import torch
from torch import Tensor, nn


class InputNoise(nn.Module):
    """Add Gaussian noise to every trial in training, other noise each time.

    Parameters
    ----------
    deviation
        Standard deviation of the noise in each bin of each unit, (T, N).
    """

    deviation: Tensor

    def __init__(self, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("deviation", deviation)

    def forward(self, trials: Tensor) -> Tensor:
        """Take and return trials (B, T, N)."""
        return trials + self.deviation * torch.randn_like(trials) if self.training else trials


class ClassMixing(nn.Module):
    """Make the scores of classes of the scores of patterns over classes.

    Weights that are small, or few, then give similar scores to similar classes.

    Parameters
    ----------
    patterns
        ``(K, K)``: each row a pattern over classes.
    """

    patterns: Tensor

    def __init__(self, patterns: Tensor) -> None:
        super().__init__()
        self.register_buffer("patterns", patterns)

    def forward(self, scores: Tensor) -> Tensor:
        """Map scores (B, K) to scores (B, K)."""
        return scores @ self.patterns
