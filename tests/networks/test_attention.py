import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import spikesight
from spikesight.networks.attention import attention_weights, dense_attention, sparse_attention


def make(n_graphs=1, n_slices=3, n_units=7, n_channels=4, dtype=torch.float64, seed=0, share=0.6):
    """Random inputs, each wanting a gradient; a share of the weights is not 0."""
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    weights = torch.rand((n_graphs, n_units, n_units), generator=rng, dtype=torch.float64) + 0.1
    weights *= torch.rand(weights.shape, generator=rng) < share
    units = (n_graphs, n_slices, n_units, n_channels)
    values = [normal(*units), normal(*units), weights, normal(n_channels), normal(n_channels)]
    return [value.to(dtype).requires_grad_() for value in values]


def make_sparse(k=3, n_graphs=1, n_slices=3, n_units=7, n_channels=4, dtype=torch.float64, seed=0):
    """Random inputs of ``sparse_attention``; some weights are 0."""
    rng = torch.Generator().manual_seed(seed)
    source, target, _, edge_vector, attention = make(n_graphs, n_slices, n_units, n_channels, dtype, seed)
    others = [torch.randperm(n_units - 1, generator=rng)[:k] for _ in range(n_graphs * n_units)]
    sources = torch.stack(others).view(n_graphs, n_units, k)
    sources += sources >= torch.arange(n_units)[:, None]
    weights = torch.rand(sources.shape, generator=rng, dtype=torch.float64) + 0.1
    weights *= torch.rand(weights.shape, generator=rng) < 0.8
    return [source, target, sources, weights.to(dtype).requires_grad_(), edge_vector, attention]


def as_dense(sources, weights):
    n_graphs, n_units, _ = sources.shape
    dense = torch.zeros(n_graphs, n_units, n_units, dtype=weights.dtype)
    return dense.scatter(1, sources.transpose(1, 2), weights.transpose(1, 2))


def by_formula(source, target, edges, edge_vector, attention, slope=0.2):
    """GATv2, written down: all slices x units x units x channels."""
    own = torch.eye(source.shape[2], dtype=torch.bool)
    weights = edges.masked_fill(own, 0)
    z = source[:, :, :, None] + target[:, :, None] + weights[:, None, :, :, None] * edge_vector
    scores = torch.nn.functional.leaky_relu(z, slope) @ attention
    scores = scores.masked_fill(~((weights != 0) | own)[:, None], -torch.inf)
    alpha = scores.softmax(2)
    return torch.einsum("gsij,gsic->gsjc", alpha, source), alpha


def gradients(result, inputs, seed=1):
    rng = torch.Generator().manual_seed(seed)
    upstream = torch.randn(result.shape, generator=rng, dtype=torch.float64).to(result.dtype)
    return torch.autograd.grad(result, [value for value in inputs if value.requires_grad], upstream)


def floats(inputs):
    return [value for value in inputs if value.is_floating_point()]


def test_attention_of_two_units_is_written_out():
    source = torch.tensor([[[[1.0], [3.0]]]])
    target = torch.tensor([[[[0.0], [-5.0]]]])
    edges = torch.tensor([[[9.0, 2.0], [0.0, 9.0]]])  # unit 0 -> unit 1 only; the diagonal is not read
    out = dense_attention(source, target, edges, torch.tensor([1.0]), torch.tensor([0.5]))
    # Into unit 1: from unit 0 z = 1 - 5 + 2 = -2, score .5 * .2 * -2; from itself z = 3 - 5 = -2, the same score.
    np.testing.assert_allclose(out, [[[[1.0], [2.0]]]], rtol=1e-6)
    sources, weights = torch.tensor([[[1], [0]]]), torch.tensor([[[0.0], [2.0]]])
    kept = sparse_attention(source, target, sources, weights, torch.tensor([1.0]), torch.tensor([0.5]))
    np.testing.assert_allclose(kept, [[[[1.0], [2.0]]]], rtol=1e-6)


def test_attention_weights_are_written_out():
    source = torch.tensor([[[[1.0], [3.0]]]])
    target = torch.tensor([[[[0.0], [-5.0]]]])
    edges = torch.tensor([[[9.0, 2.0], [0.0, 9.0]]])
    vector, attention = torch.tensor([1.0]), torch.tensor([0.5])
    np.testing.assert_allclose(attention_weights(source, target, edges, vector, attention), [[[1, 0.5], [0, 0.5]]])
    sources, weights = torch.tensor([[[1], [0]]]), torch.tensor([[[0.0], [2.0]]])
    kept = attention_weights(source, target, weights, vector, attention, sources=sources)
    np.testing.assert_allclose(kept, [[[0], [0.5]]])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 40), st.integers(1, 7), st.floats(0, 1), st.integers(0, 99))
