"""Columns of a DataFrame, in the dtypes that the files have."""

from typing import Final, Literal

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.nwb_write.nodes import TEXT, NwbNodes
from spikesight.errors import DataError

Kind = Literal["text", "float", "int", "bool"]
DTYPES: Final = {"float": np.float64, "int": np.int64, "bool": np.bool_}


def write_column(
    nodes: NwbNodes, table: h5py.Group, values: pd.Series, kind: Kind, description: str, missing: str = ""
) -> None:
    """Add a column named as ``values`` is; ``missing`` stands for a text that is missing.

    Raises
    ------
    DataError
        If a value is not what ``kind`` asks for; names the column and the row.
    """
    name = str(values.name)
    if kind == "text":
        nodes.column(table, name, as_text(values, missing), description, TEXT)
    else:
        nodes.column(table, name, as_numbers(values, kind), description)


def as_text(values: pd.Series, missing: str) -> NDArray[np.object_]:
    """Every value as a str."""
    return np.array(
        [missing if absent else str(value) for value, absent in zip(values, values.isna(), strict=True)], "O"
    )


def as_numbers(values: pd.Series, kind: Literal["float", "int", "bool"]) -> NDArray[np.generic]:
    """Every value as float64, int64 or bool; only a float may be missing (NaN).

    Raises
    ------
    DataError
        If a value is missing, or is not such a number; names the column and the row.
    """
    numbers = pd.to_numeric(values.astype(object), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = np.isnan(numbers) & values.notna().to_numpy()
    if kind != "float":
        wrong = np.isnan(numbers) | (numbers != np.round(numbers))
    if kind == "bool":
        wrong |= (numbers != 0) & (numbers != 1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"expected {kind} values in column {values.name!r}, got {values.iloc[row]!r} in row {values.index[row]!r} "
            f"({int(wrong.sum())} of {len(values)} rows are like that)."
        )
    # Ids near 2**63 would not survive a round trip over float64.
    return numbers if kind == "float" else values.to_numpy().astype(DTYPES[kind])
