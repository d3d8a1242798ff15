"""Temporal blocks: shapes, order of bins, and how the bins of a trial become one row."""

import pytest
import torch

from spikesight.errors import ConfigError, UnknownNameError
from spikesight.networks.temporal import TEMPORAL, make_temporal

every_block = pytest.mark.parametrize("name", TEMPORAL)


def block_of(name, n_features=5, hidden_size=8, n_bins=3, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_temporal(name, n_features, hidden_size, n_bins, **options).double().eval()


def bins_of(n_trials=4, n_bins=3, n_features=5):
    return torch.randn(n_trials, n_bins, n_features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@every_block
@pytest.mark.parametrize("n_bins", [1, 3])
def test_every_bin_gets_a_state_and_a_trial_a_row(name, n_bins):
    block = block_of(name, n_bins=n_bins)
    states = block(bins_of(n_bins=n_bins))
    assert states.shape == (4, n_bins, 8)
    assert block.pool(states).shape == (4, block.pooled_size)


@every_block
def test_the_position_of_a_bin_matters(name):
    """A Transformer without positions would pool reversed bins to the same row."""
    block, bins = block_of(name), bins_of()
    forwards, backwards = block.pool(block(bins)), block.pool(block(bins.flip(1)))
    assert (forwards - backwards).abs().amax(dim=1).min() > 1e-3


@pytest.mark.parametrize("name", ["transformer", "none"])
def test_equal_bins_at_other_places_get_other_states(name):
    block = block_of(name)
    states = block(bins_of()[:, :1].expand(-1, 3, -1))
    assert (states[:, 0] - states[:, 1]).abs().max() > 1e-3


@every_block
def test_trials_do_not_see_each_other(name):
    block, bins = block_of(name), bins_of()
    alone = torch.cat([block(bin_[None]) for bin_ in bins])
    torch.testing.assert_close(block(bins), alone)


def test_a_single_bin_leaves_an_lstm_in_the_state_that_torch_gives():
    block, bins = block_of("lstm", n_bins=1), bins_of(n_bins=1)
    expected = block.recurrent(bins)[0]
    torch.testing.assert_close(block(bins), expected)
    used = [block.recurrent.weight_ih_l0, block.recurrent.bias_ih_l0]
    for found, wanted in zip(
        torch.autograd.grad(block(bins).square().sum(), used),
        torch.autograd.grad(expected.square().sum(), used),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_recurrent_blocks_pool_to_the_last_state_which_has_seen_every_bin(name):
    block, bins = block_of(name), bins_of()
    states = block(bins)
    torch.testing.assert_close(block.pool(states), states[:, 2])
    bins.requires_grad_()
    block.pool(block(bins)).sum().backward()
    assert (bins.grad != 0).all()


def test_without_a_temporal_block_bins_stay_apart_and_lie_side_by_side():
    block, bins = block_of("none"), bins_of()
    other = bins.clone()
    other[:, 0] += 1.0
    same = (block(bins) == block(other)).all(dim=2)
    assert same.tolist() == [[False, True, True]] * 4
    torch.testing.assert_close(block.pool(block(bins))[:, 8:16], block(bins)[:, 1])


def test_a_transformer_pools_to_the_mean():
    block, bins = block_of("transformer", n_layers=2), bins_of()
    torch.testing.assert_close(block.pool(block(bins)), block(bins).mean(dim=1))


@every_block
def test_every_parameter_gets_a_gradient(name):
    block = block_of(name)
    block.pool(block(bins_of())).square().sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())


def test_unknown_blocks_and_heads_that_do_not_divide_the_state_are_refused():
    with pytest.raises(UnknownNameError, match=r"'rnn'.*gru"):
        make_temporal("rnn", 1, 1, 1)
    with pytest.raises(ConfigError, match="hidden_size=8 and n_heads=3"):
        make_temporal("transformer", 1, 8, 1, n_heads=3)