def test_dense_attention_is_the_formula(n_graphs, n_slices, n_units, n_channels, share, seed):
    inputs = make(n_graphs, n_slices, n_units, n_channels, share=share, seed=seed)
    expected, _ = by_formula(*inputs)
    out = dense_attention(*inputs)
    torch.testing.assert_close(out, expected)
    edges = inputs[2].detach() != 0
    for number, (found, wanted) in enumerate(zip(gradients(out, inputs), gradients(expected, inputs), strict=True)):
        torch.testing.assert_close(found, wanted * edges if number == 2 else wanted)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 2), st.integers(1, 20), st.integers(2, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99)
)
def test_sparse_attention_is_dense_attention_over_the_same_edges(n_graphs, n_slices, n_units, n_channels, k, seed):
    inputs = make_sparse(min(k, n_units - 1), n_graphs, n_slices, n_units, n_channels, seed=seed)
    source, target, sources, weights, edge_vector, attention = inputs
    expected = dense_attention(source, target, as_dense(sources, weights), edge_vector, attention)
    out = sparse_attention(*inputs)
    torch.testing.assert_close(out, expected)
    wanted = gradients(expected, floats(inputs))
    for found, value in zip(gradients(out, floats(inputs)), wanted, strict=True):
        torch.testing.assert_close(found, value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_attention_weights_are_the_mean_of_the_formula(dtype):
    source, target, sources, weights, edge_vector, attention = make_sparse(n_slices=11, n_graphs=2, dtype=dtype)
    edges = as_dense(sources, weights)
    dense = attention_weights(source, target, edges, edge_vector, attention)
    expected = by_formula(source, target, edges, edge_vector, attention)[1].mean(1).detach()
    torch.testing.assert_close(dense, expected)
    kept = attention_weights(source, target, weights, edge_vector, attention, sources=sources)
    torch.testing.assert_close(kept, expected.gather(1, sources.transpose(1, 2)).transpose(1, 2) * (weights != 0))


def pyg_output(source, target, edges, edge_vector, attention):
    """PyTorch Geometric's layer on one big graph: a copy of the units per slice, numbered on."""
    from torch_geometric.nn import GATv2Conv

    _, n_slices, n_units, n_channels = source.shape
    layer = GATv2Conv(n_channels, n_channels, edge_dim=1, fill_value=0.0, bias=False).to(source.dtype)
    place = edges[0].detach().nonzero().T
    offsets = n_units * torch.arange(n_slices)
    index = (place[:, None] + offsets[None, :, None]).reshape(2, -1)
    features = edges[0][place[0], place[1]].repeat(n_slices)[:, None]
    layer.lin_l, layer.lin_r = torch.nn.Identity(), torch.nn.Identity()
    layer.lin_edge = torch.nn.Linear(1, n_channels, bias=False)
    del layer.lin_edge.weight, layer.att
    layer.lin_edge.weight, layer.att = edge_vector[:, None], attention.view(1, 1, -1)
    return layer((source[0].flatten(0, 1), target[0].flatten(0, 1)), index, features).view(source.shape)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # what importing torch_geometric calls
def test_values_and_gradients_equal_those_of_pytorch_geometric():
    inputs = make(n_slices=6, n_units=33, n_channels=18, dtype=torch.float32)
    expected = pyg_output(*inputs)
    out = dense_attention(*inputs)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    for found, wanted in zip(gradients(out, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


def test_gradients_equal_finite_differences():
    assert torch.autograd.gradcheck(dense_attention, make(2, 3, 4, 3, share=1.0))
    source, target, sources, weights, edge_vector, attention = make_sparse(2, 2, 3, 4, 3)
    weights = (weights.detach() + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(sparse_attention, (source, target, sources, weights, edge_vector, attention))


def test_cutting_an_edge_changes_the_output_of_every_trial():
    source, target, edges, edge_vector, attention = make(n_slices=12, share=1.0)
    cut = edges.detach().clone()
    cut[0, 2, 5] = 0
    before = dense_attention(source, target, edges, edge_vector, attention)
    after = dense_attention(source, target, cut, edge_vector, attention)
    changed = (before != after).any(-1)[0]
    assert changed[:, 5].all()
    assert not changed[:, :5].any()


@pytest.mark.parametrize("attend", [dense_attention, sparse_attention])
def test_every_trial_gives_the_graph_a_gradient(attend):
    inputs = make(n_slices=12) if attend is dense_attention else make_sparse(n_slices=12)
    weights = inputs[2] if attend is dense_attention else inputs[3]
    whole = torch.autograd.grad(attend(*inputs).square().sum(), weights)[0]
    each = []
    for trial in range(12):
        alone = [inputs[0][:, trial : trial + 1], inputs[1][:, trial : trial + 1], *inputs[2:]]
        each.append(torch.autograd.grad(attend(*alone).square().sum(), weights)[0])
    assert all(gradient.abs().max() > 0 for gradient in each)
    torch.testing.assert_close(whole, torch.stack(each).sum(0))


@pytest.mark.parametrize("attend", [dense_attention, sparse_attention])
def test_permuting_the_batch_permutes_the_output(attend):
    inputs = make(n_slices=11, dtype=torch.float32) if attend is dense_attention else make_sparse(n_slices=11)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(3))
    permuted = attend(inputs[0][:, order], inputs[1][:, order], *inputs[2:])
    assert torch.equal(permuted, attend(*inputs)[:, order])


@pytest.mark.parametrize("attend", [dense_attention, sparse_attention])
def test_the_same_bits_come_out_whatever_the_number_of_threads(attend):
    if attend is dense_attention:
        inputs = make(2, 21, 150, 6, dtype=torch.float32)
    else:
        inputs = make_sparse(5, 2, 21, 50, 6, dtype=torch.float32)
    before, results = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2, 5):
            torch.set_num_threads(n_threads)
            out = attend(*inputs)
            results.append([out, *gradients(out, floats(inputs))])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("attend", [dense_attention, sparse_attention])
def test_a_unit_without_incoming_edges_attends_to_itself(attend):
    inputs = make() if attend is dense_attention else make_sparse()
    weights = torch.zeros_like(inputs[2] if attend is dense_attention else inputs[3])
    out = attend(*inputs[: 2 if attend is dense_attention else 3], weights, *inputs[-2:])
    assert torch.equal(out, inputs[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e3, 1e6])
def test_large_scores_do_not_overflow(dtype, size):
    inputs = make_sparse(n_slices=9, dtype=dtype)
    inputs[0] = (inputs[0].detach() * size).requires_grad_()
    edges = as_dense(inputs[2], inputs[3])
    dense = dense_attention(inputs[0], inputs[1], edges, *inputs[4:])
    expected, _ = by_formula(inputs[0], inputs[1], edges, *inputs[4:])
    kept = sparse_attention(*inputs)
    torch.testing.assert_close(dense, expected, rtol=1e-3, atol=1e-3 * size)
    torch.testing.assert_close(kept, expected, rtol=1e-3, atol=1e-3 * size)
    assert all(gradient.isfinite().all() for out in (dense, kept) for gradient in gradients(out, floats(inputs)))


def test_an_input_that_is_not_a_number_is_not_hidden():
    for place in (0, 1):
        inputs = make_sparse(n_slices=2)
        with torch.no_grad():
            inputs[place][0, 1, 3, 0] = torch.nan
        assert sparse_attention(*inputs)[0, 1, 3].isnan().all()
        assert sparse_attention(*inputs)[0, 0].isfinite().all()
        out = dense_attention(*inputs[:2], as_dense(*inputs[2:4]), *inputs[4:])
        assert out[0, 1, 3].isnan().all()
        assert out[0, 0].isfinite().all()


def test_inputs_may_lie_in_memory_in_any_order():
    inputs = make(2, 9, 12, 5)
    scattered = [value.detach().transpose(0, -1).contiguous().transpose(0, -1).requires_grad_() for value in inputs]
    assert not scattered[0].is_contiguous()
    out, other = dense_attention(*inputs), dense_attention(*scattered)
    assert torch.equal(out, other)
    assert all(map(torch.equal, gradients(out, inputs), gradients(other, scattered)))
    sparse = make_sparse(n_graphs=2)
    turned = [value.detach().transpose(0, -1).contiguous().transpose(0, -1) for value in sparse]
    assert torch.equal(sparse_attention(*sparse), sparse_attention(*turned))


def test_an_edge_of_a_unit_to_itself_is_not_read():
    source, target, sources, weights, edge_vector, attention = make_sparse()
    expected = sparse_attention(source, target, sources, weights, edge_vector, attention)
    own = torch.arange(7)[:, None].expand(1, 7, 1)
    more = torch.cat([sources, own], 2), torch.cat([weights, torch.ones(1, 7, 1, dtype=weights.dtype)], 2)
    torch.testing.assert_close(sparse_attention(source, target, *more, edge_vector, attention), expected)


def test_no_kept_edges_at_all():
    source, target, _, _, edge_vector, attention = make_sparse()
    none = torch.empty(1, 7, 0, dtype=torch.int64), torch.empty(1, 7, 0, dtype=torch.float64)
    assert torch.equal(sparse_attention(source, target, *none, edge_vector, attention), source)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, torch.zeros(3, 7, 4), "source must have the shape"),
        (0, torch.zeros(1, 0, 7, 4), "none of them 0"),
        (0, torch.zeros(1, 3, 7, 4, dtype=torch.int64), "source must be float32 or float64"),
        (1, torch.zeros(1, 3, 6, 4), "target must have the shape"),
        (1, torch.zeros(1, 3, 7, 4, dtype=torch.float16), "target must be torch.float64"),
        (2, torch.zeros(1, 7, 6), "edges must have the shape"),
        (3, torch.zeros(5), "edge_vector must have the shape"),
        (4, torch.zeros(1, 4), "attention must have the shape"),
    ],
)
def test_inputs_that_do_not_fit_are_named(place, value, message):
    inputs = make()
    inputs[place] = value if "none of them" in message or value.dtype != torch.float32 else value.double()
    with pytest.raises(ValueError, match=message):
        dense_attention(*inputs)


