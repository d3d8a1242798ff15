"""Support-vector classifiers: scikit-learn's libsvm fit, kernels and votes by matrix products."""

from itertools import combinations

import numpy as np
from sklearn.metrics.pairwise import linear_kernel, polynomial_kernel, rbf_kernel
from sklearn.svm import SVC

from spikesight.decoders.base import Codes, Floats, ScoringDecoder, StandardisedDecoder


class _KernelSVC(ScoringDecoder, StandardisedDecoder):
    """One support-vector machine for every pair of classes; votes decide, confidences break ties.

    Decisions equal those of ``sklearn.svm.SVC(break_ties=True)``. The kernel of all pairs of trials is one matrix
    product, given to libsvm as it is: several times faster than libsvm's own kernel, for ``8 * n_trials ** 2`` bytes.

    Attributes
    ----------
    support_vectors_ : ndarray of shape (n_support, n_features)
        Standardised training trials that carry weight, class by class.
    n_support_ : ndarray of shape (n_classes,)
        How many of them each class has.
    dual_coef_ : ndarray of shape (n_classes - 1, n_support)
    pair_intercept_ : ndarray of shape (n_classes * (n_classes - 1) / 2,)
    mean_, scale_ : ndarray of shape (n_features,)
    """

    C: float

    def _kernel(self, rows: Floats, others: Floats) -> Floats:
        raise NotImplementedError

    def _fit_rows(self, rows: Floats, codes: Codes) -> None:
        # a fixed seed, which libsvm does not need here: without one scikit-learn draws from the global generator
        fitted = SVC(C=self.C, kernel="precomputed", random_state=0).fit(self._kernel(rows, rows), codes)
        self.support_vectors_ = rows[fitted.support_]
        self.n_support_ = np.asarray(fitted.n_support_)
        # libsvm's signs: scikit-learn turns both of them around for two classes
        sign = -1.0 if len(self.classes_) == 2 else 1.0
        self.dual_coef_ = sign * np.asarray(fitted.dual_coef_)
        self.pair_intercept_ = sign * np.asarray(fitted.intercept_)

    def _score_rows(self, rows: Floats) -> Floats:
        first_over_second = self._pair_decisions(self._kernel(rows, self.support_vectors_))
        if len(self.classes_) == 2:
            return np.hstack([first_over_second, -first_over_second]) / 2
        first, second = np.eye(len(self.classes_))[np.transpose(self._pairs())]
        first_wins = first_over_second >= 0
        votes = first_wins @ first + ~first_wins @ second
        confidence = first_over_second @ (first - second)
        return np.asarray(votes + confidence / (3 * (np.abs(confidence) + 1)))  # within a third: never turns a vote

    def _pair_decisions(self, kernel: Floats) -> Floats:
        """Return the decision of every pair of classes, (n_trials, n_pairs); positive is for the first of the pair.

        libsvm keeps the weights of a support vector against the other classes in one column: row ``j - 1`` is the
        weight against a later class ``j``, row ``i`` that against an earlier class ``i``.
        """
        stops = np.cumsum(self.n_support_)
        parts = [slice(stop - size, stop) for stop, size in zip(stops, self.n_support_, strict=True)]
        sums = [kernel[:, part] @ self.dual_coef_[:, part].T for part in parts]
        decisions = np.stack([sums[i][:, j - 1] + sums[j][:, i] for i, j in self._pairs()], axis=1)
        return np.asarray(decisions + self.pair_intercept_)

    def _pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(len(self.classes_)), 2))


class LinearSVC(_KernelSVC):
    """Support-vector classifier with a linear kernel on standardised square-root counts.

    Several bins: every bin of every unit is a feature of its own.

    Parameters
    ----------
    C
        Inverse strength of the penalty.
    floor
        Smallest standard deviation to divide by.
    """

    def __init__(self, C: float = 0.01, *, floor: float = 0.3) -> None:
        self.C = C
        self.floor = floor

    def _kernel(self, rows: Floats, others: Floats) -> Floats:
        return np.asarray(linear_kernel(rows, others))


class PolynomialSVC(_KernelSVC):
    """Support-vector classifier with the kernel ``(gamma / n_features * <x, y> + 1) ** degree``.

    Several bins: every bin of every unit is a feature of its own.

    Parameters
    ----------
    C
        Inverse strength of the penalty.
    degree
        Degree of the polynomial.
    gamma
        Scale of the inner product. 1 is scikit-learn's ``"scale"`` on standardised features.
    floor
        Smallest standard deviation to divide by.
    """

    def __init__(self, C: float = 3.0, *, degree: int = 2, gamma: float = 1.0, floor: float = 0.3) -> None:
        self.C = C
        self.degree = degree
        self.gamma = gamma
        self.floor = floor

    def _kernel(self, rows: Floats, others: Floats) -> Floats:
        gamma = self.gamma / rows.shape[1]
        return np.asarray(polynomial_kernel(rows, others, degree=self.degree, gamma=gamma, coef0=1.0))


class RadialSVC(_KernelSVC):
    """Support-vector classifier with the kernel ``exp(-gamma / n_features * |x - y| ** 2)``.

    Several bins: every bin of every unit is a feature of its own.

    Parameters
    ----------
    C
        Inverse strength of the penalty.
    gamma
        Scale of the squared distance. 1 is scikit-learn's ``"scale"`` on standardised features.
    floor
        Smallest standard deviation to divide by.
    """

    def __init__(self, C: float = 10.0, *, gamma: float = 0.25, floor: float = 0.3) -> None:
        self.C = C
        self.gamma = gamma
        self.floor = floor

    def _kernel(self, rows: Floats, others: Floats) -> Floats:
        return np.asarray(rbf_kernel(rows, others, gamma=self.gamma / rows.shape[1]))
