"""How much memory there is, so that a file that unpacks to more is refused before it is unpacked."""

import os
from pathlib import Path
from typing import Final

_MEMINFO: Final = Path("/proc/meminfo")
_AVAILABLE: Final = "MemAvailable:"
_UNKNOWN: Final = 2**63
"""Where a system does not tell, nothing is refused for its size."""


def available_memory() -> int:
    """Bytes that can be taken now without swapping; on systems other than Linux, all that the machine has."""
    try:
        line = next(line for line in _MEMINFO.read_text().splitlines() if line.startswith(_AVAILABLE))
        return 1024 * int(line.split()[1])
    except (OSError, StopIteration, IndexError, ValueError):
        return _whole_memory()


def _whole_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN
