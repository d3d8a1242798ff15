"""Every estimator on networks that are known: scores, calibration and stability."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from spikesight.connectivity.stability import Stability
from spikesight.connectivity.stability import stability as stability_of
from spikesight.connectivity_validation.finished_rows import FinishedRows, code_behind_scores, name_row
from spikesight.connectivity_validation.methods import Method, method_of, methods_of
from spikesight.connectivity_validation.networks import Constants, constants_of, name_constants, simulate
from spikesight.connectivity_validation.scores import Scores, matrices_of, mean_over_seeds, score
from spikesight.connectivity_validation.simulated_network import SimulatedNetwork
from spikesight.errors import ConfigError, UnknownNameError
from spikesight.tracking.progress import Progress

SCORES: Final = Scores._fields
TERMS: Final = ("method", "network", "duration", "fraction_observed", "rate_asked")
"""Columns that say what was measured; rows that differ in the seed only are averaged."""
COLUMNS: Final = (*TERMS, "seed", "n_units", "n_edges", "mean_rate", *SCORES, "seconds", "n_left_out", "error")
KINDS: Final = {"independent": None, "stimulus": None, "gain": None, "hidden": 0.5}
"""Sets for calibration: a network of that name; or, with a fraction of units that are seen, the reference network."""


class _Setting(NamedTuple):
    """A network, and what of it is seen for how long."""

    label: str
    constants: Constants
    seed: int
    rate: float | None
    fraction: float | None
    duration: float


def validate(
    methods: Sequence[str | Method] | None = None,
    *,
    network: str = "reference",
    seeds: Sequence[int] = (0, 1, 2),
    durations: Sequence[float] | None = None,
    fractions: Sequence[float] | None = None,
    rates: Sequence[float] | None = None,
    quick: bool = False,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Score estimators on a simulated network, for every combination of seed, duration, fraction and rate.

    Every estimator gets what a user would give it: bins of the length that suits it, by trial where there is a
    stimulus (so that it can remove the mean response), else the whole recording.

    Parameters
    ----------
    methods
        Names in the registry, `CORRELATION`, or `Method` with options of its own. None: all.
    network
        One of ``NETWORKS``.
    seeds
        Of the simulated networks: each is another network.
    durations
        Lengths of the recording, s, cut from its beginning; None: all of it.
    fractions
        Fractions of the simulated units that are seen; None: as the network has it.
    rates
        Median rates, spikes/s; None: as the network has it.
    quick
        A small network of two minutes, to see that all works.
    out
        Folder that keeps finished rows (``rows/*.parquet``); with the same code and options they are read, not computed
        again. Rows that failed are not kept.
    progress
        Who is told how far it is.

    Returns
    -------
    DataFrame
        One row per method and setting, columns ``COLUMNS``: what was measured, ``n_units`` that are seen, ``mean_rate``
        (spikes/s), the `Scores`, ``seconds`` of the fit, ``n_left_out`` units with too few spikes. Where a method
        failed, ``error`` says why and the scores are NaN; else it is "".

    Raises
    ------
    UnknownNameError
        If there is no such network or estimator.
    ConfigError
        If there is nothing to do, or a duration, fraction or rate is impossible.
    OutputError
        If a finished row cannot be kept.
    """
    settings = _settings(network, network, seeds, durations, fractions, rates, quick)
    return _run(methods_of(methods), settings, FinishedRows(out), progress)


