"""A graph attention network that forecasts spikes: the count of every unit in the next bin, from the last bins of all.

For one bin, with ``x_i`` the last L counts of unit i (``log2(1 + count)``: a burst counts less than its spikes) ::

    score_ij = attention . leaky_relu(sender(x_i) + receiver(x_j))           (Brody et al. 2022, GATv2's score)
    gate_ij  = 2 sigmoid(score_ij)                                           from 0 to 2, near 1 at first
    log rate_j = base_j + own_j . x_j + sum_i gate_ij sum_lag adjacency_lij x_i(lag)

``sender`` and ``receiver`` are linear maps with an offset of each unit's own. The adjacency has a sign and a value for
each lag, for an edge may excite or inhibit, early or late. There are no self-edges: a unit's own past has its own term.

The score is that of GATv2; its softmax is not over the sources of a unit but, for each edge, over "this message" and
"none", which is a sigmoid. A softmax over sources divides a spike by the spikes of all other units, whether they matter
or not. Units that were silent send nothing, so only those that fired within L bins are computed: a share of a few
percent of all pairs. The messages and their gradients are exact, in compiled loops on the CPU.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikesight.data.count_kernels import compiled

N_CHANNELS: Final = 4
_SLOPE: Final = 0.2
_LINEAR: Final = np.float32((1 + _SLOPE) / 2)
_BENT: Final = np.float32((1 - _SLOPE) / 2)
"""``leaky_relu(u) = _LINEAR u + _BENT |u|``: without a branch, so that the compiler can make vectors of it."""
_ONE: Final = np.float32(1)
_TWO: Final = np.float32(2)
_BINS_AT_A_TIME: Final = 4096


class ForecastNetwork(nn.Module):
    """Forecast the log rate of every unit in given bins.

    Parameters
    ----------
    counts
        Spike counts, shape (n_bins, n_units), unsigned or signed integers. They are no part of the state.
    n_lags
        Number of past bins that a forecast sees.
    n_channels
        Numbers per unit in the score.
    rates
        Mean count per bin of each unit, above 0, shape (n_units,): where the forecast starts from.
    seed
        Of the starting values. torch's global generator is not used.
    offsets
        Known log rates relative to ``rates``, shape (n_rows, n_units), and the row of each bin, shape (n_bins,); None
        for none.

    Attributes
    ----------
    adjacency : nn.Parameter
        Shape (n_units, n_lags, n_units): ``[source, lag, target]``, the first lag is one bin. All 0 at first. The
        diagonals are never read.
    """

    counts: Tensor
    lags: Tensor
    others: Tensor
    offsets: Tensor | None
    offset_of_bin: Tensor | None

    def __init__(
        self,
        counts: Tensor,
        n_lags: int,
        n_channels: int,
        rates: Tensor,
        seed: int,
        offsets: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def drawn(*shape: int, scale: float) -> nn.Parameter:
            return nn.Parameter(scale * torch.randn(*shape, generator=generator))

        n_units = counts.shape[1]
        self.adjacency = nn.Parameter(torch.zeros(n_units, n_lags, n_units))
        self.own = nn.Parameter(torch.zeros(n_lags, n_units))
        self.base = nn.Parameter(rates.log())
        self.sender = drawn(n_lags, n_channels, scale=n_lags**-0.5)
        self.receiver = drawn(n_lags, n_channels, scale=n_lags**-0.5)
        self.sender_offset = drawn(n_units, n_channels, scale=0.3)
        self.receiver_offset = drawn(n_channels, n_units, scale=0.3)
        self.attention = drawn(n_channels, scale=0.3 * n_channels**-0.5)
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("lags", torch.arange(1, n_lags + 1), persistent=False)
        self.register_buffer("others", 1 - torch.eye(n_units)[:, None], persistent=False)
        self.register_buffer("offsets", None if offsets is None else offsets[0], persistent=False)
        self.register_buffer("offset_of_bin", None if offsets is None else offsets[1], persistent=False)

    def forward(self, bins: Tensor) -> Tensor:
        """Return log rates (counts per bin), (B, n_units), in the bins with these numbers, (B,).

        A bin needs ``n_lags`` bins of its own stretch before it.
        """
        past = self._past(bins)
        with torch.autocast(past.device.type, enabled=False):
            log_rates = self._known(bins) + (past * self.own[:, None]).sum(dim=0)
            return log_rates + self._heard(past)

    def known(self, bins: Tensor) -> Tensor:
        """Return the log rates before anything is learned of these bins: the mean, and the offset of each bin."""
        return self._known(bins).detach()

    def gates(self, bins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return how open each edge was: the gates of all messages that were sent in these bins, no gradient.

        Returns
        -------
        row, source
            Position in ``bins``, and sending unit, of each message, shape (n_messages,).
        gate
            Shape (n_messages, n_units): by target.
        """
        with torch.no_grad():
            past = self._past(bins)
            row, source, sent = _senders(past)
            return row, source, _gates(row, *self._ends(past, source, sent), self.attention)

    def effects(self, bins: Tensor) -> Tensor:
        """Return the mean effect of a spike of each source on the log rate of each target, by backpropagation.

        The gradient of the log rates, summed over bins, with respect to an entry of the adjacency is the sum of the
        gates of its messages. So the entry times its gradient, per spike of the source, is what the target's log rate
        would lose if the edge was cut.

        Parameters
        ----------
        bins
            Bins to average over, shape (n_bins,).

        Returns
        -------
        Tensor
            Shape (n_lags, n_units, n_units): ``[lag, source, target]``, 0 where a source never fired.
        """
        total = torch.zeros_like(self.adjacency)
        spikes = torch.zeros(self.lags.numel(), self.base.numel(), device=bins.device)
        for part in torch.split(bins, _BINS_AT_A_TIME):
            past = self._past(part)
            (gradient,) = torch.autograd.grad(self._heard(past).sum(), self.adjacency)
            total += gradient
            spikes += past.sum(dim=1)
        effect = self.adjacency.detach() * total / spikes.T[:, :, None].clamp(min=1)
        return effect.transpose(0, 1)

    def penalty(self) -> Tensor:
        """Return the sum over edges of their length over lags: small edges are drawn to 0, whole (group lasso)."""
        return (self.adjacency * self.others).square().sum(dim=1).add(1e-6).sqrt().sum()

    def _past(self, bins: Tensor) -> Tensor:
        """Return what is seen of the bins before: (n_lags, B, n_units)."""
        return torch.log2(1 + self.counts[bins - self.lags[:, None]].float())

    def _known(self, bins: Tensor) -> Tensor:
        if self.offsets is None or self.offset_of_bin is None:
            return self.base.expand(len(bins), -1)
        return self.base + self.offsets[self.offset_of_bin[bins]]

    def _heard(self, past: Tensor) -> Tensor:
        row, source, sent = _senders(past)
        sender, receiver = self._ends(past, source, sent)
        return gated_messages(self.adjacency * self.others, sent, source, row, sender, receiver, self.attention)

    def _ends(self, past: Tensor, source: Tensor, sent: Tensor) -> tuple[Tensor, Tensor]:
        """Return both ends of the score: (n_messages, C) of senders, (C, B, n_units) of receivers."""
        receiver = (self.receiver.T @ past.flatten(1)).reshape(-1, *past.shape[1:]) + self.receiver_offset[:, None]
        return sent @ self.sender + self.sender_offset[source], receiver


