"""AllenSDK 2.16.2, in an environment of its own, opens what we write and reads what we meant."""

import os
import subprocess
from pathlib import Path

import check_with_allensdk
import numpy as np
import pandas as pd
import pytest
from check_with_allensdk import PRESENTATION_NUMBERS, differences

from spikesight.data.nwb_write import write_session
from spikesight.data.session import Session
from spikesight.data.simulation import simulate_session
from spikesight.data.unit_filters import UnitFilters

CHECKER = Path(__file__).with_name("check_with_allensdk.py")
PYTHON = Path(
    os.environ.get("SPIKESIGHT_ALLENSDK_PYTHON", Path(__file__).parents[2] / ".venv-allensdk" / "bin" / "python")
)
INVALID = "invalid_presentation"
"""AllenSDK's name for a presentation that an interval tagged 'stimulus' touches; it empties all its columns but the
times."""


@pytest.fixture(scope="module")
def session() -> Session:
    return simulate_session("tiny", 0).session


@pytest.fixture(scope="module")
def expected(session: Session) -> dict[str, np.ndarray]:
    return expected_of(session)


def expected_of(session: Session) -> dict[str, np.ndarray]:
    """Work out from the session alone what AllenSDK should read."""
    shown = pd.concat(
        [table.assign(stimulus_name=name) for name, table in session.stimulus_presentations.items()]
    ).sort_values("start_time", kind="stable")
    shown = shown.reset_index(drop=True)
    for _, row in session.invalid_times.iterrows():
        if "stimulus" in row["tags"]:
            hit = (shown["stop_time"] >= row["start_time"]) & (shown["start_time"] <= row["stop_time"])
            shown.loc[hit, [name for name in PRESENTATION_NUMBERS if not name.endswith("_time")]] = np.nan
            shown.loc[hit, "stimulus_name"] = INVALID
    good = session.units[session.units["peak_channel_id"].map(session.channels["valid_data"])]
    good, _ = UnitFilters().apply(good)
    ids = np.sort(session.units.index.to_numpy(np.int64))
    return {
        "unit_id": good.index.to_numpy(np.int64),
        "area": good["area"].to_numpy(str),
        "spike_unit_id": ids,
        "spike_count": np.array([len(session.spike_times[unit]) for unit in ids]),
        "spike_times": np.concatenate([session.spike_times[unit] for unit in ids]),
        "stimulus_name": shown["stimulus_name"].to_numpy(str),
        **{name: shown[name].to_numpy(np.float64) for name in PRESENTATION_NUMBERS},
        "running_start": session.running["start_time"].to_numpy(),
        "running_velocity": session.running["velocity"].to_numpy(),
        "invalid_start": session.invalid_times["start_time"].to_numpy(np.float64),
        "invalid_label": np.array([tags[-1] for tags in session.invalid_times["tags"]], str),
    }


def run_checker(folder: Path, session: Session, expected: dict[str, np.ndarray]) -> subprocess.CompletedProcess[str]:
    if not PYTHON.exists():
        pytest.skip(f"no environment with AllenSDK at {PYTHON}: run `make test-allensdk`, which builds it")
    path = write_session(session, folder / "session.nwb")
    np.savez(folder / "expected.npz", **expected)
    return subprocess.run(
        [PYTHON, CHECKER, path, folder / "expected.npz"], capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.allensdk
def test_allensdk_reads_the_presentations_units_areas_and_spikes_that_were_written(
    session: Session, expected: dict[str, np.ndarray], tmp_path: Path
) -> None:
    done = run_checker(tmp_path, session, expected)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert f"SAME {len(expected['unit_id'])} units" in done.stdout
    assert len(expected["unit_id"]) >= 20
    assert INVALID in expected["stimulus_name"]


def test_the_checker_exits_with_an_error_if_one_spike_is_read_an_ulp_later(
    expected: dict[str, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.savez(tmp_path / "expected.npz", **expected)
    moved = {**expected, "spike_times": expected["spike_times"].copy()}
    moved["spike_times"][7] = np.nextafter(moved["spike_times"][7], np.inf)
    for read, code in ((expected, 0), (moved, 1)):
        monkeypatch.setattr(check_with_allensdk, "read_with_allensdk", lambda _, read=read: read)
        assert check_with_allensdk.main("session.nwb", tmp_path / "expected.npz") == code
    report = capsys.readouterr().out
    assert f"DIFFERS spike_times: 1 of {len(moved['spike_times'])} differ, first at 7" in report


def test_equal_readings_do_not_differ_whatever_the_order_of_units(expected: dict[str, np.ndarray]) -> None:
    turned = {**expected, "unit_id": expected["unit_id"][::-1], "area": expected["area"][::-1]}
    assert differences(turned, expected) == []


@pytest.mark.parametrize("name", ["unit_id", "area", "spike_times", "start_time", "frame", "stimulus_name"])
def test_one_other_value_is_a_difference(expected: dict[str, np.ndarray], name: str) -> None:
    values = expected[name].copy()
    values[3] = "other" if values.dtype.kind == "U" else values[3] + 1 if np.isfinite(values[3]) else 0
    lines = differences({**expected, name: values}, expected)
    assert any(line.startswith(f"{name}: 1 of {len(values)} differ") for line in lines)


@pytest.mark.parametrize("name", ["unit_id", "spike_times", "stop_time"])
def test_one_value_less_is_a_difference(expected: dict[str, np.ndarray], name: str) -> None:
    found = {**expected, name: expected[name][:-1]}
    if name == "unit_id":
        found["area"] = expected["area"][:-1]
    lines = differences(found, expected)
    assert any(f"{name}: expected {len(expected[name])} values" in line for line in lines)
