import hashlib
import pickle
import socket
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from servers.dandi_server import DandiServer, multipart_etag
from servers.fault_server import Fault, FaultServer
from servers.s3_server import S3Server
from spikesight.data import http
from spikesight.data.http import Patience
from spikesight.data.public_source import RemoteFile, base_url, describe, locate, s3_url
from spikesight.errors import RemoteError, UnknownNameError

SESSION = 715093703
QUICK = Patience(connect=1.0, read=0.3, retries=3, first_wait=0.01, longest_wait=0.05)
PATH = f"/visual-coding-neuropixels/ecephys-cache/session_{SESSION}/session_{SESSION}.nwb"


def test_base_urls_are_the_public_ones_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPIKESIGHT_S3_URL", raising=False)
    monkeypatch.delenv("SPIKESIGHT_DANDI_URL", raising=False)
    assert base_url("s3") == "https://allen-brain-observatory.s3.amazonaws.com"
    assert base_url("dandi") == "https://api.dandiarchive.org/api"
    monkeypatch.setenv("SPIKESIGHT_S3_URL", "http://127.0.0.1:1/bucket/")
    assert s3_url(SESSION) == f"http://127.0.0.1:1/bucket{PATH}"


def test_an_unknown_source_is_told() -> None:
    with pytest.raises(UnknownNameError, match="unknown source 'S3'"):
        locate(SESSION, "S3")  # type: ignore[arg-type]


def test_locate_finds_a_session_in_the_bucket(s3: S3Server) -> None:
    etag = s3.put(s3.session_key(SESSION), b"spikes")
    assert etag == hashlib.md5(b"spikes").hexdigest()
    assert locate(SESSION) == RemoteFile(s3.url + PATH, 6, etag)


def test_locate_tells_the_etag_of_a_multipart_object(s3: S3Server) -> None:
    data = bytes(5 << 20) + b"rest"
    s3.put_multipart(s3.session_key(SESSION), data, 5 << 20)
    assert locate(SESSION).etag == multipart_etag(data, 5 << 20)


def test_a_session_that_the_bucket_lacks_is_told(s3: S3Server) -> None:
    with pytest.raises(RemoteError, match=r"expected session 42 at .*spikesight sessions") as caught:
        locate(42, patience=QUICK)
    assert caught.value.status == 404


def test_locate_finds_the_session_among_files_of_its_probes_and_of_others(dandi: DandiServer) -> None:
    dandi.page_size = 1
    dandi.add_session(7150937030, 1, b"longer id")
    asset = dandi.add_session(SESSION, 699733573, b"spikes")
    found = locate(SESSION, "dandi")
    etag, sha256 = multipart_etag(b"spikes", 64 << 20), hashlib.sha256(b"spikes").hexdigest()
    assert found == RemoteFile(dandi.url + dandi.blob_path(asset), 6, etag, sha256, etag)
    assert any("versions/0.251116.2246/assets" in seen.path for seen in dandi.seen)
    assert sum("glob=" in seen.path for seen in dandi.seen) == 4, "one page each of two sessions and two probes"


def test_the_draft_serves_where_nothing_is_published(dandi: DandiServer) -> None:
    dandi.published = None
    dandi.add_session(SESSION, 699733573, b"spikes", sha256=False)
    assert locate(SESSION, "dandi").sha256 is None


def test_the_redirecting_address_serves_where_the_blob_is_not_named(dandi: DandiServer) -> None:
    dandi.names_blobs = False
    asset = dandi.add_session(SESSION, 699733573, b"spikes")
    dandi.fail_when = lambda seen: Fault(status=403) if seen.method == "HEAD" and "X-Amz" in seen.path else None
    found = locate(SESSION, "dandi")
    assert found.url == f"{dandi.api}/assets/{asset.asset_id}/download/"
    assert found.size == 6