def poisson_loss(log_rates: Tensor, counts: Tensor, spikes_per_bin: float) -> Tensor:
    """Return the negative log-likelihood of counts, (B, n_units), in nats per spike, less what no forecast changes.

    Parameters
    ----------
    log_rates, counts
        Shape (B, n_units).
    spikes_per_bin
        Mean number of spikes of all units in a bin, to divide by.
    """
    log_rates = log_rates.float()
    return (log_rates.exp() - counts * log_rates).sum() / (len(counts) * spikes_per_bin)


def gated_messages(
    adjacency: Tensor, sent: Tensor, source: Tensor, row: Tensor, sender: Tensor, receiver: Tensor, attention: Tensor
) -> Tensor:
    """Sum the messages to every unit, each through its gate.

    Parameters
    ----------
    adjacency
        ``[source, lag, target]``, shape (n_units, n_lags, n_units).
    sent
        What was sent, by lag, shape (n_messages, n_lags).
    source, row
        Sending unit, and row of the batch, of each message, shape (n_messages,).
    sender
        Shape (n_messages, C).
    receiver
        Shape (C, B, n_units).
    attention
        Shape (C,).

    Returns
    -------
    Tensor
        Shape (B, n_units).
    """
    if adjacency.device.type != "cpu" or adjacency.dtype != torch.float32:
        return plain_messages(adjacency, sent, source, row, sender, receiver, attention)
    heard: Tensor = _GatedMessages.apply(adjacency, sent, source, row, sender, receiver, attention)  # type: ignore[no-untyped-call]
    return heard


