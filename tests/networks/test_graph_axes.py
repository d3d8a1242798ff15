import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikesight.networks.graph_axes import AXES, group, repeated_over_trials, ungroup, with_trials, without_trials

EVERY_PER = [per for n in range(4) for per in itertools.combinations(AXES, n)]


def numbered(*lead):
    """One unit, one channel, and a number for each slice."""
    return torch.arange(int(torch.tensor(lead).prod())).reshape(*lead, 1, 1)


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        ((), [[0, 1, 2, 3, 4, 5]]),
        (("trial",), [[0, 1, 2], [3, 4, 5]]),
        (("bin",), [[0, 3], [1, 4], [2, 5]]),
        (("trial", "bin"), [[0], [1], [2], [3], [4], [5]]),
        (("class",), [[0, 1, 2, 3, 4, 5]] * 2),
        (("class", "trial"), [[0, 1, 2], [3, 4, 5]] * 2),
        (("class", "bin"), [[0, 3], [1, 4], [2, 5]] * 2),
    ],
)
def test_slices_that_share_a_graph_stand_together(per, expected):
    two_trials_of_three_bins = numbered(2, 3)
    assert group(two_trials_of_three_bins, per, n_classes=2)[..., 0, 0].tolist() == expected


def test_classes_that_have_parted_meet_graphs_of_their_own():
    two_classes = numbered(2, 1, 2)
    assert group(two_classes, ("class",), 2)[..., 0, 0].tolist() == [[0, 1], [2, 3]]
    assert group(two_classes, ("bin",), 2)[..., 0, 0].tolist() == [[0, 2], [1, 3]]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(EVERY_PER),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.booleans(),
)
def test_ungroup_undoes_group(per, n_classes, n_trials, n_bins, has_class):
    lead = (n_classes, n_trials, n_bins) if has_class else (n_trials, n_bins)
    h = torch.randn(*lead, 2, 4)
    grouped = group(h, per, n_classes)
    sizes = {"class": n_classes, "trial": n_trials, "bin": n_bins}
    assert len(grouped) == int(torch.tensor([sizes[axis] for axis in per]).prod())
    back = ungroup(grouped, per, n_classes, lead)
    expected = h.expand(n_classes, *h.shape) if "class" in per and not has_class else h
    assert torch.equal(back, expected)


def test_a_block_may_change_units_and_channels_between_group_and_ungroup():
    grouped = group(torch.zeros(2, 3, 4, 5), ("bin",), 1)
    assert ungroup(grouped[..., :1, :2], ("bin",), 1, (2, 3)).shape == (2, 3, 1, 2)


@pytest.mark.parametrize("per", [("bin", "trial"), ("trial", "trial"), ("unit",)])
def test_axes_of_another_name_or_order_are_refused(per):
    with pytest.raises(ValueError, match="in this order and each once"):
        group(torch.zeros(2, 3, 4, 5), per, 2)


def test_a_tensor_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected \(\[classes,\] trials, bins, units, channels\), got \(2, 3, 4\)"):
        group(torch.zeros(2, 3, 4), (), 2)


def test_trials_are_put_in_and_left_out_in_their_place():
    assert with_trials(("class", "bin")) == ("class", "trial", "bin")
    assert with_trials(("trial",)) == ("trial",)
    assert without_trials(("class", "trial", "bin")) == ("class", "bin")


@pytest.mark.parametrize(
    ("per", "n_graphs", "expected"),
    [
        ((), 1, [0, 0]),
        (("class",), 2, [0, 0, 1, 1]),
        (("bin",), 3, [0, 1, 2, 0, 1, 2]),
        (("class", "bin"), 6, [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]),
    ],
)
def test_every_trial_gets_the_graphs_of_all(per, n_graphs, expected):
    assert repeated_over_trials(per, n_graphs, n_trials=2, n_bins=3).tolist() == expected
