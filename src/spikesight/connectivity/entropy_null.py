"""The distribution of a transfer entropy under local permutation, computed rather than sampled, for words of one bin.

Within a stratum the number of target spikes that follow a source spike is hypergeometric. For each past of the target
these numbers add up over strata, and the information depends on the sums alone. A hypergeometric number is a sum of
independent Bernoulli ones (Vatutin and Mikhailov 1982), so each sum is one too: those that are certain are set apart,
the rest is taken for binomial with the same mean and about the same variance. Pasts are independent, and their parts of
the information are convolved.
"""

from typing import Any, Final

import numpy as np

from spikesight.connectivity.entropy_kernels import information, meet, x_log_x
from spikesight.data.count_kernels import compiled

_N_STEPS: Final = 512
"""Steps from no information to the observed one."""
_MANY_DRAWS: Final = 100
"""Of a binomial: one more or less makes no difference."""


@compiled
def _binomial(mean: float, n_draws: float, smallest: int, largest: int) -> Any:
    """Return the probabilities of ``smallest`` to ``largest`` successes; what lies outside is neglected."""
    chances = np.zeros(largest - smallest + 1)
    odds = mean / (n_draws - mean)
    mode = min(max(int(mean), smallest), largest)
    chances[mode - smallest] = 1.0
    for count in range(mode + 1, largest + 1):
        chances[count - smallest] = chances[count - 1 - smallest] * max(n_draws - count + 1, 0) / count * odds
    for count in range(mode - 1, smallest - 1, -1):
        chances[count - smallest] = chances[count + 1 - smallest] * (count + 1) / ((n_draws - count) * odds)
    return chances / chances.sum()


@compiled
def sum_chances(mean: float, variance: float, smallest: int, largest: int, possible: int) -> Any:
    """Return the probabilities of ``smallest`` to ``largest`` in a sum of independent Bernoulli numbers.

    Parameters
    ----------
    mean, variance
        Of the sum. It is taken for binomial; where that would need a fractional number of draws, for one of the two
        nearest numbers of draws, as often as the variance says.
    smallest, largest
        The range; what lies outside is neglected.
    possible
        A sum that was observed: there are at least as many draws.
    """
    if mean <= 0 or variance <= 0:
        chances = np.zeros(largest - smallest + 1)
        chances[min(max(round(mean), smallest), largest) - smallest] = 1.0
        return chances
    wanted = mean * mean / max(mean - variance, 1e-9 * mean)
    more = max(np.ceil(wanted), possible, np.floor(mean) + 1)
    chances = _binomial(mean, more, smallest, largest)
    fewer = more - 1
    if fewer <= mean or fewer < possible or fewer > wanted or wanted > _MANY_DRAWS:
        return chances
    share = (mean - mean * mean / more - variance) * fewer * more / (mean * mean)
    return (1 - share) * chances + share * _binomial(mean, fewer, smallest, largest)


@compiled
def _parts(bins: int, met: int, spikes: int, smallest: int, largest: int) -> Any:
    """Return the information (bins times nats) of one past, for each number of spikes that follow the source's."""
    parts = np.empty(largest - smallest + 1)
    known = x_log_x(spikes) + x_log_x(bins - spikes) - x_log_x(bins)
    known += x_log_x(met) + x_log_x(bins - met)
    for count in range(smallest, largest + 1):
        left = x_log_x(spikes - count) + x_log_x(bins - met - spikes + count)
        parts[count - smallest] = max(x_log_x(count) + x_log_x(met - count) + left - known, 0.0)
    return parts


