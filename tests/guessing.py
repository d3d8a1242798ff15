"""The spread of guessing, against which leaks are told."""

from scipy import stats

from spikesight.statistics import Interval


def chance_interval(n_trials: int, chance: float, level: float = 0.95) -> Interval:
    """Range of accuracies that guessing gives on ``n_trials`` independent trials (binomial quantiles, two-sided).

    Trials that share a run of one label are not independent: count runs instead.
    """
    low, high = stats.binom.ppf([(1 - level) / 2, (1 + level) / 2], n_trials, chance) / n_trials
    return Interval(float(low), float(high))
