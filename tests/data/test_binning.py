import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikesight.data import count_kernels
from spikesight.data.binning import bin_periods, bin_spikes
from spikesight.data.counting import count_spikes
from spikesight.data.nwb import read_session
from spikesight.data.presentations import Trials, select_trials
from spikesight.data.ragged import RaggedArray
from spikesight.data.session import Session
from spikesight.errors import ConfigError, NoTrialsError, NoUnitsError, PresentationsError, SpikeTimesError
from spikesight.schema import validate_dataset


def ragged(*units):
    """Spike times end to end, and the offsets that part the units."""
    sizes = [len(unit) for unit in units]
    return np.concatenate([np.empty(0), *map(np.asarray, units)]), np.cumsum([0, *sizes])


def brute_force(units, edges):
    """Compare every spike with every edge."""
    counts = np.zeros((edges.shape[0], edges.shape[1] - 1, len(units)), int)
    for unit, times in enumerate(units):
        t = np.asarray(times, float)[:, None, None]
        counts[:, :, unit] = ((edges[None, :, :-1] <= t) & (t < edges[None, :, 1:])).sum(0)
    return counts


def searchsorted_counts(times, offsets, edges):
    """Count by the positions of all edges among the spikes of each unit."""
    units = [times[a:b] for a, b in pairwise(offsets)]
    return np.stack([np.diff(np.searchsorted(t, edges.ravel()).reshape(edges.shape), axis=1) for t in units], axis=2)


def make_session(units, **columns):
    ids = np.arange(len(units)) + 100
    table = pd.DataFrame({"area": "VISp", "probe": "probeA", **columns}, index=pd.Index(ids, name="unit_id"))
    times = RaggedArray.from_arrays({int(i): np.asarray(t, float) for i, t in zip(ids, units, strict=True)})
    return Session("7", table, times, {}, pd.DataFrame(columns=["start_time", "stop_time", "tags"]))


def make_trials(session, starts, stops, **columns):
    n = len(starts)
    table = pd.DataFrame(
        {
            "start_time": np.asarray(starts, float),
            "stop_time": np.asarray(stops, float),
            "stimulus_block": 0,
            "repeat": np.arange(n),
            "target": 1,
            **columns,
        },
        index=pd.Index(np.arange(n) * 10, name="stimulus_presentation_id"),
    )
    return Trials(table, session, "natural_scenes", "frame", "kept", {"invalid": 2}, {"probeB": 3})


# ---------------------------------------------------------------- which bin a spike is in


def test_count_spikes_counts_a_spike_on_the_left_edge_and_not_one_on_the_right():
    counts = count_spikes(*ragged([0.0, 0.5, 1.0]), np.array([[0.0, 0.5, 1.0]]))

    assert counts.tolist() == [[[1], [1]]]


def test_count_spikes_gives_windows_bins_units_in_the_order_given():
    units = [0.1, 0.2, 5.1], [5.6]

    counts = count_spikes(*ragged(*units), np.array([[5.0, 5.5, 6.0], [0.0, 0.5, 1.0]]))

    assert counts.shape == (2, 2, 2)
    assert counts[..., 0].tolist() == [[1, 0], [2, 0]]
    assert counts[..., 1].tolist() == [[0, 1], [0, 0]]


def test_count_spikes_counts_a_spike_once_in_each_of_two_overlapping_windows():
    counts = count_spikes(*ragged([6.0]), np.array([[0.0, 10.0], [5.0, 15.0]]))

    assert counts.ravel().tolist() == [1, 1]


def test_count_spikes_separates_windows_one_ulp_apart_at_1e4_seconds():
    stop = 10_000.25
    after = np.nextafter(stop, np.inf)
    units = [[np.nextafter(stop, 0)], [stop], [after]]

    counts = count_spikes(*ragged(*units), np.array([[1e4, stop], [after, after + 0.25]]))

    assert counts[:, 0].tolist() == [[1, 0, 0], [0, 0, 1]]


