"""Discriminant analysis whose noise covariance is a few shared factors plus a variance per unit."""

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.extmath import randomized_svd

from spikesight.decoders.base import Codes, Floats, ProbabilisticDecoder
from spikesight.preprocessing import anscombe, mean_and_scale


class FactorLDA(ProbabilisticDecoder):
    """Linear discriminant analysis with low-rank plus diagonal noise and empirical-Bayes class means."""

    def __init__(self, q: int = 30, *, floor: float = 0.3, random_state: int | None = 0) -> None:
        self.q = q
        self.floor = floor
        self.random_state = random_state

    def _fit(self, trials: Floats, codes: Codes) -> None:
        rows = anscombe(trials).reshape(len(trials), -1)
        self.mean_, self.scale_ = mean_and_scale(rows, self.floor)
        rows = (rows - self.mean_) / self.scale_
        n, d = rows.shape
        counts = np.bincount(codes)
        k = len(counts)
        onehot = np.zeros((k, n))
        onehot[codes, np.arange(n)] = 1
        means = onehot @ rows / counts[:, None]
        residuals = rows - means[codes]
        dof = max(n - k, 1)
        v = (residuals**2).sum(0) / dof
        v = np.maximum(v, max(0.05 * np.median(v), 1e-3))
        vb = (counts[:, None] * means**2).sum(0) / n
        noise = v * (k / n)
        w = np.maximum(0.0, 1 - noise / np.maximum(vb, 1e-12))
        means = means * w
        s = v**-0.5
        q = min(self.q, d, n)
        _, sv, vt = randomized_svd(residuals * s, q, n_iter=4, random_state=check_random_state(self.random_state))
        e = sv**2 / dof
        total = ((residuals * s) ** 2).sum() / dof
        rest = max((total - e.sum()) / max(d - q, 1), 1e-3)
        e = np.maximum(e, rest)
        m = means * s
        weights = m / rest - ((m @ vt.T) * ((e - rest) / (e * rest))) @ vt
        self.coef_ = weights * s
        self.intercept_ = -0.5 * (weights * m).sum(1) + np.log(counts / n)

    def _scores(self, trials: Floats) -> Floats:
        rows = (anscombe(trials).reshape(len(trials), -1) - self.mean_) / self.scale_
        return np.asarray(rows @ self.coef_.T + self.intercept_)
