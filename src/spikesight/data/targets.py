"""What is decoded: the label of each presentation, from one or several columns of its table."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BLANK: Final = "blank"
"""Label of a presentation of nothing, where labels are text."""
BLANK_NUMBER: Final = -1
"""Label of a presentation of nothing, where labels are numbers; as ``frame`` has it for natural scenes."""
_MISSING: Final = frozenset({"", "n/a", "null", "nan"})
"""How the files (AllenSDK fills mixed columns with "N/A" and "null") write that there is no value."""
_EXACT: Final = 2.0**53
_SINGLE_DIGITS: Final = 7
_DOUBLE_DIGITS: Final = 15
"""Digits that a decimal fraction keeps in either precision: 0.04 is written as 0.04."""


def label_columns(table: pd.DataFrame, columns: tuple[str, ...]) -> NDArray[Any]:
    """Label each presentation.

    Parameters
    ----------
    table
        Presentations.
    columns
        One column, or several whose combination is the label.

    Returns
    -------
    ndarray of shape (n_presentations,)
        int64 if all values are whole numbers; str for text, for several columns, and for other numbers ("0.04"): a
        classifier takes fractions for something to be regressed on. Where there is no value: -1, or "blank" where
        labels are text or some are negative.
    """
    if len(columns) == 1:
        return _label_column(table[columns[0]])
    parts = [_label_column(table[name]) for name in columns]
    missing = np.any([is_missing(table[name]) for name in columns], axis=0)
    labels = [", ".join(f"{name}={part[row]}" for name, part in zip(columns, parts, strict=True))
              for row in range(len(table))]  # fmt: skip
    return np.where(missing, BLANK, np.array(labels, dtype=np.str_)) if labels else np.array([], np.str_)


def is_missing(values: pd.Series) -> NDArray[np.bool_]:
    """Find the presentations that have no value: NaN, or one of the texts that stand for it."""
    missing = values.isna().to_numpy(bool)
    if not pd.api.types.is_numeric_dtype(values):
        missing = missing | values.astype(str).str.strip("[] ").str.lower().isin(_MISSING).to_numpy(bool)
    return missing


def parse_number(text: str) -> float | None:
    """Read "0.04" or, if all its items are equal, "[250.0, 250.0]" as a number; None for any other text."""
    if "_" in text:  # Python reads 1_0 as 10, as it does in code; in a file it is a name
        return None
    text = text.strip()
    items = text[1:-1].replace(",", " ").split() if text[:1] + text[-1:] == "[]" else [text]
    try:
        numbers = {float(item) for item in items}
    except ValueError:
        return None
    number = numbers.pop() if len(numbers) == 1 else np.nan
    return number if np.isfinite(number) else None


def _label_column(values: pd.Series) -> NDArray[Any]:
    missing = is_missing(values)
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
    else:
        text = values.astype(str)
        parsed = {item: parse_number(item) for item in text[~missing].unique()}
        if any(number is None for number in parsed.values()):
            return np.array(text.mask(missing, BLANK).tolist(), np.str_)
        numbers = text.map(parsed).to_numpy(np.float64)
    known = numbers[~missing]
    if (known == np.floor(known)).all() and (abs(known) < _EXACT).all() and not (missing.any() and (known < 0).any()):
        return np.where(missing, float(BLANK_NUMBER), numbers).astype(np.int64)
    digits = _SINGLE_DIGITS if values.dtype == np.float32 else _DOUBLE_DIGITS
    numbers = numbers + 0.0  # -0.0 is no class of its own
    return np.array([BLANK if gone else f"{n:.{digits}g}" for gone, n in zip(missing, numbers, strict=True)], np.str_)
