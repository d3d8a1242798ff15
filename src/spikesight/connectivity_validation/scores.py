"""How well an estimate finds the edges of a network that is known."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesight.connectivity_validation.simulated_network import SimulatedNetwork
from spikesight.errors import DataError
from spikesight.statistics import paired_difference

Floats = NDArray[np.float64]


class Matrices(NamedTuple):
    """A fitted estimate in the order of the network's units, each (n_units, n_units) as ``[source, target]``.

    Attributes
    ----------
    connectivity, z, p_values, lag, sign
        As the estimator has them (lag in s). Pairs of units that it left out: no connectivity, sign 0, else NaN.
    """

    connectivity: Floats
    z: Floats
    p_values: Floats
    lag: Floats
    sign: Floats


class Scores(NamedTuple):
    """How well edges were found; NaN where a question has no answer, such as AUROC without any edge.

    Attributes
    ----------
    auroc, average_precision
        Of the ranking of all ordered pairs by "the row drives the column".
    direction
        Over pairs of units connected one way only: how often the true direction scores higher; ties count half.
    sign_accuracy
        Over true edges: how often excitation and inhibition are told apart. A sign of 0 is wrong.
    tpr_at_1pct
        Share of edges found where at most 1 % of the pairs without an edge rank as high.
    lag_error_ms
        Median absolute difference of lag and delay, over true edges among the top; as many are the top as there are
        edges.
    false_positives_5pct, false_positives_1pct
        Share of pairs without an edge whose p-value is at most 0.05 and 0.01.
    false_positives_5pct_common
        The first, over pairs that share an input that is not seen.
    auroc_common
        AUROC of edges against pairs without an edge that share an input that is not seen.
    """

    auroc: float
    average_precision: float
    direction: float
    sign_accuracy: float
    tpr_at_1pct: float
    lag_error_ms: float
    false_positives_5pct: float
    false_positives_1pct: float
    false_positives_5pct_common: float
    auroc_common: float


class Mean(NamedTuple):
    """A mean over seeds and its 95 % interval (Student's t; NaN with fewer than two seeds)."""

    mean: float
    low: float
    high: float
    n: int


def matrices_of(estimator: Any, network: SimulatedNetwork) -> Matrices:
    """Put the matrices of a fitted estimator into the order of the network's units."""
    ids = network.observed

    def ordered(values: Any, absent: float) -> Floats:
        whole = values.reindex(source_unit=ids, target_unit=ids, fill_value=absent)
        return np.asarray(whole.transpose("source_unit", "target_unit").to_numpy(), np.float64)

    return Matrices(
        ordered(estimator.connectivity_, 0.0),
        ordered(estimator.z_, np.nan),
        ordered(estimator.p_values_, np.nan),
        ordered(estimator.lag_, np.nan),
        ordered(estimator.sign_, 0.0),
    )


def evidence(found: Matrices) -> Floats:
    """Return what pairs are ranked by, (n_units, n_units): ``|z|`` where the estimator has one, else ``|weight|``."""
    off = ~np.eye(len(found.z), dtype=bool)
    chosen = found.z if np.isfinite(found.z[off]).any() else found.connectivity
    return np.nan_to_num(np.abs(chosen), nan=0.0, posinf=np.finfo(np.float64).max)


def score(network: SimulatedNetwork, found: Matrices) -> Scores:
    """Compare an estimate with the truth, over ordered pairs of different units that are seen.

    Parameters
    ----------
    network
        The network, and what of it is seen.
    found
        The estimate.

    Raises
    ------
    DataError
        If the matrices have another shape than the network's.
    """
    expected = (network.n_units, network.n_units)
    shapes = {values.shape for values in found}
    if shapes != {expected}:
        raise DataError(f"expected matrices of shape {expected}, got {sorted(shapes)}.")
    off = ~np.eye(network.n_units, dtype=bool)
    edges, ranked = network.edges, evidence(found)
    true = edges & off
    absent = ~edges & off
    common = absent & network.common_input
    auroc, average_precision, found_share = _ranking(edges[off], ranked[off])
    return Scores(
        auroc=auroc,
        average_precision=average_precision,
        direction=_direction(edges, ranked),
        sign_accuracy=_mean(found.sign[true] == np.sign(network.weight[true])),
        tpr_at_1pct=found_share,
        lag_error_ms=_lag_error(network, found.lag, ranked, off),
        false_positives_5pct=_positives(found.p_values[absent], 0.05),
        false_positives_1pct=_positives(found.p_values[absent], 0.01),
        false_positives_5pct_common=_positives(found.p_values[common], 0.05),
        auroc_common=_ranking(edges[true | common], ranked[true | common])[0],
    )


def mean_over_seeds(values: Any) -> Mean:
    """Return the mean of a score over seeds, with its interval; seeds where it is NaN do not count.

    Parameters
    ----------
    values
        One score per seed, (n_seeds,).
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return Mean(*(float("nan"),) * 3, 0)
    # The difference to nothing: the interval of a mean is that of a paired difference to 0.
    difference = paired_difference(known, np.zeros_like(known))
    return Mean(difference.mean, difference.low, difference.high, difference.n)


def _ranking(is_edge: NDArray[np.bool_], ranked: Floats) -> tuple[float, float, float]:
    """Return AUROC, average precision, and the share of edges found at 1 % false positives."""
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    if not is_edge.any() or is_edge.all():
        return float("nan"), float("nan"), float("nan")
    false, true, _ = roc_curve(is_edge, ranked, drop_intermediate=False)
    return (
        float(roc_auc_score(is_edge, ranked)),
        float(average_precision_score(is_edge, ranked)),
        float(true[false <= 0.01].max()),
    )


def _direction(edges: NDArray[np.bool_], ranked: Floats) -> float:
    one_way = edges & ~edges.T
    forward, backward = ranked[one_way], ranked.T[one_way]
    # A symmetric matrix may differ in its last digits.
    tie = np.isclose(forward, backward, rtol=1e-9, atol=0.0)
    return _mean(np.where(tie, 0.5, forward > backward))


def _lag_error(network: SimulatedNetwork, lag: Floats, ranked: Floats, off: NDArray[np.bool_]) -> float:
    n_edges = int((network.edges & off).sum())
    if n_edges == 0:
        return float("nan")
    rank = np.where(off, ranked, -1.0).ravel()
    top = np.zeros(rank.size, bool)
    top[np.argsort(-rank, kind="stable")[:n_edges]] = True
    hits = top.reshape(off.shape) & network.edges & np.isfinite(lag)
    return float(1e3 * np.median(np.abs(lag - network.delay)[hits])) if hits.any() else float("nan")


def _positives(p_values: Floats, level: float) -> float:
    known = p_values[np.isfinite(p_values)]
    return _mean(known <= level)


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values)) if values.size else float("nan")
