import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.base import clone

from spikesight.errors import ConfigError, UnknownNameError
from spikesight.networks.adjacency import LowRankEdges
from spikesight.networks.graphs import CorrelationGraph, GivenGraph, Graph, IdentityGraph, LearnedGraph, as_graph
from spikesight.networks.learned_graphs import DEFAULT_RANK, SCOPES


def trials(n_trials=50, n_bins=2, n_units=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n_trials, n_bins, n_units)).astype(np.float32)


def adjacency(graph, rows=None, n_classes=3, seed=0):
    rows = trials() if rows is None else rows
    return graph.build(rows, n_classes, seed).mean_adjacency(torch.from_numpy(rows[:4]))


def test_the_identity_graph_has_no_edges():
    np.testing.assert_array_equal(adjacency(IdentityGraph()), np.zeros((6, 6)))


def test_a_given_graph_is_scaled_by_one_number_and_loses_its_diagonal():
    matrix = [[5.0, 1.0, 2.0], [0.0, 5.0, 2.0], [0.0, 0.0, 5.0]]
    found = adjacency(GivenGraph(matrix), trials(n_units=3))
    np.testing.assert_allclose(found, np.array([[0, 1, 2], [0, 0, 2], [0, 0, 0]]) / 2.5)


def test_a_given_graph_may_be_one_per_bin():
    matrices = np.array([[[0, 1], [0, 0]], [[0, 0], [3, 0]]])
    found = adjacency(GivenGraph(matrices), trials(n_units=2))
    np.testing.assert_allclose(found, matrices / 2)


def test_the_correlation_graph_keeps_the_strongest_pairs():
    rows = trials(400, n_units=4)
    rows[..., 1] = rows[..., 0] + 0.1 * rows[..., 1]
    rows[..., 3] = -rows[..., 2] + 0.1 * rows[..., 3]
    found = adjacency(CorrelationGraph(quantile=0.7), rows)
    np.testing.assert_array_equal(found > 0, np.kron(np.eye(2), [[0, 1], [1, 0]]) > 0)
    np.testing.assert_allclose(found.sum(axis=0), np.ones(4), atol=0.01)


def test_the_partial_correlation_graph_leaves_out_what_runs_through_others():
    rows = trials(2000, 1, 3)
    rows[..., 1] += rows[..., 0]
    rows[..., 2] += rows[..., 1]
    weak = adjacency(CorrelationGraph("pearson", quantile=0), rows)[0, 2]
    assert adjacency(CorrelationGraph("partial", quantile=0), rows)[0, 2] < weak / 5


def test_a_graph_of_silent_units_is_empty():
    found = adjacency(CorrelationGraph(), np.zeros((10, 2, 6), np.float32))
    np.testing.assert_array_equal(found, np.zeros((6, 6)))


@pytest.mark.parametrize("n_units", [5, 40, 300])
@pytest.mark.parametrize("rank", [None, 4])
@pytest.mark.parametrize("init", ["constant", "correlation"])
@pytest.mark.parametrize("scope", ["single", "per-trial"])
def test_edges_into_a_unit_sum_to_about_one_whatever_the_number_of_units(n_units, rank, init, scope):
    rows = trials(60, 1, n_units) + trials(60, 1, 1, seed=1)  # all units share something
    strength = adjacency(LearnedGraph(scope, rank, init), rows).sum(dim=0)
    assert 0.6 < strength.mean() < 1.6
    assert strength.min() > 0.1


@pytest.mark.parametrize("rank", [None, 3])
@pytest.mark.parametrize("scope", list(SCOPES))
def test_source_and_target_of_a_learned_graph_differ_from_the_start(scope, rank):
    found = adjacency(LearnedGraph(scope, rank))
    assert (found - found.transpose(-1, -2)).abs().max() > 1e-3


@pytest.mark.parametrize("rank", [None, 3])
def test_a_graph_that_starts_from_correlations_links_what_correlates(rank):
    rows = trials(400, 1, 8)
    rows[..., :4] += 2 * trials(400, 1, 1, seed=1)
    found = adjacency(LearnedGraph(rank=rank, init="correlation"), rows)
    among = found[:4, :4].sum() / 12
    between = found[:4, 4:].mean()
    assert among > 5 * between


def test_pairs_below_the_quantile_start_without_an_edge():
    found = adjacency(LearnedGraph(init="correlation", quantile=0.5, threshold=0.0))
    assert (found > 0).sum() == 16  # half of 30, and ties come in pairs


def test_a_graph_that_starts_from_no_correlation_at_all_starts_from_a_constant():
    silent = np.zeros((10, 2, 6), np.float32)
    found = adjacency(LearnedGraph(init="correlation"), silent)
    torch.testing.assert_close(found, adjacency(LearnedGraph(), silent))


