"""What is known of the units before they are mapped: published centres, or the truth of a simulation."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spikesight.data.simulation.truth import SUFFIX, GroundTruth
from spikesight.errors import FileFormatError
from spikesight.receptive_fields.published import published_places, read_published

KnownCentres = GroundTruth | pd.DataFrame


def read_known(path: Path) -> KnownCentres:
    """Read the truth of a simulated session, or else a table of published units.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is damaged or something else.
    """
    if not path.name.endswith(SUFFIX):
        return read_published(path)
    if not path.is_file():
        raise FileFormatError(f"expected the truth of a simulated session, there is none at {path}. Check the path.")
    return GroundTruth.load(path)


def check_units(known: KnownCentres, unit_ids: NDArray[np.integer]) -> None:
    """Refuse what cannot be put beside these units.

    Raises
    ------
    UnitIdsError
        If no unit is in the published table, or one was not simulated.
    """
    if isinstance(known, GroundTruth):
        known.rows(unit_ids)
    else:
        published_places(known, unit_ids)
