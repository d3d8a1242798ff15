import errno
import hashlib
import io
import json
import os
import random
import threading
from pathlib import Path

import pytest

from servers.dandi_server import DandiServer, multipart_etag
from servers.fault_server import Fault, FaultServer, Seen
from servers.s3_server import S3Server
from spikesight.data.checksums import part_sizes
from spikesight.data.download import Partial, write_all
from spikesight.data.fetch import HDF5_SIGNATURE, NOT_VERIFIED, FetchRecord, cache_folder, fetch, fetch_session, fetched
from spikesight.data.http import Patience
from spikesight.data.public_source import S3_PREFIX, RemoteFile, s3_url
from spikesight.errors import OutputError, RemoteError
from spikesight.tracking.progress import Silent

SESSION = 715093703
QUICK = Patience(connect=1.0, read=0.3, retries=4, first_wait=0.01, longest_wait=0.03)
PIECE = 64 << 10
PATH = f"/{S3_PREFIX}/session_{SESSION}/session_{SESSION}.nwb"
DATA = HDF5_SIGNATURE + random.Random(1).randbytes(999_995)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPIKESIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server(fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> FaultServer:
    monkeypatch.setenv("SPIKESIGHT_S3_URL", fault_server.url)
    fault_server.serve(PATH, DATA)
    return fault_server


def quickly(session_id: int = SESSION, **options: object) -> FetchRecord:
    return fetch(session_id, patience=QUICK, piece_size=PIECE, **options)  # type: ignore[arg-type]


def left_in(cache: Path) -> list[str]:
    return sorted(file.name for file in (cache / "s3").iterdir() if not file.name.endswith(".lock"))


def begun(cache: Path, content: bytes, etag: str | None = None) -> Path:
    """Lay down what an earlier attempt left."""
    final = cache / "s3" / f"session_{SESSION}.nwb"
    final.parent.mkdir(parents=True)
    url = s3_url(SESSION)
    Partial(final).begin(RemoteFile(url, len(DATA), etag or hashlib.md5(DATA).hexdigest()))
    Partial(final).file.write_bytes(content)
    return final


def test_the_cache_folder_is_that_of_the_system_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("SPIKESIGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/x/.cache")
    assert cache_folder() == Path("/home/x/.cache/spikesight")


def test_a_session_is_fetched_verified_and_recorded(server: FaultServer, cache: Path) -> None:
    found = quickly()
    assert found.path == cache / "s3" / f"session_{SESSION}.nwb"
    assert found.path.read_bytes() == DATA
    assert (found.bytes, found.bytes_moved, found.verified, found.source) == (len(DATA), len(DATA), "md5", "s3")
    assert server.bytes_sent == len(DATA)
    assert left_in(cache) == [f"session_{SESSION}.nwb", f"session_{SESSION}.nwb.json"]
    record = json.loads(found.path.with_name(f"{found.path.name}.json").read_text())
    assert record["verified"] == "md5"
    assert record["url"] == server.url + PATH
    assert record["etag"] == hashlib.md5(DATA).hexdigest()


def test_pieces_are_asked_for_one_after_the_other(server: FaultServer) -> None:
    quickly()
    asked = [seen.headers["range"] for seen in server.seen if seen.method == "GET"]
    assert asked[:2] == ["bytes=0-65535", "bytes=65536-131071"]
    assert asked[-1] == f"bytes={15 * PIECE}-{len(DATA) - 1}"


def test_what_is_here_is_not_fetched_again(server: FaultServer) -> None:
    first = quickly()
    n_requests = len(server.seen)
    again = quickly()
    assert (again.path, again.verified, again.seconds, again.bytes_moved) == (first.path, "md5", 0.0, 0)
    assert len(server.seen) == n_requests
    assert fetch_session(SESSION) == first.path


def test_a_file_that_somebody_put_there_is_taken_and_told(server: FaultServer, cache: Path) -> None:
    file = cache / "s3" / f"session_{SESSION}.nwb"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"brought on a stick")
    assert quickly().verified == NOT_VERIFIED
    assert not server.seen


def test_fetched_finds_a_session_of_any_source(cache: Path) -> None:
    assert fetched(SESSION) is None
    file = cache / "dandi" / f"session_{SESSION}.nwb"
    file.parent.mkdir(parents=True)
    file.touch()
    assert fetched(SESSION) == file
    assert fetched(SESSION, "s3") is None


