"""What the figures of connectivity draw, not how they look."""

from collections.abc import Iterator
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.patches import Circle, FancyArrowPatch

from spikesight import figures
from spikesight.connectivity.areas import area_summary
from spikesight.connectivity.edges import CCF, edge_table
from spikesight.errors import ConfigError, UnitIdsError, UnknownNameError
from spikesight.figures import theme, unit_order
from spikesight.figures.strongest_edges import strongest_edges

DIMS = ("source_unit", "target_unit")
SEVENTEEN = ["", *(f"area{number}" for number in range(16))]


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def network(n_units=40, areas=("VISp", "LGd", "CA1"), *, tested=True, planted=60, directed=True, seed=0):
    """A fitted estimator with planted edges, three in four of them excitatory, among noise; and the couplings."""
    rng = np.random.default_rng(seed)
    ids = 1000 + 3 * np.arange(n_units)
    area = np.resize(np.array(areas), n_units)
    depth = rng.uniform(0, 3800, n_units)
    units = pd.DataFrame({"area": area, "probe_vertical_position": depth}, index=pd.Index(ids, name="unit_id"))
    units[list(CCF)] = rng.uniform(2000, 6000, (n_units, 3))
    pairs = rng.permutation(np.flatnonzero(np.triu(np.ones((n_units,) * 2), 1)))[:planted]
    truth = np.zeros((n_units, n_units))
    truth.flat[pairs] = rng.uniform(0.5, 1.0, len(pairs)) * np.where(np.arange(len(pairs)) % 4, 1, -1)
    if not directed:
        truth += truth.T
    weight = truth + (rng.uniform(-0.1, 0.1, truth.shape) if directed else 0)
    np.fill_diagonal(weight, 0)
    p_value = np.where(truth != 0, 1e-6, 0.9) if tested else np.full(truth.shape, np.nan)
    lag = np.where(truth != 0, rng.integers(1, 4, truth.shape), 5) / 1000

    def labelled(values, **attrs):
        return xr.DataArray(values, {"source_unit": ids, "target_unit": ids}, DIMS, attrs=attrs)

    return SimpleNamespace(
        directed=directed, connectivity_=labelled(weight, measure="spikes added per spike"), z_=labelled(weight),
        p_values_=labelled(p_value), lag_=labelled(lag), units_=units,
    ), labelled(truth)  # fmt: skip


def fitted(**options):
    estimator, _ = network(**options)
    return estimator, edge_table(estimator)


