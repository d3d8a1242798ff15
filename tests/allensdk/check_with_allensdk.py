"""Open a session file with AllenSDK and compare what it reads with what was written, exactly.

    python check_with_allensdk.py session.nwb expected.npz

Runs in AllenSDK's own environment, which knows nothing of spikesight; `differences` needs numpy alone. Prints what was
compared and exits with 0, or prints every difference and exits with 1.
"""

import sys
import warnings

import numpy as np

PRESENTATION_NUMBERS = (
    *("start_time", "stop_time", "stimulus_block", "frame", "orientation", "contrast"),
    *("temporal_frequency", "x_position", "y_position"),
)
"""Columns of presentations that are compared; NaN where a presentation has no such number."""


def read_with_allensdk(path):
    """Read presentations, units that pass AllenSDK's default filters, and all spike times, as plain arrays."""
    from allensdk.brain_observatory.ecephys.ecephys_session import EcephysSession

    session = EcephysSession.from_nwb_path(str(path))
    units = session.units
    found = {"unit_id": units.index.to_numpy(np.int64), "area": units["structure_acronym"].to_numpy(str)}
    spikes = session.api.get_spike_times()
    found["spike_unit_id"] = np.array(sorted(spikes), np.int64)
    found["spike_count"] = np.array([len(spikes[unit]) for unit in found["spike_unit_id"]], np.int64)
    found["spike_times"] = np.concatenate([spikes[unit] for unit in found["spike_unit_id"]])
    shown = session.stimulus_presentations
    found["stimulus_name"] = shown["stimulus_name"].to_numpy(str)
    for name in PRESENTATION_NUMBERS:
        found[name] = np.array([as_number(value) for value in shown[name]])
    running = session.running_speed
    found["running_start"] = running["start_time"].to_numpy()
    found["running_velocity"] = running["velocity"].to_numpy()
    invalid = session.get_invalid_times()
    found["invalid_start"] = np.array([] if invalid.empty else invalid["start_time"], float)
    found["invalid_label"] = np.array([] if invalid.empty else [tags[-1] for tags in invalid["tags"]], str)
    return found


def as_number(value):
    """AllenSDK writes 'null' for a number that a presentation does not have."""
    return np.nan if isinstance(value, str) and value in ("null", "", "N/A") else float(value)


def differences(found, expected):
    """Say how ``found`` differs from ``expected``, one line per array; units may come in any order."""
    lines = []
    found = {**found}
    order, wanted = np.argsort(found["unit_id"]), np.argsort(expected["unit_id"])
    expected = {**expected, **{name: expected[name][wanted] for name in ("unit_id", "area")}}
    found.update({name: found[name][order] for name in ("unit_id", "area")})
    for name, value in expected.items():
        if found[name].shape != value.shape:
            lines.append(f"{name}: expected {len(value)} values, AllenSDK reads {len(found[name])}")
            continue
        same = found[name] == value
        if value.dtype.kind == "f":
            same |= np.isnan(found[name]) & np.isnan(value)
        if not same.all():
            first = int(np.flatnonzero(~same)[0])
            lines.append(
                f"{name}: {int((~same).sum())} of {len(value)} differ, first at {first}: "
                f"expected {value[first]!r}, AllenSDK reads {found[name][first]!r}"
            )
    return lines


def main(path, expected_path):
    """Compare and report; returns the exit code."""
    with np.load(expected_path, allow_pickle=False) as stored:
        expected = {name: stored[name] for name in stored.files}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_with_allensdk(path)
    lines = differences(found, expected)
    for line in lines:
        print("DIFFERS", line)
    if lines:
        return 1
    print(
        f"SAME {len(expected['unit_id'])} units with areas, {len(expected['spike_times'])} spikes of "
        f"{len(expected['spike_unit_id'])} units, {len(expected['start_time'])} presentations"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
