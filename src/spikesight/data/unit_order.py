"""Units by id, in the order in which something else knows them."""

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from spikesight.errors import UnitIdsError
from spikesight.schema import UNIT


def align_units(dataset: xr.Dataset, unit_ids: ArrayLike) -> xr.Dataset:
    """Return ``dataset`` with exactly the units ``unit_ids``, in that order.

    Parameters
    ----------
    dataset
        Binned trials; its units may be more, and in another order.
    unit_ids
        Ids to pick, unique, for example those of a stored decoder.

    Raises
    ------
    UnitIdsError
        If the dataset lacks some of them (the message says how many), or an id is asked for twice.
    """
    wanted = np.asarray(unit_ids)
    positions = dataset[UNIT].to_index().get_indexer(pd.Index(wanted))
    missing = wanted[positions < 0]
    if len(missing):
        raise UnitIdsError(
            f"expected {len(wanted)} units by id, the dataset lacks {len(missing)} of them, for example "
            f"{missing[:5].tolist()}: it has {dataset.sizes[UNIT]} units, perhaps of another session."
        )
    if len(np.unique(wanted)) < len(wanted):
        raise UnitIdsError(f"expected unique unit ids, got {len(wanted) - len(np.unique(wanted))} that repeat others.")
    return dataset.isel({UNIT: positions})