def test_count_spikes_counts_a_spike_in_both_of_two_windows_that_overlap_by_one_ulp():
    start = 10_000.25
    stop = np.nextafter(start, np.inf)

    counts = count_spikes(*ragged([start], [stop]), np.array([[1e4, stop], [start, 10_000.5]]))

    assert counts[:, 0].tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize("units", [[[]], [[], []], [[], [0.1], []], []])
def test_count_spikes_accepts_units_without_spikes(units):
    counts = count_spikes(*ragged(*units), np.array([[0.0, 0.5, 1.0]]))

    assert counts.shape == (1, 2, len(units))
    assert counts.sum() == sum(map(len, units))


def test_count_spikes_accepts_no_windows():
    assert count_spikes(*ragged([1.0]), np.empty((0, 3))).shape == (0, 2, 1)


def test_count_spikes_leaves_an_empty_bin_between_equal_edges_empty():
    counts = count_spikes(*ragged([1.0]), np.array([[0.0, 1.0, 1.0, 2.0]]))

    assert counts.ravel().tolist() == [0, 0, 1]


# A coarse grid of times makes ties between spikes and edges, shared edges and nested windows the rule.
grid = st.integers(0, 24).map(lambda k: 1e4 + k / 8)
nudged = st.tuples(grid, st.sampled_from([0, 0, 1, -1])).map(
    lambda pair: np.nextafter(pair[0], np.inf * pair[1]) if pair[1] else pair[0]
)


@settings(max_examples=200, deadline=None)
@given(
    units=st.lists(st.lists(nudged, max_size=30).map(sorted), min_size=1, max_size=3),
    windows=st.lists(st.lists(nudged, min_size=4, max_size=4).map(sorted), min_size=1, max_size=8),
)
def test_count_spikes_equals_brute_force_on_edges_ties_and_one_ulp_neighbours(units, windows):
    edges = np.array(windows)

    np.testing.assert_array_equal(count_spikes(*ragged(*units), edges), brute_force(units, edges))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_bins=st.integers(1, 12),
    gap=st.sampled_from([0.0, 1e-12, 0.1, 3.0, -0.1, -0.9]),
    offset=st.sampled_from([0.0, 1e4, -5.0]),
)
def test_count_spikes_equals_brute_force_on_random_windows_of_different_durations(seed, n_bins, gap, offset):
    rng = np.random.default_rng(seed)
    durations = rng.choice([0.25, 0.2502, 1e-6, 2.0], 20)
    starts = offset + np.cumsum(durations) - durations + gap * np.arange(20)
    edges = starts[:, None] + durations[:, None] * np.arange(n_bins + 1) / n_bins
    edges = rng.permutation(edges)
    spikes = [np.sort(rng.uniform(edges.min() - 1, edges.max() + 1, n)) for n in (0, 3, 400)]
    units = [*spikes, np.sort(edges.ravel()), np.sort(np.nextafter(edges.ravel(), -np.inf))]

    np.testing.assert_array_equal(count_spikes(*ragged(*units), edges), brute_force(units, edges))


@pytest.mark.parametrize("n_bins", [1, 10])
@pytest.mark.parametrize("ulps", [0, 1, -1])
def test_count_spikes_equals_searchsorted_over_a_long_session_of_back_to_back_trials(n_bins, ulps):
    rng = np.random.default_rng(3)
    starts = np.concatenate([3000 + 0.2502 * np.arange(700), 8000 + 0.2502 * np.arange(700)])
    stops = np.append(starts[1:], starts[-1] + 0.25)
    stops[699] = starts[699] + 0.25
    if ulps:
        stops = np.nextafter(stops, np.inf * -ulps)
    edges = starts[:, None] + (stops - starts)[:, None] * np.arange(n_bins + 1) / n_bins
    edges[:, -1] = stops
    times, offsets = ragged(
        *(np.sort(rng.uniform(0, 9400, rng.poisson(rate * 9400))) for rate in (0.01, 1, 8, 60)), np.sort(edges.ravel())
    )

    np.testing.assert_array_equal(count_spikes(times, offsets, edges), searchsorted_counts(times, offsets, edges))