@pytest.mark.parametrize("kept", [1, 65_536, 500_001, len(DATA)])
def test_a_download_goes_on_at_the_byte_it_had(server: FaultServer, cache: Path, kept: int) -> None:
    begun(cache, DATA[:kept])
    found = quickly()
    assert found.path.read_bytes() == DATA
    assert found.bytes_moved == server.bytes_sent == len(DATA) - kept


@pytest.mark.parametrize("note", [None, b"{", b"[]", b'{"size": 1000003, "etag": "of another file"}'])
def test_a_beginning_that_may_be_of_another_file_is_thrown_away(server: FaultServer, cache: Path, note: bytes) -> None:
    final = begun(cache, b"x" * 1000)
    sidecar = final.with_name(f"{final.name}.part.json")
    sidecar.unlink() if note is None else sidecar.write_bytes(note)
    assert quickly().path.read_bytes() == DATA
    assert server.bytes_sent == len(DATA)


def test_a_beginning_that_is_longer_than_the_file_is_thrown_away(server: FaultServer, cache: Path) -> None:
    begun(cache, DATA + b"more")
    assert quickly().path.read_bytes() == DATA


def test_a_file_that_was_replaced_since_is_begun_anew(server: FaultServer, cache: Path) -> None:
    begun(cache, b"x" * 700_000, etag="0" * 32)
    assert quickly().path.read_bytes() == DATA


def test_a_file_that_is_replaced_meanwhile_is_begun_anew(server: FaultServer) -> None:
    other = random.Random(2).randbytes(len(DATA) - 5)

    def watch(seen: Seen) -> Fault | None:
        if seen.headers.get("range", "").startswith(f"bytes={8 * PIECE}-"):
            server.serve(PATH, other)
        return None

    server.fail_when = watch
    found = quickly()
    assert found.path.read_bytes() == other
    assert found.bytes == len(other)
    assert found.bytes_moved == server.bytes_sent == 8 * PIECE + len(other)


def test_a_server_that_ignores_if_match_is_caught_by_its_etag(server: FaultServer) -> None:
    other = random.Random(2).randbytes(len(DATA))
    server.fail_when = lambda seen: Fault(headers={"ETag": '"other"'}) if seen.method == "GET" else None
    server.serve(PATH, other)
    with pytest.raises(RemoteError, match=r"replaced .* changed 3 times"):
        quickly()


def test_thirty_percent_of_requests_fail_and_it_is_still_fetched(server: FaultServer) -> None:
    chance = random.Random(3)
    n_failed = 0

    def fail(seen: Seen) -> Fault | None:
        nonlocal n_failed
        if chance.random() > 0.3:
            return None
        n_failed += 1
        return chance.choice(
            [
                Fault(status=500), Fault(status=503), Fault(status=429, headers={"Retry-After": "0"}),
                Fault(drop_after=-1), Fault(drop_after=1000), Fault(drop_after=40_000),
                Fault(stall_after=20_000, stall_seconds=1.0),
            ]
        )  # fmt: skip

    server.fail_when = fail
    patience = Patience(connect=1.0, read=0.3, retries=10, first_wait=0.01, longest_wait=0.03)
    found = fetch(SESSION, patience=patience, piece_size=20_000)
    assert found.path.read_bytes() == DATA
    assert n_failed > 10


def test_a_server_that_stalls_is_given_up_on(server: FaultServer, cache: Path) -> None:
    server.fail_when = lambda seen: Fault(stall_after=0, stall_seconds=2) if seen.method == "GET" else None
    with pytest.raises(RemoteError, match=r"went silent\. Gave up after 5 tries"):
        quickly()
    assert f"session_{SESSION}.nwb" not in left_in(cache)


def test_failures_are_counted_anew_after_every_progress(server: FaultServer) -> None:
    server.fail_when = lambda seen: Fault(drop_after=65_536) if seen.method == "GET" else None
    found = fetch(SESSION, patience=Patience(retries=1, first_wait=0.001), piece_size=1 << 20)
    assert found.path.read_bytes() == DATA
    assert found.bytes_moved == len(DATA)


