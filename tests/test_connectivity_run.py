"""From a file to everything that a user gets, as the command line asks for it."""

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spikesight.connectivity.edges import EDGE_COLUMNS
from spikesight.connectivity_config import load_connectivity_config
from spikesight.connectivity_files import found_edges
from spikesight.connectivity_run import run_connectivity
from spikesight.data.counts import write_counts
from spikesight.data.simulation import GroundTruth, truth_path
from spikesight.demo import save_simulation
from spikesight.errors import (
    ConfigError,
    FileFormatError,
    NoUnitsError,
    RunDirectoryError,
    SpikesightError,
    StimulusNotFoundError,
    UnitIdsError,
    UnknownNameError,
)
from spikesight.evaluation.sources import load_source
from spikesight.records.connectivity_record import read_connectivity
from spikesight.reports.connectivity_report import write_connectivity_report


class Listener:
    """Keeps what it hears; raises when a task has come so far."""

    def __init__(self, stop=None):
        self.notes, self.steps, self._stop = [], [], stop

    def note(self, text):
        self.notes.append(text)

    def advance(self, task, done, total):
        self.steps.append((task, done, total))
        if self._stop is not None and done >= self._stop:
            raise KeyboardInterrupt


def asked(source, out, method="granger", period="natural_scenes", assignments=("min_spikes=50",), **more):
    values = {"source": source, "method": method, "period": period, "out": out, **more}
    return load_connectivity_config(values, assignments=assignments)


@pytest.fixture(scope="module")
def session_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("session") / "tiny.nwb"
    save_simulation("tiny", 0, file)
    return file


@pytest.fixture(scope="module")
def run(session_file, tmp_path_factory):
    heard = Listener()
    path = run_connectivity(asked(session_file, tmp_path_factory.mktemp("runs") / "run"), heard)
    return path, heard


def test_a_run_leaves_tables_matrices_a_graph_figures_and_a_page(run):
    path, _ = run
    there = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}

    assert {
        *("edges.parquet", "connectivity.nc", "graph.graphml", "areas.parquet", "units.parquet", "summary.json"),
        *("report.html", "config.yaml", "provenance.json", "figures/matrix.png", "figures/areas.png"),
        *("figures/units.png", "figures/lags.png", "figures/ccf.png"),
    } <= there
    assert not [name for name in there if name.endswith((".tmp", ".part"))]


def test_the_cost_is_told_before_the_estimate_begins(run):
    _, heard = run

    assert heard.notes[0].startswith("granger: ")
    assert "about" in heard.notes[0]
    assert heard.steps[-1][1] == heard.steps[-1][2]


def test_tables_and_matrices_say_the_same(run):
    path, _ = run
    edges = pd.read_parquet(path / "edges.parquet")
    with xr.open_dataset(path / "connectivity.nc", engine="h5netcdf") as matrices:
        first = edges.iloc[0]
        at = {"source_unit": first.source_unit, "target_unit": first.target_unit}
        assert matrices["connectivity"].sel(at).item() == first.weight
        assert matrices["z"].sel(at).item() == first.z
        assert matrices["lag"].sel(at).item() == first.lag
        n_units = matrices.sizes["source_unit"]
    assert tuple(edges.columns) == EDGE_COLUMNS
    assert len(edges) == n_units * (n_units - 1)
    assert edges["distance"].notna().all()


def test_the_graph_is_read_by_networkx_with_the_edges_that_were_found(run):
    path, _ = run
    record = read_connectivity(path)
    graph = nx.read_graphml(path / "graph.graphml")
    found = found_edges(record.edges)

    assert isinstance(graph, nx.DiGraph)
    assert graph.number_of_nodes() == record.summary["n_units"]
    assert graph.number_of_edges() == len(found) == record.summary["n_edges"]
    edge = found.iloc[0]
    assert graph.edges[str(edge.source_unit), str(edge.target_unit)]["weight"] == pytest.approx(edge.weight)
    assert graph.nodes[str(edge.source_unit)]["area"] == edge.source_area


