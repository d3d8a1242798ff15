"""Which file a place names."""

from pathlib import Path

import pytest

from servers.fault_server import FaultServer
from spikesight.data import location
from spikesight.data.location import find, identity, is_streamed, public_sessions
from spikesight.data.public_source import RemoteFile
from spikesight.errors import ConfigError, FileFormatError, RemoteError, UnknownNameError

SESSION = "/visual-coding-neuropixels/ecephys-cache/session_715093703/session_715093703.nwb"


@pytest.fixture(autouse=True)
def served(fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FaultServer:
    fault_server.serve(SESSION, b"session")
    fault_server.serve("/bucket/a%20b.nwb", b"other")
    monkeypatch.setenv("SPIKESIGHT_S3_URL", fault_server.url)
    monkeypatch.setenv("SPIKESIGHT_CACHE", str(tmp_path / "cache"))
    return fault_server


def test_a_path_that_exists_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "715093703").write_bytes(b"")
    assert find("715093703") == tmp_path / "715093703"
    assert find(Path("715093703")) == tmp_path / "715093703"
    assert not is_streamed("715093703")


def test_a_fetched_session_comes_before_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert is_streamed("715093703")
    monkeypatch.setattr(location, "fetched", lambda session_id: tmp_path / f"{session_id}.nwb")
    assert find(715093703) == tmp_path / "715093703.nwb"
    assert not is_streamed("715093703")


def test_an_id_is_found_in_the_bucket(served: FaultServer) -> None:
    found = find("715093703")
    assert isinstance(found, RemoteFile)
    assert (found.url, found.size) == (served.url + SESSION, 7)
    assert find(f"s3://allen-brain-observatory{SESSION}") == found


def test_other_buckets_are_on_their_own_hosts(served: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(location, "describe", lambda url, **_: asked.append(url))
    find("s3://a-lab/x/a b.nwb")
    find("s3://dotted.name/x.nwb")
    assert asked == ["https://a-lab.s3.amazonaws.com/x/a%20b.nwb", "https://s3.amazonaws.com/dotted.name/x.nwb"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"{served.url}/")
    find("s3://a-lab/x.nwb")
    assert asked[2] == f"{served.url}/a-lab/x.nwb"


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        ("no.nwb", FileFormatError, "there is none at no.nwb. Give a file, the id of a public session"),
        (".", FileFormatError, ". is not a file"),
        ("123", FileFormatError, "123 is neither a file here nor the id of one of the 58 public sessions"),
        ("dandi:000020/715093703", FileFormatError, "expected dandi:000021/<session>"),
        ("dandi:000021/x", FileFormatError, "expected dandi:000021/<session>"),
        ("s3://bucket", FileFormatError, "expected s3://bucket/key"),
        ("s3:///key", FileFormatError, "expected s3://bucket/key"),
        ("s3://evil@host/key", FileFormatError, "name of a bucket"),
        ("ftp://host/a.nwb", ConfigError, "got 'ftp://host/a.nwb'"),
    ],
)
def test_what_cannot_be_found_is_told(place: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        find(place)


def test_a_server_that_has_no_such_file_is_a_remote_error(served: FaultServer) -> None:
    with pytest.raises(RemoteError, match="404"):
        find(f"{served.url}/nothing.nwb")
    with pytest.raises(RemoteError, match="expected session 719161530"):
        find("719161530")


def test_the_identity_of_a_remote_file_has_no_signature(tmp_path: Path) -> None:
    remote = RemoteFile("https://host/a.nwb?X-Amz-Signature=secret", 5, "abc", None)
    assert identity(remote) == {"url": "https://host/a.nwb", "size": 5, "etag": "abc", "sha256": None}
    assert identity(tmp_path) == tmp_path


def test_sessions_are_named_by_ids_or_by_a_stimulus() -> None:
    assert public_sessions(" 715093703, 719161530 ") == (["715093703", "719161530"], None)
    ids, stimulus = public_sessions("natural_scenes")
    assert (len(ids), stimulus) == (32, "natural_scenes")
    with pytest.raises(UnknownNameError, match="Did you mean 'natural_scenes'"):
        public_sessions("natural_scene")
