"""What the mouse did over the whole session."""

from typing import Final

import numpy as np
import pandas as pd

from spikesight.data.behaviour import behaviour_signals
from spikesight.data.session import Session
from spikesight.errors import ConfigError, FileFormatError
from spikesight.schema import BEHAVIOUR_UNITS, PUPIL_AREA, RUNNING_SPEED

SHOWN: Final = (RUNNING_SPEED, PUPIL_AREA)


def behaviour_over_session(session: Session, *, n_points: int = 3000) -> pd.DataFrame:
    """Give running speed and size of the pupil over the session, thinned by averaging.

    Parameters
    ----------
    session
        A session whose file holds one of the two.
    n_points
        Rows of each measure: the session is cut into so many equal stretches, and each row is the mean over one.

    Returns
    -------
    DataFrame
        ``measure`` ("running_speed", "pupil_area"), ``time`` (centre of the stretch, min from the start of the
        recording), ``value`` (cm/s, pixel^2; NaN where less than half of the stretch was measured) and ``units``.

    Raises
    ------
    FileFormatError
        If the file holds neither running speed nor the pupil, or they are empty.
    ConfigError
        If ``n_points`` is less than 1.
    """
    if n_points < 1:
        raise ConfigError(f"expected n_points of at least 1, got {n_points}.")
    signals = {name: signal for name, signal in behaviour_signals(session).items() if name in SHOWN}
    bounds = _bounds(session)
    if not signals or bounds is None:
        raise FileFormatError(
            f"expected running speed or the size of the pupil; the file of session {session.session_id} holds neither."
        )
    edges = np.linspace(*bounds, n_points + 1)
    centres = (edges[1:] + edges[:-1]) / 2 / 60
    tables = [
        pd.DataFrame(
            {"measure": name, "time": centres, "value": signal.mean(edges[None, :])[0], "units": BEHAVIOUR_UNITS[name]}
        )
        for name, signal in signals.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _bounds(session: Session) -> tuple[float, float] | None:
    """First and last time that anything was measured, s."""
    times = []
    if session.running is not None:
        times += [session.running["start_time"].to_numpy(np.float64), session.running["stop_time"].to_numpy(np.float64)]
    if session.pupil is not None:
        times.append(session.pupil["time"].to_numpy(np.float64))
    known = np.concatenate([np.empty(0), *times])
    known = known[np.isfinite(known)]
    if known.size < 2 or known.min() == known.max():
        return None
    return float(known.min()), float(known.max())
