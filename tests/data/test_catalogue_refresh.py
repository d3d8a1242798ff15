"""The catalogue from tables in the bucket's own form, over HTTP."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from servers.fault_server import Fault, FaultServer
from servers.s3_server import S3Server
from spikesight.cli import app
from spikesight.data import catalogue
from spikesight.data.catalogue_refresh import refresh
from spikesight.data.http import Patience
from spikesight.errors import OutputError, RemoteError

FOLDER = "/visual-coding-neuropixels/ecephys-cache"
QUICK = Patience(connect=2, read=2, retries=2, first_wait=0.01, longest_wait=0.02)
NEW = 999999999


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault_server: FaultServer) -> Path:
    monkeypatch.setenv("SPIKESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SPIKESIGHT_S3_URL", fault_server.url)
    return tmp_path / "cache"


def bucket_tables() -> dict[str, pd.DataFrame]:
    """Tables with the columns of the bucket's: all sessions and a new one; a probe each, four channels, six units."""
    known = catalogue.shipped_sessions()
    ids = [*known.index, NEW]
    count = len(ids)
    sessions = pd.DataFrame(
        {
            **{"id": ids, "date_of_acquisition": "2019-01-19T08:54:18Z", "isi_experiment_id": 1},
            **{"published_at": "2019-10-03T00:00:00Z", "specimen_id": 2},
            "session_type": [*known["session_type"], "functional_connectivity"],
            **{"age_in_days": 118.0, "sex": "F", "genotype": "wt/wt", "has_nwb": True},
        }
    )
    probes = pd.DataFrame({"id": 10 + np.arange(count), "ecephys_session_id": ids, "name": "probeA"})
    channels = pd.DataFrame(
        {
            "id": 1000 + np.arange(4 * count),
            "ecephys_probe_id": np.repeat(probes["id"].to_numpy(), 4),
            **{"local_index": 0, "probe_horizontal_position": 43, "ecephys_structure_id": 385.0},
            "ecephys_structure_acronym": ["VISp", "LGd", "NA", None] * count,
        }
    )
    units = pd.DataFrame(
        {
            "id": 100000 + np.arange(6 * count),
            "ecephys_channel_id": (1000 + 4 * np.arange(count)[:, None] + [0, 0, 0, 1, 1, 3]).ravel(),
            "quality": ["good", "good", "noise", "good", "good", "good"] * count,
            "amplitude_cutoff": [0.1, 0.2, 0.0, 0.01, np.nan, 0.0] * count,
            **{"presence_ratio": 0.95, "isi_violations": 0.5, "firing_rate": 3.0},
        }
    )
    return {"sessions": sessions, "probes": probes, "channels": channels, "units": units}


def serve(server: FaultServer, tables: dict[str, pd.DataFrame]) -> None:
    for name, table in tables.items():
        text = io.StringIO()
        table.to_csv(text, index=False)
        server.serve(f"{FOLDER}/{name}.csv", text.getvalue().encode())


def test_refresh_counts_units_of_all_areas_and_is_remembered(fault_server: FaultServer) -> None:
    serve(fault_server, bucket_tables())
    table = refresh(patience=QUICK)
    assert len(table) == 59
    assert all(counts == {"LGd": 2, "VISp": 2} for counts in table["units_per_area"])
    assert all(counts == {"LGd": 1, "VISp": 1} for counts in table["default_units_per_area"])
    assert table.loc[NEW, "session_type"] == "functional_connectivity"
    assert "dot_motion" in table.loc[NEW, "stimuli"]
    assert table.attrs["source"].startswith(fault_server.url)
    assert "read on 20" in table.attrs["source"]
    asked = len(fault_server.seen)
    assert len(catalogue.sessions(area="LGd", stimulus="natural_scenes")) == 32
    assert len(fault_server.seen) == asked == 4


def test_sessions_without_a_file_are_left_out(fault_server: FaultServer) -> None:
    tables = bucket_tables()
    tables["sessions"]["has_nwb"] = tables["sessions"]["id"] != NEW
    serve(fault_server, tables)
    assert len(refresh(patience=QUICK)) == 58


def test_refresh_survives_failures_that_pass(fault_server: FaultServer) -> None:
    serve(fault_server, bucket_tables())
    fault_server.fail_next(Fault(status=503), Fault(drop_after=100), Fault(status=429))
    assert len(refresh(patience=Patience(2, 2, 3, 0.01, 0.02))) == 59


def _without(table: str, column: str) -> dict[str, pd.DataFrame]:
    tables = bucket_tables()
    tables[table] = tables[table].drop(columns=column)
    return tables


def _fewer_sessions() -> dict[str, pd.DataFrame]:
    tables = bucket_tables()
    return {**tables, "sessions": tables["sessions"].iloc[:40]}


def _age_as_words() -> dict[str, pd.DataFrame]:
    tables = bucket_tables()
    return {**tables, "sessions": tables["sessions"].assign(age_in_days="old")}


def _doubled_channels() -> dict[str, pd.DataFrame]:
    tables = bucket_tables()
    return {**tables, "channels": pd.concat([tables["channels"]] * 2)}


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (_without("units", "quality"), "expected columns id, ecephys_channel_id, quality"),
        (_without("sessions", "genotype"), "expected columns id, date_of_acquisition"),
        (_fewer_sessions(), "18 are missing"),
        (_age_as_words(), "do not fit together"),
        (_doubled_channels(), "do not fit together"),
        ({}, "answers 404"),
    ],
)
def test_tables_of_another_form_change_nothing(
    fault_server: FaultServer, cache: Path, tables: dict[str, pd.DataFrame], said: str
) -> None:
    serve(fault_server, tables)
    with pytest.raises(RemoteError, match=said):
        refresh(patience=QUICK)
    assert not list(cache.rglob("*.*"))
    assert catalogue.sessions().attrs["source"] == catalogue.SHIPPED


def test_a_page_of_html_is_no_table(fault_server: FaultServer) -> None:
    for name in ("sessions", "probes", "channels", "units"):
        fault_server.serve(f"{FOLDER}/{name}.csv", b"<html>\n<p>a, b\n</html>")
    with pytest.raises(RemoteError, match=r"sessions\.csv"):
        refresh(patience=QUICK)


def test_a_cache_that_cannot_be_written_is_an_error_of_ours(fault_server: FaultServer, cache: Path) -> None:
    serve(fault_server, bucket_tables())
    cache.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="SPIKESIGHT_CACHE"):
        refresh(patience=QUICK)


def test_the_command_refreshes_and_without_a_bucket_says_so_and_lists_what_is_known(fault_server: FaultServer) -> None:
    runner = CliRunner(env={"COLUMNS": "300"})
    done = runner.invoke(app, ["sessions", "--refresh", "--json"])
    assert done.exit_code == 0, done.output
    assert "not refreshed: " in done.stderr
    assert len(json.loads(done.stdout)) == 58
    serve(fault_server, bucket_tables())
    done = runner.invoke(app, ["sessions", "--refresh", "--area", "LGd", "--json"])
    assert done.exit_code == 0, done.output
    assert "not refreshed" not in done.stderr
    assert len(json.loads(done.stdout)) == 59
    assert "LGd" in runner.invoke(app, ["sessions"]).stdout


def test_refresh_reads_a_bucket_that_speaks_s3(s3: S3Server) -> None:
    for name, table in bucket_tables().items():
        s3.put(f"{FOLDER[1:]}/{name}.csv", table.to_csv(index=False).encode())
    assert len(refresh(patience=QUICK)) == 59
