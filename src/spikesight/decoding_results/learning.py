"""How networks learned, epoch by epoch."""

import pandas as pd

_FIT = ["session", "decoder", "selection", "fold", "seed"]


def learning_curves(epochs: pd.DataFrame) -> pd.DataFrame:
    """Add which epoch each fit kept: the one of the lowest validation loss, or the last one without validation trials.

    Parameters
    ----------
    epochs
        As in ``epochs.parquet``, see `spikesight.tracking.epochs.EPOCH_COLUMNS`.

    Returns
    -------
    pandas.DataFrame
        The same rows in order of epochs, with ``chosen`` (bool; one epoch of each fit) and ``validated`` (bool;
        whether the fit had validation trials).
    """
    table = epochs.sort_values([*_FIT, "epoch"], kind="stable").reset_index(drop=True)
    lowest = table["valid_loss"].groupby([table[name] for name in _FIT]).transform("min")
    validated = lowest.notna()
    last = table["epoch"].groupby([table[name] for name in _FIT]).transform("max")
    kept = (table["valid_loss"] == lowest) | (~validated & (table["epoch"] == last))
    first = kept & ~kept.groupby([table[name] for name in _FIT]).cumsum().gt(1)
    return table.assign(chosen=first, validated=validated)
