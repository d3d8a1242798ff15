"""Where a search of each built-in decoder's constants looks, unless a user says otherwise.

Every space holds the decoder's defaults, so that a search begins with them and never ends below them on its inner
folds. Ranges of networks stay where a fit of a few thousand trials takes minutes.
"""

from typing import Final

from spikesight.search_space import Choice, Range, Space

LOGISTIC: Final[Space] = {"C": Range(1e-4, 10, log=True)}
PCA_LOGISTIC: Final[Space] = {"n_components": Range(20, 1000, log=True, whole=True), **LOGISTIC}
LINEAR_SVC: Final[Space] = {"C": Range(1e-4, 1, log=True)}
POLYNOMIAL_SVC: Final[Space] = {
    "C": Range(0.03, 30, log=True),
    "degree": Choice((2, 3)),
    "gamma": Range(0.1, 10, log=True),
}
RADIAL_SVC: Final[Space] = {"C": Range(1, 100, log=True), "gamma": Range(0.03, 1, log=True)}
RIDGE: Final[Space] = {"alpha": Range(10, 1e5, log=True)}
POISSON_BAYES: Final[Space] = {"alpha": Range(0.3, 300, log=True)}
LDA: Final[Space] = {"shrinkage": Choice(("auto", 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))}
FACTOR_LDA: Final[Space] = {"q": Range(5, 300, log=True, whole=True), "class_covariance": Choice((True, False))}

NETWORK: Final[Space] = {
    "learning_rate": Range(1e-3, 1e-2, log=True),
    "max_epochs": Range(8, 40, log=True, whole=True),
    "weight_decay": Range(0.03, 10, log=True),
    "label_smoothing": Range(0, 0.3),
    "unit_dropout": Range(0, 0.5),
    "input_noise": Range(0, 3),
    "noise_factors": Range(10, 240, log=True, whole=True),
    "dropout": Range(0, 0.5),
}
HIDDEN: Final[Space] = {"hidden_size": Range(32, 512, log=True, whole=True), **NETWORK}
CNN: Final[Space] = {"n_filters": Range(32, 256, log=True, whole=True), **NETWORK}
TRANSFORMER: Final[Space] = {"hidden_size": Choice((64, 128, 256, 512)), **NETWORK, "n_layers": Range(1, 3, whole=True)}
GRAPH: Final[Space] = {
    **HIDDEN,
    "graph": Choice((None, "correlation", "partial-correlation", "learned", "learned-per-trial")),
    "unit_features": Range(1, 3, whole=True),
}
"""``graph: None`` is the decoder's own default graph."""
GRAPH_TRANSFORMER: Final[Space] = {**GRAPH, "hidden_size": TRANSFORMER["hidden_size"]}
ENSEMBLE: Final[Space] = {"combine": Choice(("average", "product"))}
"""Its members are no plain data: a search varies how they are combined, and nothing else."""