@pytest.mark.parametrize("status", [403, 404])
def test_a_session_that_is_not_there_is_told(server: FaultServer, cache: Path, status: int) -> None:
    server.fail_when = lambda _: Fault(status=status)
    with pytest.raises(RemoteError, match=f"expected session {SESSION} at .*answers {status}.*spikesight sessions"):
        quickly()
    assert left_in(cache) == []


def test_a_refusal_in_the_middle_keeps_what_is_here(server: FaultServer, cache: Path) -> None:
    server.fail_when = lambda seen: Fault(status=403) if "=524288-" in seen.headers.get("range", "") else None
    with pytest.raises(RemoteError, match="answers 403 Forbidden"):
        quickly()
    server.fail_when = lambda _: None
    assert quickly().bytes_moved == len(DATA) - 524_288


@pytest.mark.parametrize("announced", [40, 2_000_000])
def test_a_lie_about_the_length_of_one_answer_is_seen_through(server: FaultServer, announced: int) -> None:
    server.fail_when = lambda seen: Fault(announce=announced) if seen.method == "GET" and len(server.seen) < 4 else None
    assert quickly().path.read_bytes() == DATA


@pytest.mark.parametrize("size", [len(DATA) - 10, len(DATA) + 10])
def test_a_lie_about_the_size_of_the_file_is_told(server: FaultServer, cache: Path, size: int) -> None:
    server.fail_when = lambda seen: Fault(announce=size) if seen.method == "HEAD" else None
    with pytest.raises(RemoteError, match=rf"announced {size} bytes, now it says {len(DATA)}"):
        quickly()
    assert left_in(cache) == []


def test_a_lie_about_the_size_that_is_told_twice_is_given_up_on(server: FaultServer, cache: Path) -> None:
    size = len(DATA) + 10

    def lie(seen: Seen) -> Fault:
        if seen.method == "HEAD":
            return Fault(announce=size)
        asked = seen.headers["range"].removeprefix("bytes=")
        return Fault(headers={"Content-Range": f"bytes {asked}/{size}"})

    server.fail_when = lie
    with pytest.raises(RemoteError, match=r"ended .* bytes too early|broke off|another file"):
        quickly()
    assert f"session_{SESSION}.nwb" not in left_in(cache)


def test_a_server_without_ranges_serves_nevertheless(server: FaultServer) -> None:
    plain = server.answer

    def whole(seen: Seen) -> tuple[int, dict[str, str], bytes] | None:
        return (200, {"ETag": f'"{hashlib.md5(DATA).hexdigest()}"'}, DATA) if seen.method == "GET" else plain(seen)

    server.answer = whole  # type: ignore[method-assign]
    server.fail_next(Fault(), Fault(drop_after=300_000))
    found = fetch(SESSION, patience=QUICK)
    assert found.path.read_bytes() == DATA
    assert found.bytes_moved == len(DATA)


def test_a_server_that_sends_another_range_than_asked_is_told(server: FaultServer, cache: Path) -> None:
    server.fail_when = lambda seen: (
        Fault(headers={"Content-Range": f"bytes 5-9/{len(DATA)}"}) if seen.method == "GET" else None
    )
    with pytest.raises(RemoteError, match=r"expected bytes from 0 of .* got 'bytes 5-9/1000003'"):
        quickly()


def test_a_block_of_which_only_the_beginning_is_written_is_written_on() -> None:
    class Slow(io.BytesIO):
        def write(self, block: object) -> int:
            return super().write(bytes(block)[:3])  # type: ignore[call-overload]

    file = Slow()
    write_all(file, b"0123456789", Path("x"))
    assert file.getvalue() == b"0123456789"


