"""Pages that are remembered: whole or not at all, bounded, by several processes at once."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikesight.data import page_store
from spikesight.data.page_store import PAGE, DiskStore, MemoryStore, open_store
from spikesight.data.public_source import RemoteFile

SIZE = 100 * PAGE + 10
CONTENT = np.random.default_rng(0).bytes(SIZE)
REMOTE = RemoteFile("https://host/a.nwb?signature=1", SIZE, "etag")


def page(number: int) -> bytes:
    return CONTENT[number * PAGE : (number + 1) * PAGE]


def test_pages_are_there_for_the_next_who_opens(tmp_path: Path) -> None:
    first = DiskStore(tmp_path, REMOTE)
    assert first.get(0, 3) == [None, None, None]
    first.put(1, [page(1), page(2)])
    first.put(100, [page(100)])  # the last one is short
    first.close()
    second = DiskStore(tmp_path, RemoteFile("https://host/a.nwb?signature=2", SIZE, "etag"))
    assert second.get(0, 4) == [None, page(1), page(2), None]
    assert second.get(99, 101) == [None, page(100)]
    second.close()


def test_another_content_is_another_file(tmp_path: Path) -> None:
    one = DiskStore(tmp_path, REMOTE)
    one.put(0, [page(0)])
    for other in (RemoteFile(REMOTE.url, SIZE, "new"), RemoteFile(REMOTE.url, SIZE + 1, "etag")):
        store = DiskStore(tmp_path, other)
        assert store.get(0, 1) == [None]
        store.close()
    one.close()


def test_a_page_that_rots_on_disk_is_not_there(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, REMOTE)
    store.put(5, [page(5), page(6)])
    store.close()
    data = bytearray(store.path.read_bytes())
    data[data.index(page(5)) + 77] ^= 1
    store.path.write_bytes(data)
    again = DiskStore(tmp_path, REMOTE)
    assert again.get(5, 7) == [None, page(6)]
    again.close()


@pytest.mark.parametrize("left", [0, 3, 500, PAGE, 7 * PAGE])
def test_a_file_that_was_cut_short_costs_its_pages_only(tmp_path: Path, left: int) -> None:
    store = DiskStore(tmp_path, REMOTE)
    store.put(0, [page(number) for number in range(101)])
    store.close()
    with store.path.open("r+b") as file:
        file.truncate(left)
    again = DiskStore(tmp_path, REMOTE)
    assert all(found in (None, page(number)) for number, found in enumerate(again.get(0, 101)))
    again.put(3, [page(3)])
    assert again.get(3, 4) == [page(3)]
    again.close()


def test_files_that_were_used_longest_ago_make_room(tmp_path: Path) -> None:
    stores = []
    for number in range(4):
        remote = RemoteFile(f"https://host/{number}", SIZE, "etag")
        store = DiskStore(tmp_path, remote, most_bytes=250 * PAGE)
        store.put(0, [page(at) for at in range(101)])
        store.close()
        os.utime(store.path, (number, number))
        stores.append(store)
    assert [store.path.exists() for store in stores] == [False, True, True, True]  # looked at before each new one
    DiskStore(tmp_path, RemoteFile("https://host/new", SIZE, "etag"), most_bytes=250 * PAGE).close()
    assert [store.path.exists() for store in stores] == [False, False, True, True]


def test_one_file_alone_does_not_outgrow_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_store, "_LOOK_AFTER", 5 * PAGE)
    store = DiskStore(tmp_path, REMOTE, most_bytes=20 * PAGE)
    for number in range(101):
        store.put(number, [page(number)])
    there = sum(found is not None for found in store.get(0, 101))
    store.close()
    assert 15 <= there <= 30


def test_a_disk_that_fails_ends_the_remembering_and_nothing_else(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, REMOTE)
    store.put(0, [page(0)])
    store._file.close()
    store._file = store.path.open("rb", buffering=0)  # reading works, writing does not
    store.put(1, [page(1)])
    assert store.get(0, 2) == [page(0), None]
    store.close()


def test_without_a_folder_or_an_etag_pages_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert isinstance(open_store(tmp_path / "file" / "folder", REMOTE), MemoryStore)
    assert isinstance(open_store(tmp_path, RemoteFile(REMOTE.url, SIZE, None)), MemoryStore)
    assert isinstance(open_store(tmp_path, RemoteFile(REMOTE.url, 10**15, "etag")), MemoryStore)
    monkeypatch.setenv("SPIKESIGHT_STREAM_BYTES", "0")
    store = open_store(tmp_path, REMOTE)
    assert isinstance(store, MemoryStore)
    store.put(0, [page(0)])
    assert open_store(tmp_path, REMOTE).get(0, 2) == [page(0), None]
    many = MemoryStore()
    many.put(0, [b"x"] * (page_store.MOST_IN_MEMORY + 5))
    assert many.get(0, 6) == [None] * 5 + [b"x"]


def test_processes_share_a_file(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom spikesight.data.page_store import DiskStore, PAGE\n"
        "from spikesight.data.public_source import RemoteFile\n"
        f"content = np.random.default_rng(0).bytes({SIZE})\n"
        f"remote = RemoteFile('https://host/a.nwb', {SIZE}, 'etag')\n"
        "for turn in range(20):\n"
        "    store = DiskStore(Path(sys.argv[1]), remote)\n"
        "    for number in np.random.default_rng(int(sys.argv[2]) + turn).integers(0, 101, 30).tolist():\n"
        "        page = content[number * PAGE : (number + 1) * PAGE]\n"
        "        found = store.get(number, number + 1)[0]\n"
        "        assert found in (None, page)\n"
        "        store.put(number, [page])\n"
        "    store.close()\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(seed)]) for seed in range(3)]
    assert [process.wait(timeout=100) for process in running] == [0, 0, 0]
    store = DiskStore(tmp_path, REMOTE)
    assert store.get(0, 101) == [page(number) for number in range(101)]
    store.close()
