import pytest
import torch

from spikesight.networks.adjacency import DenseEdges, LowRankEdges, SparseEdges, without_self_edges
from spikesight.networks.attention import dense_attention, sparse_attention
from spikesight.networks.removed_edges import with_pull_of_removed


def drawn(seed=0, n_slices=3, n_units=4, n_channels=2):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    shape = (1, n_slices, n_units, n_channels)
    weights = without_self_edges(normal(1, n_units, n_units).abs())
    weights[0, 1, 2] = weights[0, 3, 0] = 0
    return normal(*shape), normal(*shape), weights, normal(n_channels), normal(n_channels)


def test_an_edge_towards_what_should_be_reached_is_asked_for():
    source = torch.tensor([[[[1.0], [-1.0], [0.0]]]])
    weights = torch.zeros(1, 3, 3, requires_grad=True)
    out = torch.zeros(1, 1, 3, 1)
    wanted = torch.tensor([[[[0.0], [0.0], [1.0]]]])
    pulled = with_pull_of_removed(out, source, DenseEdges(weights))
    (-(pulled * wanted).sum()).backward()
    assert weights.grad[0, :, 2].tolist() == [-1, 1, 0]
    assert weights.grad[0, :, :2].abs().sum() == 0


@pytest.mark.parametrize("kept", [False, True])
def test_attention_keeps_its_values_and_gradients_and_only_removed_edges_get_one_more(kept):
    source, target, weights, vector, attention = drawn()
    weights.requires_grad_()
    source.requires_grad_()
    edges = DenseEdges(weights).strongest(3) if kept else DenseEdges(weights)
    if kept:
        out = sparse_attention(source, target, edges.sources, edges.weights, vector, attention)
    else:
        out = dense_attention(source, target, weights, vector, attention)
    pulled = with_pull_of_removed(out, source, edges)
    assert torch.equal(pulled, out)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    before = torch.autograd.grad(out, (source, weights), grad, retain_graph=True)
    after = torch.autograd.grad(pulled, (source, weights), grad)
    torch.testing.assert_close(after[0], before[0])
    removed = torch.zeros(4, 4, dtype=torch.bool)
    removed[1, 2] = removed[3, 0] = True
    apart = ~torch.eye(4, dtype=torch.bool)
    torch.testing.assert_close(after[1][0][~removed & apart], before[1][0][~removed & apart])
    for i, j in ((1, 2), (3, 0)):
        assert before[1][0, i, j] == 0
        expected = (grad[0, :, j] * (source[0, :, i] - out[0, :, j])).sum()
        torch.testing.assert_close(after[1][0, i, j], expected)


def test_factors_that_removed_all_edges_of_a_unit_get_a_gradient():
    factors = torch.tensor([[[1.0], [0.0], [1.0]]], requires_grad=True)
    source = torch.tensor([[[[1.0], [-1.0], [0.5]]]])
    pulled = with_pull_of_removed(torch.zeros(1, 1, 3, 1), source, LowRankEdges(factors, torch.ones(1, 3, 1)))
    pulled.sum().backward()
    assert factors.grad[0, 1].item() == -2


def test_a_graph_that_does_not_learn_asks_for_nothing():
    out = torch.ones(1, 1, 3, 1, requires_grad=True)
    edges = SparseEdges(torch.tensor([[[1], [2], [0]]]), torch.zeros(1, 3, 1))
    with_pull_of_removed(out, torch.ones(1, 1, 3, 1), edges).sum().backward()
    assert out.grad.flatten().tolist() == [1, 1, 1]