def test_a_block_that_came_corrupted_is_found_and_fetched_again(server: FaultServer, cache: Path) -> None:
    server.fail_next(*[Fault(corrupt=(500_000,))] * 17)
    found = quickly()
    assert found.path.read_bytes() == DATA
    assert found.verified == "md5"
    fetched_again = (500_000 // PIECE + 1) * PIECE
    assert found.bytes_moved == server.bytes_sent == len(DATA) + fetched_again


def test_several_corrupted_blocks_are_all_found(server: FaultServer) -> None:
    server.fail_next(*[Fault(corrupt=(0, 70_000, 70_001, len(DATA) - 1))] * 17)
    assert quickly().path.read_bytes() == DATA


def test_a_server_that_fails_while_a_block_is_looked_for_throws_nothing_away(server: FaultServer, cache: Path) -> None:
    server.fail_next(*[Fault(corrupt=(500_000,))] * 17)
    server.fail_when = lambda seen: Fault(status=403) if "=262144-" in seen.headers.get("range", "") else None
    with pytest.raises(RemoteError, match="answers 403"):
        quickly()
    server.fail_when = lambda _: None
    sent = server.bytes_sent
    found = quickly()
    assert found.path.read_bytes() == DATA
    assert found.bytes_moved == server.bytes_sent - sent == (500_000 // PIECE + 1) * PIECE


def test_a_file_that_is_replaced_while_a_block_is_looked_for_is_begun_anew(server: FaultServer) -> None:
    other = HDF5_SIGNATURE + random.Random(2).randbytes(1000)
    server.fail_next(*[Fault(corrupt=(500_000,))] * 17)
    n_begun = 0

    def watch(seen: Seen) -> None:
        nonlocal n_begun
        n_begun += seen.headers.get("range", "").startswith(f"bytes={2 * PIECE}-")
        if n_begun:  # the first time was a fault of the list
            server.serve(PATH, other)

    server.fail_when = watch  # type: ignore[assignment]
    found = quickly()
    assert found.path.read_bytes() == other
    assert found.bytes_moved == server.bytes_sent


def test_a_server_that_always_corrupts_is_told(server: FaultServer, cache: Path) -> None:
    server.fail_when = lambda _: Fault(corrupt=(500_000,))
    with pytest.raises(RemoteError, match=r"expected md5 \w{32} of .*, the bytes it sends .* twice the same"):
        quickly()
    assert left_in(cache) == []
    assert server.bytes_sent == 2 * len(DATA)


def test_a_server_that_corrupts_at_random_is_told_after_a_bounded_time(server: FaultServer, cache: Path) -> None:
    chance = random.Random(4)
    server.fail_when = lambda _: Fault(corrupt=tuple(chance.sample(range(len(DATA)), 200)))
    with pytest.raises(RemoteError, match="each time otherwise"):
        quickly()
    assert left_in(cache) == []
    assert server.bytes_sent == 3 * len(DATA)


def test_a_checksum_that_is_no_checksum_leaves_the_size(server: FaultServer) -> None:
    server.serve(PATH, DATA, etag="5f3-61a9")
    assert quickly().verified == "size only"


def test_a_server_without_etag_leaves_the_size(server: FaultServer) -> None:
    server.serve(PATH, DATA, etag=None)
    assert quickly().verified == "size only"


def test_a_page_that_asks_to_log_in_is_not_taken_for_a_session(server: FaultServer, cache: Path) -> None:
    server.serve(PATH, b"<html>Please log in", etag=None)
    with pytest.raises(RemoteError, match=r"expected an NWB file at .* begins with b'<html>Pl'.*log in"):
        quickly()
    assert left_in(cache) == []


def test_a_disk_error_of_another_kind_is_told(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OutputError, match=r"cannot be written: .*Input/output error"):
        quickly()
    assert f"session_{SESSION}.nwb" not in left_in(cache)


def test_a_multipart_etag_whose_parts_are_unusual_is_found_by_guessing(server: FaultServer) -> None:
    data = random.Random(5).randbytes(3 * 1_000_000 + 17)
    server.serve(PATH, data, etag=multipart_etag(data, 1_000_000))
    assert quickly().verified == "multipart md5 (parts of 1000000 bytes)"


def test_a_multipart_etag_that_no_guess_explains_leaves_the_size(server: FaultServer) -> None:
    server.serve(PATH, DATA, etag=multipart_etag(DATA, 123_457))
    assert quickly().verified == "size only"


@pytest.mark.parametrize(
    ("size", "n_parts", "expected"),
    [(2_860_000_000, 341, 8 << 20), (1_736_516_600, 26, 64 << 20), (100, 1, 100), (10 << 20, 2, 8 << 20)],
)
def test_the_usual_size_of_parts_is_guessed_first(size: int, n_parts: int, expected: int) -> None:
    assert part_sizes(size, n_parts)[0] == expected


def test_guesses_all_give_the_number_of_parts_and_are_few() -> None:
    found = part_sizes(2_860_000_000, 2)
    assert 0 < len(found) <= 12
    assert {-(-2_860_000_000 // one) for one in found} == {2}
    assert part_sizes(0, 1) == part_sizes(10, 0) == []


def test_an_object_in_parts_is_fetched_from_s3_and_verified(s3: S3Server) -> None:
    data = random.Random(6).randbytes((10 << 20) + 12_345)
    s3.put_multipart(s3.session_key(SESSION), data, 5 << 20)
    found = fetch(SESSION, piece_size=4 << 20)
    assert found.path.read_bytes() == data
    assert found.verified == f"multipart md5 (parts of {5 << 20} bytes)"


def test_only_the_part_that_is_damaged_is_fetched_again_from_s3(s3: S3Server, cache: Path) -> None:
    data = random.Random(7).randbytes((15 << 20) + 12_345)
    etag = s3.put_multipart(s3.session_key(SESSION), data, 5 << 20)
    final = cache / "s3" / f"session_{SESSION}.nwb"
    final.parent.mkdir(parents=True)
    Partial(final).begin(RemoteFile(s3_url(SESSION), len(data), etag))
    Partial(final).file.write_bytes(data[: 11 << 20] + bytes(100) + data[(11 << 20) + 100 :])
    found = fetch(SESSION)
    assert found.path.read_bytes() == data
    assert found.bytes_moved == 5 << 20


def test_a_session_is_fetched_from_dandi_through_its_redirect(dandi: DandiServer, cache: Path) -> None:
    dandi.names_blobs = False
    dandi.fail_when = lambda seen: Fault(status=403) if seen.method == "HEAD" and "X-Amz" in seen.path else None
    dandi.add_session(SESSION, 699733573, DATA)
    found = quickly(source="dandi")
    assert found.path == cache / "dandi" / f"session_{SESSION}.nwb"
    assert found.path.read_bytes() == DATA
    assert found.verified == "sha256"


def test_the_etag_of_dandi_is_verified_where_it_has_no_sha256(dandi: DandiServer) -> None:
    dandi.add_session(SESSION, 699733573, DATA, sha256=False)
    assert quickly(source="dandi").verified == f"multipart md5 (parts of {64 << 20} bytes)"


def test_a_corrupted_block_from_dandi_is_found_and_fetched_again(dandi: DandiServer) -> None:
    asset = dandi.add_session(SESSION, 699733573, DATA)
    n_answers = 0

    def corrupt_once(seen: Seen) -> Fault | None:
        nonlocal n_answers
        n_answers += seen.method == "GET" and seen.path == dandi.blob_path(asset)
        return Fault(corrupt=(10,)) if n_answers == 1 else None

    dandi.fail_when = corrupt_once
    found = quickly(source="dandi")
    assert found.path.read_bytes() == DATA
    assert found.bytes_moved == len(DATA) + PIECE


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    server: FaultServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = os.statvfs(cache.parent)
    server.fail_when = lambda seen: Fault(announce=free.f_bavail * free.f_frsize + (1 << 40))
    with pytest.raises(OutputError, match=r"expected \d+ MB of free space in .*, there are \d+"):
        quickly()
    assert server.bytes_sent == 0
    assert left_in(cache) == []


def test_a_folder_that_cannot_be_made_is_told(server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be written.*Choose another folder"):
        quickly(cache=tmp_path / "file")


def test_two_threads_fetch_once(server: FaultServer) -> None:
    server.bytes_per_second = 4e6
    records: list[FetchRecord] = []
    threads = [threading.Thread(target=lambda: records.append(quickly())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.bytes_sent == len(DATA)
    assert sorted(record.bytes_moved for record in records) == [0, len(DATA)]


def test_a_fetched_session_can_be_read(s3: S3Server, tmp_path: Path) -> None:
    from spikesight.data.nwb import read_session
    from spikesight.demo import save_simulation

    save_simulation("tiny", 1, tmp_path / "tiny.nwb", progress=Silent())
    s3.put_multipart(s3.session_key(SESSION), (tmp_path / "tiny.nwb").read_bytes(), 5 << 20)
    session = read_session(fetch_session(SESSION))
    assert len(session.units) == len(read_session(tmp_path / "tiny.nwb").units) > 0
