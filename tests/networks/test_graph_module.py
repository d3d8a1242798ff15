import inspect

import numpy as np
import pytest
import torch

from spikesight.errors import DecoderError
from spikesight.networks.adjacency import LowRankEdges, SparseEdges
from spikesight.networks.graph_estimator import Graph
from spikesight.networks.graph_module import FixedGraph, GraphModule, NoEdges, StrongestEdges
from spikesight.networks.graphs import CorrelationGraph, GivenGraph, IdentityGraph, LearnedGraph
from spikesight.networks.learned_graphs import SCOPES
from spikesight.networks.learned_modules import FullGraph, LowRankGraph

N_CLASSES, N_BINS, N_UNITS = 4, 3, 7

LEARNED = [
    LearnedGraph(scope, rank, refine_rounds=rounds)
    for scope in SCOPES
    for rank in (None, 2)
    for rounds in (0, 1)
    if rank or "class" not in SCOPES[scope]
]
EVERY = [
    IdentityGraph(),
    GivenGraph(np.ones((N_UNITS, N_UNITS))),
    GivenGraph(np.ones((N_BINS, N_UNITS, N_UNITS))),
    CorrelationGraph(quantile=0.5),
    *LEARNED,
]


def trials(n_trials=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_trials, N_BINS, N_UNITS)).astype(np.float32)


def built(graph, seed=0, rows=None):
    return graph.build(trials() if rows is None else rows, N_CLASSES, seed, n_channels=2)


def sizes(per, n_trials):
    return [{"class": N_CLASSES, "trial": n_trials, "bin": N_BINS}[axis] for axis in per]


def describe(graph):
    return str(graph) if isinstance(graph, LearnedGraph) else type(graph).__name__


every_graph = pytest.mark.parametrize("graph", EVERY, ids=describe)
learned_graph = pytest.mark.parametrize("graph", LEARNED, ids=describe)


def test_two_strongest_of_three_sources_are_kept():
    weights = torch.tensor([[0, 5.0, 1.0], [2.0, 0, 4.0], [3.0, 6.0, 0]])
    kept = StrongestEdges(FixedGraph(weights, 1, 2), 1)
    edges = kept(torch.zeros(2, 1, 3))
    assert edges.sources.tolist() == [[[2], [2], [1]]]
    assert edges.weights.tolist() == [[[3], [6], [4]]]


@every_graph
def test_there_is_one_graph_per_class_trial_or_bin(graph):
    module = built(graph)
    edges = module(torch.from_numpy(trials(5)))
    assert edges.n_graphs == np.prod(sizes(module.per, 5), dtype=int)
    assert edges.n_units == N_UNITS


@every_graph
@pytest.mark.parametrize("kept", [False, True])
def test_weights_are_not_negative_and_no_unit_hears_itself(graph, kept):
    module = StrongestEdges(built(graph), 3) if kept else built(graph)
    weights = module(torch.from_numpy(3 * trials(5))).dense()
    assert (weights >= 0).all()
    assert not weights.diagonal(dim1=1, dim2=2).any()


@every_graph
def test_the_reported_adjacency_is_the_mean_over_trials(graph):
    module = built(graph)
    x = torch.from_numpy(trials(5))
    edges = module(x).dense().detach().reshape(*sizes(module.per, 5), N_UNITS, N_UNITS)
    expected = edges.mean(dim=module.per.index("trial")) if "trial" in module.per else edges
    torch.testing.assert_close(module.mean_adjacency(x), expected)


@every_graph
@pytest.mark.parametrize("kept", [False, True])
def test_a_trial_has_the_same_graph_alone_and_in_a_batch(graph, kept):
    module = (StrongestEdges(built(graph), 3) if kept else built(graph)).double()
    x = torch.from_numpy(trials(5)).double()
    if "trial" not in module.per:
        torch.testing.assert_close(module(x).dense(), module(x[:1]).dense(), rtol=0, atol=0)
        return
    alone = torch.cat([module(trial[None]).dense() for trial in x])
    torch.testing.assert_close(module(x).dense(), alone, rtol=1e-12, atol=1e-12)
    shuffled = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(module(x[shuffled]).dense(), alone[shuffled], rtol=1e-12, atol=1e-12)


@every_graph
@pytest.mark.parametrize("kept", [False, True])
def test_a_stored_state_gives_the_same_graphs_bit_for_bit(graph, kept):
    def made(seed, rows):
        module = built(graph, seed, rows)
        return StrongestEdges(module, 2) if kept else module

    module = made(0, trials())
    again = made(1, trials(2, seed=9))
    again.load_state_dict(module.state_dict())
    x = torch.from_numpy(trials(5))
    assert torch.equal(again(x).dense(), module(x).dense())


@every_graph
@pytest.mark.parametrize("kept", [False, True])
def test_graphs_work_in_double_precision(graph, kept):
    module = (StrongestEdges(built(graph), 2) if kept else built(graph)).double()
    edges = module(torch.from_numpy(trials(5)).double())
    assert edges.dense().dtype == torch.float64
    h = torch.ones(edges.n_graphs, 2, N_UNITS, 1, dtype=torch.float64)
    assert edges.aggregate(h).dtype == torch.float64


@every_graph
def test_a_graph_built_without_trials_has_the_shapes_of_one_built_with_them(graph):
    empty, full = built(graph, rows=trials(0)), built(graph)
    assert {name: value.shape for name, value in empty.state_dict().items()} == {
        name: value.shape for name, value in full.state_dict().items()
    }
    assert empty.mean_adjacency(torch.from_numpy(trials(2))).isfinite().all()


