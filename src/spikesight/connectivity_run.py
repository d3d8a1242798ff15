"""One connectivity estimate from a file to a run directory: counts, fit, stability, tables, figures, page."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from spikesight.config import BenchmarkConfig
from spikesight.connectivity import registry
from spikesight.connectivity.areas import area_summary
from spikesight.connectivity.finished import Finished, fingerprint
from spikesight.connectivity.spike_trains import read_trains
from spikesight.connectivity.stability import stability
from spikesight.connectivity_config import ConnectivityConfig
from spikesight.connectivity_files import Q, found_edges, matrices, write_graphml, write_matrices
from spikesight.data import http
from spikesight.data.counts import read_counts
from spikesight.data.location import find, identity
from spikesight.data.periods import SPONTANEOUS, period_counts
from spikesight.errors import ConfigError, NoUnitsError, UnitIdsError
from spikesight.evaluation.sources import open_session
from spikesight.figures.saving import draw_png
from spikesight.places import holds_counts, without_secrets
from spikesight.records.connectivity_record import AREAS, EDGES, FIGURES, GRAPH, MATRIX, UNITS
from spikesight.reports.connectivity_report import write_connectivity_report
from spikesight.schema import AREA, SPIKE_COUNTS, UNIT
from spikesight.tracking.progress import Progress, Silent
from spikesight.tracking.provenance import connectivity_digest, describe_run
from spikesight.tracking.run_directory import PARTS, SUMMARY, RunDirectory

BINNED: Final = "binned trials"


def run_connectivity(config: ConnectivityConfig, progress: Progress | None = None) -> Path:
    """Estimate the connectivity of one session and write all that a user gets.

    Parameters
    ----------
    config
        What to do.
    progress
        Hears what it will cost before it begins, and how far it is.

    Returns
    -------
    Path
        The run directory: ``edges.parquet``, ``connectivity.nc``, ``graph.graphml``, ``areas.parquet``,
        ``units.parquet``, ``summary.json``, ``figures/*.png``, ``report.html``, config and provenance. Started again
        with the same options, it goes on with what is missing.

    Raises
    ------
    SpikesightError
        With what was expected, what came and what to do.
    """
    tell = progress if progress is not None else Silent()
    spec = registry.spec(config.method)
    estimator = registry.make(config.method, **{"random_state": config.seed, **config.params})
    counts = load_fine_counts(config, config.bin_size or spec.bin_size, tell)
    cost = estimator.cost(counts)
    tell.note(
        f"{config.method}: {counts.sizes[UNIT]:,} units; the fit takes about {_duration(cost.seconds)} and "
        f"{cost.n_bytes / 1e6:,.0f} MB on two cores{', its stability again as long' if config.stability else ''}"
    )
    asked = config.model_dump(mode="json")
    recorded = {**asked, "source": without_secrets(asked["source"])}
    with RunDirectory(config.run_directory(), recorded) as run:
        run.write_provenance(describe_run(config.seed, [identity(find(config.source, config.archive))]))
        trains = read_trains(counts)
        bounds = [trains.offsets.tolist(), None if trains.conditions is None else trains.conditions.tolist()]
        described = [*bounds, trains.bin_size, trains.units.index.tolist(), connectivity_digest(), estimator]
        key = fingerprint(trains.counts, *described)
        estimator.fit(counts, progress=tell, keep=Finished(run.path / PARTS / key))
        repeated = stability(estimator, counts) if config.stability else None
        _write(run, estimator, config, counts, repeated)
        write_connectivity_report(run.path)
        shutil.rmtree(run.path / PARTS)
    return run.path


def load_fine_counts(config: ConnectivityConfig, bin_size: float, progress: Progress | None = None) -> xr.DataArray:
    """Count spikes of the units and the period that ``config`` names, in bins of ``bin_size`` seconds.

    Raises
    ------
    SpikesightError
        If the file cannot be read, lacks what is asked for, or an option cannot be honoured for it.
    """
    located = find(config.source, config.archive, patience=http.telling(progress))
    if isinstance(located, Path) and holds_counts(located):
        path = located
        for name in ("bin_size", "period"):
            if getattr(config, name) is not None:
                raise ConfigError(f"{path.name} holds binned trials; {name} can only be chosen for spike times.")
        dataset = read_counts(path, quality=bool(config.quality), areas=config.areas)
        return _keep_units(dataset[SPIKE_COUNTS].assign_attrs(dataset.attrs), config)
    asked = BenchmarkConfig(sources=(config.source,), quality=config.quality, units=config.units, areas=config.areas)
    session = open_session(located, asked, progress)
    if config.unit_ids is not None:
        session = session.select_units(config.unit_ids)
    return period_counts(session, config.period or SPONTANEOUS, bin_size).assign_attrs(session_id=session.session_id)


def _keep_units(counts: xr.DataArray, config: ConnectivityConfig) -> xr.DataArray:
    if config.unit_ids is None:
        return counts
    missing = sorted(set(config.unit_ids) - set(counts[UNIT].to_numpy().tolist()))
    if missing:
        raise UnitIdsError(f"{len(missing)} of {len(config.unit_ids)} unit ids are not in the file: {missing[:10]}.")
    if not config.unit_ids:
        raise NoUnitsError("expected at least two units to relate, got an empty list.")
    return counts.sel({UNIT: list(config.unit_ids)})


def _write(run: RunDirectory, fitted: Any, config: ConnectivityConfig, counts: xr.DataArray, repeated: Any) -> None:
    """Write tables, matrices, graph, figures and the summary, the summary last."""
    edges = _judged(fitted)
    summary = area_summary(edges, fitted.units_)
    run.write_table(EDGES, edges)
    run.write_table(AREAS, summary)
    run.write_table(UNITS, fitted.units_.rename_axis("unit").reset_index())
    run.write_file(MATRIX, lambda file: write_matrices(matrices(fitted), file))
    found = found_edges(edges)
    run.write_file(GRAPH, lambda file: write_graphml(found, fitted.units_, file, directed=fitted.directed))
    for name, draw in _figures(fitted, edges, summary).items():
        run.write_file(f"{FIGURES}/{name}.png", partial(draw_png, draw))
    run.write_json(SUMMARY, _summary(fitted, edges, config, counts, repeated))


def _judged(fitted: Any) -> pd.DataFrame:
    """Return the table of edges; a rule without p-values decides by q-values of 0 (an edge) and 1 (none)."""
    edges: pd.DataFrame = fitted.edges()
    passed = getattr(fitted, "significant_", None)
    if passed is None:
        return edges
    pairs = edges[["source_unit", "target_unit"]].itertuples(index=False)
    found = [not bool(passed.sel(source_unit=source, target_unit=target)) for source, target in pairs]
    return edges.assign(q_value=np.array(found, np.float64))


def _summary(
    fitted: Any, edges: pd.DataFrame, config: ConnectivityConfig, counts: xr.DataArray, repeated: Any
) -> dict[str, Any]:
    tested = bool(edges["q_value"].notna().any())
    trains = read_trains(counts)
    return {
        "method": config.method,
        "summary": registry.spec(config.method).summary,
        "measure": fitted.measure,
        "directed": fitted.directed,
        "session_id": str(counts.attrs.get("session_id", "")),
        "period": BINNED if holds_counts(config.source) else config.period or SPONTANEOUS,
        "bin_size": fitted.bin_size_,
        "duration": fitted.duration_,
        "n_segments": len(trains.lengths),
        "stimulus": fitted.stimulus_,
        "rule": "7sd" if hasattr(fitted, "significant_") else "fdr",
        "n_dropped_segments": fitted.n_dropped_segments_,
        "params": {name: value for name, value in fitted.get_params().items() if name != "stimulus"},
        "n_units": len(fitted.units_),
        "units_per_area": fitted.units_[AREA].replace("", "not given").value_counts().to_dict(),
        "n_pairs": len(edges),
        "n_edges": int((edges["q_value"] <= Q).sum()) if tested else None,
        "n_untested": int(edges["q_value"].isna().sum()) if tested else None,
        "stability_asked": repeated is not None,
        "split_half": _known(repeated.split_half) if repeated is not None else None,
        "seed_to_seed": _known(repeated.seed_to_seed) if repeated is not None and fitted.random else None,
        "left_out": fitted.left_out_.to_dict("records"),
    }


def _figures(fitted: Any, edges: pd.DataFrame, summary: pd.DataFrame) -> dict[str, Callable[[], Any]]:
    """Return what draws each figure, by the name of its file."""
    from spikesight import figures
    from spikesight.connectivity.edges import distances

    drawn: dict[str, Callable[[], Any]] = {
        "matrix": lambda: figures.plot_connectivity_matrix(fitted.connectivity_, fitted.units_),
        "areas": lambda: figures.plot_area_graph(summary),
        "units": lambda: figures.plot_unit_graph(edges, fitted.units_),
    }
    if edges["lag"].notna().any():
        drawn["lags"] = lambda: figures.plot_lag_histogram(edges)
    if np.isfinite(distances(fitted.units_)).any():
        drawn["ccf"] = lambda: figures.plot_edges_in_ccf(edges, fitted.units_)
    return drawn


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(1, round(seconds))} s"
