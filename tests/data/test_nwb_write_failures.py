"""What `write_session` says, and leaves behind, when something goes wrong; and the memory that it takes."""

import errno
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from small_session import make_session

from spikesight.data.nwb_write import session as writer
from spikesight.data.nwb_write import write_session
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.errors import DataError, OutputError, PresentationsError, SpikeTimesError


@pytest.fixture(scope="module")
def session() -> Session:
    return make_session()


# ---------------------------------------------------------------- nothing half-written


class _Failing(Mapping[int, NDArray[np.floating]]):
    """Amplitudes of a session whose last unit cannot be had."""

    def __init__(self, session: Session, error: Exception) -> None:
        self._values = session.spike_amplitudes
        self._last = session.units.index[-1]
        self._error = error

    def __getitem__(self, unit_id: int) -> NDArray[np.floating]:
        if unit_id == self._last:
            raise self._error
        return self._values[unit_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_a_failure_midway_leaves_nothing_behind(session: Session, tmp_path: Path) -> None:
    failing = replace(session, spike_amplitudes=_Failing(session, ZeroDivisionError("midway")))
    with pytest.raises(ZeroDivisionError, match="midway"):
        write_session(failing, tmp_path / "session.nwb")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_midway_leaves_the_file_that_was_there(session: Session, tmp_path: Path) -> None:
    path = write_session(session, tmp_path / "session.nwb")
    before = path.read_bytes()
    failing = replace(session, spike_amplitudes=_Failing(session, ZeroDivisionError("midway")))
    with pytest.raises(ZeroDivisionError):
        write_session(failing, path, overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_is_named(session: Session, tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OutputError, match=r"could not write .*session\.nwb: No space left on device"):
        write_session(replace(session, spike_amplitudes=_Failing(session, full)), tmp_path / "session.nwb")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_too_small_is_named_before_anything_is_written(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(OutputError, match=r"spikes need .* GB, .* GB are free"):
        write_session(session, tmp_path / "session.nwb")
    assert list(tmp_path.iterdir()) == []


def test_a_real_write_error_in_hdf5_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow beyond 300 kB: HDF5 fails in the middle of its own writing."""
    script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from small_session import make_session
from spikesight.data.nwb_write import write_session
from spikesight.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    write_session(make_session(n_spikes=50_000), {str(tmp_path / "session.nwb")!r})
except OutputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "could not write" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_replaced_unless_asked(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "session.nwb"
    path.write_text("dear")
    with pytest.raises(OutputError, match="exists already"):
        write_session(session, path)
    assert path.read_text() == "dear"
    write_session(session, path, overwrite=True)
    assert h5py.is_hdf5(path)


def test_a_folder_that_is_not_there_is_named(session: Session, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no folder"):
        write_session(session, tmp_path / "nowhere" / "session.nwb")


def test_progress_counts_the_units(session: Session, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_session(session, tmp_path / "session.nwb", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]


# ---------------------------------------------------------------- bad input


def _refused(session: Session, folder: Path, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        write_session(session, folder / "session.nwb")
    assert list(folder.iterdir()) == []


def test_a_unit_column_that_allensdk_would_choke_on_is_refused(session: Session, tmp_path: Path) -> None:
    units = session.units.assign(my_extra=1.0)
    _refused(replace(session, units=units), tmp_path, DataError, r"no unit columns \['my_extra'\].*Drop them")


def test_units_without_a_peak_channel_are_refused(session: Session, tmp_path: Path) -> None:
    units = session.units.drop(columns="peak_channel_id")
    _refused(replace(session, units=units), tmp_path, DataError, "needs a column 'peak_channel_id'")
    units = session.units.assign(peak_channel_id=7)
    _refused(
        replace(session, units=units), tmp_path, DataError, "among the 8 channels; 6 are not, first that of unit 95"
    )


def test_channels_without_what_the_layout_needs_are_refused(session: Session, tmp_path: Path) -> None:
    _refused(replace(session, channels=pd.DataFrame()), tmp_path, DataError, "Session.channels lacks the columns")
    channels = session.channels.assign(local_index=0.5)
    _refused(replace(session, channels=channels), tmp_path, DataError, "expected int values in column 'local_index'")
    channels = session.channels.assign(probe_id=range(8))
    _refused(replace(session, channels=channels), tmp_path, DataError, "one probe_id per probe")
    channels = session.channels.assign(valid_data=2)
    _refused(replace(session, channels=channels), tmp_path, DataError, "expected bool values in column 'valid_data'")


@pytest.mark.parametrize("name", ["</script><img onerror=x>", ".", "a\0b"])
def test_a_stimulus_name_that_hdf5_would_misread_is_refused(session: Session, tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"start_time": [0.0], "stop_time": [1.0]})
    _refused(replace(session, stimulus_presentations={name: table}), tmp_path, DataError, "cannot name a group")


def test_spike_times_that_are_nan_or_fall_are_refused_with_the_unit(session: Session, tmp_path: Path) -> None:
    unit = session.units.index[1]
    for values, match in (([1.0, np.nan], "NaN or infinite"), ([2.0, 1.0], "ascending")):
        times = {**session.spike_times, unit: np.array(values)}
        bad = replace(session, spike_times=RaggedArray.from_arrays(times))
        _refused(bad, tmp_path, SpikeTimesError, rf"(?=.*{match}).*unit {unit}")


def test_amplitudes_of_another_number_than_the_spikes_are_refused(session: Session, tmp_path: Path) -> None:
    unit = session.units.index[1]
    amplitudes = {**session.spike_amplitudes, unit: np.zeros(3)}
    bad = replace(session, spike_amplitudes=amplitudes)
    _refused(bad, tmp_path, DataError, rf"expected /units/spike_amplitudes of shape .* for unit {unit}, got \(3,\)")


def test_presentations_without_a_time_are_refused(session: Session, tmp_path: Path) -> None:
    table = pd.DataFrame({"start_time": [0.0, np.nan], "stop_time": [1.0, 2.0]})
    bad = replace(session, stimulus_presentations={"gabors": table})
    _refused(bad, tmp_path, PresentationsError, "1 presentations of 'gabors' lack a start or stop time")


# ---------------------------------------------------------------- size

PEAK_MEMORY = 300e6
"""Bytes that writing 2e7 spikes of 500 units may take in all, python and libraries included."""


# On Linux ru_maxrss starts from what the parent had (pytest, large by now); VmHWM counts from the child's own start.
PRINT_PEAK = """
import pathlib, resource, sys
status = pathlib.Path("/proc/self/status")
if status.exists():
    print(int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_spikes(tmp_path: Path) -> None:
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from many_spikes import many_spikes
from spikesight.data.nwb_write import write_session
write_session(many_spikes(n_units=500, n_spikes=40_000), {str(tmp_path / "big.nwb")!r})
{PRINT_PEAK}"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (tmp_path / "big.nwb").stat().st_size > 2 * 8 * 500 * 40_000
    assert int(done.stdout) < PEAK_MEMORY
