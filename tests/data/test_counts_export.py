"""Binned trials as .npz: what was written comes back, and numpy alone can read it."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from typer.testing import CliRunner

from spikesight.cli import app
from spikesight.data.binning import bin_spikes
from spikesight.data.context import add_context
from spikesight.data.counts import read_counts, write_counts
from spikesight.data.counts_export import ABOUT, arrays_of
from spikesight.data.nwb import read_session
from spikesight.data.nwb_write import write_session
from spikesight.data.presentations import select_trials
from spikesight.data.simulation import simulate_session
from spikesight.errors import DataError, FileFormatError, OutputError, SpikesightError, TargetNotFoundError

ENDINGS = (".npz", ".nc")


@pytest.fixture(scope="module")
def session():
    return simulate_session("tiny", 3).session


@pytest.fixture
def dataset(session):
    return bin_spikes(select_trials(session, "gabors"), n_bins=2)


def round_trip(dataset, path):
    write_counts(dataset, path)
    return read_counts(path)


def same(first, second):
    assert second.identical(first)
    assert {name: variable.dtype for name, variable in second.variables.items()} == {
        name: variable.dtype for name, variable in first.variables.items()
    }
    for name in first.variables:
        assert first[name].to_numpy().tobytes() == second[name].to_numpy().tobytes(), name
    json.dumps(dict(second.attrs))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("stimulus", ["gabors", "natural_scenes", "static_gratings", "flashes", "natural_movie_one"])
def test_trials_of_every_kind_come_back_exactly(session, tmp_path, stimulus, ending):
    trials = select_trials(session, stimulus, "frame" if stimulus == "natural_movie_one" else None)
    same(
        bin_spikes(trials, bin_size=0.05, window=(-0.1, 0.2)),
        round_trip(bin_spikes(trials, bin_size=0.05, window=(-0.1, 0.2)), tmp_path / f"x{ending}"),
    )


@pytest.mark.parametrize("ending", ENDINGS)
def test_trials_with_context_come_back_exactly(dataset, tmp_path, ending):
    with_context = add_context(dataset, 1, 1)
    same(with_context, round_trip(with_context, tmp_path / f"x{ending}"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_coordinates_along_trial_and_time_come_back_exactly(dataset, tmp_path, ending):
    speed = np.where(np.arange(2) == 0, np.nan, np.random.default_rng(0).normal(size=(dataset.sizes["trial"], 2)))
    running = dataset.assign_coords(running_by_bin=(("trial", "time"), speed, {"units": "cm/s"}))
    same(running, round_trip(running, tmp_path / f"x{ending}"))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    X=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.uint32]), hnp.array_shapes(min_dims=3, max_dims=3, max_side=4)
    ),
    labels=st.data(),
)
def test_any_counts_and_labels_come_back_exactly(X, labels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("counts")
    text = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\0"), min_size=1).filter(
        str.strip
    )
    y = labels.draw(st.lists(text, min_size=len(X), max_size=len(X)))
    np.savez(folder / "lab.npz", X=X, y=np.array(y), groups=np.arange(len(X)) // 2)
    read = read_counts(folder / "lab.npz")
    for ending in ENDINGS:
        same(read, round_trip(read, folder / f"copy{ending}"))


def test_the_binned_trials_of_a_file_of_allensdk_come_back_exactly(recordings, tmp_path):
    session = read_session(recordings / "allensdk-written" / "session_sdk200.nwb")
    for stimulus in ("natural_scenes", "drifting_gratings", "flashes"):
        binned = bin_spikes(select_trials(session, stimulus), n_bins=3)
        for ending in ENDINGS:
            same(binned, round_trip(binned, tmp_path / f"{stimulus}{ending}"))


def test_numpy_alone_reads_the_arrays(dataset, tmp_path):
    write_counts(dataset, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        arrays = dict(file)
    n_trials, n_bins, n_units = arrays["X"].shape
    assert (n_trials, n_bins, n_units) == tuple(dataset.sizes[name] for name in ("trial", "time", "unit"))
    np.testing.assert_array_equal(arrays["X"], dataset["spike_counts"])
    np.testing.assert_array_equal(arrays["y"], dataset["target"])
    np.testing.assert_array_equal(arrays["groups"], dataset["stimulus_block"])
    np.testing.assert_array_equal(arrays["unit_ids"], dataset["unit"])
    for name in ("area", "start_time", "stop_time", "repeat", "time", "x_position"):
        np.testing.assert_array_equal(arrays[name], dataset[name])


def test_without_what_it_says_of_itself_it_is_a_labs_own_file(dataset, tmp_path):
    arrays = arrays_of(dataset)
    del arrays[ABOUT]
    np.savez(tmp_path / "lab.npz", **arrays)
    read = read_counts(tmp_path / "lab.npz")
    np.testing.assert_array_equal(read["spike_counts"], dataset["spike_counts"])
    assert read["target"].values.tolist() == dataset["target"].values.tolist()
    assert read["unit"].values.tolist() == dataset["unit"].values.tolist()


def test_columns_that_bear_the_names_of_our_arrays_come_back(dataset, tmp_path):
    own = {name: ("trial", np.arange(dataset.sizes["trial"]) + k) for k, name in enumerate(("y", "X", "groups", ABOUT))}
    named = dataset.assign_coords(own)
    same(named, round_trip(named, tmp_path / "x.npz"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_another_column_is_decoded_from_what_was_written(dataset, session, tmp_path, ending):
    write_counts(dataset, tmp_path / f"x{ending}")
    read = read_counts(tmp_path / f"x{ending}", target="orientation", areas=["VISp"])
    binned = bin_spikes(select_trials(session, "gabors", "orientation"), n_bins=2)
    assert read["target"].equals(binned["target"])
    assert read["repeat"].equals(binned["repeat"])
    assert set(read["area"].values) == {"VISp"}
    with pytest.raises(TargetNotFoundError, match="'contrats'"):
        read_counts(tmp_path / f"x{ending}", target="contrats")


def _about(arrays, change):
    about = json.loads(str(arrays[ABOUT]))
    change(about)
    return {**arrays, ABOUT: np.array(json.dumps(about))}


@pytest.mark.parametrize(
    "damage",
    [
        lambda a: {**a, ABOUT: np.array("no json")},
        lambda a: {**a, ABOUT: np.array("[1, 2]")},
        lambda a: {**a, ABOUT: np.array(["{}", "{}"])},
        lambda a: {**a, ABOUT: np.array("[" * 100_000)},
        lambda a: _about(a, lambda about: about.update(format=2)),
        lambda a: _about(a, lambda about: about.pop("attrs")),
        lambda a: _about(a, lambda about: about["arrays"].pop("X")),
        lambda a: _about(a, lambda about: about["arrays"].pop("y")),
        lambda a: _about(a, lambda about: about["arrays"]["y"].update(dims=["unit"])),
        lambda a: _about(a, lambda about: about["arrays"]["y"].update(dims=[["trial"]])),
        lambda a: _about(a, lambda about: about["arrays"].update(z={"name": "z", "dims": [], "attrs": {}})),
        lambda a: {**a, "X": a["X"][:-1]},
        lambda a: {**a, "X": a["X"].astype(float)},
        lambda a: {**a, "X": a["X"].astype(int) - 1},
        lambda a: {**a, "unit_ids": np.zeros_like(a["unit_ids"])},
    ],
)
def test_arrays_that_do_not_fit_what_is_told_of_them_are_refused(dataset, tmp_path, damage):
    np.savez(tmp_path / "x.npz", **damage(arrays_of(dataset)))
    with pytest.raises(FileFormatError, match=r"x\.npz"):
        read_counts(tmp_path / "x.npz")


def spoil(value, rng):
    """Put something else in a random place of what a file says of itself."""
    odd = [None, 0, -1, 1.5, "", "trial", "X", [], {}, [["a"]], True, "x" * 1000, 10**400, float("nan")]
    if not isinstance(value, dict | list) or not value or rng.random() < 0.2:
        return odd[rng.integers(len(odd))]
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[rng.integers(len(keys))]
    if isinstance(value, dict) and rng.random() < 0.1:
        value[str(odd[rng.integers(len(odd))])] = value.pop(key)
    else:
        value[key] = spoil(value[key], rng)
    return value


def test_spoilt_descriptions_read_fine_or_end_in_an_error_of_ours(dataset, tmp_path):
    whole, n_refused = arrays_of(dataset), 0
    for number in range(200):
        rng = np.random.default_rng(number)
        about = spoil(json.loads(str(whole[ABOUT])), rng)
        np.savez(tmp_path / "x.npz", **{**whole, ABOUT: np.array(json.dumps(about))})
        try:
            read_counts(tmp_path / "x.npz", **({"areas": ["VISp"]} if number % 2 else {"target": "orientation"}))
        except SpikesightError:
            n_refused += 1
    assert 50 < n_refused < 200


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dropped_units", "no json"),
        ("dropped_units", "[1]"),
        ("dropped_trials", '{"blank": "many"}'),
        ("dropped_trials", "[" * 100_000),
        ("unit_filters", 3),
        ("window", [0.0, 0.1, 0.2]),
        ("window", [0.0, np.inf]),
        ("n_bins", "two"),
        ("bin_size", "short"),
        ("context", [1, -1]),
        ("context", "both"),
        ("target", 5),
    ],
)
def test_attributes_of_another_form_are_refused(dataset, tmp_path, ending, name, value):
    write_counts(dataset.assign_attrs({name: value}), tmp_path / f"x{ending}")
    with pytest.raises(FileFormatError, match=name):
        read_counts(tmp_path / f"x{ending}")


@pytest.mark.parametrize("ending", ENDINGS)
def test_attributes_may_be_missing_empty_or_of_somebody_else(dataset, tmp_path, ending):
    sparse = dataset.assign_attrs(dropped_units="", unit_filters="", target=["x_position", "y_position"], mouse=7)
    del sparse.attrs["dropped_trials"], sparse.attrs["n_bins"]
    write_counts(sparse, tmp_path / f"x{ending}")
    read = read_counts(tmp_path / f"x{ending}", areas=["VISp"])
    assert read.attrs["mouse"] == 7
    assert json.loads(read.attrs["unit_filters"]) == {"areas": ["VISp"]}


def test_a_cut_file_is_refused(dataset, tmp_path):
    write_counts(dataset, tmp_path / "x.npz")
    whole = (tmp_path / "x.npz").read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "x.npz").write_bytes(whole[:length])
        with pytest.raises(FileFormatError):
            read_counts(tmp_path / "x.npz")


def test_what_no_file_can_hold_is_refused_before_one_is_begun(dataset, tmp_path):
    objects = np.array([{} for _ in range(dataset.sizes["trial"])])
    with pytest.raises(DataError, match="Python objects"):
        write_counts(dataset.assign_coords(odd=("trial", objects)), tmp_path / "x.npz")
    with pytest.raises(DataError, match="JSON"):
        write_counts(dataset.assign_attrs(odd={1, 2}), tmp_path / "x.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_what_was_there(dataset, tmp_path, monkeypatch):
    (tmp_path / "x.npz").write_bytes(b"what was there")

    def fill_disk(file, *_: object, **__: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fill_disk)
    with pytest.raises(OutputError, match="No space left"):
        write_counts(dataset, tmp_path / "x.npz")
    assert (tmp_path / "x.npz").read_bytes() == b"what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_bin_writes_npz_that_the_other_commands_read(session, tmp_path: Path) -> None:
    file = write_session(session, tmp_path / "tiny.nwb")
    for ending in ENDINGS:
        done = CliRunner().invoke(
            app, ["bin", str(file), "--stimulus", "gabors", "--out", str(tmp_path / f"x{ending}")]
        )
        assert done.exit_code == 0, done.output
        seen = CliRunner().invoke(app, ["inspect", str(tmp_path / f"x{ending}"), "--json"])
        assert seen.exit_code == 0, seen.output
        assert json.loads(seen.stdout)["stimulus"] == "gabors"
    assert read_counts(tmp_path / "x.npz").identical(read_counts(tmp_path / "x.nc"))
    assert isinstance(read_counts(tmp_path / "x.npz"), xr.Dataset)