def arrows(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_order_units_sorts_by_area_then_from_the_surface_down_with_the_unknown_last() -> None:
    units = pd.DataFrame(
        {"area": ["V", "", "L", "V", "V"], "probe_vertical_position": [100.0, 5.0, 1.0, np.nan, 900.0]},
        index=[1, 2, 3, 4, 5],
    )
    order = unit_order.order_units(units)
    assert order.ids.tolist() == [3, 5, 1, 4, 2]
    assert order.rows.tolist() == [2, 4, 0, 3, 1]
    assert order.blocks == [("L", 0, 0), ("V", 1, 3), ("not given", 4, 4)]


def test_order_units_refuses_a_unit_without_a_row() -> None:
    with pytest.raises(UnitIdsError, match=r"missing: \[7\]"):
        unit_order.order_units(pd.DataFrame({"area": ["V"]}, index=[1]), [1, 7])


def test_areas_that_share_a_colour_differ_in_their_marker() -> None:
    looks = unit_order.area_looks(SEVENTEEN)
    assert len(set(looks.values())) == 17


def test_spread_labels_keeps_labels_apart_in_order_and_inside() -> None:
    at = theme.spread_labels(np.array([0.0, 0.1, 0.2, 9.9, 10.0]), 1.0, 0.0, 10.0)
    assert (np.diff(at) >= 1 - 1e-9).all()
    assert at[0] >= 0
    assert at[-1] == 10


def test_spread_labels_leaves_labels_with_room_where_they_belong() -> None:
    np.testing.assert_array_equal(theme.spread_labels(np.array([1.0, 3.0, 8.0]), 1.0, 0.0, 10.0), [1, 3, 8])


def test_strongest_edges_chooses_by_weight_among_the_significant_and_says_so() -> None:
    edges = pd.DataFrame(
        {"source_unit": [1, 2, 1, 3], "target_unit": [2, 1, 3, 1], "weight": [1.0, -3.0, 2.0, 9.0],
         "q_value": [0.01, 0.02, 0.03, 0.5]}
    )  # fmt: skip
    chosen = strongest_edges(edges, 2, 0.05)
    assert chosen.edges["weight"].tolist() == [2.0, -3.0]
    assert chosen.said == "the 2 strongest of 3 edges at q ≤ 0.05 (4 pairs)"
    assert strongest_edges(edges, 9, 0.05).said == "all 3 edges at q ≤ 0.05 (4 pairs)"
    assert strongest_edges(edges, 9, 0.001).said == "no edge at q ≤ 0.001 among 4 pairs"


def test_strongest_edges_without_a_test_says_that_they_may_be_none() -> None:
    _, edges = fitted(tested=False)
    chosen = strongest_edges(edges, 5, 0.05)
    assert chosen.said == "the 5 strongest of 1,560 pairs (no test: not necessarily edges)"
    assert chosen.edges["weight"].abs().min() == edges["weight"].abs().nlargest(5).min()


@pytest.mark.parametrize(("n_strongest", "q"), [(0, 0.05), (10, 0.0), (10, np.nan)])
def test_strongest_edges_refuses_a_number_or_a_rate_that_is_none(n_strongest: int, q: float) -> None:
    with pytest.raises(ConfigError, match="expected"):
        strongest_edges(fitted()[1], n_strongest, q)


def test_plot_connectivity_matrix_sorts_rows_and_columns_and_hides_the_diagonal() -> None:
    values = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 4.0], [5.0, 6.0, 0.0]])
    matrix = xr.DataArray(values, {"source_unit": [7, 8, 9], "target_unit": [7, 8, 9]}, DIMS)
    units = pd.DataFrame({"area": ["V", "L", "V"], "probe_vertical_position": [10.0, 10.0, 20.0]}, index=[7, 8, 9])
    for given in (matrix, matrix.transpose()):
        drawn = figures.plot_connectivity_matrix(given, units).images[0].get_array()
        np.testing.assert_array_equal(drawn.filled(-1), [[-1, 4, 3], [6, -1, 5], [1, 2, -1]])


def test_plot_connectivity_matrix_names_axes_areas_and_what_the_colours_mean() -> None:
    estimator, _ = fitted()
    ax = figures.plot_connectivity_matrix(estimator.connectivity_, estimator.units_)
    assert ax.get_xlabel() == "target unit (n = 40, by area and depth)"
    assert ax.get_ylabel() == "source unit (n = 40, by area and depth)"
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["CA1", "LGd", "VISp"]
    bar = ax.images[0].colorbar.ax.get_ylabel()
    assert bar == "spikes added per spike\n(scale ends at the 99th percentile of |values|)"


def test_plot_connectivity_matrix_has_limits_about_zero_that_one_strong_pair_does_not_move() -> None:
    estimator, _ = fitted()
    before = figures.plot_connectivity_matrix(estimator.connectivity_, estimator.units_).images[0].get_clim()
    estimator.connectivity_[0, 1] = 1000.0
    after = figures.plot_connectivity_matrix(estimator.connectivity_, estimator.units_).images[0].get_clim()
    off_diagonal = np.abs(estimator.connectivity_.to_numpy()[~np.eye(40, dtype=bool)])
    assert after == pytest.approx((-np.quantile(off_diagonal, 0.99), np.quantile(off_diagonal, 0.99)))
    assert after[1] < 1.1 * before[1] < 2


def test_plot_connectivity_matrix_does_not_cut_a_sparse_estimate_and_stands_all_zeros() -> None:
    estimator, _ = fitted()
    sparse = estimator.connectivity_ * 0
    assert figures.plot_connectivity_matrix(sparse, estimator.units_).images[0].get_clim() == (-1, 1)
    sparse[0, 1] = -5.0
    ax = figures.plot_connectivity_matrix(sparse, estimator.units_)
    assert ax.images[0].get_clim() == (-5, 5)
    assert "holds all values" in ax.images[0].colorbar.ax.get_ylabel()


def test_plot_connectivity_matrix_keeps_the_names_of_many_areas_apart() -> None:
    estimator, _ = fitted(n_units=300, areas=["A", "B", *["C"] * 96, "D", "E"])
    ax = figures.plot_connectivity_matrix(estimator.connectivity_, estimator.units_)
    ax.figure.draw_without_rendering()
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert len(boxes) == 5
        assert not any(one.overlaps(other) for number, one in enumerate(boxes) for other in boxes[number + 1 :])


