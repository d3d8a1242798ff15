"""HEBO through Ray Tune: values stay as they are, nothing is printed, and nobody else's random numbers are touched."""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np
import torch
from ray import tune
from ray.tune.search.sample import Categorical, Domain, Float

_threads = torch.get_num_threads()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # GPyTorch compiles in a way that PyTorch has deprecated
    from ray.tune.search.hebo import HEBOSearch
torch.set_num_threads(_threads)  # HEBO sets it to one, for the whole process


class HeboSearch(HEBOSearch):
    """Ray's searcher with what it lacks.

    - HEBO turns the values of a choice into an array, of texts where there is one text: "auto" or 0.1 becomes "auto" or
      "0.1", which it does not find again. It is given the places of the values instead.
    - Candidates and the Gaussian process are drawn from the random numbers that numpy and torch share with everybody.
      Here they have states of their own, that are saved and restored with the search.
    - Numbers go through single precision, and can come out a little beyond the ends of their range.
    - HEBO prints to standard output, where results may be expected, and warns of its own code.

    Parameters
    ----------
    metric
        Name of what is reported, to be maximised.
    seed
        Of its random numbers.
    first
        Candidates to begin with, with a value for every parameter.
    at_a_time
        Candidates at work at once: HEBO proposes so many together and waits for all of them.
    """

    def __init__(self, metric: str, seed: int, first: Sequence[Mapping[str, Any]], at_a_time: int) -> None:
        super().__init__(metric=metric, mode="max", max_concurrent=at_a_time)
        self._first = [dict(values) for values in first]
        self._values: dict[str, list[Any]] = {}
        self._ends: dict[str, tuple[float, float]] = {}
        self._numpy_state: Any = np.random.MT19937(seed).state
        self._torch_state = torch.Generator().manual_seed(seed).get_state()

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Hear what is searched, from Ray."""
        choices = {name: domain for name, domain in config.items() if isinstance(domain, Categorical)}
        self._values = {name: list(domain.categories) for name, domain in choices.items()}
        self._ends = {
            name: (domain.lower, domain.upper) for name, domain in config.items() if isinstance(domain, Float)
        }
        searched = {name for name, domain in config.items() if isinstance(domain, Domain)}
        self._points_to_evaluate = [
            {name: self._place(name, value) for name, value in values.items() if name in searched}
            for values in self._first
        ]
        places = {name: tune.choice(list(range(len(values)))) for name, values in self._values.items()}
        with self._apart():
            return bool(super().set_search_properties(metric, mode, {**config, **places}, **spec))

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Propose a candidate; None: wait for those at work."""
        with self._apart():
            found = super().suggest(trial_id)
        return None if found is None else {name: self._value(name, value) for name, value in found.items()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Learn from a candidate. One that it does not know was proposed after its state was kept, before a kill."""
        if trial_id in self._live_trial_mapping:
            with self._apart():
                super().on_trial_complete(trial_id, result, error)

    def _place(self, name: str, value: Any) -> Any:
        if name not in self._values:
            return value
        same = [type(own) is type(value) and own == value for own in self._values[name]]
        return same.index(True)

    def _value(self, name: str, found: Any) -> Any:
        if name in self._values:
            return self._values[name][found]
        low, high = self._ends.get(name, (found, found))
        return min(max(found, low), high)

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Run HEBO in silence and with random numbers of its own; put back what others had."""
        numpy_before, torch_before = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002  (HEBO uses it)
        np.random.set_state(self._numpy_state)  # noqa: NPY002
        torch.set_rng_state(self._torch_state)
        try:
            with redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            self._numpy_state, self._torch_state = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
            np.random.set_state(numpy_before)  # noqa: NPY002
            torch.set_rng_state(torch_before)
