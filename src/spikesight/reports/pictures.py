"""Small pictures of scenes for a page."""

import base64
import io
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import xarray as xr

from spikesight.data.images import upright

MOST_BYTES: Final = 2000
"""Of one picture, as the page holds it."""
_WIDTHS: Final = (72, 56, 40, 28)
_QUALITIES: Final = (75, 55, 35, 20)


def thumbnails(images: xr.DataArray, labels: Iterable[str]) -> dict[str, str]:
    """Make a small JPEG of each scene that is named.

    Parameters
    ----------
    images
        Dims (frame, row, column) in any order, coordinate ``frame``; any range of grey, the same for all frames.
    labels
        Classes; those that are no frame of ``images`` get no picture.

    Returns
    -------
    dict
        From label to an address that a page can hold, of at most ``MOST_BYTES``.
    """
    own = upright(images).transpose("frame", "row", "column")
    place = {str(frame): at for at, frame in enumerate(own["frame"].to_numpy().tolist())}
    wanted = [label for label in dict.fromkeys(labels) if label in place]
    low, high = float(own.min()), float(own.max())
    scale = 255 / (high - low) if high > low else 0.0
    found = {}
    for label in wanted:
        grey = (own[place[label]].to_numpy().astype(float) - low) * scale
        found[label] = _address(np.rint(grey).astype(np.uint8))
    return found


def _address(grey: Any) -> str:
    """Write a picture as small as it must be."""
    from PIL import Image

    whole = Image.fromarray(grey)
    for width in _WIDTHS:
        size = (min(width, whole.width), max(1, round(whole.height * min(width, whole.width) / whole.width)))
        small = whole.resize(size, Image.Resampling.LANCZOS)
        for quality in _QUALITIES:
            file = io.BytesIO()
            small.save(file, "JPEG", quality=quality, optimize=True)
            address = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
            if len(address) <= MOST_BYTES:
                return address
    return address
