"""Random streams of a simulation, one per purpose, so that a change in one part leaves the others as they were."""

import zlib

import numpy as np


def stream(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return the generator of one ``purpose`` (and, for example, one chunk of time) under ``seed``.

    The global random state of numpy is neither read nor written.
    """
    return np.random.Generator(np.random.SFC64([seed, zlib.crc32(purpose.encode()), *counters]))