@compiled
def tail(moments: Any, met: Any, followed: Any, past_bins: Any, past_spikes: Any, observed: float) -> Any:
    """Return how likely the observed information is under permutation, and the mean information.

    Parameters
    ----------
    moments
        Of ``followed`` under permutation, (3, n_pasts): what is certain, mean of the rest, variance.
    met, followed
        Bins of each past that a source spike precedes, and those with a target spike, (n_pasts,).
    past_bins, past_spikes
        Bins of each past, and those with a target spike, (n_pasts,).
    observed
        Information, bins times nats.

    Returns
    -------
    p_value
        Probability of more, and half of that of as much (mid-p: the numbers are whole).
    mean
        Of the information, bins times nats.
    """
    if moments[2].sum() <= 0:
        return 1.0, observed
    step = max(observed, 1e-9) / _N_STEPS
    n_steps = _N_STEPS + 2 * past_bins.size  # parts are rounded one by one
    chances, after = np.zeros(n_steps + 1), np.zeros(n_steps + 1)
    chances[0] = 1.0
    mean, reached = 0.0, 0
    for past in range(past_bins.size):
        if met[past] == 0 or past_spikes[past] == 0:
            continue
        certain, expected, variance = int(moments[0, past]), moments[1, past], moments[2, past]
        away = 10 * np.sqrt(variance) + 10
        lowest, highest = max(0, past_spikes[past] + met[past] - past_bins[past]), min(met[past], past_spikes[past])
        smallest = max(lowest, min(followed[past], certain + int(expected - away)), certain)
        largest = min(highest, max(followed[past], certain + int(expected + away)))
        seen = followed[past] - certain
        likely = sum_chances(expected, variance, smallest - certain, largest - certain, seen)
        parts = _parts(past_bins[past], met[past], past_spikes[past], smallest, largest)
        mean += (likely * parts).sum()
        steps = (np.minimum(parts / step, n_steps) + 0.5).astype(np.int64)
        reached += steps[followed[past] - smallest]
        after[:] = 0.0
        for count in range(likely.size):
            move = steps[count]
            for at in range(n_steps - move):
                after[at + move] += likely[count] * chances[at]
            after[n_steps] += likely[count] * chances[n_steps - move :].sum()
        chances, after = after, chances
    return chances[reached + 1 :].sum() + 0.5 * chances[reached], mean


@compiled
def against_all_permutations(source: Any, target: Any, order: int, low: int, high: int) -> Any:
    """Compare a pair's information at every delay with all permutations of source spikes within strata.

    Parameters
    ----------
    source
        Bins and words (all 1), see `spikesight.connectivity.entropy_kernels.source_words`.
    target
        See `spikesight.connectivity.entropy_kernels.target_strata`.
    order
        Bins of the target's past.
    low, high
        First and last delay, bins.

    Returns
    -------
    ndarray
        Shape (4, n_delays): information (bins times nats); its mean under permutation; p-value; target spikes that
        follow a source spike by the delay, less those expected under permutation.
    """
    bins, words = source
    code, sizes, spikes, past_bins, past_spikes = target
    slot, busy = np.full(sizes.size, -1, np.int32), np.empty(sizes.size, np.int32)
    held = np.zeros((sizes.size, 2), np.int32)
    found = np.empty((4, high - low + 1))
    moments = np.empty((3, past_bins.size))
    for delay in range(low, high + 1):
        word_bins, word_spikes, n_busy = meet(bins, words, delay, order, code, 2, slot, busy, held)
        moments[:] = 0.0
        for row in range(n_busy):
            stratum, past = busy[row] >> order, busy[row] & (past_bins.size - 1)
            n, m, k = sizes[stratum], held[row, 0], spikes[stratum]
            certain = max(0, m + k - n)
            moments[0, past] += certain
            moments[1, past] += m * k / n - certain
            if n > 1:
                moments[2, past] += m * k / n * (1 - m / n) * (n - k) / (n - 1)
            slot[stratum] = -1
        held[:n_busy] = 0
        observed = information(word_bins, word_spikes, past_bins, past_spikes)
        p_value, mean = tail(moments, word_bins[1], word_spikes[1], past_bins, past_spikes, observed)
        found[0, delay - low] = observed
        found[1, delay - low] = mean
        found[2, delay - low] = p_value
        found[3, delay - low] = word_spikes[1].sum() - moments[:2].sum()
    return found
