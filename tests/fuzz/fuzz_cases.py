"""A case is a number: which file it spoils, and how, follows from the number and the seed alone."""

from pathlib import Path
from typing import NamedTuple

import fuzz_bytes
import fuzz_hdf5
import fuzz_npz
import numpy as np

KINDS = {
    ("nwb", "bytes"): 0.18,
    ("nwb", "structure"): 0.44,
    ("npz", "bytes"): 0.08,
    ("npz", "structure"): 0.18,
    ("nc", "bytes"): 0.03,
    ("nc", "structure"): 0.09,
}
"""Format and manner of a case, and how many of all cases are of that sort."""


class Case(NamedTuple):
    """One spoilt file: where it is, and how it was made."""

    path: Path
    recipe: str


def make_case(seed: int, number: int, seeds: dict[str, list[Path]], folder: Path, outside: Path) -> Case:
    """Write the file of a case; the same numbers give the same bytes."""
    rng = np.random.default_rng([seed, number])
    kinds = list(KINDS)
    ending, manner = kinds[rng.choice(len(kinds), p=list(KINDS.values()))]
    whole = seeds[f".{ending}"][int(rng.integers(len(seeds[f".{ending}"])))]
    path = folder / f"session_1.{ending}"
    content = whole.read_bytes()
    if manner == "bytes":
        content, names = fuzz_bytes.spoil(content, rng)
        path.write_bytes(content)
    elif ending == "npz":
        content, names = fuzz_npz.spoil(content, rng, outside)
        path.write_bytes(content)
    else:
        path.write_bytes(content)
        names = fuzz_hdf5.spoil(path, rng, outside)
    return Case(path, f"{whole.name}: {manner}: {', '.join(names)}")