def test_sessions_of_the_other_type_lie_in_another_dandiset(dandi: DandiServer) -> None:
    dandi.dandiset = "000022"
    dandi.add_session(766640955, 744915204, b"spikes of moving dots")
    assert locate(766640955, "dandi").size == 21


def test_a_session_that_the_dandiset_lacks_is_told(dandi: DandiServer) -> None:
    dandi.add_session(SESSION, 699733573, b"spikes")
    with pytest.raises(RemoteError, match="expected session 42 at dandisets 000021 and 000022"):
        locate(42, "dandi")


def test_an_archive_that_contradicts_itself_is_told(dandi: DandiServer) -> None:
    asset = dandi.add_session(SESSION, 699733573, b"spikes")
    dandi.serve(dandi.blob_path(asset), b"other spikes")
    with pytest.raises(RemoteError, match=r"expected 6 bytes .* holds 12"):
        locate(SESSION, "dandi")


def test_something_else_than_the_archive_is_told(fault_server: FaultServer) -> None:
    url = fault_server.serve("/dandisets/000021/", b"<html>log in</html>").removesuffix("/dandisets/000021/")
    with pytest.raises(RemoteError, match="expected JSON from"):
        locate(SESSION, "dandi", base=url)
    fault_server.serve("/dandisets/000021/", b"[]")
    with pytest.raises(RemoteError, match="expected a record with 'most_recent_published_version'"):
        locate(SESSION, "dandi", base=url)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503),
        Fault(status=429),
        Fault(drop_after=-1),
        Fault(stall_after=0, stall_seconds=2),
    ],
)
def test_what_passes_is_tried_again(fault_server: FaultServer, fault: Fault) -> None:
    url = fault_server.serve("/x", b"[1]")
    fault_server.fail_next(fault, fault)
    assert http.ask_json(url, patience=QUICK) == [1]
    assert len(fault_server.seen) == 3


def test_a_server_that_keeps_failing_is_given_up_on(fault_server: FaultServer) -> None:
    url = fault_server.serve("/x", b"[1]")
    fault_server.fail_when = lambda _: Fault(status=500)
    with pytest.raises(RemoteError, match=r"answers 500 Internal Server Error. Gave up after 4 tries"):
        http.ask("GET", url, patience=QUICK)
    assert len(fault_server.seen) == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_does_not_pass_is_told_at_once(fault_server: FaultServer, status: int) -> None:
    fault_server.fail_when = lambda _: Fault(status=status)
    with pytest.raises(RemoteError, match=f"answers {status} .* [Cc]heck") as caught:
        http.ask("GET", f"{fault_server.url}/x?secret=1", patience=QUICK)
    assert caught.value.status == status
    assert "secret" not in str(caught.value)
    assert len(fault_server.seen) == 1


@pytest.mark.parametrize("asked", ["1", "date"])
def test_a_server_that_asks_to_wait_is_waited_for(fault_server: FaultServer, asked: str) -> None:
    url = fault_server.serve("/x", b"[1]")
    text = formatdate(time.time() + 2, usegmt=True) if asked == "date" else asked
    fault_server.fail_next(Fault(status=429, headers={"Retry-After": text}))
    patience = Patience(retries=1, first_wait=0.01, longest_wait=5)
    start = time.monotonic()
    http.ask("GET", url, patience=patience)
    assert 0.9 <= time.monotonic() - start < 3


