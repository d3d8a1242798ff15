"""A small run directory of a connectivity estimate, made by hand, with edges that are known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from scipy.stats import norm

from spikesight.connectivity.areas import area_summary
from spikesight.connectivity.edges import false_discovery_rates
from spikesight.connectivity_files import Q, write_matrices

AREAS = ("VISp", "LGd", "CA1")


def write_connectivity(
    path: Path,
    *,
    n_units: int = 30,
    n_edges: int = 20,
    tested: bool = True,
    directed: bool = True,
    areas: tuple[str, ...] = AREAS,
    source: Path | None = None,
) -> Path:
    """Write every table of a finished estimate, but no pictures; ``n_edges`` pairs are far beyond chance."""
    rng = np.random.default_rng(0)
    ids = 1000 + np.arange(n_units)
    own = np.array(areas, dtype=object)[np.sort(np.arange(n_units) % len(areas))]
    places = {
        f"{axis}_ccf_coordinate": rng.uniform(1000, 2000, n_units)
        for axis in ("anterior_posterior", "dorsal_ventral", "left_right")
    }
    units = pd.DataFrame({"area": own, "probe_vertical_position": rng.uniform(0, 4000, n_units), **places}, index=ids)
    z = rng.uniform(-2.5, 2.5, (n_units, n_units))
    off = np.argwhere(~np.eye(n_units, dtype=bool) if directed else np.triu(np.ones((n_units,) * 2), 1).astype(bool))
    chosen = off[rng.choice(len(off), n_edges, replace=False)]
    z[chosen[:, 0], chosen[:, 1]] = rng.uniform(8, 20, n_edges) * rng.choice([-1, 1], n_edges)
    if not directed:
        z = np.triu(z, 1) + np.triu(z, 1).T
    np.fill_diagonal(z, 0)
    weight = z / 100
    lag = np.where(rng.random(z.shape) < 0.9, rng.integers(1, 10, z.shape) * 0.002, np.nan)
    p = 2 * norm.sf(np.abs(z)) if tested else np.full(z.shape, np.nan)
    shown = z if tested else np.full(z.shape, np.nan)
    _write_tables(path, ids, units, own, off, (weight, shown, p, lag), directed)
    edges = pd.read_parquet(path / "edges.parquet")
    summary = {
        "method": "granger", "summary": "autoregression", "measure": "log ratio", "directed": directed,
        "session_id": "715093703", "period": "spontaneous", "bin_size": 0.002, "duration": 600.0, "n_segments": 1,
        "stimulus": "none", "rule": "fdr", "n_dropped_segments": 0, "params": {"max_lag": 0.02}, "n_units": n_units,
        "units_per_area": units["area"].value_counts().to_dict(), "n_pairs": len(edges),
        "n_edges": int((edges["q_value"] <= Q).sum()) if tested else None, "n_untested": 0 if tested else None,
        "stability_asked": True, "split_half": 0.61, "seed_to_seed": None,
        "left_out": [{"unit": 7, "n_spikes": 3, "reason": "fewer than 50 spikes"}],
    }  # fmt: skip
    (path / "summary.json").write_text(json.dumps(summary))
    (path / "config.yaml").write_text(yaml.safe_dump({"method": "granger", "source": str(source or "a.nwb")}))
    (path / "provenance.json").write_text(json.dumps({"versions": {"spikesight": "0.1.0"}, "git_commit": None}))
    return path


def _write_tables(path, ids, units, own, off, matrices, directed):
    weight, z, p, lag = matrices
    rows, columns = off.T
    place = units.iloc[:, 2:].to_numpy()
    edges = pd.DataFrame(
        {"source_unit": ids[rows], "target_unit": ids[columns], "source_area": own[rows], "target_area": own[columns],
         "distance": np.linalg.norm(place[rows] - place[columns], axis=1), "weight": weight[rows, columns],
         "sign": np.sign(weight[rows, columns]).astype(np.int8), "z": z[rows, columns], "p_value": p[rows, columns],
         "q_value": false_discovery_rates(p[rows, columns]), "lag": lag[rows, columns]}
    )  # fmt: skip
    order = np.lexsort((-edges["weight"].abs(), -edges["z"].abs().fillna(0), edges["p_value"].fillna(2)))
    edges = edges.iloc[order].reset_index(drop=True)
    path.mkdir(parents=True)
    edges.to_parquet(path / "edges.parquet", index=False)
    area_summary(edges, units).to_parquet(path / "areas.parquet", index=False)
    units.rename_axis("unit").reset_index().to_parquet(path / "units.parquet", index=False)
    dims = ("source_unit", "target_unit")
    values = {"connectivity": weight, "z": z, "p_value": p, "lag": lag, "sign": np.sign(weight).astype(np.int8)}
    dataset = xr.Dataset({name: (dims, value) for name, value in values.items()}, dict.fromkeys(dims, ids))
    write_matrices(dataset, path / "connectivity.nc")
