"""Damage that knows nothing of the format: flipped bits, holes, cuts and splices."""

from collections.abc import Callable

import numpy as np

LOUD = (
    b"\x00" * 8,
    b"\xff" * 8,
    b"\xff" * 7 + b"\x7f",
    b"\x00" * 7 + b"\x80",
    b"\x01" + b"\x00" * 7,
    b"\xff\xff\xff\x7f",
)
"""Numbers at the edge of their types: 0, -1, the largest and smallest of 64 bits, 1, the largest of 32."""

Rng = np.random.Generator
Edit = Callable[[bytearray, Rng], None]


def flip_bits(content: bytearray, rng: Rng) -> None:
    for place in rng.integers(0, len(content), rng.integers(1, 17)):
        content[place] ^= 1 << int(rng.integers(8))


def set_bytes(content: bytearray, rng: Rng) -> None:
    for place in rng.integers(0, len(content), rng.integers(1, 9)):
        content[place] = int(rng.integers(256))


def set_numbers(content: bytearray, rng: Rng) -> None:
    for place in rng.integers(0, len(content), rng.integers(1, 5)):
        number = LOUD[rng.integers(len(LOUD))]
        content[place : place + len(number)] = number[: len(content) - place]


def zero_range(content: bytearray, rng: Rng) -> None:
    place, size = _range(content, rng)
    content[place : place + size] = bytes(size)


def truncate(content: bytearray, rng: Rng) -> None:
    del content[int(rng.integers(len(content))) :]


def splice(content: bytearray, rng: Rng) -> None:
    """Copy one stretch over another."""
    place, size = _range(content, rng)
    target = int(rng.integers(len(content) - size + 1))
    content[target : target + size] = content[place : place + size]


def remove_range(content: bytearray, rng: Rng) -> None:
    place, size = _range(content, rng)
    del content[place : place + size]


def repeat_range(content: bytearray, rng: Rng) -> None:
    place, size = _range(content, rng)
    content[place:place] = content[place : place + size]


EDITS: tuple[Edit, ...] = (
    *(flip_bits, set_bytes, set_numbers, zero_range, truncate, splice, remove_range, repeat_range),
)


def spoil(content: bytes, rng: Rng) -> tuple[bytes, list[str]]:
    """Damage a file once or twice, and name what was done. Half of the edits fall on the beginning of the file."""
    spoilt = bytearray(content)
    names = []
    for _ in range(int(rng.integers(1, 3))):
        edit = EDITS[rng.integers(len(EDITS))]
        if not spoilt:
            break
        if rng.random() < 0.5 and edit is not truncate:
            size = min(len(spoilt), 4096)
            head = spoilt[:size]
            edit(head, rng)
            spoilt[:size] = head
        else:
            edit(spoilt, rng)
        names.append(edit.__name__)
    return bytes(spoilt), names


def _range(content: bytearray, rng: Rng) -> tuple[int, int]:
    """A stretch of 1 byte to 4 kB, short ones as often as long ones."""
    size = min(len(content), int(2 ** rng.uniform(0, 12)))
    return int(rng.integers(len(content) - size + 1)), size
