"""Where a map is, and how large: centroid and area of the part above half of its peak.

The published metrics (`azimuth_rf`, `elevation_rf`, `area_rf`; AllenSDK, ``ReceptiveFieldMapping``) are the centroid
and the area of the connected region within half a standard deviation of the peak of the map, smoothed by a Gaussian of
one grid step. Ours weighs the region above half of the peak by its height, which is steadier: a region of one or two
places jumps by a whole step.
"""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

Floats = NDArray[np.float64]

HALF: Final = 0.5
SMOOTHING: Final = 1.0
"""Grid steps."""


def centres_of_maps(maps: Floats, x: Floats, y: Floats, *, smoothing: float = SMOOTHING) -> pd.DataFrame:
    """Find the centre and the size of each map.

    Parameters
    ----------
    maps
        Shape (n_units, n_y, n_x); larger = stronger response. Signed maps: give their absolute value.
    x, y
        Degrees of columns and rows, evenly spaced, shapes (n_x,) and (n_y,).
    smoothing
        Standard deviation of the Gaussian that maps are smoothed with first, grid steps.

    Returns
    -------
    DataFrame
        ``x``, ``y`` (degrees) and ``size`` (degrees squared: the region around the peak where the smoothed map is above
        half of the way from its median to its peak); NaN where a map is constant.
    """
    cell = abs(float(np.diff(x).mean()) * float(np.diff(y).mean()))
    rows = [_centre(gaussian_filter(one, smoothing) if smoothing else one, x, y) for one in maps]
    table = pd.DataFrame(rows, columns=["x", "y", "size"], dtype=float)
    return table.assign(size=table["size"] * cell)


def _centre(smooth: Floats, x: Floats, y: Floats) -> tuple[float, float, float]:
    peak, base = smooth.max(), np.median(smooth)
    if not peak - base > 1e-12:
        return np.nan, np.nan, np.nan
    above = smooth - (base + HALF * (peak - base))
    regions = label(above > 0)[0]
    region = regions == regions[np.unravel_index(smooth.argmax(), smooth.shape)]
    weight = np.where(region, above, 0.0)
    total = weight.sum()
    return float((weight.sum(0) @ x) / total), float((weight.sum(1) @ y) / total), float(region.sum())