def test_plot_area_graph_draws_an_arrow_for_each_pair_of_areas_with_edges_wider_for_more() -> None:
    summary = pd.DataFrame(
        [("L", "L", 5, 0.0, np.nan), ("L", "V", 5, 0.2, 1.0), ("V", "L", 20, 0.1, 0.0), ("V", "V", 20, 0.4, 0.5)],
        columns=["source_area", "target_area", "n_sources", "density", "share_excitatory"],
    ).assign(mean_weight=0.0)
    ax = figures.plot_area_graph(summary)
    thin, thick = sorted(arrows(ax), key=lambda arrow: arrow.get_linewidth())
    assert thick.get_linewidth() == pytest.approx(2 * thin.get_linewidth())
    assert mpl.colors.to_hex(thick.get_edgecolor()) == theme.EXCITATORY
    assert mpl.colors.to_hex(thin.get_edgecolor()) == theme.INHIBITORY
    rings = [patch for patch in ax.patches if isinstance(patch, Circle) and not patch.get_fill()]
    assert [ring.get_visible() for ring in rings] == [False, True]
    assert rings[1].get_linewidth() == pytest.approx(2 * thick.get_linewidth())
    assert texts(ax) == ["L\nn = 5", "V\nn = 20"]
    assert legend_texts(ax) == ["40 %", "20 %", "4 %"]
    assert "edges per pair of units" in ax.get_legend().get_title().get_text()


def test_plot_area_graph_makes_the_area_of_a_node_grow_with_its_units() -> None:
    estimator, edges = fitted(n_units=40, areas=("A", "B", "B", "B", "B"))
    ax = figures.plot_area_graph(area_summary(edges, estimator.units_))
    small, large = (patch.radius for patch in ax.patches if isinstance(patch, Circle) and patch.get_fill())
    assert large / small == pytest.approx(2.0)


def test_plot_area_graph_without_a_test_shows_mean_weights_and_says_so() -> None:
    estimator, edges = fitted(tested=False)
    ax = figures.plot_area_graph(area_summary(edges, estimator.units_))
    assert len(arrows(ax)) == 6
    assert ax.get_legend().get_title().get_text().startswith("|mean weight|")


def test_plot_area_graph_draws_lines_without_heads_for_a_measure_without_direction() -> None:
    estimator, edges = fitted(directed=False)
    ax = figures.plot_area_graph(area_summary(edges, estimator.units_))
    assert len(arrows(ax)) == 3
    assert all(type(arrow.get_arrowstyle()).__name__ == "Curve" for arrow in arrows(ax))


def test_plot_area_graph_says_when_no_edge_survives() -> None:
    estimator, edges = fitted(planted=0)
    ax = figures.plot_area_graph(area_summary(edges, estimator.units_))
    assert arrows(ax) == []
    assert ax.get_title() == "no pair of areas has a significant edge"


def test_plot_unit_graph_draws_the_strongest_edges_in_the_colours_of_their_signs() -> None:
    estimator, edges = fitted()
    ax = figures.plot_unit_graph(edges, estimator.units_, n_strongest=25)
    assert ax.get_title() == "the 25 strongest of 60 edges at q ≤ 0.05 (1,560 pairs)"
    significant = edges.loc[edges.q_value <= 0.05, "weight"]
    weight = significant[significant.abs().nlargest(25).index]
    colours = [mpl.colors.to_hex(arrow.get_edgecolor()) for arrow in arrows(ax)]
    assert colours.count(theme.EXCITATORY) == (weight > 0).sum()
    assert colours.count(theme.INHIBITORY) == (weight < 0).sum() > 0
    assert sorted(texts(ax)) == ["CA1 (13)", "LGd (13)", "VISp (14)"]
    assert legend_texts(ax) == ["excitatory (weight > 0)", "inhibitory (weight < 0)"]


def test_plot_unit_graph_draws_an_edge_from_its_source_to_its_target() -> None:
    units = pd.DataFrame({"area": ["V", "V", "L"]}, index=[1, 2, 3])
    edges = pd.DataFrame({"source_unit": [3, 1], "target_unit": [1, 3], "weight": [1.0, 0.1], "q_value": [0.01, 0.9]})
    ax = figures.plot_unit_graph(edges, units)
    [arrow] = arrows(ax)
    # clockwise from the top: unit 3 (L), then 1 and 2 (V)
    points = [np.asarray(points.get_offsets()) for points in ax.collections]
    start, _, stop = arrow._path_original.vertices
    np.testing.assert_allclose(start, 0.965 * points[0][0])
    np.testing.assert_allclose(stop, 0.965 * points[1][0])


