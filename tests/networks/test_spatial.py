"""Spatial blocks: the formula of each, written out and against PyTorch Geometric, and what they all promise."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikesight.errors import ConfigError, UnknownNameError
from spikesight.networks.adjacency import DenseEdges, LowRankEdges, SparseEdges, no_edges
from spikesight.networks.spatial import SPATIAL, UnitMap, make_spatial

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of torch, about what torch_geometric does on import
    from torch_geometric.nn import GATv2Conv, GCNConv, SAGEConv, SGConv

every_block = pytest.mark.parametrize("name", SPATIAL)


def edges_of(matrix):
    return DenseEdges(torch.tensor(matrix, dtype=torch.float64)[None])


def some_edges(n_graphs=1, n_units=6, seed=0, symmetric=False):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(n_graphs, n_units, n_units, generator=generator, dtype=torch.float64)
    weights = weights * (torch.rand(weights.shape, generator=generator) < 0.5)
    if symmetric:
        weights = weights + weights.transpose(1, 2)
    return DenseEdges(weights * (1 - torch.eye(n_units, dtype=torch.float64)))


def numbers(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def block_of(name, n_in=2, n_out=3, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make_spatial(name, n_in, n_out).double()


def filled(linear, weight, bias=None):
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(weight, dtype=torch.float64))
        if bias is not None:
            linear.bias.copy_(torch.tensor(bias, dtype=torch.float64))


def pyg_edges(edges):
    weights = edges.weights[0]
    source, target = weights.nonzero(as_tuple=True)
    return torch.stack([source, target]), weights[source, target]


# ---------------------------------------------------------------- smallest examples


def test_message_passing_sums_the_sources_and_scales_them_by_the_targets_gate():
    block = make_spatial("message-passing", 1, 1).double()
    filled(block.own, [[10.0]], [0.0])
    filled(block.phi, [[1.0]], [1.0])
    filled(block.gate, [[0.0]], [0.0])  # one half
    h = torch.tensor([[[[1.0], [2.0], [-5.0]]]], dtype=torch.float64)
    out = block(h, edges_of([[0, 0, 3.0], [0, 0, 1.0], [4.0, 0, 0]]))
    # unit 0 hears relu(-5 + 1) = 0; unit 1 nothing; unit 2 hears (3 * 2 + 1 * 3) / (1 + 4)
    torch.testing.assert_close(out.flatten(), torch.tensor([10.0, 20.0, -50 + 0.5 * 9 / 5], dtype=torch.float64))


def test_sage_adds_the_weighted_mean_of_the_sources():
    block = make_spatial("sage", 1, 1).double()
    filled(block.own, [[1.0]], [0.5])
    filled(block.others, [[10.0]])
    h = torch.tensor([[[[1.0], [2.0], [4.0]]]], dtype=torch.float64)
    out = block(h, edges_of([[0, 0, 3.0], [0, 0, 1.0], [0, 0, 0]]))
    torch.testing.assert_close(out.flatten(), torch.tensor([1.5, 2.5, 4.5 + 10 * 5 / 4], dtype=torch.float64))


def test_one_round_of_a_directed_graph_divides_by_the_strengths_at_both_ends():
    block = make_spatial("gcn", 1, 1).double()
    filled(block.map, [[1.0]])
    h = torch.tensor([[[[6.0], [1.0]]]], dtype=torch.float64)
    out = block(h, edges_of([[0, 3.0], [0, 0]]))
    # unit 0 leaves with strength 1 + 3 and is entered with 1; unit 1 leaves with 1 and is entered with 1 + 3
    torch.testing.assert_close(out.flatten(), torch.tensor([6 / 2, 3 * 6 / (2 * 2) + 1 / 2], dtype=torch.float64))


# ---------------------------------------------------------------- PyTorch Geometric


@pytest.mark.parametrize(("n_in", "n_out"), [(2, 3), (3, 2)])
def test_gcn_is_that_of_pyg_on_a_symmetric_graph(n_in, n_out):
    block, edges, h = block_of("gcn", n_in, n_out), some_edges(symmetric=True), numbers(1, 1, 6, n_in)
    oracle = GCNConv(n_in, n_out).double()
    with torch.no_grad():
        block.bias.copy_(numbers(n_out))
    oracle.load_state_dict({"bias": block.bias, "lin.weight": block.map.weight})
    torch.testing.assert_close(block(h, edges)[0, 0], oracle(h[0, 0], *pyg_edges(edges)))


def test_sgc_is_that_of_pyg_on_a_symmetric_graph():
    block, edges, h = block_of("sgc"), some_edges(symmetric=True), numbers(1, 1, 6, 2)
    oracle = SGConv(2, 3, K=2).double()
    with torch.no_grad():
        block.bias.copy_(numbers(3))
    oracle.load_state_dict({"lin.bias": block.bias, "lin.weight": block.map.weight})
    torch.testing.assert_close(block(h, edges)[0, 0], oracle(h[0, 0], *pyg_edges(edges)))


def test_sage_is_that_of_pyg_where_all_edges_weigh_the_same():
    block, h = block_of("sage"), numbers(1, 1, 6, 2)
    edges = DenseEdges((some_edges().weights > 0).double())
    oracle = SAGEConv(2, 3).double()
    oracle.load_state_dict(
        {"lin_l.weight": block.others.weight, "lin_l.bias": block.own.bias, "lin_r.weight": block.own.weight}
    )
    torch.testing.assert_close(block(h, edges)[0, 0], oracle(h[0, 0], pyg_edges(edges)[0]))


def test_gatv2_is_that_of_pyg():
    block, edges, h = block_of("gatv2"), some_edges(), numbers(1, 1, 6, 2)
    oracle = GATv2Conv(2, 3, edge_dim=1, fill_value=0.0).double()
    oracle.load_state_dict(
        {
            "att": block.attention[None, None],
            "bias": torch.zeros(3),
            "lin_l.weight": block.source.weight,
            "lin_l.bias": block.source.bias,
            "lin_r.weight": block.target.weight,
            "lin_r.bias": block.target.bias,
            "lin_edge.weight": block.edge_vector[:, None],
        }
    )
    index, weights = pyg_edges(edges)
    weights = weights / weights.mean()
    expected, (paths, alpha) = oracle(h[0, 0], index, weights[:, None], return_attention_weights=True)
    torch.testing.assert_close(block(h, edges)[0, 0], expected)
    attention = torch.zeros(6, 6, dtype=torch.float64)
    attention[paths[0], paths[1]] = alpha[:, 0].detach()
    torch.testing.assert_close(block.attention_on_sources(h, edges), attention)


# ---------------------------------------------------------------- what all promise


@every_block
def test_every_slice_of_a_graph_hears_it(name):
    """Published code let the learned edges reach the first trial of a batch only."""
    block, edges, h = block_of(name), some_edges(n_graphs=2), numbers(2, 5, 6, 2)
    cut = DenseEdges(edges.weights.clone())
    source, target = (edges.weights[0] > 0).nonzero()[0].tolist()
    cut.weights[0, source, target] = 0.0
    changed = (block(h, edges) - block(h, cut)).abs().amax(dim=-1) > 1e-9
    assert changed[0, :, target].all()
    assert not changed[1].any()


@every_block
def test_slices_do_not_hear_each_other(name):
    block, edges, h = block_of(name), some_edges(), numbers(1, 4, 6, 2)
    alone = torch.cat([block(h[:, place : place + 1], edges) for place in range(4)], dim=1)
    torch.testing.assert_close(block(h, edges), alone)


@every_block
def test_edges_point_from_source_to_target(name):
    block, h = block_of(name), numbers(1, 3, 4, 2)
    edges = edges_of([[0, 0, 2.0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    other = h.clone()
    other[:, :, 0] += 1.0
    moved = (block(h, edges) - block(other, edges)).abs().amax(dim=(0, 1, 3)) > 1e-9
    assert moved.tolist() == [True, False, True, False]


@every_block
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), order=st.permutations(range(6)))
def test_units_in_another_order_come_out_in_that_order(name, seed, order):
    block, edges, h = block_of(name, seed=seed), some_edges(seed=seed), numbers(1, 2, 6, 2, seed=seed)
    shuffled = DenseEdges(edges.weights[:, order][:, :, order])
    torch.testing.assert_close(block(h, edges)[:, :, order], block(h[:, :, order], shuffled))


@every_block
def test_dense_and_low_rank_forms_of_a_graph_give_the_same(name):
    block, h = block_of(name), numbers(2, 3, 6, 2)
    source, target = numbers(2, 6, 2, seed=3).abs(), numbers(2, 6, 2, seed=4).abs()
    low = LowRankEdges(source, target)
    torch.testing.assert_close(block(h, low), block(h, DenseEdges(low.dense())))


@every_block
def test_sparse_and_dense_forms_of_a_graph_give_the_same(name):
    block, h = block_of(name), numbers(2, 3, 6, 2)
    weights = numbers(2, 6, 2, seed=3).abs()
    sources = torch.tensor([[(unit + 1) % 6, (unit + 3) % 6] for unit in range(6)]).sort(dim=1).values.expand(2, 6, 2)
    sparse = SparseEdges(sources.contiguous(), weights)
    torch.testing.assert_close(block(h, sparse), block(h, DenseEdges(sparse.dense())))


@every_block
def test_every_weight_of_a_graph_gets_a_gradient(name):
    block, h = block_of(name), numbers(1, 4, 6, 2)
    weights = (1.0 + numbers(1, 6, 6, seed=2).abs()) * (1 - torch.eye(6, dtype=torch.float64))
    weights.requires_grad_()
    block(h, DenseEdges(weights)).square().sum().backward()
    assert (weights.grad[0][~torch.eye(6, dtype=torch.bool)] != 0).all()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in block.parameters())


@every_block
def test_a_graph_without_edges_leaves_units_alone_and_gives_no_nan(name):
    block, h = block_of(name), numbers(1, 3, 6, 2)
    other = h.clone()
    other[:, :, 1:] += 1.0
    empty = no_edges(6, h)
    out = block(h, empty)
    assert out.isfinite().all()
    torch.testing.assert_close(out[:, :, 0], block(other, empty)[:, :, 0])


@every_block
def test_huge_weights_give_finite_numbers(name):
    block, h = block_of(name), numbers(1, 3, 6, 2)
    assert block(h, DenseEdges(some_edges().weights * 1e6)).isfinite().all()


def test_only_sgc_asks_to_stay_linear():
    assert [name for name in SPATIAL if block_of(name).linear] == ["sgc"]


def test_sgc_has_as_many_rounds_as_asked():
    """A chain of four units: after three rounds the last has heard the first, after two it has not."""
    chain = np.diag([1.0, 1.0, 1.0], k=1)
    h = numbers(1, 1, 4, 1)
    other = h.clone()
    other[:, :, 0] += 1.0
    for n_hops, hears in ((2, False), (3, True)):
        block = make_spatial("sgc", 1, 1, n_hops=n_hops).double()
        moved = (block(h, edges_of(chain)) - block(other, edges_of(chain)))[0, 0, 3, 0]
        assert (abs(moved.item()) > 1e-12) == hears


@pytest.mark.parametrize("kept", [False, True])
def test_attention_reads_weights_on_their_own_scale(kept):
    block, h = block_of("gatv2"), numbers(1, 4, 6, 2)

    def heard(scale, power=1):
        edges = DenseEdges(scale * some_edges().weights ** power)
        return block(h, edges.strongest(3) if kept else edges)

    torch.testing.assert_close(heard(1e-4), heard(1.0))
    assert (heard(1.0, power=3) - heard(1.0)).abs().max() > 1e-2  # how strong each is among the others does matter


@pytest.mark.parametrize("name", SPATIAL)
def test_an_edge_that_is_not_there_gets_a_gradient(name):
    weights = some_edges().weights
    weights[0, 2, 3] = 0
    weights.requires_grad_()
    block_of(name)(numbers(1, 4, 6, 2), DenseEdges(weights)).square().sum().backward()
    assert weights.grad[0, 2, 3].abs() > 1e-9


@pytest.mark.parametrize("name", SPATIAL)
def test_units_with_maps_of_their_own_send_different_things_when_they_fire_alike(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = make_spatial(name, 1, 3, n_units=4).double()
    first, second = np.zeros((2, 4, 4))
    first[0, 3] = second[1, 3] = 1.0  # unit 3 hears unit 0, or unit 1
    h = torch.ones(1, 1, 4, 1, dtype=torch.float64)
    assert (block(h, edges_of(first)) - block(h, edges_of(second)))[0, 0, 3].abs().max() > 1e-3


def test_a_unit_has_a_slope_and_an_offset_of_its_own():
    mapping = UnitMap(2, 2).double()
    with torch.no_grad():
        mapping.slope.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        mapping.offset.copy_(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    h = torch.tensor([[[[10.0], [100.0]]]], dtype=torch.float64)
    assert mapping(h).tolist() == [[[[10.0, 20.0], [300.0, 401.0]]]]


def test_maps_of_each_units_own_need_one_number_per_unit():
    with pytest.raises(ConfigError, match="in_channels=2"):
        make_spatial("gatv2", 2, 3, n_units=4)


def test_unknown_blocks_and_no_rounds_are_refused():
    with pytest.raises(UnknownNameError, match=r"'gat'.*gatv2"):
        make_spatial("gat", 1, 1)
    with pytest.raises(ConfigError, match="n_hops of at least 1, got 0"):
        make_spatial("sgc", 1, 1, n_hops=0)
