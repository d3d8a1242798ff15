"""Who helps to forecast whom: a graph attention network whose learned, signed adjacency is the estimate."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from spikesight.connectivity.base import SINK, SOURCE, ConnectivityEstimator, Cost, Estimate, Running, lag_bins
from spikesight.connectivity.finished import fingerprint
from spikesight.connectivity.spike_trains import SpikeTrains
from spikesight.connectivity.stimulus import mean_responses, smooth_response
from spikesight.errors import ConfigError
from spikesight.networks.devices import one_thread, resolve_device
from spikesight.networks.forecasting import N_CHANNELS, ForecastNetwork, poisson_loss
from spikesight.networks.training import Epoch, TrainingSettings, fit_network

LAG: Final = "lag"
VALID_SHARE: Final = 0.125
"""Of the recording, at its end: decides when training stops."""
_PATIENCE: Final = 2
_FEWEST_UPDATES: Final = 100
"""Of an epoch: batches are smaller where the recording is short."""
_SMALLEST_BATCH: Final = 64
_BINS_AT_A_TIME: Final = 4096
_SECONDS_PER_MESSAGE: Final = 5e-9
"""To one target, per channel, forward and backward."""
_SECONDS_PER_COUNT: Final = 2e-8
"""That a forecast sees: one unit, one lag."""

Counts = NDArray[np.unsignedinteger[Any]]


class _Parts(NamedTuple):
    """The bins that are forecast, (n_bins,) each, and the mean number of spikes of all units in one."""

    training: Tensor
    validation: Tensor
    spikes_per_bin: float


class ForecastGAT(ConnectivityEstimator):
    """A graph attention network that learns to forecast spikes.

    Every unit is a node; what is known of it are its own last bins. From these, the network forecasts the count of
    every unit in the next bin (Poisson likelihood). Messages pass along a learned adjacency with a sign and a value for
    each lag, through gates that depend on what both ends did last (the score of GATv2); a unit's own past has a term
    of its own. See `spikesight.networks.forecasting`. It learns by lagged forecasting, not by decoding: a graph
    learned by a decoder says which units are worth reading together, not who affects whom.

    ``connectivity_`` is the mean change of the target's log rate per spike of the source, at the lag (a whole number of
    bins) where its size is largest: the learned adjacency times its gradient, see `ForecastNetwork.effects`. 0.7 is
    about twice the rate, -0.7 about half, in the bin at that lag. All units are in one network, so what passes through
    a third observed unit is largely accounted to that one; what hidden units drive in common is not.

    ``p_values_`` and ``z_`` are NaN. The network is regularised and stopped early, so its weights have no known
    distribution where there is no edge. Look at stability instead: the same edges with another ``random_state``, and in
    both halves of the recording. With ``stimulus="shuffle"`` they come from the shuffles, each of which is a fit.

    With ``stimulus="psth"``, the log of the target's mean response is known to the network, smoothed and drawn to the
    mean rate as much as its spikes ask for (`smooth_response`).

    Parameters
    ----------
    max_lag
        Longest lag, s, in whole bins.
    n_channels
        Numbers per unit from which the gates are made.
    max_epochs
        Epochs at most: training stops after two without a better forecast of the last eighth of the recording.
    batch_size
        Bins per update at most. An epoch has at least 100 updates where batches of 64 bins allow it.
    learning_rate
        Of AdamW, at its highest.
    sparsity
        How strongly whole edges are drawn to 0, in nats of likelihood per unit of log rate: a prior in which an
        edge's length over lags has the mean ``1 / sparsity`` (group lasso; Yuan and Lin 2006). 0 for none.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``. On the CPU the same seed gives the same numbers, to the bit.
    stimulus, min_spikes, n_shuffles, random_state
        As in `ConnectivityEstimator`.

    Attributes
    ----------
    adjacency_ : xarray.DataArray
        The learned adjacency, dims (``lag``, ``source_unit``, ``target_unit``), ``lag`` in s: change of the log rate
        per spike through a gate of 1.
    forecast_gain_ : float
        Bits per spike by which the network forecasts the last eighth of the recording better than a constant rate (with
        ``stimulus="psth"``: than the mean response). Near 0 or below: it has learned nothing, and neither can you. It
        counts a unit's own past, and it is a little too good, for training stopped where it was highest.
    history_ : list of dict
        One record per epoch, see `fit_network`. Losses are in nats per spike, without what no forecast changes; that of
        training trials has the penalty in it.

    References
    ----------
    Brody, Alon and Yahav (2022), "How attentive are graph attention networks?", ICLR.
    Truccolo et al. (2005), "A point process framework for relating neural spiking activity to spiking history, neural
    ensemble, and extrinsic covariate effects", J. Neurophysiol. 93:1074.
    Yuan and Lin (2006), "Model selection and estimation in regression with grouped variables", JRSS B 68:49.
    """

    measure = "change of log rate per spike"
    random: ClassVar[bool] = True

    def __init__(
        self,
        max_lag: float = 0.006,
        n_channels: int = N_CHANNELS,
        max_epochs: int = 6,
        batch_size: int = 2048,
        learning_rate: float = 0.01,
        sparsity: float = 5.0,
        device: str = "auto",
        stimulus: str = "auto",
        min_spikes: int = 300,
        n_shuffles: int = 20,
        random_state: int = 0,
    ) -> None:
        self.max_lag = max_lag
        self.n_channels = n_channels
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.sparsity = sparsity
        self.device = device
        self.stimulus = stimulus
        self.min_spikes = min_spikes
        self.n_shuffles = n_shuffles
        self.random_state = random_state

    def _check(self, trains: SpikeTrains) -> None:
        lag_bins(self.max_lag, trains.bin_size)
        if self.n_channels < 1:
            raise ConfigError(f"expected n_channels of at least 1, got {self.n_channels}.")
        if not 0 <= self.sparsity < math.inf:
            raise ConfigError(f"expected a finite sparsity of 0 or more, got {self.sparsity}.")
        self._settings(trains.n_bins).check()
        resolve_device(self.device)

    def _shortest(self, trains: SpikeTrains) -> int:
        # Training and validation need a bin each.
        return len(lag_bins(self.max_lag, trains.bin_size)) + 2

    def _cost(self, trains: SpikeTrains) -> Cost:
        n_lags = len(lag_bins(self.max_lag, trains.bin_size))
        messages = n_lags * float(trains.n_spikes.sum())
        per_epoch = trains.n_units * (
            messages * self.n_channels * _SECONDS_PER_MESSAGE + trains.n_bins * n_lags * _SECONDS_PER_COUNT
        )
        rows = max(self.batch_size, _BINS_AT_A_TIME) * trains.n_units
        per_row = 4 * (3 * n_lags + 4 * self.n_channels + 8 + 2 * messages / trains.n_bins)
        adjacency = 4 * 8 * n_lags * trains.n_units**2
        return Cost((self.max_epochs + 1) * per_epoch, 2.0 * trains.counts.nbytes + rows * per_row + adjacency)

    def _settings(self, n_bins: int) -> TrainingSettings:
        batch = min(self.batch_size, max(_SMALLEST_BATCH, n_bins // _FEWEST_UPDATES))
        return TrainingSettings(
            max_epochs=self.max_epochs,
            batch_size=batch,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            clip_norm=math.inf,
            patience=_PATIENCE,
        )

    def _estimate(self, trains: SpikeTrains, running: Running) -> Estimate:
        n_lags = len(lag_bins(self.max_lag, trains.bin_size))
        with one_thread():
            parts = _parts(trains, n_lags)
            network = self._network(trains, n_lags, parts, running)
            unlearned = _constant_loss(network, parts)
            self.history_ = self._train(network, trains, parts, running)
            effects = network.effects(torch.cat([parts.training, parts.validation])).numpy().astype(np.float64)
        best = min(record["valid_loss"] for record in self.history_)
        spikes = int(network.counts[parts.validation].sum())
        per_spike = parts.spikes_per_bin * len(parts.validation) / spikes if spikes else math.nan
        self.forecast_gain_ = (unlearned - best) * per_spike / math.log(2)
        self.adjacency_ = _labelled(network, trains)
        at = np.abs(effects).argmax(axis=0)
        weight = np.take_along_axis(effects, at[None], axis=0)[0]
        lag = np.where(weight != 0, (at + 1) * trains.bin_size, np.nan)
        nothing = np.full_like(weight, np.nan)
        return Estimate(weight, nothing, nothing, lag)

    def _network(self, trains: SpikeTrains, n_lags: int, parts: _Parts, running: Running) -> ForecastNetwork:
        counts = _counts_by_bin(trains.counts)
        rates = (counts[parts.training].sum(dim=0, dtype=torch.float64) + 0.5) / len(parts.training)
        offsets = _psth_offsets(trains) if running.remove_psth else None
        return ForecastNetwork(counts, n_lags, self.n_channels, rates.float(), running.seed, offsets)

    def _train(self, network: ForecastNetwork, trains: SpikeTrains, parts: _Parts, running: Running) -> list[Epoch]:
        def tell(record: Epoch) -> None:
            running.progress.advance("forecast-gat", record["epoch"] + 1, self.max_epochs)

        folder = running.finished.folder
        # The network's fingerprint has the bins, not the counts in them.
        conditions = trains.conditions.tolist() if running.remove_psth and trains.conditions is not None else None
        described = fingerprint(trains.counts, self.sparsity, conditions) if folder is not None else ""
        history = fit_network(
            network,
            parts.training,
            parts.training[:, None],
            self._settings(len(parts.training)),
            valid=(parts.validation, parts.validation[:, None]),
            loss=_loss(network, parts, self.sparsity),
            seed=running.seed,
            device=self.device,
            on_epoch=tell,
            checkpoint=folder,
            described=described,
        )
        running.progress.advance("forecast-gat", self.max_epochs, self.max_epochs)
        return history

    def _less_shuffled(self, found: Estimate, trains: SpikeTrains, running: Running) -> Estimate:
        """Compare with shuffles, and keep what is known of the network of the data."""
        own = {name: getattr(self, name) for name in ("adjacency_", "forecast_gain_", "history_")}
        less = super()._less_shuffled(found, trains, running)
        for name, value in own.items():
            setattr(self, name, value)
        return less


def _parts(trains: SpikeTrains, n_lags: int) -> _Parts:
    """Take the bins with ``n_lags`` bins of their own segment before them; the last ones are for validation."""
    within = np.arange(trains.n_bins) - np.repeat(trains.offsets[:-1], trains.lengths)
    bins = np.flatnonzero(within >= n_lags)
    n_training = min(len(bins) - 1, round((1 - VALID_SHARE) * len(bins)))
    spikes_per_bin = max(1, int(trains.n_spikes.sum())) / trains.n_bins
    return _Parts(torch.from_numpy(bins[:n_training]), torch.from_numpy(bins[n_training:]), spikes_per_bin)


def _counts_by_bin(counts: Counts) -> Tensor:
    """Return counts (n_bins, n_units) in the smallest type that torch can compute with."""
    kind = np.uint8 if counts.max() < 256 else np.int32
    return torch.from_numpy(np.ascontiguousarray(counts.T, dtype=kind))


def _loss(network: ForecastNetwork, parts: _Parts, sparsity: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of forecasts of bins (B, 1); the penalty belongs to training, not to the forecast."""
    n_spikes = parts.spikes_per_bin * len(parts.training)

    def loss(log_rates: Tensor, bins: Tensor) -> Tensor:
        value = poisson_loss(log_rates, network.counts[bins[:, 0]], parts.spikes_per_bin)
        return value + sparsity / n_spikes * network.penalty() if network.training and sparsity else value

    return loss


