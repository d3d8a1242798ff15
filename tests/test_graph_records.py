"""The graphs that decoders used, in a run directory."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spikesight.errors import RunDirectoryError
from spikesight.tracking.graph_records import (
    ADJACENCY,
    EDGES,
    EDGES_PER_UNIT,
    GraphCell,
    fold_correlation,
    read_graphs,
    strongest_edges,
    write_graph,
    write_graphs,
)
from spikesight.tracking.run_directory import RunDirectory

AREAS = {11: "VISp", 12: "LGd", 13: "CA1"}


def graph(weights, units=(11, 12, 13)):
    return xr.DataArray(
        np.array(weights, np.float32),
        {"source_unit": list(units), "target_unit": list(units)},
        ["source_unit", "target_unit"],
    )


FIRST = graph([[0, 1, 0], [2, 0, 0], [4, 0, 0]])
SECOND = graph([[0, 3, 0], [2, 0, 0], [0, 0, 0]])


def test_edges_are_listed_by_target_strongest_first_and_say_in_how_many_folds_they_are():
    table = strongest_edges([FIRST, SECOND], AREAS)
    expected = pd.DataFrame(
        {
            "source_unit": [12, 13, 11],
            "target_unit": [11, 11, 12],
            "source_area": ["LGd", "CA1", "VISp"],
            "target_area": ["VISp", "VISp", "LGd"],
            "weight": [2.0, 2.0, 2.0],
            "n_folds": [2, 1, 2],
        }
    )
    pd.testing.assert_frame_equal(table, expected)


def test_at_most_so_many_edges_of_a_unit_are_listed():
    rng = np.random.default_rng(0)
    n_units = EDGES_PER_UNIT + 5
    weights = rng.random((n_units, n_units))
    table = strongest_edges([graph(weights, range(n_units))], {})
    assert (table.groupby("target_unit").size() == EDGES_PER_UNIT).all()
    for target, own in table.groupby("target_unit"):
        np.testing.assert_allclose(own["weight"], np.sort(weights[:, target])[::-1][:EDGES_PER_UNIT], rtol=1e-6)


def test_folds_are_compared_without_the_diagonal():
    similarity = fold_correlation(
        [graph([[9, 1], [2, 9]], (1, 2)), graph([[0, 1], [2, 0]], (1, 2)), graph([[0, 2], [1, 0]], (1, 2))]
    )
    np.testing.assert_allclose(similarity, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])


def test_a_constant_graph_correlates_with_nothing():
    similarity = fold_correlation([graph(np.ones((3, 3))), FIRST])
    assert np.isnan(similarity[0, 1])


def test_a_run_gets_one_file_and_one_table(tmp_path):
    cells = [GraphCell(f"part-{fold}", "s1", "st-gat", "default", fold) for fold in (0, 1)]
    with RunDirectory(tmp_path / "run", {}) as run:
        for cell, own in zip(cells, (FIRST, SECOND), strict=True):
            write_graph(own, run.path, cell.part)
        write_graphs(run, cells, {"s1": AREAS})
        edges = run.read_table(EDGES)
        with xr.open_datatree(run.path / ADJACENCY, engine="h5netcdf") as tree:
            stored = tree["s1/st-gat/default"].to_dataset().load()
    np.testing.assert_array_equal(stored["adjacency"], [[0, 2, 0], [2, 0, 0], [2, 0, 0]])
    read = read_graphs(run.path)
    assert list(read) == [("s1", "st-gat", "default")]
    xr.testing.assert_equal(read["s1", "st-gat", "default"], stored["adjacency"])
    assert stored["adjacency"].dims == ("source_unit", "target_unit")
    assert stored["source_unit"].to_numpy().tolist() == [11, 12, 13]
    expected = np.corrcoef([1, 0, 2, 0, 4, 0], [3, 0, 2, 0, 0, 0])[0, 1]
    assert float(stored["fold_correlation"][0, 1]) == pytest.approx(expected)
    assert edges["fold_correlation"].tolist() == pytest.approx([expected] * 3)
    assert edges["decoder"].unique().tolist() == ["st-gat"]


def test_a_graph_per_bin_is_kept_whole_and_listed_as_its_mean(tmp_path):
    per_bin = xr.concat([FIRST, SECOND], xr.DataArray([0.0, 0.1], dims="time", name="time"))
    with RunDirectory(tmp_path / "run", {}) as run:
        write_graph(per_bin, run.path, "part")
        write_graphs(run, [GraphCell("part", "s1", "st-gat", "default", 0)], {})
        edges = run.read_table(EDGES)
        with xr.open_datatree(run.path / ADJACENCY, engine="h5netcdf") as tree:
            assert tree["s1/st-gat/default"]["adjacency"].shape == (2, 3, 3)
    assert edges["weight"].tolist() == [2.0, 2.0, 2.0]
    assert edges["fold_correlation"].isna().all()


def test_factors_of_graphs_per_class_are_kept_fold_by_fold_and_not_listed(tmp_path):
    whole = xr.DataArray(np.ones((2, 3, 4)), {"class": ["a", "b"]}, ["class", "unit", "rank"])
    with RunDirectory(tmp_path / "run", {}) as run:
        write_graph(whole, run.path, "first")
        write_graph(2 * whole[:1], run.path, "second")  # a fold that lacks a class
        write_graphs(
            run, [GraphCell(part, "s1", "mine", "default", i) for i, part in enumerate(("first", "second"))], {}
        )
        with xr.open_datatree(run.path / ADJACENCY, engine="h5netcdf") as tree:
            found = tree["s1/mine/default"].load()
        assert found["adjacency"].mean(["unit", "rank"]).values.tolist()[0] == [1, 1]
        assert found["adjacency"].sel({"fold": 1, "class": "a"}).values.mean() == 2
        assert found["adjacency"].sel({"fold": 1, "class": "b"}).isnull().all()
        assert np.isnan(found["fold_correlation"][0, 1])
        assert not (run.path / EDGES).exists()


def test_without_graph_decoders_nothing_is_written(tmp_path):
    with RunDirectory(tmp_path / "run", {}) as run:
        write_graphs(run, [], {})
        assert not (run.path / ADJACENCY).exists()


def test_a_damaged_graph_is_named(tmp_path):
    with RunDirectory(tmp_path / "run", {}) as run:
        write_graph(FIRST, run.path, "part")
        (run.path / "graphs" / "part.nc").write_bytes(b"not a file")
        with pytest.raises(RunDirectoryError, match=r"part\.nc"):
            write_graphs(run, [GraphCell("part", "s1", "st-gat", "default", 0)], {})


def test_a_run_without_graphs_has_none_and_a_damaged_file_is_an_error(tmp_path):
    assert read_graphs(tmp_path) == {}
    (tmp_path / ADJACENCY).write_bytes(b"no netcdf")
    with pytest.raises(RunDirectoryError, match=r"adjacency\.nc"):
        read_graphs(tmp_path)
