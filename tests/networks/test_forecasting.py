import numpy as np
import pytest
import torch

from spikesight.networks.forecasting import ForecastNetwork, gated_messages, plain_messages, poisson_loss


def network(counts, n_lags=2, seed=0, learned=True, **options):
    """A network with some adjacency, history and attention that are not small."""
    counts = torch.as_tensor(np.asarray(counts, np.uint8))
    made = ForecastNetwork(counts, n_lags, 3, torch.full((counts.shape[1],), 0.1), seed, **options)
    if learned:
        generator = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for parameter in (made.adjacency, made.own, made.attention):
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made


def counts(n_bins=60, n_units=5, mean=0.3, seed=3):
    return np.random.default_rng(seed).poisson(mean, (n_bins, n_units))


def by_hand(made, bins):
    """The formula of the module's docstring, one number at a time."""
    weight = {name: value.detach().double().numpy() for name, value in made.named_parameters()}
    past = np.log2(1 + made.counts.double().numpy())
    n_units, n_lags, _ = weight["adjacency"].shape
    log_rates = np.empty((len(bins), n_units))
    for row, at in enumerate(bins):
        x = np.array([[past[at - lag - 1, unit] for lag in range(n_lags)] for unit in range(n_units)])
        for j in range(n_units):
            total = weight["base"][j] + weight["own"][:, j] @ x[j]
            for i in range(n_units):
                if i != j:
                    both = x[i] @ weight["sender"] + weight["sender_offset"][i]
                    both = both + x[j] @ weight["receiver"] + weight["receiver_offset"][:, j]
                    score = weight["attention"] @ np.where(both > 0, both, 0.2 * both)
                    total += 2 / (1 + np.exp(-score)) * (weight["adjacency"][i, :, j] @ x[i])
            log_rates[row, j] = total
    return log_rates


def test_a_spike_of_unit_0_raises_unit_1_and_lowers_unit_2_one_bin_later():
    made = network([[1, 0, 0], [0, 0, 0], [0, 0, 0]], n_lags=1, learned=False)
    with torch.no_grad():
        made.attention.zero_()  # every gate is 1
        made.adjacency[0, 0] = torch.tensor([9.0, 0.5, -2.0])  # no unit has an edge to itself
        rates = made(torch.tensor([1, 2])) - np.log(0.1)

    np.testing.assert_allclose(rates, [[0.0, 0.5, -2.0], [0.0, 0.0, 0.0]], atol=1e-6)


def test_forecasts_follow_the_formula():
    made = network(counts())
    bins = [2, 7, 30, 59]

    np.testing.assert_allclose(made(torch.tensor(bins)).detach(), by_hand(made, bins), rtol=1e-5, atol=1e-5)


def test_known_offsets_are_added_by_bin():
    offsets = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    made = network(np.zeros((4, 2)), n_lags=1, learned=False, offsets=(offsets, torch.tensor([0, 1, 0, 1])))

    expected = np.log(0.1) + np.array([[2.0, 3.0], [0.0, 1.0]])
    np.testing.assert_allclose(made.known(torch.tensor([1, 2])), expected, rtol=1e-6)
    np.testing.assert_allclose(made(torch.tensor([1, 2])).detach(), expected, rtol=1e-6)


@pytest.mark.parametrize("n_units", [2, 7, 33])
def test_compiled_messages_and_their_gradients_are_those_of_plain_operators(n_units):
    generator = torch.Generator().manual_seed(n_units)
    n_messages, n_lags, n_rows, n_channels = 50, 3, 20, 4

    def drawn(*shape):
        return torch.randn(*shape, generator=generator)

    sent = torch.poisson(torch.full((n_messages, n_lags), 0.7), generator=generator)
    source = torch.randint(n_units, (n_messages,), generator=generator)
    row = torch.randint(n_rows, (n_messages,), generator=generator)
    learned = [
        drawn(n_units, n_lags, n_units), drawn(n_messages, n_channels), drawn(n_channels, n_rows, n_units),
        drawn(n_channels),
    ]  # fmt: skip
    pull = drawn(n_rows, n_units)
    found = []
    for function in (gated_messages, plain_messages):
        adjacency, sender, receiver, attention = (value.clone().requires_grad_() for value in learned)
        heard = function(adjacency, sent, source, row, sender, receiver, attention)
        (heard * pull).sum().backward()
        found.append([heard.detach(), *(value.grad for value in (adjacency, sender, receiver, attention))])

    for compiled, plain in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-4)