def test_the_summary_says_what_was_done_and_how_stable_it_is(run):
    path, _ = run
    summary = json.loads((path / "summary.json").read_text())

    assert summary["stimulus"] == "psth"
    assert summary["period"] == "natural_scenes"
    assert summary["bin_size"] == 0.002
    assert -1 <= summary["split_half"] <= 1
    assert summary["seed_to_seed"] is None
    assert all(unit["n_spikes"] < 50 for unit in summary["left_out"])


def test_true_couplings_of_the_simulated_session_have_more_evidence_than_other_pairs(session_file, run):
    path, _ = run
    matrices = read_connectivity(path).matrices
    truth = GroundTruth.load(truth_path(session_file))
    weights, _ = truth.coupling_matrix(matrices.source_unit.to_numpy())
    z = np.abs(matrices["z"].to_numpy())
    off = ~np.eye(len(z), dtype=bool)

    assert np.median(z[weights != 0]) > np.median(z[off & (weights == 0)])


def test_the_page_shows_the_matrix_the_pictures_and_how_far_to_trust_it(run):
    path, _ = run
    page = (path / "report.html").read_text(encoding="utf-8")

    assert "Which unit drives which?" in page
    assert page.count('<img src="data:image/png;base64,') == 5
    assert "two halves of the recording correlate" in page
    assert "The mean response to each condition was removed" in page
    assert write_connectivity_report(path, path / "again.html").read_text(encoding="utf-8") == page


def test_what_a_file_says_is_never_run_by_the_page(session_file, tmp_path):
    path = run_connectivity(asked(session_file, tmp_path / "run", stability=False))
    units = pd.read_parquet(path / "units.parquet")
    evil = "</script><img src=x onerror=alert(1)>"
    units.assign(area=evil).to_parquet(path / "units.parquet")
    edges = pd.read_parquet(path / "edges.parquet")
    edges.assign(source_area=evil).to_parquet(path / "edges.parquet")

    page = write_connectivity_report(path).read_text(encoding="utf-8")

    assert evil not in page
    assert "onerror=alert" not in page.replace("&lt;img src=x onerror=alert(1)&gt;", "").replace(
        "\\u003cimg src=x onerror=alert(1)\\u003e", ""
    )


def test_a_stopped_estimate_goes_on_and_ends_with_the_same_numbers(session_file, tmp_path):
    config = asked(session_file, tmp_path / "run", "ccg-jitter", period="spontaneous", stability=False)
    with pytest.raises(KeyboardInterrupt):
        run_connectivity(config, Listener(stop=1))
    assert not (tmp_path / "run" / "summary.json").exists()

    resumed = read_connectivity(run_connectivity(config))
    whole = read_connectivity(run_connectivity(config.model_copy(update={"out": tmp_path / "other"})))

    pd.testing.assert_frame_equal(resumed.edges, whole.edges)


def test_spontaneous_time_of_some_areas_is_estimated_without_a_stimulus_to_remove(session_file, tmp_path):
    everything = run_connectivity(asked(session_file, tmp_path / "all", period="spontaneous", stability=False))
    areas = read_connectivity(everything).units.area.value_counts()
    area = areas.index[0]

    path = run_connectivity(asked(session_file, tmp_path / "some", period="spontaneous", stability=False, areas=[area]))

    record = read_connectivity(path)
    assert record.summary["stimulus"] == "none"
    assert record.units.area.unique().tolist() == [area]


def test_chosen_units_only(session_file, tmp_path):
    ids = read_connectivity(run_connectivity(asked(session_file, tmp_path / "all", stability=False))).units.index[:3]

    path = run_connectivity(asked(session_file, tmp_path / "run", stability=False, unit_ids=ids.tolist()))

    assert read_connectivity(path).units.index.tolist() == ids.tolist()