def test_a_longer_pause_is_told_of(fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fault_server.serve("/x", b"[1]")
    monkeypatch.setattr("spikesight.data.http.time.sleep", lambda pause: None)
    monkeypatch.setattr("spikesight.data.http.random.uniform", lambda low, high: high)
    fault_server.fail_next(*[Fault(status=503)] * 4)
    heard: list[str] = []
    http.ask("GET", f"{fault_server.url}/x", patience=Patience(told=heard.append))
    assert heard == [f"{fault_server.url}/x answers 503 Service Unavailable. Trying again in {s} s." for s in (2, 4)]


def test_a_server_that_asks_to_wait_for_hours_is_not_waited_for(fault_server: FaultServer) -> None:
    fault_server.serve("/x", b"[1]")
    fault_server.fail_next(Fault(status=503, headers={"Retry-After": "7200"}))
    start = time.monotonic()
    http.ask("GET", f"{fault_server.url}/x", patience=QUICK)
    assert time.monotonic() - start < 1


def test_patience_and_errors_can_be_sent_to_workers() -> None:
    assert pickle.loads(pickle.dumps(Patience(retries=7))) == Patience(retries=7)
    error = pickle.loads(pickle.dumps(http.PassingError("gone", 503, 1.5)))
    assert (str(error), error.status, error.retry_after) == ("gone", 503, 1.5)


def test_nobody_listening_is_told(fault_server: FaultServer) -> None:
    with pytest.raises(RemoteError, match=r"cannot be reached or broke off: .*refused"):
        describe("http://127.0.0.1:9/x", patience=QUICK)


def test_a_name_that_is_not_found_asks_for_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(RemoteError, match=r"/x cannot be reached, .*is there a network\? Gave up after"):
        describe("http://nobody.invalid/x", patience=QUICK)


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/x"])
def test_no_address_of_a_web_server_is_told(url: str) -> None:
    with pytest.raises(RemoteError, match="is no address of a web server"):
        describe(url, patience=QUICK)


def test_a_server_that_knows_neither_head_nor_ranges_is_not_read_to_the_end(fault_server: FaultServer) -> None:
    url = f"{fault_server.url}/x"
    fault_server.answer = (  # type: ignore[method-assign]
        lambda seen: (200, {"ETag": '"1"'}, bytes(20_000_000)) if seen.method == "GET" else (405, {}, b"")
    )
    assert describe(url) == RemoteFile(url, 20_000_000, "1")
    assert fault_server.bytes_sent < 10_000_000


def test_no_account_is_shown(fault_server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    fault_server.serve("/x", b"1")
    fault_server.fail_next(Fault(status=302, headers={"Location": "/x"}))
    assert http.ask("GET", f"{fault_server.url}/y").content == b"1"
    assert [seen.path for seen in fault_server.seen] == ["/y", "/x"]
    assert not any("authorization" in seen.headers for seen in fault_server.seen)


def test_a_weak_etag_stands_for_nothing(fault_server: FaultServer) -> None:
    url = fault_server.serve("/x", b"abc", etag=None, headers={"ETag": 'W/"1"'})
    first, second = describe(url), describe(url)
    assert (first.url, first.size, first.etag) == (url, 3, None)
    assert first != second  # what was read of the one may not be in the other


def test_the_fault_server_serves_ranges(fault_server: FaultServer) -> None:
    url = fault_server.serve("/x", b"0123456789")

    def part(text: str) -> tuple[int, bytes]:
        answer = http.attempt("GET", url, headers={"Range": text})
        return answer.status_code, answer.content

    assert part("bytes=2-4") == (206, b"234")
    assert part("bytes=7-") == (206, b"789")
    assert part("bytes=-2") == (206, b"89")
    assert part("bytes=10-")[0] == 416
    assert http.attempt("GET", url, headers={"Range": "bytes=1-2", "If-Range": '"old"'}).content == b"0123456789"
    assert http.attempt("GET", url, headers={"If-Match": '"old"'}).status_code == 412
    assert fault_server.bytes_sent == 3 + 3 + 2 + 10


def test_the_file_of_a_probe_is_not_taken_for_the_session(dandi: DandiServer) -> None:
    dandi.add(f"sub-699733573/sub-699733573_ses-{SESSION}_probe-810755797_ecephys.nwb", b"LFP")
    with pytest.raises(RemoteError, match=f"expected session {SESSION} at dandisets 000021 and 000022"):
        locate(SESSION, "dandi")
