import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "real_connectivity.py"
CONTROL = "allen-npx-drifting-gratings"


@pytest.mark.slow
def test_units_of_different_sessions_have_next_to_no_edges(recordings):
    if not (recordings / CONTROL).is_dir():
        pytest.skip(f"no folder {CONTROL} in {recordings}")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--data", str(recordings), "--json"], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    far = [row for row in found["control"] if row["pairs"] == "far" and row["method"] != "noise-correlation"]

    assert len(far) == 4
    assert max(row["share_edges"] for row in far) < 0.001
    refused = {row["method"] for row in found["session3"]["methods"] if row.get("refused")}
    assert refused == {"ccg-jitter", "transfer-entropy"}


def test_spike_times_are_counted_in_their_trial_bin_and_unit(tmp_path):
    gratings = runpy.run_path(str(SCRIPT))["gratings"]
    bounds = np.array([[[0, 2], [2, 3]], [[3, 3], [3, 6]]])
    times = np.array([0.001, 0.0999, 0.05, 0.0, 0.0011, 0.1])

    np.savez(tmp_path / "spikes.npz", spike_times=times, ii_spike_times=bounds, orientation=np.array([0, 45]))
    counts = gratings(tmp_path / "spikes.npz", 0.05, slice(0, 2))

    assert counts.unit.to_numpy().tolist() == [1, 0]
    assert counts.to_numpy()[:, :, 0].tolist() == [[0, 1], [2, 1]]
    assert counts.to_numpy()[:, :, 1].tolist() == [[1, 1], [0, 0]]
    assert counts.target.to_numpy().tolist() == [0, 45]
