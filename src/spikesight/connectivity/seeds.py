"""Seeds that belong to units by their ids, so that a pair's numbers do not depend on which other units there are."""

import zlib

import numpy as np


def seed_of(seed: int, *unit_ids: object) -> int:
    """Return the seed of the random numbers of a unit, or of an ordered pair.

    Parameters
    ----------
    seed
        Of the whole estimate.
    unit_ids
        Ids of the units; equal text gives equal seeds.
    """
    names = [zlib.crc32(str(unit_id).encode()) for unit_id in unit_ids]
    return int(np.random.SeedSequence([seed, *names]).generate_state(1)[0])