def test_plot_unit_graph_ends_inhibitory_edges_in_a_bar_and_undirected_ones_in_nothing() -> None:
    estimator, edges = fitted()
    styles = {
        mpl.colors.to_hex(arrow.get_edgecolor()): type(arrow.get_arrowstyle()).__name__
        for arrow in arrows(figures.plot_unit_graph(edges, estimator.units_))
    }
    assert styles == {theme.EXCITATORY: "CurveFilledB", theme.INHIBITORY: "BarAB"}
    estimator, edges = fitted(directed=False)
    drawn = arrows(figures.plot_unit_graph(edges, estimator.units_))
    assert len(drawn) == 60
    assert {type(arrow.get_arrowstyle()).__name__ for arrow in drawn} == {"Curve"}


def test_plot_unit_graph_by_force_is_always_the_same_and_counts_units_without_an_edge() -> None:
    estimator, edges = fitted(planted=5)
    first, again = (figures.plot_unit_graph(edges, estimator.units_, "force") for _ in range(2))
    places = [np.concatenate([points.get_offsets() for points in ax.collections]) for ax in (first, again)]
    np.testing.assert_array_equal(*places)
    n_drawn = len(set(edges.source_unit[:5]) | set(edges.target_unit[:5]))
    assert len(places[0]) == n_drawn
    assert f"{40 - n_drawn} of 40 units have no such edge and are not drawn" in first.get_title()
    assert len(arrows(first)) == 5


def test_plot_unit_graph_by_force_writes_a_sentence_when_no_edge_survives() -> None:
    estimator, edges = fitted(planted=0)
    ax = figures.plot_unit_graph(edges, estimator.units_, "force")
    assert texts(ax) == ["no edge at q ≤ 0.05 among 1,560 pairs\n40 of 40 units have no such edge and are not drawn"]


def test_plot_unit_graph_refuses_a_layout_that_it_does_not_know() -> None:
    estimator, edges = fitted()
    with pytest.raises(UnknownNameError, match="Did you mean 'circular'"):
        figures.plot_unit_graph(edges, estimator.units_, "circle")


def test_plot_unit_graph_refuses_edges_of_other_units() -> None:
    estimator, edges = fitted()
    with pytest.raises(UnitIdsError, match="not among them"):
        figures.plot_unit_graph(edges, estimator.units_.iloc[:10])


def lag_table(lags, q_values, areas):
    return pd.DataFrame(
        {"lag": lags, "q_value": q_values, "source_area": [a for a, _ in areas], "target_area": [b for _, b in areas]}
    )


def test_plot_lag_histogram_counts_survivors_by_lag_within_and_between_areas() -> None:
    edges = lag_table(
        [0.001, 0.002, 0.002, 0.004, 0.001, 0.002], [0.01, 0.01, 0.01, 0.04, 0.9, 0.01],
        [("V", "V"), ("V", "V"), ("V", "L"), ("L", "V"), ("V", "V"), ("", "V")],
    )  # fmt: skip
    ax = figures.plot_lag_histogram(edges)
    within, between, unknown = ax.containers
    assert [bar.get_height() for bar in within] == [1, 1, 0, 0]
    assert [bar.get_height() for bar in between] == [0, 1, 0, 1]
    assert [bar.get_y() for bar in between] == [1, 1, 0, 0]
    assert [bar.get_height() for bar in unknown] == [0, 1, 0, 0]
    np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in within], [1, 2, 3, 4])
    assert legend_texts(ax) == ["within an area (2)", "between areas (2)", "area not given (1)"]
    assert "(ms)" in ax.get_xlabel()
    assert ax.get_title() == "5 of 6 pairs at q ≤ 0.05"


def test_plot_lag_histogram_counts_lags_that_are_no_whole_bins() -> None:
    rng = np.random.default_rng(0)
    edges = lag_table(rng.uniform(0.001, 0.02, 500), np.zeros(500), [("V", "V")] * 500)
    [bars] = figures.plot_lag_histogram(edges).containers
    assert sum(bar.get_height() for bar in bars) == 500
    assert len(bars) == 30


