"""What a user may write where a FILE is asked."""

from pathlib import Path

import pytest

from spikesight.config import BenchmarkConfig, load_config
from spikesight.connectivity_config import load_connectivity_config
from spikesight.errors import ConfigError
from spikesight.places import as_place, holds_counts, is_session_id, name_of, resolved, stem_of, without_secrets

ADDRESSES = (
    "https://host.org/a/session.nwb",
    "http://127.0.0.1:9000/b/session.nwb?X-Amz-Signature=secret",
    "s3://bucket/key/session.nwb",
    "dandi:000021/715093703",
    "HTTPS://host.org/x.nwb",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_stays_the_text_that_was_written(address: str) -> None:
    assert as_place(address) == address
    assert resolved(address) == address


@pytest.mark.parametrize("written", ["715093703", 715093703, Path("715093703")])
def test_an_id_is_text_however_it_was_written(written: object) -> None:
    assert as_place(written) == "715093703"


@pytest.mark.parametrize(
    "written", ["a.nwb", "x/y z.nwb", "~/a.nwb", Path("a.nwb"), "C:/a.nwb", "C:\\a.nwb", "7a", "-1"]
)
def test_everything_else_is_a_path(written: str | Path) -> None:
    assert as_place(written) == Path(written)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("ftp://host/a.nwb", "with s3://, https:// or dandi:, got 'ftp://host/a.nwb'"),
        ("gs://bucket/a.nwb", "with s3://"),
        (Path("https://host/a.nwb"), "an address as text"),
        ("https:/host/a.nwb", "two slashes"),
        ("", "got an empty text"),
        (None, "got None"),
        (True, "got True"),
        (1.5, "got 1.5"),
        (b"a.nwb", "got b'a.nwb'"),
    ],
)
def test_what_is_none_is_refused(written: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        as_place(written)
    with pytest.raises(ConfigError, match=said):
        load_config(overrides={"sources": [written]})


def test_a_file_that_is_called_like_an_id_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolved("715093703") == "715093703"
    (tmp_path / "715093703").mkdir()
    assert resolved("715093703") == "715093703"  # a folder of a session's results is no session
    (tmp_path / "715093703").rmdir()
    (tmp_path / "715093703").write_bytes(b"")
    assert resolved("715093703") == tmp_path / "715093703"


@pytest.mark.parametrize(
    ("place", "name", "stem", "counts"),
    [
        ("https://host.org/a/session_1.nwb?token=x/y.npz", "session_1.nwb", "session_1", False),
        ("s3://bucket/counts.NPZ", "counts.NPZ", "counts", True),
        ("dandi:000021/715093703", "715093703", "715093703", False),
        ("715093703", "715093703", "715093703", False),
        (Path("x/a.nc"), "a.nc", "a", True),
        ("https://host.org", "https://host.org", "host", False),
        ("https://host.org?token=x", "https://host.org", "host", False),
    ],
)
def test_a_place_has_a_short_name(place: str | Path, name: str, stem: str, counts: bool) -> None:
    assert (name_of(place), stem_of(place), holds_counts(place)) == (name, stem, counts)


def test_only_plain_digits_are_ids() -> None:
    assert is_session_id("715093703")
    assert not any(is_session_id(text) for text in ("", "-1", "1.0", "\u0661", "\u00b2", "1 2"))  # digits of elsewhere


@pytest.mark.parametrize("address", [*ADDRESSES, "715093703"])
def test_addresses_survive_yaml_and_assignments(tmp_path: Path, address: str) -> None:
    file = tmp_path / "run.yaml"
    config = load_config(overrides={"sources": [address, "a.nwb"]})
    file.write_text(config.to_yaml())
    assert load_config(file) == config
    assert load_config(file).sources == (address, Path("a.nwb"))
    assert load_config(assignments=[f'sources=["{address}"]']).sources == (address,)
    if address == "715093703":
        assert load_config(assignments=["sources=[715093703]"]).sources == (address,)
    assert load_connectivity_config({"source": address, "method": "granger"}).source == address


def test_the_run_directory_is_of_the_session_and_not_of_where_it_was_read() -> None:
    plain = BenchmarkConfig(sources=("715093703",))
    assert plain.run_directory().name.startswith("715093703-")
    assert plain.model_copy(update={"archive": "dandi", "keep_files": True}).run_directory() == plain.run_directory()
    other = BenchmarkConfig(sources=("s3://bucket/715093703",))
    assert other.run_directory() != plain.run_directory()
    assert "/" not in other.run_directory().name


def test_an_archive_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"archive \(--source\): expected 's3' or 'dandi', got 's4'"):
        load_config(overrides={"sources": ["715093703"], "archive": "s4"})


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://h.org/a.nwb?X-Amz-Signature=1f&b=2", "https://h.org/a.nwb"),
        ("HTTP://me:pass@h.org:90/a.nwb#x", "HTTP://h.org:90/a.nwb"),
        ("s3://bucket/key.nwb", "s3://bucket/key.nwb"),
        ("https://h.org/a@b.nwb", "https://h.org/a@b.nwb"),
        ('sources=["https://t@h.org/a.nwb?s=1", "x?.nwb"]', 'sources=["https://h.org/a.nwb "x?.nwb"]'),
        ("a?.nwb", "a?.nwb"),
    ],
)
def test_passwords_and_signatures_are_cut_from_a_text(text: str, left: str) -> None:
    assert without_secrets(text) == left