def test_binned_trials_are_taken_as_they_are(session_file, tmp_path):
    from spikesight.config import BenchmarkConfig

    dataset = load_source(session_file, BenchmarkConfig(sources=(session_file,), n_bins=25)).dataset
    write_counts(dataset, tmp_path / "counts.nc")

    options = {"stability": False, "assignments": ["max_lag=0.03", "min_spikes=50"], "period": None}
    path = run_connectivity(asked(tmp_path / "counts.nc", tmp_path / "run", **options))

    assert read_connectivity(path).summary["period"] == "binned trials"
    assert read_connectivity(path).summary["bin_size"] == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"source": Path("nowhere.nwb")}, FileFormatError, "there is none at nowhere.nwb"),
        ({"method": "grainger"}, UnknownNameError, "Did you mean 'granger'"),
        ({"period": "natural_scene"}, StimulusNotFoundError, "Did you mean 'natural_scenes'"),
        ({"assignments": ["max_leg=1"]}, ConfigError, "no parameter 'max_leg'. Did you mean 'max_lag'"),
        ({"assignments": ["min_spikes=1000000"]}, NoUnitsError, "two units of 1000000 spikes"),
        ({"areas": ["XYZ"]}, NoUnitsError, "its areas are"),
        ({"unit_ids": [1]}, UnitIdsError, "1"),
        ({"bin_size": 0.01}, ConfigError, "no wider than the lags asked"),
        ({"bin_size": -0.01}, ConfigError, "bin_size"),
        ({"period": "0:1.2"}, SpikesightError, "two units"),
    ],
)
def test_what_cannot_be_estimated_is_refused_and_nothing_is_written(session_file, tmp_path, change, error, said):
    values = {"source": session_file, "out": tmp_path / "run", **change}
    with pytest.raises(error, match=said):
        run_connectivity(asked(values.pop("source"), values.pop("out"), **values))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_no_estimate_is_refused(tmp_path):
    with pytest.raises(RunDirectoryError, match=r"has no summary\.json and connectivity\.nc"):
        read_connectivity(tmp_path)


def test_the_rule_of_seven_deviations_decides_which_edges_are_found(session_file, tmp_path):
    path = run_connectivity(
        asked(session_file, tmp_path / "run", "ccg-jitter", stability=False, assignments=["rule=7sd", "min_spikes=50"])
    )
    record = read_connectivity(path)

    n_edges = int((record.edges["z"] > 7).sum())
    assert record.summary["n_edges"] == n_edges
    assert nx.read_graphml(path / "graph.graphml").number_of_edges() == n_edges
    assert record.areas["n_edges"].sum() == n_edges
    assert "by the rule of seven standard deviations" in (path / "report.html").read_text(encoding="utf-8")


def test_finished_parts_of_other_trials_are_not_taken(session_file, tmp_path):
    from spikesight.config import BenchmarkConfig

    dataset = load_source(session_file, BenchmarkConfig(sources=(session_file,), bin_size=0.001, window=(0, 0.1)))
    write_counts(dataset.dataset, tmp_path / "counts.nc")
    config = asked(tmp_path / "counts.nc", tmp_path / "run", "ccg-jitter", None, stability=False)
    first = read_connectivity(run_connectivity(config)).edges

    targets = dataset.dataset["target"].to_numpy()
    turned = dataset.dataset.assign_coords(target=("trial", np.random.default_rng(0).permutation(targets)))
    (tmp_path / "counts.nc").unlink()
    write_counts(turned, tmp_path / "counts.nc")
    again = read_connectivity(run_connectivity(config)).edges

    assert not again["z"].equals(first["z"])


def test_a_period_of_binned_trials_is_refused(tmp_path, session_file):
    from spikesight.config import BenchmarkConfig

    write_counts(
        load_source(session_file, BenchmarkConfig(sources=(session_file,), n_bins=5)).dataset, tmp_path / "counts.nc"
    )
    with pytest.raises(ConfigError, match="period can only be chosen for spike times"):
        run_connectivity(asked(tmp_path / "counts.nc", tmp_path / "run"))


def test_without_p_values_the_strongest_pairs_make_the_graph():
    edges = pd.DataFrame({"weight": np.linspace(-1, 0.9, 100), "q_value": np.nan})

    assert found_edges(edges)["weight"].tolist() == pytest.approx(np.linspace(-1, 0.9, 100)[:5].tolist())
