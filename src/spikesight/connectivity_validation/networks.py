"""The networks that estimators are validated on, by name."""

from dataclasses import replace
from typing import Final

from spikesight.connectivity_validation import coupled_point_process, integrate_and_fire
from spikesight.connectivity_validation.coupled_point_process import PointProcess, digest
from spikesight.connectivity_validation.integrate_and_fire import IntegrateAndFire
from spikesight.connectivity_validation.simulated_network import SimulatedNetwork
from spikesight.errors import ConfigError, UnknownNameError

Constants = PointProcess | IntegrateAndFire

NETWORKS: Final[dict[str, Constants]] = {
    "reference": coupled_point_process.REFERENCE,
    "integrate-and-fire": integrate_and_fire.FROZEN,
    "independent": PointProcess(couplings=False, stimulus=False, gain=False),
    "stimulus": PointProcess(couplings=False, gain=False),
    "gain": PointProcess(couplings=False, stimulus=False),
}
"""Name -> constants. ``reference``: coupled point processes with a stimulus and shared gain; ``integrate-and-fire``:
half of the units hidden, common input, no stimulus. Without any edge, to see whether p-values keep what they promise:
``independent``, ``stimulus`` (all that units share is the stimulus), ``gain`` (all they share is a slow gain)."""


def constants_of(name: str, *, rate: float | None = None, duration: float = 0.0, quick: bool = False) -> Constants:
    """Return the constants of a network.

    Parameters
    ----------
    name
        One of ``NETWORKS``.
    rate
        Median rate, spikes/s; None: as it is.
    duration
        At least that long, s.
    quick
        A small network of two minutes, to see that all works; its scores mean little.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    ConfigError
        If the rate is not positive.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    if rate is not None and not rate > 0:
        raise ConfigError(f"expected a median rate above 0 spikes/s, got {rate:g}.")
    constants = NETWORKS[name]
    rate = constants.rate_median if rate is None else float(rate)
    length = max(120.0 if quick else constants.duration, float(duration))
    constants = replace(constants, rate_median=rate, duration=length)
    if not quick:
        return constants
    if isinstance(constants, IntegrateAndFire):
        return replace(constants, n_units=24, n_observed=12, n_groups=3)
    return replace(constants, n_units=16, n_conditions=8)


def simulate(constants: Constants, seed: int, fraction: float | None = None) -> SimulatedNetwork:
    """Simulate a network of either family.

    Parameters
    ----------
    constants
        Which one.
    seed
        Of everything random.
    fraction
        Of all simulated units that are seen; None: as the network has it.
    """
    if isinstance(constants, IntegrateAndFire):
        if fraction is not None:
            constants = replace(constants, n_observed=constants.n_units)
        network = integrate_and_fire.simulate(constants, seed)
    else:
        network = coupled_point_process.simulate(constants, seed)
    return network if fraction is None else network.observe(float(fraction), seed)


def name_constants(constants: Constants) -> str:
    """Return the sha256 of the family and the constants."""
    return digest(constants, type(constants).__name__)
