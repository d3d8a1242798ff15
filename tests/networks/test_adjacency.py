import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikesight.errors import ConfigError
from spikesight.networks.adjacency import DenseEdges, LowRankEdges, SparseEdges, no_edges, without_self_edges

CHAIN = torch.tensor([[[0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]]])
"""0 -> 1 with weight 2, 1 -> 2 with weight 3."""


def same_graphs(n_graphs=2, n_units=5, rank=3, seed=0):
    """The same graphs in all three forms, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    source, target = torch.rand(2, n_graphs, n_units, rank, generator=generator, dtype=torch.float64)
    low_rank = LowRankEdges(source, target)
    dense = DenseEdges(low_rank.dense())
    return {"dense": dense, "low rank": low_rank, "sparse": dense.strongest(max(1, n_units - 1))}


def activity(edges, n_slices=3, n_channels=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(
        edges.n_graphs, n_slices, edges.n_units, n_channels, generator=generator, dtype=edges.dense().dtype
    )


def test_a_unit_hears_the_weighted_sum_of_its_sources():
    h = torch.tensor([[[[1.0], [10.0], [100.0]]]])
    assert DenseEdges(CHAIN).aggregate(h).flatten().tolist() == [0, 2, 30]


def test_a_unit_hears_itself_as_strongly_as_is_asked():
    h = torch.tensor([[[[1.0], [10.0], [100.0]]]])
    assert DenseEdges(CHAIN).aggregate(h, own=torch.tensor([[0.5, 0.5, 2.0]])).flatten().tolist() == [0.5, 7, 230]
    weights = torch.rand(2, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    own = [edges.aggregate(activity(edges), own=weights) for edges in same_graphs().values()]
    torch.testing.assert_close(own[1], own[0])
    torch.testing.assert_close(own[2], own[0])


def test_factors_give_products_without_self_edges():
    edges = LowRankEdges(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[3.0], [5.0]]]))
    np.testing.assert_array_equal(edges.dense()[0], [[0, 5], [6, 0]])
    h = torch.tensor([[[[1.0], [10.0]]]])
    assert edges.aggregate(h).flatten().tolist() == [60, 5]


def test_a_few_edges_are_named_by_their_sources():
    edges = SparseEdges(torch.tensor([[[1, 2], [0, 2], [0, 1]]]), torch.tensor([[[7.0, 0.0], [2.0, 0.5], [0.0, 3.0]]]))
    np.testing.assert_array_equal(edges.dense()[0], [[0, 2, 0], [7, 0, 3], [0, 0.5, 0]])
    h = torch.tensor([[[[1.0], [10.0], [100.0]]]])
    assert edges.aggregate(h).flatten().tolist() == [70, 52, 30]


def test_strengths_are_summed_over_sources_and_over_targets():
    edges = DenseEdges(CHAIN)
    assert edges.in_strength().tolist() == [[0, 2, 3]]
    assert edges.out_strength().tolist() == [[2, 3, 0]]


@pytest.mark.parametrize("form", ["low rank", "sparse"])
def test_all_forms_of_the_same_graphs_say_the_same(form):
    graphs = same_graphs()
    dense, other = graphs["dense"], graphs[form]
    h, gain, gain_too = activity(dense), torch.rand(2, 5, dtype=torch.float64), torch.rand(2, 5, dtype=torch.float64)
    some = torch.tensor([1, 0, 1])
    assert (other.n_graphs, other.n_units) == (2, 5)
    for told, expected in (
        (other.dense(), dense.dense()),
        (other.aggregate(h), dense.aggregate(h)),
        (other.in_strength(), dense.in_strength()),
        (other.out_strength(), dense.out_strength()),
        (other.mean().dense(), dense.mean().dense()),
        (other.scaled(gain, gain_too).dense(), dense.scaled(gain, gain_too).dense()),
        (other.select(some).dense(), dense.select(some).dense()),
        (other.strongest(2).dense(), dense.strongest(2).dense()),
        (other.at(dense.strongest(3).sources), dense.strongest(3).weights),
    ):
        torch.testing.assert_close(told, expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 7), st.integers(0, 4), st.integers(1, 3), st.integers(0, 10**6))
def test_low_rank_edges_pass_the_messages_of_their_matrix(n_graphs, n_units, rank, n_channels, seed):
    edges = same_graphs(n_graphs, n_units, rank, seed)["low rank"]
    h = activity(edges, n_channels=n_channels, seed=seed)
    expected = torch.einsum("gij,gsic->gsjc", edges.dense(), h)
    torch.testing.assert_close(edges.aggregate(h), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(1, 10), st.integers(0, 10**6))
def test_the_strongest_edges_are_those_of_brute_force_with_ties_to_the_first(n_units, k, seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, (2, n_units, n_units)).astype(float)
    weights[:, range(n_units), range(n_units)] = 0
    kept = DenseEdges(torch.from_numpy(weights)).strongest(k)
    for graph in range(2):
        for unit in range(n_units):
            others = [source for source in range(n_units) if source != unit]
            best = sorted(sorted(others, key=lambda source: (-weights[graph, source, unit], source))[:k])
            assert kept.sources[graph, unit].tolist() == best
            assert kept.weights[graph, unit].tolist() == [weights[graph, source, unit] for source in best]


def test_the_strongest_of_a_few_edges_go_to_the_first_source_in_a_tie_too():
    edges = SparseEdges(torch.tensor([[[2, 1], [2, 0], [1, 0]]]), torch.ones(1, 3, 2))
    assert edges.strongest_sources(1).tolist() == [[[1], [0], [0]]]


def test_the_choice_does_not_depend_on_how_many_units_are_looked_at_together(monkeypatch):
    edges = same_graphs(n_units=11)["low rank"]
    whole = edges.strongest_sources(4)
    monkeypatch.setattr("spikesight.networks.strongest_edges._CHUNK", 25)
    torch.testing.assert_close(edges.strongest_sources(4), whole)


def test_the_choice_is_made_without_a_matrix_of_all_pairs(monkeypatch):
    monkeypatch.setattr("spikesight.networks.strongest_edges._CHUNK", 300 * 7)
    largest = []
    matmul = torch.Tensor.__matmul__

    def watched(left, right):
        product = matmul(left, right)
        largest.append(product.numel())
        return product

    monkeypatch.setattr(torch.Tensor, "__matmul__", watched)
    edges = LowRankEdges(torch.rand(1, 300, 2), torch.rand(1, 300, 2))
    edges.strongest(4)
    assert max(largest) == 300 * 7


def test_messages_over_low_rank_edges_need_no_matrix_of_all_pairs():
    edges = LowRankEdges(torch.rand(1, 60_000, 2), torch.rand(1, 60_000, 2))
    assert edges.aggregate(torch.ones(1, 1, 60_000, 1)).shape == (1, 1, 60_000, 1)  # all pairs would be 14 GB


def test_values_that_are_not_numbers_do_not_stop_the_choice():
    weights = torch.full((1, 3, 3), torch.nan)
    weights[:, range(3), range(3)] = 0
    weights[0, 2, 0] = 1
    assert DenseEdges(weights).strongest_sources(1).tolist() == [[[2], [0], [0]]]


@pytest.mark.parametrize("form", ["dense", "low rank", "sparse"])
def test_messages_reach_every_slice_of_every_graph(form):
    """In the published code, learned edges reached only the first trial of each batch."""
    edges = same_graphs()[form]
    h = torch.ones(2, 4, 5, 1, dtype=torch.float64)
    heard = edges.aggregate(h)[..., 0]
    assert (heard > 0).all()
    torch.testing.assert_close(heard, edges.in_strength()[:, None].expand(2, 4, 5))


@pytest.mark.parametrize("form", ["dense", "low rank", "sparse"])
def test_every_slice_gives_the_edges_a_gradient(form):
    edges = same_graphs(n_graphs=1)[form]
    weights = edges.target if form == "low rank" else edges.weights
    weights.requires_grad_()
    heard = edges.aggregate(activity(edges, n_slices=4))
    for trial in range(4):
        [gradient] = torch.autograd.grad(heard[:, trial].sum(), weights, retain_graph=True)
        assert gradient.abs().sum() > 0


def test_gradients_of_low_rank_messages_are_exact():
    edges = same_graphs(n_units=3, rank=2)["low rank"]
    inputs = [tensor.requires_grad_() for tensor in (edges.source, edges.target, activity(edges))]
    assert torch.autograd.gradcheck(lambda source, target, h: LowRankEdges(source, target).aggregate(h), inputs)


def test_gradients_of_sparse_messages_are_exact():
    edges = same_graphs(n_units=4)["dense"].strongest(2)
    inputs = [tensor.requires_grad_() for tensor in (edges.weights, activity(edges))]
    assert torch.autograd.gradcheck(lambda weights, h: SparseEdges(edges.sources, weights).aggregate(h), inputs)


@pytest.mark.parametrize("form", ["dense", "low rank"])
def test_gradients_of_chosen_weights_are_exact(form):
    edges = same_graphs(n_units=4, rank=2)[form]
    sources = edges.strongest_sources(2)
    tensors = [edges.weights] if form == "dense" else [edges.source, edges.target]
    inputs = [tensor.clone().requires_grad_() for tensor in tensors]
    # a diagonal that gradcheck nudges is refused, as it should be: the edges to a unit itself are left out first
    rebuilt = (lambda weights: DenseEdges(without_self_edges(weights))) if form == "dense" else LowRankEdges
    assert torch.autograd.gradcheck(lambda *parts: rebuilt(*parts).at(sources), inputs)


def test_the_choice_carries_no_gradient_but_the_weights_do():
    edges = same_graphs()["low rank"]
    edges.source.requires_grad_()
    kept = edges.strongest(2)
    assert not kept.sources.requires_grad
    assert kept.weights.requires_grad


def test_no_edges_say_nothing():
    edges = no_edges(3)
    assert edges.aggregate(torch.ones(1, 2, 3, 4)).abs().sum() == 0
    assert edges.in_strength().tolist() == [[0, 0, 0]]
    assert edges.dense().abs().sum() == 0
    assert edges.strongest(2).weights.tolist() == [[[0, 0]] * 3]


def test_no_edges_take_the_precision_of_what_they_stand_beside():
    assert no_edges(3, torch.ones(1, dtype=torch.float64)).source.dtype == torch.float64


def test_a_single_unit_keeps_no_edge():
    assert same_graphs(n_units=1)["low rank"].strongest(3).sources.shape == (2, 1, 0)


@pytest.mark.parametrize("form", ["dense", "low rank", "sparse"])
def test_fewer_than_one_kept_edge_is_refused(form):
    with pytest.raises(ConfigError, match="at least one edge to keep per unit, got k=0"):
        same_graphs()[form].strongest(0)


@pytest.mark.parametrize("shape", [(3, 3), (1, 2, 3)])
def test_dense_weights_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="expected weights"):
        DenseEdges(torch.zeros(shape))


def test_a_self_edge_is_refused():
    with pytest.raises(ValueError, match="no edge from a unit to itself"):
        DenseEdges(torch.eye(3)[None])


def test_factors_and_edges_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="factors of one shape"):
        LowRankEdges(torch.zeros(1, 3, 2), torch.zeros(1, 3, 1))
    with pytest.raises(ValueError, match="sources and weights of one shape"):
        SparseEdges(torch.zeros(1, 3, 2, dtype=torch.int64), torch.zeros(1, 3, 1))
