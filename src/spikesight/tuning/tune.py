"""Tune one decoder on one session, from Python."""

from typing import Any

import xarray as xr

from spikesight.cluster import LOCAL, connected
from spikesight.decoders import registry
from spikesight.detrending import Detrending
from spikesight.errors import ConfigError
from spikesight.evaluation.benchmark import Evaluation, evaluate
from spikesight.evaluation.fitting import SEARCHED
from spikesight.search_space import Space, with_changes
from spikesight.splits import Splitter
from spikesight.tracking.progress import Progress, Silent
from spikesight.tuning.ray_search import RaySearch
from spikesight.tuning_config import TuningConfig


def tune(
    decoder: Any,
    dataset: xr.Dataset,
    splitter: Splitter | None = None,
    *,
    space: Space | None = None,
    settings: TuningConfig | None = None,
    seed: int = 0,
    detrending: Detrending | None = None,
    jobs: int | None = None,
    ray: str = LOCAL,
    progress: Progress | None = None,
) -> Evaluation:
    """Search a decoder's constants on training trials, and score the winner of each outer fold on its test trials.

    Nothing is kept on disk; `spikesight.run_benchmark` with ``selection=("searched",)`` keeps everything and resumes.

    Parameters
    ----------
    decoder
        Registered name, or an unfitted scikit-learn classifier.
    dataset
        Binned trials in time order.
    splitter
        How test trials are set aside; None means ``BlockKFold()``.
    space
        What is varied; None: the search space of the registered decoder. Changes in ``settings`` come on top.
    settings
        How; None: 50 candidates by Optuna's Gaussian process, with ASHA and without a limit of time.
    seed
        Of the decoder and of what proposes candidates.
    detrending
        How slow drift is taken away inside each fold; None leaves it.
    jobs
        Candidates at a time; None: as many as the machines have cores and memory for.
    ray
        ``"local"``, ``"auto"`` or ``"host:port"``: where Ray is.
    progress
        Hears how far it is.

    Returns
    -------
    Evaluation
        ``results`` has the accuracy on inner folds (``inner_accuracy``: the best of many, so too high) beside that on
        test trials; ``candidates`` has every candidate of every fold.

    Raises
    ------
    ConfigError
        If there is nothing to search, or a parameter that the decoder does not have.
    DataError
        If the dataset is not fit for these folds.
    """
    settings = settings or TuningConfig()
    name = decoder if isinstance(decoder, str) else type(decoder).__name__
    own = space if space is not None else registry.spec(name).search_space if isinstance(decoder, str) else {}
    searched = with_changes(own, settings.space.get(name, {}))
    if not searched:
        raise ConfigError(f"{name} has no search space; give one: space={{'alpha': Range(0.1, 10, log=True)}}.")
    search = RaySearch(searched, settings, seed, name, jobs, progress=progress or Silent())
    with connected(ray, jobs=jobs):
        return evaluate(decoder, dataset, splitter, selection=SEARCHED, seed=seed, detrending=detrending, search=search)
