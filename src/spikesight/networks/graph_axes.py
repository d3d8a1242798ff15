"""Which trials, bins and classes share a graph: the way from a network's tensors to groups of slices, and back.

A graph module says what its graphs are *per*: some of ``"class"``, ``"trial"``, ``"bin"``, in this order. Its batch of
graphs runs over those axes, the last one fastest. ``group`` lays a network's tensor out alike, so that a spatial block
sees graphs and slices, and never needs to know what the graphs are per.
"""

from typing import Final

import torch
from torch import Tensor

AXES: Final = ("class", "trial", "bin")
"""What graphs may be per, in the order in which they are counted."""

Per = tuple[str, ...]


def check_per(per: Per) -> None:
    """Raise ValueError unless ``per`` is made of ``AXES``, in their order."""
    if per != tuple(axis for axis in AXES if axis in per):
        raise ValueError(f"expected axes out of {AXES}, in this order and each once, got {per}.")


def group(h: Tensor, per: Per, n_classes: int) -> Tensor:
    """Return ``h`` as (G, S, N, C): first what has a graph of its own, then the slices that share one.

    Parameters
    ----------
    h
        ``(trials, bins, units, channels)`` or, where classes have already parted, ``(classes, trials, bins, units,
        channels)``.
    per
        What the graphs are per. With ``"class"``, a tensor without a class axis is shown to the graph of every class.
    n_classes
        Number of classes.
    """
    check_per(per)
    if h.ndim == 4:
        h = h.expand(n_classes, *h.shape) if "class" in per else h[None]
    elif h.ndim != 5:
        raise ValueError(f"expected ([classes,] trials, bins, units, channels), got {tuple(h.shape)}.")
    order = _order(per)
    sizes = [h.shape[axis] for axis in order]
    n_graphs = _product(sizes[: len(per)])
    return h.permute(*order, 3, 4).reshape(n_graphs, _product(sizes[len(per) :]), *h.shape[3:])


def ungroup(grouped: Tensor, per: Per, n_classes: int, lead: tuple[int, ...]) -> Tensor:
    """Return a grouped tensor in the network's layout: the inverse of ``group``.

    Parameters
    ----------
    grouped
        ``(G, S, N, C)``; units and channels may differ from those that were grouped.
    per, n_classes
        As given to ``group``.
    lead
        ``h.shape[:-2]`` of the tensor that was grouped: ``(trials, bins)`` or ``(classes, trials, bins)``.

    Returns
    -------
    Tensor
        ``(trials, bins, N, C)``, or ``(classes, trials, bins, N, C)`` if there was a class axis or the graphs are
        per class.
    """
    has_class = len(lead) == 3 or "class" in per
    n_leading = (lead[0] if len(lead) == 3 else n_classes) if has_class else 1
    whole = (n_leading, *lead[-2:])
    order = _order(per)
    apart = grouped.reshape(*(whole[axis] for axis in order), *grouped.shape[2:])
    back = apart.permute(*(order.index(axis) for axis in range(3)), 3, 4)
    return back if has_class else back[0]


def with_trials(per: Per) -> Per:
    """Return ``per`` with ``"trial"`` in its place."""
    return tuple(axis for axis in AXES if axis in per or axis == "trial")


def without_trials(per: Per) -> Per:
    """Return ``per`` without ``"trial"``."""
    return tuple(axis for axis in per if axis != "trial")


def repeated_over_trials(per: Per, n_graphs: int, n_trials: int, n_bins: int) -> Tensor:
    """Return which graph every trial uses: positions into graphs per ``per``, laid out per ``with_trials(per)``.

    Parameters
    ----------
    per
        What the ``n_graphs`` graphs are per, without ``"trial"``.
    """
    positions = torch.arange(n_graphs)
    last = n_bins if "bin" in per else 1
    return positions.view(-1, 1, last).expand(-1, n_trials, last).reshape(-1)


def _order(per: Per) -> list[int]:
    """Return the axes class, trial, bin as numbers: those with graphs of their own first."""
    own = [AXES.index(axis) for axis in per]
    return own + [axis for axis in range(len(AXES)) if axis not in own]


def _product(sizes: list[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