@pytest.mark.parametrize(
    ("lag", "q_value", "sentence"),
    [
        (0.001, 0.5, "No edge survives the false discovery rate of 0.05\namong 2 pairs of units."),
        (0.001, np.nan, "This estimator has no p-values, so no edge can be said to survive a test."),
        (np.nan, 0.01, "2 edges survive the false discovery rate of 0.05,\nbut this estimator gives them no lag."),
    ],
)
def test_plot_lag_histogram_says_why_it_is_empty(lag: float, q_value: float, sentence: str) -> None:
    ax = figures.plot_lag_histogram(lag_table([lag] * 2, [q_value] * 2, [("V", "V")] * 2))
    assert texts(ax) == [sentence]
    assert ax.containers == []


def test_plot_edges_in_ccf_puts_units_in_mm_with_dorsal_up_and_anterior_away() -> None:
    estimator, edges = fitted()
    ax = figures.plot_edges_in_ccf(edges, estimator.units_)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()) == ("ML (mm)", "AP (mm)", "DV (mm)")
    drawn = np.concatenate([np.column_stack(points._offsets3d) for points in ax.collections])
    expected = estimator.units_[[CCF[2], CCF[0], CCF[1]]].to_numpy() / 1000
    assert {tuple(place) for place in drawn.round(6)} == {tuple(place) for place in expected.round(6)}
    assert ax.get_zlim()[0] > ax.get_zlim()[1]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    lengths = np.abs([np.diff(ax.get_xlim()), np.diff(ax.get_ylim()), np.diff(ax.get_zlim())]).ravel()
    np.testing.assert_allclose(lengths / lengths[0], ax._box_aspect / ax._box_aspect[0])


def test_plot_edges_in_ccf_draws_the_strongest_edges_between_units_with_a_place() -> None:
    estimator, edges = fitted()
    units = estimator.units_
    units.iloc[:5, units.columns.get_loc(CCF[0])] = np.nan
    units.iloc[5:8, units.columns.get_loc(CCF[1])] = -1.0
    ax = figures.plot_edges_in_ccf(edges, units, n_strongest=20)
    placed = units.index[8:]
    inside = edges[edges.source_unit.isin(placed) & edges.target_unit.isin(placed)]
    n_edges = int((inside.q_value <= 0.05).sum())
    assert ax.get_title() == (
        f"the 20 strongest of {n_edges} edges at q ≤ 0.05 (992 pairs)\n8 of 40 units without a known place are left out"
    )
    assert len(ax.lines) == 20
    ends = np.column_stack(ax.lines[-1].get_data_3d())
    best = inside.loc[inside[inside.q_value <= 0.05].weight.abs().idxmax()]
    expected = units.loc[[best.source_unit, best.target_unit], [CCF[2], CCF[0], CCF[1]]].to_numpy() / 1000
    np.testing.assert_allclose(ends, expected)


@pytest.mark.parametrize("columns", [list(CCF), []])
def test_plot_edges_in_ccf_writes_a_sentence_when_no_unit_has_a_place(columns: list[str]) -> None:
    estimator, edges = fitted()
    units = estimator.units_.drop(columns=columns)
    if not columns:
        units[list(CCF)] = np.nan
    ax = figures.plot_edges_in_ccf(edges, units)
    assert texts(ax) == ["No unit has a known place in the CCF\n(40 units)."]


def test_plot_edges_in_ccf_refuses_flat_axes_and_draws_into_deep_ones() -> None:
    estimator, edges = fitted()
    with pytest.raises(ConfigError, match="3-D"):
        figures.plot_edges_in_ccf(edges, estimator.units_, ax=plt.figure().add_subplot())
    ax = plt.figure().add_subplot(projection="3d")
    assert figures.plot_edges_in_ccf(edges, estimator.units_, ax=ax) is ax


def test_plot_ground_truth_draws_both_matrices_in_one_order_with_hidden_units_left_out() -> None:
    estimator, truth = network()
    seen = estimator.connectivity_.isel(source_unit=slice(10, 40), target_unit=slice(10, 40))
    left, right = figures.plot_ground_truth(seen, truth, estimator.units_, scores={"AUROC": 0.98765, "AP": 0.9})
    order = unit_order.order_units(estimator.units_, seen.source_unit.to_numpy())
    for ax, values in ((left, truth), (right, seen)):
        expected = values.sel(source_unit=order.ids, target_unit=order.ids).to_numpy().copy()
        np.fill_diagonal(expected, np.nan)
        np.testing.assert_allclose(ax.images[0].get_array().filled(np.nan), expected)
        low, high = ax.images[0].get_clim()
        assert low == -high
    n_edges = np.count_nonzero(truth[10:, 10:])
    assert left.get_title() == f"truth: {n_edges} of 870 pairs coupled, 10 units hidden"
    assert right.get_title() == "estimate: AUROC 0.988, AP 0.900"


