"""Files on servers: the same session as from disk, few bytes, and never a wrong number."""

import mmap
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from real_size_session import N_UNITS, SESSION_ID, spike_bounds, spike_times_of, write_real_size_session
from servers.dandi_server import DandiServer
from servers.fault_server import Fault, FaultServer, Seen
from servers.s3_server import S3Server
from spikesight.data import http, nwb_remote, remote_reader
from spikesight.data.nwb import read_session
from spikesight.data.nwb_write import write_session
from spikesight.data.page_store import PAGE, MemoryStore
from spikesight.data.public_source import RemoteFile, describe
from spikesight.data.remote_reader import RemoteReader
from spikesight.data.session import Session
from spikesight.data.simulation import simulate_session
from spikesight.errors import FileFormatError, RemoteError
from spikesight.inspection import inspect_file
from spikesight.tracking.progress import Silent

HURRIED = http.Patience(connect=2.0, read=0.5, retries=4, first_wait=0.01, longest_wait=0.02)


class Listener(Silent):
    """Remembers how far bytes are. It cannot be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.heard: list[tuple[str, int, int]] = []

    def transfer(self, task: str, done: int, total: int) -> None:
        self.heard.append((task, done, total))


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SPIKESIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds where a user waits seconds."""

    def reader(remote: RemoteFile, store: MemoryStore) -> RemoteReader:
        return RemoteReader(remote, store, HURRIED)

    monkeypatch.setattr(nwb_remote, "RemoteReader", reader)