def test_every_trial_has_a_directed_graph_of_its_own():
    rows = trials(5)
    for rank in (None, 3):
        weights = LearnedGraph("per-trial", rank).build(rows, 2, 0)(torch.from_numpy(rows)).dense()
        assert weights.shape == (5, 6, 6)
        assert (weights[0] - weights[1]).abs().max() > 1e-3
        assert (weights[0] - weights[0].T).abs().max() > 1e-3


def test_low_rank_graphs_stay_factors():
    for scope in SCOPES:
        edges = LearnedGraph(scope, rank=2).build(trials(), 3, 0)(torch.from_numpy(trials(4)))
        assert isinstance(edges, LowRankEdges)
        assert edges.rank == 2


def test_graphs_per_class_are_of_low_rank_by_default():
    for scope in ("per-class", "per-class-per-bin"):
        edges = LearnedGraph(scope).build(trials(), 3, 0)(torch.from_numpy(trials(4)))
        assert isinstance(edges, LowRankEdges)
        assert edges.rank == DEFAULT_RANK


def test_every_class_has_parameters_of_its_own():
    module = LearnedGraph("per-class", rank=2).build(trials(), 3, 0)
    weights = module(torch.from_numpy(trials(4))).dense()
    [gradient] = torch.autograd.grad(weights[1].sum(), module.of_class)
    assert [bool(gradient[:, code].any()) for code in range(3)] == [False, True, False]


@pytest.mark.parametrize("rank", [None, 2])
def test_edges_at_or_below_the_threshold_are_gone_and_can_come_back(rank):
    """In the published code the threshold was never applied."""
    module = LearnedGraph(rank=rank, threshold=0.4).build(trials(), 2, 0)
    parameter = module.shared if rank else module.weights
    with torch.no_grad():
        parameter.fill_(1.0)
        parameter[0, 2] = 0.4  # all edges out of unit 2
    x, h = torch.from_numpy(trials(4)), torch.ones(1, 3, 6, 1)
    edges = module(x)
    assert edges.dense()[0, 2].tolist() == [0] * 6
    assert (edges.dense()[0, 0, 1:] > 0).all()
    louder = h.clone()
    louder[:, :, 2] = 1000.0
    others = [0, 1, 3, 4, 5]
    assert torch.equal(edges.aggregate(louder)[:, :, others], edges.aggregate(h)[:, :, others])
    (-edges.aggregate(h)[:, :, others].sum()).backward()
    assert (parameter.grad[0, 2][others if rank is None else slice(None)] < 0).all()
    with torch.no_grad():
        parameter -= 0.5 * parameter.grad / parameter.grad.abs().max()
    assert (module(x).dense()[0, 2][others] > 0).all()


@pytest.mark.parametrize("scope", list(SCOPES))
@pytest.mark.parametrize("rank", [None, 2])
def test_gradients_of_learned_graphs_are_exact(scope, rank):
    rows = trials(3, 2, 4)
    module = LearnedGraph(scope, rank, threshold=0.0).build(rows, 2, 0).double()
    h = torch.randn(1, 1, 4, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    names, values = zip(*module.named_parameters(), strict=True)

    def heard(*parts):
        edges = torch.func.functional_call(
            module, dict(zip(names, parts, strict=True)), torch.from_numpy(rows).double()
        )
        return edges.aggregate(h.expand(edges.n_graphs, -1, -1, -1))

    assert torch.autograd.gradcheck(heard, [value.detach().clone().requires_grad_() for value in values])


def test_the_same_seed_gives_the_same_start_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    for graph in (LearnedGraph(), LearnedGraph("per-trial", rank=2, init="correlation", refine_rounds=1)):
        one, same, other = (graph.build(trials(), 2, seed).state_dict() for seed in (0, 0, 1))
        assert all(torch.equal(one[name], same[name]) for name in one)
        assert any(not torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.get_rng_state(), before)


def test_graphs_are_cloned_and_set_like_any_estimator():
    graph = clone(LearnedGraph("per-bin", rank=3)).set_params(threshold=0.2)
    assert graph.get_params() == {
        "scope": "per-bin",
        "rank": 3,
        "init": "constant",
        "threshold": 0.2,
        "refine_rounds": 0,
        "quantile": 0.0,
    }
    matrix = np.ones((2, 2))
    np.testing.assert_array_equal(clone(GivenGraph(matrix)).matrix, matrix)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("identity", IdentityGraph()),
        ("correlation", CorrelationGraph()),
        ("partial-correlation", CorrelationGraph("partial")),
        ("learned", LearnedGraph()),
        ("learned-per-class", LearnedGraph("per-class")),
        ("learned-per-trial", LearnedGraph("per-trial")),
        ("learned-per-bin", LearnedGraph("per-bin")),
        ("learned-per-class-per-bin", LearnedGraph("per-class-per-bin")),
    ],
)
def test_a_graph_may_be_named(value, expected):
    assert repr(as_graph(value)) == repr(expected)