@pytest.mark.parametrize(
    ("n", "dtype"), [(0, np.uint8), (255, np.uint8), (256, np.uint16), (65_535, np.uint16), (65_536, np.uint32)]
)
def test_count_spikes_takes_the_smallest_dtype_that_holds_the_largest_count(n, dtype):
    counts = count_spikes(*ragged([0.2], np.full(n, 0.5), [1.5]), np.array([[0.0, 1.0], [1.0, 2.0]]))

    assert counts.dtype == dtype
    assert counts[:, 0].tolist() == [[1, n, 0], [0, 0, 1]]


def test_count_spikes_does_not_mistake_many_spikes_in_a_gap_for_an_overflow():
    counts = count_spikes(*ragged(np.full(100_000, 1.2)), np.array([[0.0, 1.0], [1.5, 2.5]]))

    assert counts.dtype == np.uint8
    assert counts.sum() == 0


def test_count_spikes_is_right_when_several_threads_of_a_program_count_at_once():
    rng = np.random.default_rng(0)
    times, offsets = ragged(*(np.sort(rng.uniform(0, 100, 2000)) for _ in range(40)))
    edges = np.arange(100.0)[:, None] + np.linspace(0, 1, 5)
    expected = searchsorted_counts(times, offsets, edges)

    with ThreadPoolExecutor(4) as pool:
        for counts in pool.map(lambda _: count_spikes(times, offsets, edges), range(16)):
            np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("bad", [[[0.0, np.nan]], [[0.0, np.inf]], [[0.0, 1.0], [3.0, 2.0]]])
def test_count_spikes_refuses_edges_that_are_not_finite_or_descend_and_names_the_row(bad):
    with pytest.raises(PresentationsError, match=f"row {len(bad) - 1} "):
        count_spikes(*ragged([0.5]), np.array(bad))


def test_kernels_compile_where_no_folder_can_be_written(monkeypatch):
    def refuse_to_cache(function, *, nogil, cache=False):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return function

    monkeypatch.setattr(count_kernels.numba, "njit", refuse_to_cache)

    assert count_kernels.compiled(len) is len


# ---------------------------------------------------------------- trials to dataset


def test_bin_spikes_cuts_each_presentation_by_its_own_duration():
    session = make_session([[0.1, 0.6, 2.4, 2.6, 3.9]])

    dataset = bin_spikes(make_trials(session, [0, 2], [1, 4]), n_bins=2)

    assert dataset["spike_counts"].dims == ("trial", "time", "unit")
    assert dataset["spike_counts"].values[..., 0].tolist() == [[1, 1], [2, 1]]
    assert dataset["time"].values.tolist() == [0.0, 0.75]
    assert validate_dataset(dataset) is dataset


def test_bin_spikes_ends_the_last_bin_at_the_stop_time_itself():
    start, stop = 0.1, 0.1 + 0.7
    session = make_session([[np.nextafter(stop, 0)], [stop]])

    dataset = bin_spikes(make_trials(session, [start, stop], [stop, stop + 1]), n_bins=7)

    assert dataset["spike_counts"].sum("time").values.tolist() == [[1, 0], [0, 1]]


def test_bin_spikes_counts_before_and_after_the_start_in_a_window():
    session = make_session([[0.95, 1.0, 1.05, 1.1]])

    dataset = bin_spikes(make_trials(session, [1.0], [1.25]), bin_size=0.1, window=(-0.1, 0.1))

    assert dataset["spike_counts"].values.ravel().tolist() == [1, 2]
    np.testing.assert_allclose(dataset["time"], [-0.1, 0.0])


def test_bin_spikes_accepts_a_window_that_is_whole_but_for_decimal_fractions():
    dataset = bin_spikes(make_trials(make_session([[1.0]]), [1.0], [1.25]), bin_size=0.1, window=(0.0, 0.1 + 0.2))

    assert dataset.sizes["time"] == 3