@pytest.fixture
def page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read nothing ahead: small files would be there as a whole when their structure is."""
    monkeypatch.setattr(remote_reader, "BLOCK", PAGE)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("session") / "session_715093703.nwb"
    write_session(simulate_session("tiny", 0).session, path)
    return path


@pytest.fixture(scope="module")
def data(file: Path) -> bytes:
    return file.read_bytes()


def assert_same(streamed: Session, local: Session) -> None:
    pd.testing.assert_frame_equal(streamed.units, local.units, check_exact=True)
    pd.testing.assert_frame_equal(streamed.channels, local.channels, check_exact=True)
    pd.testing.assert_frame_equal(streamed.invalid_times, local.invalid_times)
    for name, table in local.stimulus_presentations.items():
        pd.testing.assert_frame_equal(streamed.stimulus_presentations[name], table, check_exact=True)
    ours, theirs = streamed.spike_times.flat(), local.spike_times.flat()
    assert np.array_equal(ours[0], theirs[0])
    assert np.array_equal(ours[1], theirs[1])
    unit = int(local.units.index[3])
    assert np.array_equal(streamed.spike_times[unit], local.spike_times[unit])
    assert local.mean_waveforms is not None
    assert streamed.mean_waveforms is not None
    assert np.array_equal(streamed.mean_waveforms[unit], local.mean_waveforms[unit])
    assert (streamed.session_id, streamed.subject) == (local.session_id, local.subject)


def test_a_session_on_a_server_is_the_session_on_disk(fault_server: FaultServer, file: Path, data: bytes) -> None:
    address = fault_server.serve("/some/session_715093703.nwb", data)
    streamed = read_session(f"{address}?X-Amz-Signature=secret")
    assert_same(streamed, read_session(file))
    assert streamed.source == address


def test_s3_addresses_and_ids_are_read_from_the_bucket(s3: S3Server, file: Path, data: bytes) -> None:
    key = s3.session_key(715093703)
    s3.put_multipart(key, data, 5 << 20)
    local = read_session(file)
    assert_same(read_session(f"s3://allen-brain-observatory/{key}"), local)
    assert_same(read_session("715093703"), local)
    assert_same(read_session(715093703), local)


def test_other_buckets_are_read_where_the_environment_says(
    s3: S3Server, data: bytes, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.client.create_bucket(Bucket="a-lab", ACL="public-read")
    s3.client.put_object(Bucket="a-lab", Key="x y/session.nwb", Body=data, ACL="public-read")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url.rpartition("/")[0])
    assert_same(read_session("s3://a-lab/x y/session.nwb"), read_session(file))


def test_dandi_addresses_are_read_from_the_archive(dandi: DandiServer, file: Path, data: bytes) -> None:
    dandi.add_session(715093703, 699733573, data)
    assert_same(read_session("dandi:000021/715093703"), read_session(file))
    assert_same(read_session(715093703, source="dandi"), read_session(file))


def test_a_pickled_session_reads_on_where_it_is_unpickled(fault_server: FaultServer, data: bytes, file: Path) -> None:
    session = read_session(fault_server.serve("/a.nwb", data), progress=Listener())
    assert_same(pickle.loads(pickle.dumps(session)), read_session(file))


# What goes wrong on the way --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(drop_after=-1), Fault(drop_after=0), Fault(drop_after=1000), Fault(status=500), Fault(status=503),
        Fault(status=429, headers={"Retry-After": "0"}), Fault(stall_after=500, stall_seconds=1.0),
        Fault(announce=10), Fault(announce=10**9), Fault(headers={"Content-Range": "bytes 0-9/10"}),
    ],
    ids=str,
)  # fmt: skip
def test_passing_faults_are_read_through(
    fault_server: FaultServer, data: bytes, file: Path, fault: Fault, request: pytest.FixtureRequest
) -> None:
    address = fault_server.serve("/a.nwb", data)
    number = iter(range(10**6))

    def every_third(seen: Seen) -> Fault | None:
        return fault if seen.method == "GET" and next(number) % 3 == 1 else None

    fault_server.fail_when = every_third
    if "Content-Range" in fault.headers:  # another size is another file: no second try
        with pytest.raises(RemoteError, match=f"had {len(data)} bytes and has 10"):
            read_session(address)
        return
    assert_same(read_session(address), read_session(file))
    assert next(number) > 3


@pytest.mark.usefixtures("hurried")
def test_a_third_of_all_requests_may_fail(fault_server: FaultServer, data: bytes, file: Path) -> None:
    address = fault_server.serve("/a.nwb", data)
    rng = np.random.default_rng(0)
    faults = [Fault(status=500), Fault(drop_after=3000), Fault(drop_after=-1), Fault(status=429)]

    def some(seen: Seen) -> Fault | None:
        return faults[rng.integers(4)] if seen.method == "GET" and rng.random() < 0.3 else None

    fault_server.fail_when = some
    assert_same(read_session(address), read_session(file))


@pytest.mark.usefixtures("hurried", "page_by_page")
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=500), "answers 500.*Gave up after 5 tries"),
        (Fault(status=429), "answers 429"),
        (Fault(drop_after=-1), "cannot be reached or broke off"),
        (Fault(stall_after=0, stall_seconds=0.8), "went silent|broke off"),
        (Fault(status=403), "answers 403.*not public"),
        (Fault(status=404), "There is no such file"),
        (Fault(announce=7), "expected bytes .* got .* of 7 bytes"),
        (Fault(headers={"ETag": '"another"'}), "has changed since it was opened"),
        (Fault(headers={"Content-Encoding": "gzip"}), "the server compresses them"),
    ],
    ids=str,
)
@pytest.mark.parametrize("when", ["opening", "reading"])
def test_lasting_faults_are_remote_errors_within_seconds(
    fault_server: FaultServer, data: bytes, fault: Fault, said: str, when: str
) -> None:
    address = fault_server.serve("/a.nwb", data)
    begin = time.monotonic()
    if when == "opening":
        remote = describe(address)
        fault_server.fail_when = lambda seen: fault
        with pytest.raises(RemoteError, match=said):
            read_session(remote)
    else:
        session = read_session(address)
        fault_server.fail_when = lambda seen: fault
        with pytest.raises(RemoteError, match=said):
            session.spike_times.flat()
    assert time.monotonic() - begin < 20


@pytest.mark.usefixtures("page_by_page")
@pytest.mark.parametrize("sends_etag", [True, False])
def test_a_file_that_changes_between_opening_and_reading_is_refused(
    fault_server: FaultServer, data: bytes, sends_etag: bool
) -> None:
    etag = "md5" if sends_etag else None
    session = read_session(fault_server.serve("/a.nwb", data, etag=etag))
    fault_server.serve("/a.nwb", data + b"more", etag=etag)
    with pytest.raises(RemoteError, match=r"has changed since it was opened\. Read the session again"):
        session.spike_times.flat()


def test_a_file_without_an_etag_is_read_anew_when_it_is_opened_anew(
    fault_server: FaultServer, data: bytes, tmp_path: Path
) -> None:
    """Pages of the one before must not pass for its own: nothing tells them apart."""
    changed = tmp_path / "changed.nwb"
    changed.write_bytes(data)
    with h5py.File(changed, "r+") as root:
        root["units/spike_times"][:] += 1.0
    address = fault_server.serve("/a.nwb", data, etag=None)
    before = read_session(describe(address))
    unit = int(before.units.index[0])
    first = before.spike_times[unit]
    fault_server.serve("/a.nwb", changed.read_bytes(), etag=None)
    np.testing.assert_allclose(read_session(describe(address)).spike_times[unit], first + 1.0)


def test_a_server_without_ranges_is_refused_before_it_sends_the_file(fault_server: FaultServer, data: bytes) -> None:
    address = fault_server.serve("/a.nwb", data)
    remote = describe(address)
    fault_server.answer = lambda seen: (200, {"ETag": f'"{remote.etag}"'}, data)  # type: ignore[method-assign]
    begin = time.monotonic()
    with pytest.raises(RemoteError, match=r"sends no parts of files.*Fetch the whole file"):
        read_session(remote)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("head", [b"PK\x03\x04....", b"<html>..", b"", b"\x89HD"])
def test_what_is_not_hdf5_is_a_file_format_error(fault_server: FaultServer, head: bytes) -> None:
    with pytest.raises(FileFormatError, match="expected an NWB"):
        read_session(fault_server.serve("/a.nwb", head))


def test_a_truncated_file_is_a_file_format_error(fault_server: FaultServer, data: bytes) -> None:
    for share in (0.01, 0.3, 0.9):
        address = fault_server.serve("/a.nwb", data[: int(share * len(data))])
        with pytest.raises(FileFormatError, match=r"could not be read|claims|damaged"):
            read_session(address).spike_times.flat()


@pytest.mark.usefixtures("hurried")
def test_hdf5_cannot_take_a_failed_read_for_something_that_is_not_there(fault_server: FaultServer, data: bytes) -> None:
    address = fault_server.serve("/a.nwb", data)
    read_session(describe(address))
    n_reads = sum(seen.method == "GET" for seen in fault_server.seen)
    for failing in range(n_reads):
        number = iter(range(10**6))
        fault_server.fail_when = lambda seen, failing=failing, number=number: (  # type: ignore[misc]
            Fault(status=404) if seen.method == "GET" and next(number) >= failing else None
        )
        fault_server.serve("/a.nwb", data, etag=f"anew{failing}")  # nothing of it is remembered
        with pytest.raises(RemoteError, match="404"):
            read_session(address)


@pytest.mark.usefixtures("page_by_page")
def test_what_h5py_asks_for_is_read_by_the_thread_that_holds_its_lock(
    fault_server: FaultServer, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread could collect garbage with an object of h5py in it, and wait for the lock of this one for ever."""
    readers, receive = set(), RemoteReader._receive

    def noted(reader: RemoteReader, *asked: Any) -> None:
        readers.add(threading.current_thread())
        receive(reader, *asked)

    monkeypatch.setattr(RemoteReader, "_receive", noted)
    session = read_session(fault_server.serve("/a.nwb", data, etag="locked"))
    assert session.running is not None
    assert session.running.to_numpy().nbytes > 2 * PAGE
    assert readers == {threading.current_thread()}


