"""What reading a file must not do: touch the folder outside, load code, run code, leave files open, grow."""

import ctypes
import gc
import os
import struct
import sys
from pathlib import Path

EVENTS = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen",
          "socket.connect", "ctypes.dlopen", "os.mkdir", "os.remove", "os.rename")  # fmt: skip
"""Audit events of Python that no reading of data has a reason for."""
ALL_INOTIFY_EVENTS = 0xFFF
CREATED = 0x100
IS_FOLDER = 0x40000000
LARGEST_GROWTH = 720 * 2**20
"""Bytes that one small file may add to what the process holds at most."""


class Watch:
    """Looks at one reading after the other; ``problems`` says what was wrong since ``begin``."""

    def __init__(self, outside: Path) -> None:
        self._seen: list[str] = []
        self._looking = False
        self._inotify = _watch_folder(outside)
        sys.addaudithook(self._hear)

    def begin(self) -> None:
        self._drain()
        self._seen.clear()
        self._libraries = _libraries()
        self._open = _open_files()
        self._peak = peak_memory()
        self._looking = True

    def problems(self) -> list[str]:
        self._looking = False
        found = list(self._seen)
        if self._drain():
            found.append("touched a file outside")
        found += [f"loaded {name}" for name in sorted(_libraries() - self._libraries)]
        if _open_files() > self._open:
            gc.collect()  # an error that was raised from another one holds what that one had open
        if _open_files() > self._open:
            found.append("left a file open")
        grown = peak_memory() - self._peak
        if grown > LARGEST_GROWTH:
            found.append(f"took {grown / 2**20:.0f} MiB")
        return found

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._looking and event in EVENTS:
            self._seen.append(f"{event} {str(arguments)[:80]}")

    def _drain(self) -> bool:
        """Say whether anything was done in the folder since the last time; who only lists it does nothing."""
        if self._inotify is None:
            return False
        try:
            events = os.read(self._inotify, 65536)
        except BlockingIOError:
            return False
        place, masks = 0, []
        while place < len(events):
            _, mask, _, length = struct.unpack_from("iIII", events, place)
            place += 16 + length
            masks.append(mask)
        return any(mask & CREATED or not mask & IS_FOLDER for mask in masks)


def peak_memory() -> float:
    """Bytes of this program at most so far; ``getrusage`` would begin with those of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def _watch_folder(folder: Path) -> int | None:
    """Linux tells who opens what in a folder, also where that is not Python's doing."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK)
    if handle < 0 or libc.inotify_add_watch(handle, str(folder).encode(), ALL_INOTIFY_EVENTS) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    return int(handle)


def _libraries() -> set[str]:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return set()
    return {line.split()[-1] for line in maps.read_text().splitlines() if ".so" in line}


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
