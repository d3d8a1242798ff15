"""A session of any size whose spikes are made when they are asked for, so that it takes no memory itself."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from small_session import make_session

from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session


@dataclass(frozen=True)
class Ramp:
    """A store of ascending numbers, as `RaggedArray` wants it: value ``i`` is ``i * step``."""

    step: float

    def __getitem__(self, key: slice) -> NDArray[np.float64]:
        return np.arange(key.start, key.stop, dtype=np.float64) * self.step


class Waveforms(dict):
    """One and the same waveform for every unit."""

    def __missing__(self, unit_id: int) -> NDArray[np.float64]:
        return np.full((384, 82), 1.5)


def many_spikes(n_units: int, n_spikes: int) -> Session:
    """Make a session of ``n_units`` units with ``n_spikes`` spikes each."""
    session = make_session()
    ids = 950_000_000 + np.arange(n_units)
    units = session.units.iloc[np.zeros(n_units, int)].set_axis(pd.Index(ids, name="unit_id"))
    starts = np.arange(n_units, dtype=np.int64) * n_spikes
    times = RaggedArray(ids, starts, starts + n_spikes, Ramp(1e-4))
    amplitudes = RaggedArray(ids, starts, starts + n_spikes, Ramp(1e-12))
    return replace(session, units=units, spike_times=times, spike_amplitudes=amplitudes, mean_waveforms=Waveforms())
