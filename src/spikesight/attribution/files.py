"""What an attribution leaves in its directory, and how much false discovery is taken."""

from typing import Final

ATTRIBUTION: Final = "attribution"
"""Folder of a run directory; each attribution has one in it."""
UNITS_TABLE: Final = "attribution.parquet"
FOLDS_TABLE: Final = "attribution_folds.parquet"
ABLATION_TABLE: Final = "ablation.parquet"
SUMMARY: Final = "summary.json"
"""The last that is written."""
FIGURES: Final = "figures"
Q: Final = 0.05
"""False discovery rate at which units are said to carry."""