def calibration(
    methods: Sequence[str | Method] | None = None,
    kinds: Sequence[str] = tuple(KINDS),
    seeds: Sequence[int] = (0, 1, 2),
    *,
    quick: bool = False,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Measure false positives among pairs without an edge, where p-values should keep what they promise and where not.

    ``independent`` units and units that share a ``stimulus`` only must come out at 5 % and 1 %. Under shared ``gain``,
    and where half of the reference network is ``hidden``, pairs without an edge do fire together: what is measured is
    how much that inflates.

    Parameters
    ----------
    methods, seeds, quick, out, progress
        As in `validate`.
    kinds
        Of ``KINDS``.

    Returns
    -------
    DataFrame
        As of `validate`; ``network`` is the kind.

    Raises
    ------
    UnknownNameError, ConfigError, OutputError
        As `validate`.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise UnknownNameError("kind of calibration", unknown[0], KINDS)
    settings = []
    for kind in kinds:
        fraction = KINDS[kind]
        of = kind if fraction is None else "reference"
        settings += _settings(kind, of, seeds, None, None if fraction is None else (fraction,), None, quick)
    return _run(methods_of(methods), settings, FinishedRows(out), progress)


def stability(
    method: str | Method,
    network: str = "reference",
    seed: int = 0,
    *,
    fraction: float | None = None,
    quick: bool = False,
) -> Stability:
    """Correlate the matrix of a method with that of halves of the recording, and with that of another seed.

    Parameters
    ----------
    method, network, quick
        As in `validate`.
    seed, fraction
        Of the simulated network.
    """
    method = method if isinstance(method, Method) else method_of(method)
    known = simulate(constants_of(network, quick=quick), seed, fraction)
    counts = known.counts(method.bin_size, by_trial=method.by_trial and not known.presentations.empty)
    return stability_of(method.make().fit(counts), counts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Average scores over seeds.

    Parameters
    ----------
    table
        As of `validate` or `calibration`.

    Returns
    -------
    DataFrame
        One row per method and setting, best AUROC first within a setting: columns ``TERMS``, ``n_seeds`` (that did not
        fail), ``n_failed``, ``error`` (the first), and of every score, ``seconds`` and ``mean_rate`` the mean under its
        own name and the 95 % interval (Student's t over seeds; NaN for one seed) as ``<score>_low``,
        ``<score>_high``.
    """
    rows = []
    for terms, own in table.groupby(list(TERMS), sort=False, dropna=False):
        failed = own["error"] != ""
        row: dict[str, Any] = dict(zip(TERMS, terms, strict=True))
        row |= {"n_seeds": int((~failed).sum()), "n_failed": int(failed.sum())}
        row["error"] = str(own.loc[failed, "error"].iloc[0]) if failed.any() else ""
        for name in (*SCORES, "seconds", "mean_rate"):
            found = mean_over_seeds(own[name])
            row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
        rows.append(row)
    averaged = pd.DataFrame(rows)
    averaged["place"] = averaged.groupby(list(TERMS[1:]), sort=False, dropna=False).ngroup()
    order = averaged.sort_values(["place", "auroc"], ascending=[True, False], na_position="last")
    return order.drop(columns="place").reset_index(drop=True)


def _settings(
    label: str,
    network: str,
    seeds: Sequence[int],
    durations: Sequence[float] | None,
    fractions: Sequence[float] | None,
    rates: Sequence[float] | None,
    quick: bool,
) -> list[_Setting]:
    """List what is measured; settings that share a simulation stand together."""
    if not seeds or any(values is not None and not len(values) for values in (durations, fractions, rates)):
        raise ConfigError("expected at least one seed, duration, fraction and rate to validate with.")
    if any(not 0 < fraction <= 1 for fraction in fractions or ()):
        raise ConfigError(f"expected fractions of units above 0 and up to 1, got {list(fractions or ())}.")
    if any(not (math.isfinite(duration) and duration > 0) for duration in durations or ()):
        raise ConfigError(f"expected durations above 0 s, got {list(durations or ())}.")
    found = []
    for seed in seeds:
        for rate in rates or (None,):
            constants = constants_of(network, rate=rate, duration=max(durations or (0.0,)), quick=quick)
            for fraction in fractions or (None,):
                for duration in durations or (constants.duration,):
                    found.append(_Setting(label, constants, int(seed), rate, fraction, float(duration)))
    return found


def _run(
    methods: Sequence[Method], settings: Sequence[_Setting], finished: FinishedRows, progress: Progress | None
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    total = len(methods) * len(settings)
    code = code_behind_scores()
    networks = _Networks()
    for setting in settings:
        for method in methods:
            rows.append(_row(method, setting, networks, finished, code))
            if progress is not None:
                progress.advance("validation", len(rows), total)
    return pd.DataFrame(rows, columns=list(COLUMNS))


class _Networks:
    """Simulates a network when it is first asked for, and keeps the last one."""

    def __init__(self) -> None:
        self._name: tuple[object, ...] = ()
        self._known: SimulatedNetwork | None = None

    def get(self, setting: _Setting) -> SimulatedNetwork:
        """Return what is seen of a network in a setting."""
        name = (setting.constants, setting.seed, setting.fraction)
        if self._known is None or name != self._name:
            self._known = simulate(setting.constants, setting.seed, setting.fraction)
            self._name = name
        return self._known if setting.duration >= self._known.duration else self._known.cut(0.0, setting.duration)


def _row(method: Method, setting: _Setting, networks: _Networks, finished: FinishedRows, code: str) -> dict[str, Any]:
    """Score a method, or read the finished row; what goes wrong becomes part of the row."""
    begun = {"method": method.name, "network": setting.label, "duration": setting.duration, "seed": setting.seed}
    begun["rate_asked"] = math.nan if setting.rate is None else float(setting.rate)
    try:
        estimator = method.make()
        described = [
            method.name,
            method.bin_size,
            method.by_trial,
            name_constants(setting.constants),
            setting[2:],
            code,
        ]
        name = name_row(f"{method.name}-{setting.label}-seed{setting.seed}", estimator, setting.label, described)
        row = finished.get(name)
        if row is None:
            row = {**begun, **_measure(method, estimator, networks.get(setting))}
            finished.put(name, row)
    except Exception as error:  # one method's trouble must not cost the others their rows; it is reported
        if isinstance(error, OSError):
            raise
        reason = " ".join(str(error).split())
        row = {**begun, **dict.fromkeys(SCORES, math.nan), "error": f"{type(error).__name__}: {reason}"}
        row |= _described(networks.get(setting)) | {"seconds": math.nan, "n_left_out": 0}
    return row


def _measure(method: Method, estimator: Any, network: SimulatedNetwork) -> dict[str, Any]:
    counts = network.counts(method.bin_size, by_trial=method.by_trial and not network.presentations.empty)
    begin = time.perf_counter()
    fitted = estimator.fit(counts)
    seconds = time.perf_counter() - begin
    return {
        **_described(network),
        **score(network, matrices_of(fitted, network))._asdict(),
        "seconds": seconds,
        "n_left_out": network.n_units - len(np.intersect1d(fitted.connectivity_.source_unit, network.observed)),
        "error": "",
    }


def _described(network: SimulatedNetwork) -> dict[str, Any]:
    return {
        "n_units": network.n_units,
        "n_edges": int(network.edges.sum()),
        "mean_rate": float(network.rates.mean()),
        "fraction_observed": network.n_units / network.n_simulated,
    }
