"""How much memory a piece of work takes beyond what the process held before it."""

import resource
from pathlib import Path


def resident(field: str) -> float:
    """Read a size of this process in bytes: ``VmRSS`` now, or ``VmHWM`` at most."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    [line] = [line for line in status.read_text().splitlines() if line.startswith(field)]
    return 1024.0 * int(line.split()[1])


def forget_peak() -> None:
    """Let the highest size count from now on (Linux)."""
    switch = Path("/proc/self/clear_refs")
    if switch.exists():
        switch.write_text("5")
