import pytest
import torch

from spikesight.networks.thresholds import above


def test_values_at_or_below_the_threshold_are_exactly_zero():
    values = torch.tensor([-1.0, 0.0, 0.1, 0.5, 0.6])
    assert above(values, 0.5).tolist() == pytest.approx([0, 0, 0, 0, 0.6])
    assert (above(values, 0.5)[:4] == 0).all()


def test_what_was_removed_gets_the_gradient_of_what_it_would_be():
    values = torch.tensor([-1.0, 0.1, 0.6], requires_grad=True)
    (above(values, 0.5) * torch.tensor([-2.0, -3.0, -4.0])).sum().backward()
    assert values.grad.tolist() == [-2, -3, -4]


def test_what_is_below_zero_is_not_pushed_further_down():
    values = torch.tensor([-1.0, 0.0, 0.1, 0.6], requires_grad=True)
    (above(values, 0.5) * 2).sum().backward()
    assert values.grad.tolist() == [0, 0, 2, 2]


def test_a_removed_value_comes_back_by_descent():
    value = torch.tensor([-0.2], requires_grad=True)
    descent = torch.optim.SGD([value], lr=0.1)
    for _ in range(12):
        descent.zero_grad()
        ((above(value, 0.1) - 1) ** 2).sum().backward()
        descent.step()
    assert above(value, 0.1).item() > 0.5


def test_gradients_of_what_is_kept_are_exact():
    values = torch.tensor([0.7, 1.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: above(v, 0.5) ** 2, [values])