def test_what_is_read_in_parallel_comes_in_order(fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_reader, "MOST_OF_A_REQUEST", 2 * PAGE)
    content = np.random.default_rng(0).bytes(50 * PAGE + 123)
    remote = describe(fault_server.serve("/a", content))
    fault_server.fail_when = lambda seen: Fault(drop_after=PAGE // 2) if seen.start % 3 else None
    spans = [(5, 17), (PAGE - 3, PAGE + 4), (2 * PAGE, 30 * PAGE + 7), (49 * PAGE, len(content)), (7, 8)]
    reader = RemoteReader(remote, MemoryStore(), HURRIED)
    assert list(reader.read_many(spans)) == [content[start:stop] for start, stop in spans]
    with pytest.raises(ValueError, match="within"):
        reader.read(5, len(content) + 1)


# How much is read --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chosen() -> np.ndarray:
    return np.sort(np.random.default_rng(3).choice(N_UNITS, 200, replace=False))


@pytest.fixture(scope="module")
def real_size(tmp_path_factory: pytest.TempPathFactory, chosen: np.ndarray) -> Iterator[tuple[mmap.mmap, np.ndarray]]:
    """A file of 2.84 GB with the spikes of the chosen units; the rest are holes."""
    path = tmp_path_factory.mktemp("real") / f"session_{SESSION_ID}.nwb"
    ids = write_real_size_session(path, chosen)
    assert path.stat().st_size > 2.8e9
    assert path.stat().st_blocks * 512 < 0.3e9
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        yield whole, ids
    path.unlink()


def test_of_200_units_little_more_than_their_spikes_is_read(
    fault_server: FaultServer, real_size: tuple[mmap.mmap, np.ndarray], chosen: np.ndarray
) -> None:
    whole, ids = real_size
    address = fault_server.serve("/session_715093703.nwb", whole, etag="real-size")  # type: ignore[arg-type]
    listener = Listener()
    session = read_session(address, progress=listener)
    assert len(session.stimulus_presentations["natural_scenes"]) == 5950
    times, offsets = session.select_units(ids[chosen]).checked_spike_times()
    stops = spike_bounds()
    for place, row in enumerate(chosen):
        n_spikes = int(stops[row] - (stops[row - 1] if row else 0))
        assert np.array_equal(times[offsets[place] : offsets[place + 1]], spike_times_of(int(row), n_spikes))
    assert times.nbytes > 50e6
    assert listener.heard[0][0] == "streaming session_715093703"
    assert listener.heard[-1][1:] == (listener.heard[-1][2],) * 2
    assert listener.heard[-1][2] >= times.nbytes
    assert fault_server.bytes_sent < times.nbytes + 30e6
    assert len(fault_server.seen) < 300
    before = fault_server.bytes_sent
    read_session(address).select_units(ids[chosen]).checked_spike_times()
    assert fault_server.bytes_sent == before  # all of it is remembered


def test_inspect_reads_no_spikes(fault_server: FaultServer, real_size: tuple[mmap.mmap, np.ndarray]) -> None:
    address = fault_server.serve("/session_715093703.nwb", real_size[0], etag="real-size")  # type: ignore[arg-type]
    found = inspect_file(address)
    assert found["n_units"] == N_UNITS
    assert found["n_spikes"] == spike_bounds()[-1]
    assert {one["stimulus"]: one["n_presentations"] for one in found["stimuli"]}["natural_movie_three"] == 36000
    assert fault_server.bytes_sent < 30e6