def _constant_loss(network: ForecastNetwork, parts: _Parts) -> float:
    """Return the loss on validation bins of what is known before training."""
    total = 0.0
    for bins in torch.split(parts.validation, _BINS_AT_A_TIME):
        total += len(bins) * float(poisson_loss(network.known(bins), network.counts[bins], parts.spikes_per_bin))
    return total / len(parts.validation)


def _psth_offsets(trains: SpikeTrains) -> tuple[Tensor, Tensor]:
    """Return log mean responses (relative), (n_conditions * n_bins_per_trial, n_units), and the row of each bin."""
    responses = mean_responses(trains).astype(np.float64)
    conditions = np.asarray(trains.conditions)
    _, length, n_units = responses.shape
    n_trials = np.bincount(conditions)
    for unit in range(n_units):
        responses[:, :, unit] = smooth_response(responses[:, :, unit], n_trials, trains.bin_size)
    row = (conditions[:, None] * length + np.arange(length)).reshape(-1)
    return torch.from_numpy(np.log(responses).reshape(-1, n_units).astype(np.float32)), torch.from_numpy(row)


def _labelled(network: ForecastNetwork, trains: SpikeTrains) -> xr.DataArray:
    """Return the learned adjacency with the names of lags and units."""
    with torch.no_grad():
        values = (network.adjacency * network.others).transpose(0, 1).contiguous().numpy()
    ids = trains.units.index.to_numpy()
    lags = np.arange(1, len(values) + 1) * trains.bin_size
    return xr.DataArray(
        values, {LAG: (LAG, lags, {"units": "s"}), SOURCE: ids, SINK: ids}, (LAG, SOURCE, SINK), name="adjacency"
    )
