"""Networks of the bins of a trial: dropout of units, a block over the bins, one read-out of the whole trial."""

from itertools import pairwise

from torch import Tensor, nn

from spikesight.errors import ConfigError
from spikesight.networks.dropout import UnitDropout
from spikesight.networks.temporal import TemporalBlock


class TemporalConvolution(nn.Module):
    """Convolutions over the bins; units are the features of a bin.

    Parameters
    ----------
    n_units, n_bins
        Shape of a trial.
    n_filters
        Features of a bin after each layer.
    kernel_size
        Bins that a filter sees; an odd number. A filter that is wider than the trial is cut to it.
    n_layers
        Number of layers.
    """

    def __init__(self, n_units: int, n_bins: int, n_filters: int, kernel_size: int, n_layers: int) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ConfigError(f"expected a kernel_size that is an odd number of bins, got {kernel_size!r}.")
        if n_layers < 1:
            raise ConfigError(f"expected n_layers of at least 1, got {n_layers!r}.")
        width = min(kernel_size, 2 * n_bins - 1)
        sizes = [n_units] + [n_filters] * n_layers
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, width, padding=width // 2) for before, after in pairwise(sizes)
        )
        self.pooled_size = n_filters * n_bins

    def forward(self, bins: Tensor) -> Tensor:
        """Map bins (B, T, N) to (B, n_filters, T)."""
        states = bins.transpose(1, 2)
        for layer in self.layers:
            states = nn.functional.gelu(layer(states))
        return states

    def pool(self, states: Tensor) -> Tensor:
        """Return all bins side by side."""
        return states.flatten(1)


Block = TemporalBlock | TemporalConvolution


class SequenceNetwork(nn.Module):
    """Trials (B, T, N) to logits (B, K).

    Parameters
    ----------
    block
        From bins to states: see `spikesight.networks.temporal` and `TemporalConvolution`.
    n_classes
        Number of classes.
    unit_dropout, dropout
        Shares of units, and of pooled states, that are silenced in a training trial.
    """

    def __init__(self, block: Block, n_classes: int, *, unit_dropout: float, dropout: float) -> None:
        super().__init__()
        self.silence = UnitDropout(unit_dropout)
        self.block = block
        self.dropout = nn.Dropout(dropout)
        self.read_out = nn.Linear(block.pooled_size, n_classes)

    def forward(self, trials: Tensor) -> Tensor:
        """Return the logits of trials."""
        pooled = self.block.pool(self.block(self.silence(trials)))
        logits: Tensor = self.read_out(self.dropout(pooled))
        return logits
