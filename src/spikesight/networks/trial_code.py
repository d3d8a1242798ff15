"""What one trial's activity says about its graph: two numbers per unit and rank, one as a source, one as a target."""

import torch
from torch import Tensor, nn


class TrialCode(nn.Module):
    """From the activity of one trial to numbers from -1 to 1 per unit and rank, for sources and for targets.

    Each rank looks at the bins through a filter of its own. What it then says of a unit is the unit's own activity
    times a learned gain, plus what all units together say of the trial, times another. A trial is read by itself: the
    others of its batch do not matter.

    Parameters
    ----------
    n_bins, n_units, rank
        Sizes.
    generator
        Where starting values come from.
    """

    def __init__(self, n_bins: int, n_units: int, rank: int, generator: torch.Generator) -> None:
        super().__init__()

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        self.filters = nn.Parameter(n_bins**-0.5 * normal(n_bins, rank))
        self.population = nn.Parameter(normal(n_units, rank))
        self.own_gain = nn.Parameter(0.3 * normal(2, n_units, rank))
        self.population_gain = nn.Parameter(0.3 * normal(2, n_units, rank))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the numbers of sources and of targets, (B, N, rank) each, for trials ``x`` (B, T, N)."""
        seen = torch.einsum("btn,tr->bnr", x, self.filters)
        state = (seen * self.population).sum(dim=1, keepdim=True) * x.shape[2] ** -0.5
        source, target = (
            torch.tanh(seen * own + state * shared)
            for own, shared in zip(self.own_gain, self.population_gain, strict=True)
        )
        return source, target