def test_plot_ground_truth_without_units_keeps_their_order_and_names_no_areas() -> None:
    estimator, truth = network(n_units=5, planted=3)
    left, right = figures.plot_ground_truth(estimator.connectivity_, truth)
    np.testing.assert_allclose(
        right.images[0].get_array().filled(0), estimator.connectivity_.to_numpy(), err_msg="in another order"
    )
    assert left.get_xlabel() == right.get_xlabel() == "target unit (n = 5)"
    assert left.get_xticklabels() == right.get_yticklabels() == []
    assert right.get_title() == "estimate"


def test_plot_ground_truth_draws_into_two_axes_and_refuses_a_truth_without_a_unit() -> None:
    estimator, truth = network(n_units=5, planted=3)
    pair = plt.subplots(1, 2)[1]
    assert figures.plot_ground_truth(estimator.connectivity_, truth, axes=list(pair)) == tuple(pair)
    with pytest.raises(ConfigError, match="two axes"):
        figures.plot_ground_truth(estimator.connectivity_, truth, axes=[pair[0]])
    with pytest.raises(UnitIdsError, match=r"missing: \[1012\]"):
        figures.plot_ground_truth(estimator.connectivity_, truth[:4, :4])


def cut_off(ax):
    """Texts of axes that reach beyond their figure."""
    legend = ax.get_legend()
    shown = [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts, *(legend.get_texts() if legend else [])]
    if not ax.axison:
        shown = [text for text in shown if text not in (ax.xaxis.label, ax.yaxis.label)]
    figure = ax.figure.bbox
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown if text.get_text()]
    return [
        text
        for text, box in boxes
        if min(box.x0, box.y0) < -1 or box.x1 > figure.width + 1 or box.y1 > figure.height + 1
    ]


def every_figure(estimator, edges, truth):
    units = estimator.units_
    return [
        figures.plot_connectivity_matrix(estimator.connectivity_, units),
        figures.plot_area_graph(area_summary(edges, units)),
        figures.plot_unit_graph(edges, units),
        figures.plot_unit_graph(edges, units, "force"),
        figures.plot_lag_histogram(edges),
        figures.plot_edges_in_ccf(edges, units),
        figures.plot_ground_truth(estimator.connectivity_, truth, units)[0],
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"n_units": 2, "areas": ["VISp", "LGd"], "planted": 1},
        {"n_units": 300, "areas": SEVENTEEN, "planted": 300},
        {"areas": [""]},
        {"planted": 0},
    ],
    ids=["two units", "300 units", "no area", "no edge"],
)
def test_every_figure_can_be_drawn_with(options) -> None:
    estimator, truth = network(**options)
    for ax in every_figure(estimator, edge_table(estimator), truth):
        ax.figure.draw_without_rendering()
        assert cut_off(ax) == []


def test_names_of_areas_are_shown_as_they_are() -> None:
    names = ["<b>V</b>", "a$b$_^&", "_hidden"]
    estimator, truth = network(areas=names, planted=10)
    axes = every_figure(estimator, edge_table(estimator), truth)
    shown = [label.get_text() for label in axes[0].get_yticklabels()]
    assert shown == ["<b>V</b>", "_hidden", r"a\$b\$_^&"]
    assert texts(axes[1]) == ["<b>V</b>\nn = 14", "_hidden\nn = 13", "a\\$b\\$_^&\nn = 13"]
    for ax in (axes[3], axes[5]):
        ax.figure.draw_without_rendering()  # mathematics that is none would fail here
        assert [text.split(" (")[0] for text in legend_texts(ax)[:3]] == shown


@pytest.mark.parametrize("name", ["plot_area_graph", "plot_unit_graph", "plot_lag_histogram"])
def test_a_figure_draws_into_the_axes_it_is_given(name: str) -> None:
    estimator, edges = fitted()
    ax = plt.figure().add_subplot()
    given = {
        "plot_area_graph": (area_summary(edges, estimator.units_),),
        "plot_unit_graph": (edges, estimator.units_),
        "plot_lag_histogram": (edges,),
    }[name]
    assert getattr(figures, name)(*given, ax=ax) is ax
