"""An estimate share by share of the units, in threads, each kept when it is finished."""

import threading
from collections.abc import Callable

from spikesight.connectivity.base import Running
from spikesight.connectivity.finished import Arrays
from spikesight.data.count_kernels import in_threads


def in_shares(
    estimate: Callable[[int, int], Arrays], n_units: int, running: Running, name: str, *, size: int
) -> list[Arrays]:
    """Call ``estimate(first, stop)`` for shares of the units; shares that were kept are read instead.

    Parameters
    ----------
    estimate
        Returns the arrays of the units ``first`` to ``stop``.
    n_units
        Number of units.
    running
        Where shares are kept, and who is told.
    name
        Of the estimator.
    size
        Units of a share.

    Returns
    -------
    list
        The arrays of all shares, in order.
    """
    telling = threading.Lock()
    done = 0

    def share(first: int, stop: int) -> Arrays:
        nonlocal done
        part = running.finished.get(f"{name}-{first}-{stop}")
        if part is None:
            part = estimate(first, stop)
            running.finished.put(f"{name}-{first}-{stop}", **part)
        with telling:
            done += stop - first
            running.progress.advance(name, done, n_units)
        return part

    return in_threads(share, [(at, min(at + size, n_units)) for at in range(0, n_units, size)])