def test_cutting_an_edge_changes_the_forecast_of_its_target_only():
    made = network(counts())
    bins = torch.arange(2, 60)
    before = made(bins).detach()
    with torch.no_grad():
        made.adjacency[1, :, 3] = 0
    changed = (made(bins).detach() != before).any(dim=0)

    assert changed.tolist() == [False, False, False, True, False]


def test_a_unit_that_is_silent_sends_nothing():
    x = counts()
    x[:, 1] = 0
    made = network(x)
    bins = torch.arange(2, 60)
    before = made(bins).detach()
    with torch.no_grad():
        made.adjacency[1] += 1.0

    assert torch.equal(made(bins).detach(), before)
    assert 1 not in made.gates(bins)[1]


def test_every_parameter_of_the_attention_learns():
    made = network(counts())
    bins = torch.arange(2, 60)
    poisson_loss(made(bins), made.counts[bins], 1.0).backward()

    for name in ("attention", "sender", "receiver", "sender_offset", "receiver_offset"):
        assert getattr(made, name).grad.abs().min() > 0, name


def test_gates_depend_on_what_both_ends_did():
    x = np.zeros((12, 3), int)
    x[[1, 5, 9], 0] = 1  # the source fires one bin before each of these, or twice
    x[5, 2] = 1  # the target too
    x[8, 0] = 1  # the source also two bins before
    row, source, gate = network(x).gates(torch.tensor([2, 6, 10]))
    alone, with_target, twice = gate[source == 0]

    assert row[source == 0].tolist() == [0, 1, 2]
    assert alone[2] != with_target[2]
    assert alone[1] == with_target[1]
    assert (alone != twice).all()
    assert (gate.min() > 0) & (gate.max() < 2)


def test_every_row_of_a_batch_teaches_the_adjacency():
    x = counts(mean=0.5)
    made = network(x)
    bins = torch.arange(2, 20)

    def gradient(some):
        (found,) = torch.autograd.grad(poisson_loss(made(some), made.counts[some], 1.0), made.adjacency)
        return found

    of_rows = [gradient(bins[at : at + 1]) for at in range(len(bins))]
    for at, found in zip(bins.tolist(), of_rows, strict=True):
        active = x[at - 2 : at].sum(axis=0) > 0
        np.testing.assert_array_equal((found != 0).any(dim=2).any(dim=1), active)
    torch.testing.assert_close(torch.stack(of_rows).mean(dim=0), gradient(bins), rtol=1e-4, atol=1e-6)


def test_an_effect_is_what_the_log_rate_loses_per_spike_without_the_edge():
    x = counts()
    x[:, 4] = 0
    made = network(x)
    bins = torch.arange(2, 60)
    effects = made.effects(bins)
    before = made(bins).detach()
    with torch.no_grad():
        made.adjacency[0, 1, 2] = 0
    lost = (before - made(bins).detach())[:, 2].sum() / np.log2(1 + x[:58, 0]).sum()

    assert effects.shape == (2, 5, 5)
    assert effects[1, 0, 2].item() == pytest.approx(lost.item(), rel=1e-4)
    assert effects[:, range(5), range(5)].abs().max() == 0
    assert effects[:, 4].abs().max() == 0


def test_the_loss_is_that_of_poisson_counts_in_nats_per_spike():
    found = poisson_loss(torch.log(torch.tensor([[2.0, 0.5]])), torch.tensor([[3, 0]]), 1.25)

    assert found.item() == pytest.approx((2 - 3 * np.log(2) + 0.5) / 1.25)


def test_the_penalty_is_the_length_of_each_edge_over_lags():
    made = network(np.zeros((4, 2)), learned=False)
    with torch.no_grad():
        made.adjacency[0, :, 1] = torch.tensor([3.0, 4.0])
        made.adjacency[0, :, 0] = 100.0

    assert made.penalty().item() == pytest.approx(5.0, abs=0.01)


def test_starting_values_come_from_the_seed_and_from_nowhere_else():
    state = torch.random.get_rng_state()
    first, again, other = (network(counts(), seed=seed, learned=False).state_dict() for seed in (1, 1, 2))

    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["sender"], other["sender"])
    assert "counts" not in first