def test_no_label_can_enter_a_graph():
    """In the published code the graph per class was that of the true label, test trials included."""
    labels = {"y", "label", "labels", "target", "targets", "classes", "codes"}
    for owner in (Graph, LearnedGraph, GraphModule, NoEdges, FixedGraph, StrongestEdges, FullGraph, LowRankGraph):
        for name, method in inspect.getmembers(owner, inspect.isfunction):
            if method.__module__.startswith("spikesight"):
                assert not labels & set(inspect.signature(method).parameters), (owner, name)


def test_positions_are_chosen_anew_at_the_start_of_an_epoch_only():
    graph = built(LearnedGraph())
    kept = StrongestEdges(graph, 1)
    before = kept.sources.clone()
    with torch.no_grad():
        graph.weights.fill_(0.5)
        graph.weights[0, 6, :6] = 2.0
        graph.weights[0, 5, 6] = 2.0
    x = torch.from_numpy(trials(2))
    assert torch.equal(kept(x).sources, before)
    kept.start_epoch()
    assert kept(x).sources.flatten().tolist() == [6] * 6 + [5]


@learned_graph
def test_kept_edges_give_the_graph_a_gradient(graph):
    module = built(graph)
    kept = StrongestEdges(module, 2)
    assert isinstance(kept(torch.from_numpy(trials(5))), SparseEdges)
    kept(torch.from_numpy(trials(5))).weights.sum().backward()
    parameters = [value for name, value in module.named_parameters() if not name.startswith("refinement")]
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in parameters)


def test_kept_weights_are_those_of_the_whole_graph():
    graph = built(LearnedGraph("per-trial", rank=2))
    x = torch.from_numpy(trials(5))
    whole, kept = graph(x).dense(), StrongestEdges(graph, 2)(x).dense()
    assert ((kept == 0) | torch.isclose(kept, whole)).all()
    assert ((kept > 0).sum(dim=1) <= 2).all()


def test_trials_share_the_positions_of_their_mean_graph():
    graph = built(LearnedGraph("per-trial", rank=2))
    kept = StrongestEdges(graph, 2)
    assert kept.sources.shape == (1, N_UNITS, 2)
    mean = graph.mean_adjacency(graph.reference)
    assert kept.sources[0].tolist() == [sorted(mean[:, unit].topk(2).indices.tolist()) for unit in range(N_UNITS)]


def test_positions_survive_in_the_state_but_reference_trials_are_not_stored():
    kept = StrongestEdges(built(LearnedGraph("per-trial", rank=2)), 2)
    assert "sources" in kept.state_dict()
    assert not any("reference" in name for name in kept.state_dict())


def test_low_rank_graphs_that_are_the_same_for_all_trials_give_their_factors():
    module = built(LearnedGraph("per-class-per-bin", rank=2))
    for told in (module.factors(), StrongestEdges(module, 2).factors()):
        source, target = told
        assert source.shape == target.shape == (N_CLASSES, N_BINS, N_UNITS, 2)
        expected = LowRankEdges(source.flatten(0, 1), target.flatten(0, 1)).dense()
        adjacency = module.mean_adjacency(torch.from_numpy(trials(2)))
        torch.testing.assert_close(expected.reshape(adjacency.shape), adjacency)
    assert built(LearnedGraph()).factors() is None
    assert built(LearnedGraph("per-trial", rank=2)).factors() is None


@learned_graph
@pytest.mark.parametrize("kept", [False, True])
def test_a_refined_graph_depends_on_its_own_trial_only(graph, kept):
    module = (StrongestEdges(built(graph), 3) if kept else built(graph)).double()
    x = torch.from_numpy(trials(5)).double()
    generator = torch.Generator().manual_seed(0)
    lead = (N_CLASSES, 5, N_BINS) if "class" in module.per else (5, N_BINS)
    h = torch.randn(*lead, N_UNITS, 2, generator=generator, dtype=torch.float64)
    if not graph.refine_rounds:
        with pytest.raises(DecoderError, match="refine_rounds of 1 or more"):
            module.refine(module(x), h)
        return
    shape = [*sizes(module.refined_per, 5), N_UNITS, N_UNITS]
    refined = module.refine(module(x), h).dense().reshape(shape)
    other = h.clone()
    other[..., 0, :, :, :] += 1  # another output for the first trial
    changed = module.refine(module(x), other).dense().reshape(shape)
    trial = module.refined_per.index("trial")
    same = (refined == changed).transpose(0, trial).flatten(1).all(dim=1)
    assert same.tolist() == [False, True, True, True, True]


def test_refinement_starts_near_the_graph_itself_and_learns_from_the_output():
    module = built(LearnedGraph(refine_rounds=2))
    x, h = torch.from_numpy(trials(5)), torch.randn(5, N_BINS, N_UNITS, 2, generator=torch.Generator().manual_seed(0))
    edges = module(x)
    refined = module.refine(edges, h)
    assert (module.refine_rounds, refined.n_graphs) == (2, 5)
    torch.testing.assert_close(refined.dense(), edges.dense().expand(5, -1, -1), rtol=0.5, atol=0)
    (refined.dense() ** 2).sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in module.refinement.parameters())


def test_a_graph_that_is_not_learned_is_not_refined():
    module = built(IdentityGraph())
    assert module.refine_rounds == 0
    with pytest.raises(DecoderError, match="NoEdges has no refinement"):
        module.refine(module(torch.zeros(1, N_BINS, N_UNITS)), torch.zeros(1, N_BINS, N_UNITS, 2))
