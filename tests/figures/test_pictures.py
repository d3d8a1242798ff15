"""The eight figures that are used most look as they did when somebody last looked at them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from counts_by_hand import counts_of
from spikesight import exploration, figures
from spikesight.exploration.probes import CCF, DEPTH

AREAS = ("VISp", "LGd", "CA1")


def raster() -> Any:
    rng = np.random.default_rng(0)
    unit = rng.integers(0, 30, 260)
    spikes = pd.DataFrame(
        {
            "time": rng.uniform(-0.05, 0.3, 260), "unit": unit, "area": np.array(AREAS)[unit % 3],
            "trial": np.sort(rng.integers(0, 2, 260)),
        }
    )  # fmt: skip
    rows = pd.DataFrame({"unit": range(30), "area": np.array(AREAS)[np.arange(30) % 3]}).sort_values(["area", "unit"])
    return figures.plot_raster(spikes.assign(target=spikes["trial"].map({0: "7", 1: "12"})), rows=rows, stop=0.25)


def psth() -> Any:
    time = np.arange(-0.045, 0.3, 0.01)
    bump = np.exp(-(((time - 0.1) / 0.05) ** 2))
    tables = []
    for target, height in (("7", 12.0), ("12", 5.0)):
        for area, base in (("VISp", 4.0), ("LGd", 9.0)):
            mean = base + height * bump
            columns = {
                "target": target,
                "area": area,
                "time": time,
                "mean": mean,
                "low": 0.8 * mean,
                "high": 1.2 * mean,
            }
            tables.append(pd.DataFrame({**columns, "n_trials": 50, "n_units": 20}))
    return figures.plot_psth(pd.concat(tables), stop=0.25)


def leaderboard() -> Any:
    columns = {
        "decoder": ["fa-lda", "fa-lda", "lda", "poisson-bayes", "chance"],
        "selection": ["tuned", "default", "tuned", "default", "reference"],
        "accuracy": [0.6, 0.55, 0.5, 0.31, 0.012],
    }
    table = pd.DataFrame(columns).assign(chance=0.0125)
    spread = 0.03 * np.sqrt(table["accuracy"])
    return figures.plot_leaderboard(table.assign(low=table["accuracy"] - spread, high=table["accuracy"] + spread))


def confusion_matrix() -> Any:
    rng = np.random.default_rng(1)
    labels = [str(label) for label in range(12)]
    counts = rng.poisson(1.5, (12, 12)) + 20 * np.eye(12, dtype=int)
    counts[3, 8] += 15
    table = xr.DataArray(counts, dims=("y_true", "y_pred"), coords={"y_true": labels, "y_pred": labels})
    return figures.plot_confusion_matrix(table)


def unit_correlations() -> Any:
    rng = np.random.default_rng(2)
    shared = rng.poisson(3, (400, 4))
    counts = shared[:, np.arange(24) % 4] + rng.poisson(1.0 + np.arange(24) / 8, (400, 24))
    counts[:, 5] = 0  # a unit that never spikes
    data = counts_of(counts, list(np.arange(400) % 5), [AREAS[unit % 3] for unit in range(24)])
    return figures.plot_unit_correlations(exploration.cluster_units(exploration.unit_correlations(data)))


def response_map() -> Any:
    rng = np.random.default_rng(3)
    preferred = rng.integers(0, 10, 40)
    target = np.repeat(np.arange(10), 8)
    counts = rng.poisson(1 + 6 * (target[:, None] == preferred))
    return figures.plot_response_map(
        exploration.response_map(counts_of(counts, target.tolist(), [AREAS[unit % 3] for unit in range(40)]))
    )


def connectivity_matrix() -> Any:
    rng = np.random.default_rng(4)
    ids = 100 + np.arange(30)
    units = pd.DataFrame(
        {"area": [AREAS[unit % 3] for unit in range(30)], DEPTH: rng.uniform(0, 3800, 30)}, index=pd.Index(ids)
    )
    weights = np.where(rng.random((30, 30)) < 0.1, rng.normal(0, 1, (30, 30)), 0.02 * rng.normal(0, 1, (30, 30)))
    table = xr.DataArray(
        weights, dims=("source_unit", "target_unit"), coords={"source_unit": ids, "target_unit": ids},
        attrs={"measure": "coupling"},
    )  # fmt: skip
    return figures.plot_connectivity_matrix(table, units)


def probe_map() -> Any:
    rng = np.random.default_rng(5)
    depth = np.sort(rng.integers(1, 95, 60) * 40.0)
    units = pd.DataFrame(
        {
            "unit": range(60), "probe": np.resize(["probeA", "probeC"], 60), "depth": depth,
            "area": np.select([depth < 1200, depth < 2000], ["LGd", "CA1"], "VISp"),
        }
    ).assign(**dict.fromkeys(CCF.values(), np.nan))  # fmt: skip
    sites = pd.DataFrame(
        [(probe, *stretch) for probe in ("probeA", "probeC") for stretch in
         (("LGd", 20.0, 1200.0), ("CA1", 1200.0, 2000.0), ("VISp", 2000.0, 3840.0))],
        columns=["probe", "area", "bottom", "top"],
    )  # fmt: skip
    return figures.plot_probe_map(units, sites=sites)


DRAWN: dict[str, Callable[[], Any]] = {
    "raster": raster, "psth": psth, "leaderboard": leaderboard, "confusion_matrix": confusion_matrix,
    "unit_correlations": unit_correlations, "response_map": response_map, "connectivity_matrix": connectivity_matrix,
    "probe_map": probe_map,
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_looks_as_it_did(name: str, same_picture: Any) -> None:
    same_picture(DRAWN[name](), name)


@pytest.fixture
def comparing(same_picture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], None]:
    """Compare whatever the environment says, and keep what differs out of the way."""
    monkeypatch.delenv("SPIKESIGHT_WRITE_BASELINES", raising=False)
    return lambda ax, name: same_picture(ax, name, kept=tmp_path)


def _move_label(ax: Any) -> None:
    ax.xaxis.labelpad += 3


def _larger_ticks(ax: Any) -> None:
    for axes in ax.figure.axes:
        axes.tick_params(labelsize=10.5)


def _another_letter(ax: Any) -> None:
    ax.set_xlabel(ax.get_xlabel()[:-1] + "?")


def _other_colour(ax: Any) -> None:
    for artist in [*ax.lines, *ax.collections, *ax.images]:
        if ax.images:
            artist.set_cmap("viridis") if artist in ax.images else None
        else:
            artist.set_color("#aa0044")
            return


ONE_EACH = [("raster", _larger_ticks), ("unit_correlations", _larger_ticks), ("leaderboard", _another_letter),
            ("probe_map", _another_letter), ("psth", _other_colour), ("response_map", _other_colour)]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), [*((name, _move_label) for name in DRAWN), *ONE_EACH])
def test_a_moved_label_or_another_colour_is_seen(
    name: str, change: Callable[[Any], None], comparing: Callable[[Any, str], None], tmp_path: Path
) -> None:
    ax = DRAWN[name]()
    change(ax)
    with pytest.raises(pytest.fail.Exception, match="does not look as it did"):
        comparing(ax, name)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.png", f"{name}-expected.png", f"{name}-failed-diff.png"
    }  # fmt: skip


def test_the_same_figure_drawn_again_passes_and_leaves_no_picture(
    comparing: Callable[[Any, str], None], tmp_path: Path
) -> None:
    comparing(DRAWN["probe_map"](), "probe_map")
    assert list(tmp_path.iterdir()) == []


def test_a_figure_without_a_baseline_says_how_to_write_one(
    comparing: Callable[[Any, str], None], same_picture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ax = leaderboard()
    with pytest.raises(AssertionError, match="SPIKESIGHT_WRITE_BASELINES=1"):
        comparing(ax, "never drawn")
    monkeypatch.setenv("SPIKESIGHT_WRITE_BASELINES", "1")
    same_picture(ax, "never drawn", baselines=tmp_path)
    monkeypatch.delenv("SPIKESIGHT_WRITE_BASELINES")
    same_picture(ax, "never drawn", baselines=tmp_path, kept=tmp_path)