@pytest.mark.parametrize(
    ("sources", "weights", "message"),
    [
        (torch.zeros(1, 6, 3, dtype=torch.int64), torch.zeros(1, 6, 3), "sources must have the shape"),
        (torch.zeros(1, 7, 3), torch.zeros(1, 7, 3), "sources must be integers"),
        (torch.full((1, 7, 3), 7), torch.zeros(1, 7, 3), "sources must be units from 0 to 6; got 7 to 7"),
        (torch.full((1, 7, 3), -1), torch.zeros(1, 7, 3), "sources must be units from 0 to 6; got -1 to -1"),
        (torch.zeros(1, 7, 3, dtype=torch.int64), torch.zeros(1, 7, 2), "weights must have the shape"),
    ],
)
def test_edges_that_do_not_fit_are_named(sources, weights, message):
    source, target, _, _, edge_vector, attention = make_sparse()
    with pytest.raises(ValueError, match=message):
        sparse_attention(source, target, sources, weights.double(), edge_vector, attention)


IN_VECTORS_OF = """
import sys
from llvmlite import binding
features = binding.get_host_cpu_features()
wide = [name for name in features if name.startswith("avx512")]
for name in wide:
    features[name] = features[name] and sys.argv[1] == "wide"
binding.get_host_cpu_features = lambda: features
import torch
from spikesight.networks.attention import dense_attention, sparse_attention
from spikesight.networks.attention_lanes import LANES
torch.manual_seed(0)
source, target = torch.randn(2, 1, 19, 40, 3)
edge_vector, attention = torch.randn(2, 3)
weights = torch.rand(1, 40, 40).masked_fill(torch.eye(40, dtype=torch.bool), 0)
sources = torch.arange(1, 6) + torch.zeros(1, 40, 1, dtype=torch.int64)
for edges in ((weights,), (sources, weights[:, :, :5].contiguous())):
    inputs = [value.clone().requires_grad_() for value in (source, target, edges[-1], edge_vector, attention)]
    attend = dense_attention if len(edges) == 1 else sparse_attention
    out = attend(*inputs[:2], *edges[:-1], *inputs[2:])
    out.square().sum().backward()
    print(LANES, *(float(v.detach().double().square().sum()) for v in (out, *(value.grad for value in inputs))))
"""
"""Prints the lanes and sums of squares of the output and of all gradients, dense and sparse."""


def printed_in_vectors(width, **environment):
    command = [sys.executable, "-c", IN_VECTORS_OF, width]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return np.array(done.stdout.split(), float).reshape(2, -1)


@pytest.mark.slow
def test_wide_and_narrow_registers_attend_alike():
    wide, narrow = printed_in_vectors("wide"), printed_in_vectors("narrow")
    assert narrow[:, 0].tolist() == [8, 8]
    assert wide[0, 0] in (8, 16)  # 8 on a processor without wide registers
    np.testing.assert_allclose(wide[:, 1:], narrow[:, 1:], rtol=1e-5)


@pytest.mark.slow
def test_compiled_code_that_was_kept_is_not_used_after_a_constant_of_another_file_changed(tmp_path):
    copy = shutil.copytree(Path(spikesight.__file__).parent, tmp_path / "spikesight")
    places = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    before = printed_in_vectors("wide", **places)
    constants = copy / "networks" / "attention_kernels.py"
    text = constants.read_text()
    assert "ROWS: Final = 16" in text
    constants.write_text(text.replace("ROWS: Final = 16", "ROWS: Final = 8"))
    np.testing.assert_allclose(printed_in_vectors("wide", **places), before, rtol=1e-5)