def plain_messages(
    adjacency: Tensor, sent: Tensor, source: Tensor, row: Tensor, sender: Tensor, receiver: Tensor, attention: Tensor
) -> Tensor:
    """Do what `gated_messages` does in torch's own operators: for GPUs, and to check the compiled loops against."""
    value = torch.einsum("ml,mln->mn", sent, adjacency[source])
    message = _gates(row, sender, receiver, attention) * value
    return torch.zeros_like(receiver[0]).index_add(0, row, message)


def _gates(row: Tensor, sender: Tensor, receiver: Tensor, attention: Tensor) -> Tensor:
    bent = nn.functional.leaky_relu(sender.T[:, :, None] + receiver[:, row], _SLOPE)
    return 2 * torch.sigmoid(torch.einsum("cmn,c->mn", bent, attention))


def _senders(past: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return row, unit and counts (n_messages, n_lags) of the units that fired in the last bins."""
    row, source = torch.nonzero(past.sum(dim=0), as_tuple=True)
    return row, source, past[:, row, source].T


class _GatedMessages(torch.autograd.Function):
    """Keeps the gates; the rest is found again in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        adjacency: Tensor,
        sent: Tensor,
        source: Tensor,
        row: Tensor,
        sender: Tensor,
        receiver: Tensor,
        attention: Tensor,
    ) -> Tensor:
        inputs = [value.detach().contiguous() for value in (adjacency, sent, source, row, sender, receiver, attention)]
        gates = torch.empty(len(sent), receiver.shape[2])
        heard = torch.zeros(receiver.shape[1:])
        _send(*_arrays(*inputs, gates, heard))
        ctx.save_for_backward(*inputs, gates)
        return heard

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, gates = ctx.saved_tensors
        adjacency, _, _, _, sender, receiver, attention = inputs
        grads = [torch.zeros_like(value) for value in (adjacency, sender, receiver)]
        by_target = torch.zeros(len(attention), receiver.shape[2])
        _send_back(*_arrays(*inputs, gates, grad.contiguous(), *grads, by_target))
        return grads[0], None, None, None, grads[1], grads[2], by_target.sum(dim=1)


def _arrays(*tensors: Tensor) -> Iterator[NDArray[Any]]:
    return (tensor.numpy() for tensor in tensors)


@compiled
def _send(
    adjacency: Any, sent: Any, source: Any, row: Any, sender: Any, receiver: Any, attention: Any, gates: Any, heard: Any
) -> None:
    n_lags, n_units = adjacency.shape[1:]
    for message in range(source.size):
        score, target = gates[message], heard[row[message]]
        score[:] = 0
        for channel in range(attention.size):
            linear, bent = _LINEAR * attention[channel], _BENT * attention[channel]
            own, others = sender[message, channel], receiver[channel, row[message]]
            for unit in range(n_units):
                both = own + others[unit]
                score[unit] += linear * both + bent * abs(both)
        for unit in range(n_units):
            score[unit] = _TWO / (_ONE + math.exp(-score[unit]))
        for lag in range(n_lags):
            size = sent[message, lag]
            if size != 0:
                weights = adjacency[source[message], lag]
                for unit in range(n_units):
                    target[unit] += score[unit] * size * weights[unit]


@compiled
def _send_back(
    adjacency: Any,
    sent: Any,
    source: Any,
    row: Any,
    sender: Any,
    receiver: Any,
    attention: Any,
    gates: Any,
    grad: Any,
    adjacency_grad: Any,
    sender_grad: Any,
    receiver_grad: Any,
    attention_grad: Any,
) -> None:
    n_lags, n_units = adjacency.shape[1:]
    score_grad = np.empty(n_units, np.float32)
    for message in range(source.size):
        gate, wanted = gates[message], grad[row[message]]
        score_grad[:] = 0
        for lag in range(n_lags):
            size = sent[message, lag]
            if size != 0:
                weights, pull = adjacency[source[message], lag], adjacency_grad[source[message], lag]
                for unit in range(n_units):
                    pull[unit] += wanted[unit] * gate[unit] * size
                    score_grad[unit] += size * weights[unit]
        for unit in range(n_units):
            score_grad[unit] *= wanted[unit] * gate[unit] * (_ONE - gate[unit] / _TWO)
        for channel in range(attention.size):
            linear, bent = _LINEAR * attention[channel], _BENT * attention[channel]
            own, others = sender[message, channel], receiver[channel, row[message]]
            pull, felt = receiver_grad[channel, row[message]], attention_grad[channel]
            total = np.float32(0)
            for unit in range(n_units):
                both = own + others[unit]
                felt[unit] += score_grad[unit] * (_LINEAR * both + _BENT * abs(both))
                moved = score_grad[unit] * (linear + bent if both > 0 else linear - bent)
                pull[unit] += moved
                total += moved
            sender_grad[message, channel] = total
