"""When what was shown."""

import numpy as np
import pandas as pd

from spikesight.data.presentations import BLOCK_PAUSE, number_blocks
from spikesight.data.session import Session
from spikesight.errors import PresentationsError
from spikesight.schema import BLOCK, START, STOP


def presentation_timeline(session: Session) -> pd.DataFrame:
    """List the blocks of every stimulus, and the times that are not to be trusted.

    Parameters
    ----------
    session
        A session with presentations.

    Returns
    -------
    DataFrame
        One row per block, sorted by its beginning: ``stimulus``, ``block`` (as numbered in the file, or from 0 after
        long pauses), ``start``, ``stop`` (min from the start of the recording), ``n_presentations``, and ``kind``:
        "presentations", or "invalid" for stretches of ``invalid_times``, whose ``stimulus`` is "invalid times".

    Raises
    ------
    PresentationsError
        If the session has no presentations.
    """
    rows = []
    for stimulus, shown in session.stimulus_presentations.items():
        if not len(shown):
            continue
        table = shown.sort_values(START, kind="stable")
        start, stop = table[START].to_numpy(np.float64), table[STOP].to_numpy(np.float64)
        # Without numbers of blocks, every pause counts: stretches of grey screen have others between them.
        pauses = np.append(0.0, start[1:] - stop[:-1])
        block = number_blocks(table) if BLOCK in table else np.cumsum(pauses > BLOCK_PAUSE)
        for number in np.unique(block):
            own = block == number
            rows.append((stimulus, int(number), start[own].min(), stop[own].max(), int(own.sum()), "presentations"))
    if not rows:
        raise PresentationsError(
            f"expected presentations of a stimulus; session {session.session_id} has none. Check the file with "
            "`spikesight inspect`."
        )
    for number, (begins, ends) in enumerate(_invalid(session)):
        rows.append(("invalid times", number, begins, ends, 0, "invalid"))
    names = ["stimulus", "block", "start", "stop", "n_presentations", "kind"]
    found = pd.DataFrame(rows, columns=names)
    found[["start", "stop"]] /= 60
    return found.sort_values("start", kind="stable").reset_index(drop=True)


def _invalid(session: Session) -> list[tuple[float, float]]:
    if not len(session.invalid_times):
        return []
    bounds = session.invalid_times[[START, STOP]].to_numpy(np.float64)
    return [(float(start), float(stop)) for start, stop in bounds if np.isfinite([start, stop]).all()]
