"""Fetching survives what ends processes and fills disks: real children, a real full disk."""

import contextlib
import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.fault_server import FaultServer
from spikesight.data.fetch import fetch, fetch_session
from spikesight.data.public_source import S3_PREFIX
from spikesight.errors import OutputError

SESSION = 715093703
CHILD = Path(__file__).with_name("fetching_child.py")
PIECE = 128 << 10
DATA = random.Random(1).randbytes(6_000_007)


@pytest.fixture
def server(fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> FaultServer:
    monkeypatch.setenv("SPIKESIGHT_S3_URL", fault_server.url)
    fault_server.serve(f"/{S3_PREFIX}/session_{SESSION}/session_{SESSION}.nwb", DATA)
    return fault_server


def begin(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, str(CHILD), str(SESSION), str(folder), str(PIECE)]
    return subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_a_process_that_is_killed_at_ten_random_points_fetches_each_byte_once(
    server: FaultServer, tmp_path: Path
) -> None:
    final = tmp_path / "s3" / f"session_{SESSION}.nwb"
    part = final.with_name(f"{final.name}.part")
    server.bytes_per_second = 6e6
    points = sorted(random.Random(2).sample(range(100_000, len(DATA) - 400_000), 10))
    for point in points:
        child = begin(tmp_path)
        give_up = time.monotonic() + 60
        while size_of(part) < point:
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        assert not final.exists()
        kept = size_of(part)
        assert part.read_bytes() == DATA[:kept]
    server.bytes_per_second = None
    child = begin(tmp_path)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 0, stderr
    assert int(stdout) == len(DATA) - kept
    assert final.read_bytes() == DATA
    # What is under way when a process ends is lost: less than one piece each time.
    assert server.bytes_sent <= len(DATA) + len(points) * PIECE
    assert sorted(file.name for file in final.parent.iterdir() if not file.name.endswith(".lock")) == [
        final.name,
        f"{final.name}.json",
    ]


def test_two_processes_fetch_once_and_both_find_it(server: FaultServer, tmp_path: Path) -> None:
    server.bytes_per_second = 6e6
    children = [begin(tmp_path) for _ in range(2)]
    ends = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0, 0], ends
    assert sorted(int(stdout) for stdout, _ in ends) == [0, len(DATA)]
    assert server.bytes_sent == len(DATA)


def test_when_the_one_that_fetches_is_killed_the_one_that_waits_goes_on(server: FaultServer, tmp_path: Path) -> None:
    server.bytes_per_second = 6e6
    part = tmp_path / "s3" / f"session_{SESSION}.nwb.part"
    first = begin(tmp_path)
    while size_of(part) < 1_000_000:
        assert first.poll() is None, first.communicate()
        time.sleep(0.005)
    second = begin(tmp_path)
    time.sleep(0.3)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    stdout, stderr = second.communicate(timeout=120)
    assert second.returncode == 0, stderr
    assert 0 < int(stdout) < len(DATA) - 1_000_000
    assert part.with_name(part.name.removesuffix(".part")).read_bytes() == DATA


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a disk in memory; skip where that is not permitted."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_meanwhile_keeps_what_is_here_and_goes_on_when_there_is_room(
    server: FaultServer, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 9 << 20) as disk:
        final = disk / "s3" / f"session_{SESSION}.nwb"
        taken = disk / "of somebody else"

        def fill(seen: object) -> None:
            # Only once the download is under way: at its beginning there was room enough.
            if size_of(final.with_name(f"{final.name}.part")) > 1_000_000 and not taken.exists():
                taken.write_bytes(bytes(6 << 20))

        server.fail_when = fill
        with pytest.raises(OutputError, match=r"no space left for .*\.part .*make room, and start the same command"):
            fetch(SESSION, cache=disk, piece_size=PIECE)
        assert not final.exists()
        kept = size_of(final.with_name(f"{final.name}.part"))
        assert 1_000_000 < kept < len(DATA)
        with pytest.raises(OutputError, match="MB of free space"):
            fetch(SESSION, cache=disk, piece_size=PIECE)
        taken.unlink()
        server.fail_when = lambda _: None
        done = fetch(SESSION, cache=disk, piece_size=PIECE)
        assert done.bytes_moved == len(DATA) - kept
        assert final.read_bytes() == DATA


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(server: FaultServer, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        with pytest.raises(OutputError, match=r"expected 7 MB of free space in .*, there are 4"):
            fetch_session(SESSION, cache=disk)
        assert server.bytes_sent == 0


def test_a_limit_on_the_size_of_files_is_told_and_what_is_here_kept(server: FaultServer, tmp_path: Path) -> None:
    # What can be tried without the right to mount: the system refuses to write beyond a limit.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
    try:
        with pytest.raises(OutputError, match=os.strerror(errno.EFBIG)):
            fetch(SESSION, cache=tmp_path, piece_size=PIECE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    part = tmp_path / "s3" / f"session_{SESSION}.nwb.part"
    assert part.read_bytes() == DATA[:1_500_000]
    assert fetch(SESSION, cache=tmp_path, piece_size=PIECE).bytes_moved == len(DATA) - 1_500_000