def test_a_labelled_matrix_is_read_by_the_names_of_its_dimensions():
    matrix = xr.DataArray([[0.0, 1.0], [0.0, 0.0]], dims=["source_unit", "target_unit"])
    for turned in (matrix, matrix.T):
        np.testing.assert_array_equal(adjacency(as_graph(turned), trials(n_units=2)), matrix)
    with pytest.raises(ConfigError, match="source_unit, target_unit, got a, b"):
        as_graph(xr.DataArray([[0.0]], dims=["a", "b"]))


def test_a_matrix_or_a_graph_is_a_graph():
    graph = LearnedGraph()
    assert as_graph(graph) is graph
    for matrix in (np.eye(2), [[0, 1], [1, 0]], torch.eye(2)):
        assert isinstance(as_graph(matrix), GivenGraph)


def test_an_unknown_name_is_met_with_the_nearest_one():
    with pytest.raises(UnknownNameError, match=r"unknown graph 'corelation'\. Did you mean 'correlation'\?"):
        as_graph("corelation")


def test_what_is_no_graph_is_refused():
    with pytest.raises(ConfigError, match=r"expected a graph: one of identity.*got 3"):
        as_graph(3)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (GivenGraph(np.ones((6, 5))), r"expected a graph of 6 x 6 units.*shape \(6, 5\)"),
        (GivenGraph(np.ones((5, 5))), r"expected a graph of 6 x 6 units.*shape \(5, 5\)"),
        (GivenGraph(np.ones(6)), r"expected a graph of 6 x 6 units.*shape \(6,\)"),
        (GivenGraph(np.ones((3, 6, 6))), "expected one graph for each of 2 bins, got 3"),
        (GivenGraph(np.full((6, 6), np.nan)), "expected finite weights"),
        (GivenGraph(np.full((6, 6), -0.5)), r"expected weights of 0 or more in a given graph, got -0\.5"),
        (CorrelationGraph("pearsons"), "unknown kind of correlation 'pearsons'. Did you mean 'pearson'?"),
        (CorrelationGraph(quantile=1.0), r"expected a quantile from 0 to below 1, got 1\.0"),
        (CorrelationGraph(quantile=-0.1), r"expected a quantile from 0 to below 1, got -0\.1"),
        (LearnedGraph("per-trail"), "unknown scope 'per-trail'. Did you mean 'per-trial'?"),
        (LearnedGraph(init="corelation"), "unknown start of a graph 'corelation'. Did you mean 'correlation'?"),
        (LearnedGraph(rank=0), "expected a rank of 1 or more, or None for a full matrix, got 0"),
        (LearnedGraph(rank=2.5), r"expected a rank of 1 or more, or None for a full matrix, got 2\.5"),
        (LearnedGraph(threshold=-0.1), "expected a threshold from 0 to below 1"),
        (LearnedGraph(threshold=1.0), "expected a threshold from 0 to below 1"),
        (LearnedGraph(threshold=float("nan")), "expected a threshold from 0 to below 1"),
        (LearnedGraph(refine_rounds=-1), "expected refine_rounds of 0 or more, got -1"),
        (LearnedGraph(quantile=1.5), r"expected a quantile from 0 to below 1, got 1\.5"),
    ],
)
def test_options_that_cannot_be_honoured_are_refused(graph, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        graph.build(trials(), 3, 0)


@pytest.mark.parametrize("shape", [(5, 6), (5, 0, 6), (5, 2, 0)])
def test_trials_of_another_shape_are_refused(shape):
    with pytest.raises(ConfigError, match=r"expected training trials \(trials, bins, units\)"):
        IdentityGraph().build(np.zeros(shape), 2, 0)


def test_a_graph_of_one_unit_has_no_edges():
    for graph in (CorrelationGraph(), LearnedGraph(), LearnedGraph(rank=2, init="correlation"), IdentityGraph()):
        assert adjacency(graph, trials(n_units=1)).tolist() == [[0]]


def test_a_source_of_graphs_is_made_by_naming_its_build():
    class Ring(Graph):
        def build(self, rows, n_classes, seed, n_channels=1):
            return GivenGraph(np.roll(np.eye(rows.shape[2]), 1, axis=1)).build(rows, n_classes, seed)

    np.testing.assert_array_equal(adjacency(as_graph(Ring()), trials(n_units=3)), [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