def test_bin_spikes_names_trials_units_and_provenance():
    session = make_session([[0.1], [0.2]], probe_vertical_position=[20.0, np.nan])
    trials = make_trials(session, [0, 1], [1, 2], frame=[-1, 117], color=["black", None], unit=[1, 2])

    dataset = bin_spikes(trials, n_bins=1)

    assert dataset["trial"].values.tolist() == [0, 10]
    assert dataset["unit"].values.tolist() == [100, 101]
    assert dataset["area"].values.tolist() == ["VISp", "VISp"]
    assert dataset["frame"].values.tolist() == [-1, 117]
    assert dataset["color"].values.tolist() == ["black", ""]
    assert dataset["stimulus_unit"].dims == ("trial",)
    assert np.isnan(dataset["probe_vertical_position"].values[1])
    assert dataset["time"].attrs["units"] == "s"
    assert dataset.attrs["session_id"] == "7"
    assert dataset.attrs["stimulus_name"] == "natural_scenes"
    assert json.loads(dataset.attrs["dropped_trials"]) == {"invalid": 2}
    assert json.loads(dataset.attrs["dropped_units"]) == {"invalid times of probeB": 3}
    assert all(coord.dtype.kind != "O" for coord in dataset.coords.values())
    json.dumps(dict(dataset.attrs))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_bins": 2, "bin_size": 0.1},
        {"bin_size": 0.1},
        {"window": (0, 1)},
        {"n_bins": 0},
        {"n_bins": -1},
        {"bin_size": 0.0, "window": (0, 1)},
        {"bin_size": -0.1, "window": (0, 1)},
        {"bin_size": np.nan, "window": (0, 1)},
        {"bin_size": 0.1, "window": (1, 0)},
        {"bin_size": 0.1, "window": (0, np.inf)},
        {"bin_size": 0.1, "window": (0, 0.25)},
        {"bin_size": 1.0, "window": (0, 0.25)},
    ],
)
def test_bin_spikes_refuses_options_that_do_not_describe_whole_bins(options):
    with pytest.raises(ConfigError, match="expected"):
        bin_spikes(make_trials(make_session([[1.0]]), [1.0], [1.25]), **options)


@pytest.mark.parametrize(("start", "stop"), [(1.0, 1.0), (2.0, 1.0), (np.nan, 1.0), (1.0, np.inf)])
def test_bin_spikes_names_the_rows_of_presentations_that_do_not_last(start, stop):
    trials = make_trials(make_session([[1.0]]), [0.0, start], [0.5, stop])

    with pytest.raises(PresentationsError, match=r"rows \[1\]"):
        bin_spikes(trials, n_bins=2)


def test_bin_spikes_says_that_there_are_no_trials_and_what_left_them_out():
    with pytest.raises(NoTrialsError, match=r"natural_scenes.*invalid"):
        bin_spikes(make_trials(make_session([[1.0]]), [], []), n_bins=1)


def test_bin_spikes_says_that_there_are_no_units():
    with pytest.raises(NoUnitsError):
        bin_spikes(make_trials(make_session([]), [0], [1]), n_bins=1)


@pytest.mark.parametrize("times", [[0.2, 0.1], [0.1, np.nan]])
def test_bin_spikes_refuses_unsorted_or_nan_spike_times(times):
    with pytest.raises(SpikeTimesError, match="unit 100"):
        bin_spikes(make_trials(make_session([times]), [0], [1]), n_bins=1)


# ---------------------------------------------------------------- continuous periods


def periods(*pairs):
    return pd.DataFrame(pairs, columns=["start_time", "stop_time"])


def test_bin_periods_lays_periods_end_to_end_with_absolute_times():
    session = make_session([[0.05, 0.25, 10.15], [10.2]])

    counts = bin_periods(session, periods((0, 0.3), (10.1, 10.3)), 0.1)

    assert counts.dims == ("time", "unit")
    assert counts.values.tolist() == [[1, 0], [0, 0], [1, 0], [1, 0], [0, 1]]
    assert counts["period"].values.tolist() == [0, 0, 0, 1, 1]
    np.testing.assert_allclose(counts["time"], [0, 0.1, 0.2, 10.1, 10.2])
    assert counts["area"].values.tolist() == ["VISp", "VISp"]


