"""Temporal blocks: what a network makes of the bins of a trial, one after the other.

Every block maps ``(M, T, in_features)`` to ``(M, T, hidden_size)`` for M trials of T bins, and says with ``pool`` how
the bins of a trial become one row: the last state of a recurrent block, the mean of a Transformer, all bins side by
side without a temporal block.
"""

from typing import Final

import torch
from torch import Tensor, nn

from spikesight.errors import ConfigError, UnknownNameError

TEMPORAL: Final = ("lstm", "gru", "transformer", "none")


class Recurrent(nn.Module):
    """An LSTM or a GRU over the bins.

    Parameters
    ----------
    kind
        ``"lstm"`` or ``"gru"``.
    in_features, hidden_size
        Width of a bin and of the state.

    References
    ----------
    Hochreiter and Schmidhuber (1997), "Long short-term memory", Neural Computation 9.
    Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder", EMNLP.
    """

    def __init__(self, kind: str, in_features: int, hidden_size: int) -> None:
        super().__init__()
        self.pooled_size = hidden_size
        self.recurrent = (nn.LSTM if kind == "lstm" else nn.GRU)(in_features, hidden_size, batch_first=True)

    def forward(self, bins: Tensor) -> Tensor:
        """Map ``bins`` (M, T, in_features) to the states after each bin, (M, T, hidden_size)."""
        if bins.shape[1] == 1 and isinstance(self.recurrent, nn.LSTM):
            return _first_state(self.recurrent, bins)
        states: Tensor = self.recurrent(bins)[0]
        return states

    def pool(self, states: Tensor) -> Tensor:
        """Return the last state, (M, hidden_size)."""
        return states[:, -1]


def _first_state(lstm: nn.LSTM, bins: Tensor) -> Tensor:
    """Return the state after the first bin, without the products with a state of zeros before it: twice as fast."""
    inwards, _, bias, more_bias = lstm.all_weights[0]
    gates = nn.functional.linear(bins, inwards, bias + more_bias)
    enter, _, cell, leave = gates.chunk(4, dim=-1)
    return leave.sigmoid() * torch.tanh(enter.sigmoid() * cell.tanh())


class PerBin(nn.Module):
    """A linear map of each bin plus a learned vector of its position, rectified; bins do not see each other.

    Parameters
    ----------
    in_features, hidden_size, n_bins
        Width of a bin before and after, and number of bins.
    """

    def __init__(self, in_features: int, hidden_size: int, n_bins: int) -> None:
        super().__init__()
        self.pooled_size = n_bins * hidden_size
        self.inwards = nn.Linear(in_features, hidden_size)
        self.position = nn.Parameter(0.1 * torch.randn(n_bins, hidden_size))

    def forward(self, bins: Tensor) -> Tensor:
        """Map ``bins`` (M, T, in_features) to (M, T, hidden_size)."""
        return nn.functional.gelu(self.inwards(bins) + self.position)

    def pool(self, states: Tensor) -> Tensor:
        """Return all bins side by side, (M, T * hidden_size)."""
        return states.flatten(1)


class Transformer(nn.Module):
    """Self-attention over the bins, which carry a learned vector of their position.

    Parameters
    ----------
    in_features, hidden_size, n_bins
        Width of a bin before and after, and number of bins.
    n_heads, n_layers, dropout
        Heads of the attention, layers, and share of silenced values in training.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need", NeurIPS; the norm first, as in Xiong et al. (2020), ICML.
    """

    def __init__(
        self, in_features: int, hidden_size: int, n_bins: int, *, n_heads: int, n_layers: int, dropout: float
    ) -> None:
        super().__init__()
        if n_layers < 1:
            raise ConfigError(f"expected n_layers of at least 1, got {n_layers!r}.")
        if n_heads < 1 or hidden_size % n_heads:
            raise ConfigError(
                f"expected a hidden_size that n_heads divides, got hidden_size={hidden_size} and n_heads={n_heads}."
            )
        self.pooled_size = hidden_size
        self.inwards = nn.Linear(in_features, hidden_size)
        self.position = nn.Parameter(torch.randn(n_bins, hidden_size))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                hidden_size, n_heads, 2 * hidden_size, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, bins: Tensor) -> Tensor:
        """Map ``bins`` (M, T, in_features) to (M, T, hidden_size)."""
        states: Tensor = self.inwards(bins) + self.position
        for layer in self.layers:
            states = layer(states)
        normed: Tensor = self.norm(states)
        return normed

    def pool(self, states: Tensor) -> Tensor:
        """Return the mean over bins, (M, hidden_size)."""
        return states.mean(dim=1)


TemporalBlock = Recurrent | PerBin | Transformer


def make_temporal(
    name: str,
    in_features: int,
    hidden_size: int,
    n_bins: int,
    *,
    n_heads: int = 4,
    n_layers: int = 1,
    dropout: float = 0.0,
) -> TemporalBlock:
    """Make a temporal block.

    Parameters
    ----------
    name
        One of ``TEMPORAL``.
    in_features, hidden_size
        Width of a bin before and after.
    n_bins
        Number of bins.
    n_heads, n_layers, dropout
        Of the Transformer; ``n_heads`` must divide ``hidden_size``.

    Raises
    ------
    UnknownNameError
        If there is no such block.
    ConfigError
        If the state has no width, the heads do not divide it, or there is no layer.
    """
    if hidden_size < 1:
        raise ConfigError(f"expected hidden_size of at least 1, got {hidden_size!r}.")
    match name:
        case "lstm" | "gru":
            return Recurrent(name, in_features, hidden_size)
        case "transformer":
            return Transformer(in_features, hidden_size, n_bins, n_heads=n_heads, n_layers=n_layers, dropout=dropout)
        case "none":
            return PerBin(in_features, hidden_size, n_bins)
    raise UnknownNameError("temporal block", name, TEMPORAL)
