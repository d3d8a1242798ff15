"""A report of as many sessions as there are in public stays a page that a browser opens."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from example_run import write_epochs, write_run
from spikesight.records.session_overview import MOST_CLASSES, MOST_REPEATS, panels_file
from spikesight.reports.report import write_report

N_SESSIONS = 32
MOST_BYTES = 15_000_000


def _full_panels(session: str, rng: np.random.Generator) -> dict[str, object]:
    """As large as `session_overview` makes them: 80 units that fire at 10 spikes/s, 12 areas."""
    units = [[950_000_000 + at, f"area{at % 12}", 3000.0] for at in range(80)]

    def trial(repeat: int) -> dict[str, object]:
        n = int(rng.poisson(80 * 0.35 * 10))
        time = rng.uniform(-50, 300, n).round(1).tolist()
        return {"repeat": repeat, "row": rng.integers(0, 80, n).tolist(), "time": time}

    classes = [{"label": str(at), "trials": [trial(n) for n in range(MOST_REPEATS)]} for at in range(MOST_CLASSES)]
    bins = np.arange(-45.0, 300, 10)
    curve = (10 * rng.random(len(bins))).round(3).tolist()
    areas = [{"area": f"area{at}", "n_units": 50, "mean": curve, "low": curve, "high": curve} for at in range(12)]
    rates = {"time": bins.tolist(), "bin_size": 0.01, "stop": 0.25, "n_trials": 400, "areas_left_out": 3}
    raster = {"window": [-0.05, 0.3], "stop": 0.25, "units": units, "classes": classes}
    return {"session_id": session, "raster": raster, "rates": {**rates, "areas": areas}}


@pytest.mark.slow
def test_a_report_of_32_sessions_of_6000_trials_stays_below_15_mb(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n_sessions=N_SESSIONS, n_classes=119, n_trials=5950, panels=False)
    rng = np.random.default_rng(1)
    (run / "panels").mkdir(exist_ok=True)
    for at in range(N_SESSIONS):
        (run / panels_file(f"session {at}")).write_text(json.dumps(_full_panels(f"session {at}", rng)))
    write_epochs(run, n_epochs=150)
    table = pd.read_parquet(run / "predictions.parquet").assign(confidence=0.5)
    table.to_parquet(run / "predictions.parquet", index=False)
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "stimulus": "natural_scenes"}))
    begun = time.monotonic()
    page = write_report(run)
    took = time.monotonic() - begun
    size = page.stat().st_size
    assert size < MOST_BYTES, f"{size / 1e6:.1f} MB"
    assert "To keep this page small" in page.read_text(encoding="utf-8")
    assert took < 180, f"{took:.0f} s"  # on a machine that is at work with something else
