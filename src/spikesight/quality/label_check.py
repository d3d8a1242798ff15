"""Do the labels of a stimulus explain the counts at all? Shuffled or shifted labels do not."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from spikesight.quality.tuning import explained, halves, standardised
from spikesight.schema import BLOCK, DIMS, SPIKE_COUNTS, TARGET, TIME, UNIT

PERMUTATIONS: Final = 199
LEVEL: Final = 0.01
"""Labels pass if at most this part of permutations explains as much: shuffled ones do one time in a hundred."""
LEAST: Final = 0.01
MARGIN: Final = 3.0
"""Labels surely explain little if it is less than ``LEAST`` by ``MARGIN`` standard deviations of the null. Those that
do not pass either are flagged. So a stimulus that explains more is flagged about one time in a thousand, however few
its trials; where neither can be said there is too little to tell."""
FEWEST_TRIALS: Final = 150
FEWEST_UNITS: Final = 10
"""With less there is too little to tell; such a stimulus is never flagged."""
MOST_UNITS: Final = 200
"""Units that are looked at, evenly spread over those there are."""

OK: Final = "ok"
NOT_EXPLAINED: Final = "labels do not explain the counts"
WEAK: Final = "labels explain next to nothing"
"""Beyond chance, and still less than ``LEAST``: a hard stimulus, or labels that are late by a presentation or two."""
TOO_LITTLE: Final = "too few trials, repeats or units to tell"


@dataclass(frozen=True)
class LabelCheck:
    """What the labels of one stimulus explain.

    Attributes
    ----------
    stimulus, target
        What was shown, and the label.
    n_trials, n_classes, n_units
        What was looked at.
    explained
        Share of the variance of square-root counts that is tuning to the label, mean over units, above what permuted
        labels have (slow drift gives them a little); about 0 for wrong labels, so it may be below.
    z
        The same in standard deviations of the permutations' values.
    p_value
        Part of the permutations (and of the labels themselves) that explain as much or more.
    status
        ``OK``, ``WEAK``, ``NOT_EXPLAINED`` or ``TOO_LITTLE``.
    """

    stimulus: str
    target: str
    n_trials: int
    n_classes: int
    n_units: int
    explained: float
    z: float
    p_value: float
    status: str

    @property
    def is_flagged(self) -> bool:
        """Whether something is wrong."""
        return self.status == NOT_EXPLAINED

    def __str__(self) -> str:
        """Say it in a sentence."""
        if np.isnan(self.p_value):
            return f"Labels were not checked: {self.status}."
        share = f"{100 * self.explained:.2f}".replace("-", "\u2212")
        beyond = f"permuted labels do as well with p = {self.p_value:.2g}"
        note = "" if self.status == OK else f" ({self.status})"
        return f"Labels explain {share} % of the variance of single units' counts; {beyond}{note}."


def check_labels(dataset: xr.Dataset, *, seed: int = 0) -> LabelCheck:
    """Compare what the labels explain with what permuted labels do.

    Labels are permuted within blocks, so that slow drift between blocks is the same for both. Drift within a block is
    the same for both only if conditions came in random order: labels that come in long runs pass by drift alone.

    Parameters
    ----------
    dataset
        Binned trials, in the order shown.
    seed
        Seed of the permutations.
    """
    counts = dataset[SPIKE_COUNTS].transpose(*DIMS).sum(TIME).to_numpy()
    counts = counts[:, counts.any(axis=0)]
    places = np.unique(np.linspace(0, counts.shape[1] - 1, min(MOST_UNITS, counts.shape[1])).astype(int))
    values = standardised(counts[:, places]) if counts.shape[1] else np.zeros((len(counts), 0), np.float32)
    labels, codes = np.unique(dataset[TARGET].to_numpy(), return_inverse=True)
    codes = codes.ravel()
    even, odd = halves(codes)
    described = (
        str(dataset.attrs.get("stimulus_name", "")),
        str(dataset.attrs.get("target", "")),
        len(counts),
        len(labels),
        dataset.sizes[UNIT],
    )
    if even.shape[0] < 2 or len(counts) < FEWEST_TRIALS or values.shape[1] < FEWEST_UNITS:
        return LabelCheck(*described, np.nan, np.nan, np.nan, TOO_LITTLE)
    found = float(explained(values, even, odd).mean())
    rng = np.random.default_rng(seed)
    block = dataset[BLOCK].to_numpy()
    # Labels are permuted, not trials: even and odd repeats stay interleaved, so that slow drift adds the same to both.
    null = np.array([explained(values, *halves(codes[_permuted(block, rng)])).mean() for _ in range(PERMUTATIONS)])
    spread = max(float(null.std(ddof=1)), np.finfo(float).tiny)
    p_value = float((1 + (null >= found).sum()) / (1 + len(null)))
    tuning = found - float(null.mean())
    little = tuning + MARGIN * spread < LEAST
    passed, failed = (WEAK, NOT_EXPLAINED) if little else (OK, TOO_LITTLE)
    status = passed if p_value <= LEVEL else failed
    return LabelCheck(*described, tuning, tuning / spread, p_value, status)


def _permuted(block: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows in an order that is random within each block."""
    by_block = np.argsort(block, kind="stable")
    order = np.empty(len(block), np.intp)
    order[by_block] = np.lexsort([rng.random(len(block)), block])
    return order
