"""On a simulated network of known couplings, a decoder's graph is at chance for them; a measure of lags is not."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from spikesight.decoders.spatiotemporal import SpatiotemporalDecoder
from spikesight.networks.graphs import LearnedGraph

N_UNITS, N_CLASSES, N_TRIALS = 24, 4, 400
STEPS_PER_BIN, N_BINS = 25, 10
"""Steps of 1 ms; bins of 25 ms, as presentations are commonly cut."""
LAGS = (1, 2, 3)


def simulated(seed):
    """Spikes of tuned units (n_trials, n_steps, n_units) in ms, the classes, and which units drive which."""
    rng = np.random.default_rng(seed)
    couplings = (rng.random((N_UNITS, N_UNITS)) < 0.08) & ~np.eye(N_UNITS, dtype=bool)
    lag = rng.choice(LAGS, size=couplings.shape)
    y = rng.integers(N_CLASSES, size=N_TRIALS)
    base = 0.012 * rng.gamma(2.0, 0.5, size=(N_CLASSES, N_UNITS))[y]
    n_steps = STEPS_PER_BIN * N_BINS
    spikes = np.zeros((N_TRIALS, n_steps + max(LAGS), N_UNITS))
    for step in range(n_steps):
        now = step + max(LAGS)
        drive = sum(spikes[:, now - one] @ (0.25 * couplings * (lag == one)) for one in LAGS)
        spikes[:, now] = rng.random(base.shape) < base + drive
    return spikes[:, max(LAGS) :], y, couplings


def auroc(matrix, couplings):
    """Area under the ROC curve for true edges, and its 99 % interval (Hanley and McNeil 1982)."""
    pairs = ~np.eye(N_UNITS, dtype=bool)
    truth, n_edges = couplings[pairs], couplings.sum()
    area, n_others = roc_auc_score(truth, matrix[pairs]), pairs.sum() - n_edges
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (n_edges - 1) * (q1 - area**2) + (n_others - 1) * (q2 - area**2)
    width = 2.58 * np.sqrt(variance / (n_edges * n_others))
    return area, area - width, area + width


def coincidences_at_lags(spikes):
    """How much more often a target fires 1-3 ms after a source than 1-3 ms before: (source, target)."""
    rates = spikes.mean(axis=(0, 1))
    after = sum(np.einsum("tsi,tsj->ij", spikes[:, :-lag], spikes[:, lag:]) for lag in LAGS)
    return (after - after.T) / np.sqrt(np.outer(rates, rates))


@pytest.mark.parametrize("spatial", ["gcn", "gatv2"])
def test_the_graph_that_a_decoder_learns_is_at_chance_for_the_couplings_of_the_network(spatial):
    spikes, y, couplings = simulated(0)
    counts = spikes.reshape(N_TRIALS, N_BINS, STEPS_PER_BIN, N_UNITS).sum(axis=2)
    decoder = SpatiotemporalDecoder(graph=LearnedGraph(), spatial=spatial, hidden_size=32).fit(counts[:300], y[:300])
    assert decoder.score(counts[300:], y[300:]) > 0.5
    area, low, high = auroc(decoder.adjacency_.to_numpy(), couplings)
    assert low < 0.5 < high
    found, bound, _ = auroc(coincidences_at_lags(spikes), couplings)
    assert found > 0.9
    assert bound > high
    assert abs(area - 0.5) < 0.1
