"""The figures of a connectivity estimate."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import numpy as np

from spikesight import figures
from spikesight.connectivity.edges import distances
from spikesight.errors import DataError
from spikesight.gallery.pictures import Picture
from spikesight.records.connectivity_record import ConnectivityRecord


def _matrix(record: ConnectivityRecord) -> Iterable[Picture]:
    yield Picture(draw=lambda: figures.plot_connectivity_matrix(record.matrices["connectivity"], record.units))


def _areas(record: ConnectivityRecord) -> Iterable[Picture]:
    yield Picture(draw=lambda: figures.plot_area_graph(record.areas))


def _units(record: ConnectivityRecord) -> Iterable[Picture]:
    for layout in ("circular", "force"):
        yield Picture((layout,), partial(figures.plot_unit_graph, record.edges, record.units, layout))


def _lags(record: ConnectivityRecord) -> Iterable[Picture]:
    if not record.edges["lag"].notna().any():
        raise DataError(f"the method {record.summary['method']} estimates no lags.")
    yield Picture(draw=lambda: figures.plot_lag_histogram(record.edges))


def _ccf(record: ConnectivityRecord) -> Iterable[Picture]:
    if not np.isfinite(distances(record.units)).any():
        raise DataError("the file does not say where units lie in the common coordinate framework (CCF).")
    yield Picture(draw=lambda: figures.plot_edges_in_ccf(record.edges, record.units))


CONNECTIVITY_FIGURES: Final[dict[str, Callable[[ConnectivityRecord], Iterable[Picture]]]] = {
    "matrix": _matrix,
    "areas": _areas,
    "units": _units,
    "lags": _lags,
    "ccf": _ccf,
}
"""Name of a figure, and of its file -> what makes it."""