def test_bin_periods_does_not_count_what_is_left_after_the_last_whole_bin():
    counts = bin_periods(make_session([[0.95, 1.05]]), periods((0, 1.09)), 0.1)

    assert counts.sizes["time"] == 10
    assert counts.sum() == 1


def test_bin_periods_equals_searchsorted_at_one_millisecond():
    rng = np.random.default_rng(1)
    spikes = np.sort(rng.uniform(990, 1020, 5000))
    times, offsets = ragged(spikes)

    counts = bin_periods(make_session([spikes]), periods((1000, 1010), (1012, 1015.5)), 0.001)

    for start, n, at in ((1000, 10_000, slice(0, 10_000)), (1012, 3500, slice(10_000, None))):
        edges = start + 0.001 * np.arange(n + 1)
        assert counts.values[at, 0].tolist() == searchsorted_counts(times, offsets, edges[None])[0, :, 0].tolist()


@pytest.mark.parametrize("bad", [(5.0, 5.01), (5.0, 4.0), (np.nan, 5.0), (5.0, np.inf)])
def test_bin_periods_names_the_row_of_a_period_shorter_than_a_bin(bad):
    with pytest.raises(PresentationsError, match="row 1"):
        bin_periods(make_session([[1.0]]), periods((0, 1), bad), 0.1)


def test_bin_periods_refuses_a_bin_size_that_is_not_positive():
    with pytest.raises(ConfigError, match="bin_size"):
        bin_periods(make_session([[1.0]]), periods((0, 1)), 0.0)


# ---------------------------------------------------------------- real spikes


def test_count_spikes_reproduces_the_published_counts_of_real_spike_times(recordings: Path):
    path = recordings / "allen-npx-drifting-gratings" / "spiketimes_200x1000.npz"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    with np.load(path, allow_pickle=False) as file:
        times, spans, published = file["spike_times"], file["ii_spike_times"], file["counts"]
    n_trials, n_units = published.shape
    # The spikes are given per trial, from its onset; laid out one second apart they make one recording.
    units = [
        np.sort(np.concatenate([trial + times[slice(*spans[trial, unit])] for trial in range(n_trials)]))
        for unit in range(n_units)
    ]

    counts = count_spikes(*ragged(*units), np.arange(n_trials)[:, None] + np.array([0.0, 0.1]))

    np.testing.assert_array_equal(counts[:, 0], published)


@pytest.mark.parametrize("file", ["session_sdk200.nwb", "session_sdk2162.nwb"])
@pytest.mark.parametrize("stimulus", ["natural_scenes", "drifting_gratings"])
def test_bin_spikes_of_a_file_equals_searchsorted(recordings: Path, file, stimulus):
    path = recordings / "allensdk-written" / file
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    trials = select_trials(read_session(path, filters=None), stimulus)
    starts, stops = (trials.table[name].to_numpy()[:, None] for name in ("start_time", "stop_time"))
    edges = starts + (stops - starts) * np.arange(6) / 5
    edges[:, -1] = stops[:, 0]

    counts = bin_spikes(trials, n_bins=5)["spike_counts"]

    np.testing.assert_array_equal(counts, searchsorted_counts(*trials.session.checked_spike_times(), edges))


def test_thread_count_follows_numba_num_threads(monkeypatch):
    monkeypatch.setattr(sys.modules["numba"].config, "NUMBA_NUM_THREADS", 1)

    assert count_kernels.n_threads() == 1
    assert count_spikes(*ragged([0.5], [0.7]), np.array([[0.0, 1.0]])).ravel().tolist() == [1, 1]


@pytest.mark.slow
def test_kernels_stay_within_their_arrays(tmp_path):
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "count_spikes and not real",
        __file__,
    ]

    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
