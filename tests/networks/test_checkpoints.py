import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_fit
import torch
from safetensors import safe_open
from tiny_fit import SETTINGS, fit, network, trials

from spikesight.errors import OutputError, TrainingError
from spikesight.networks import checkpoints
from spikesight.networks.training import fit_network


class Stop(Exception):
    pass


def stop_after(epoch):
    def hook(record):
        if record["epoch"] == epoch:
            raise Stop

    return hook


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    """Let writing take as long as it likes, so that every epoch is kept."""
    monkeypatch.setattr(checkpoints, "_SHARE", float("inf"))


@pytest.fixture
def unfinished(tmp_path):
    """The file of a fit that was stopped after four of six epochs."""
    with pytest.raises(Stop):
        fit(checkpoint=tmp_path, on_epoch=stop_after(3))
    [path] = tmp_path.iterdir()
    return path


def assert_same(first, second):
    for (network_one, history_one), (network_two, history_two) in [(first, second)]:
        for name, value in network_one.state_dict().items():
            assert torch.equal(value, network_two.state_dict()[name]), name
        for one, two in zip(history_one, history_two, strict=True):
            assert {**one, "seconds": 0} == {**two, "seconds": 0}


@pytest.mark.parametrize("epoch", [0, 3, 5])
def test_a_killed_fit_goes_on_and_ends_with_the_same_weights_to_the_bit(epoch, tmp_path):
    script = Path(tiny_fit.__file__)
    killed = subprocess.run([sys.executable, script, tmp_path, str(epoch)])
    assert killed.returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    epochs = []
    resumed = fit(checkpoint=tmp_path, on_epoch=lambda record: epochs.append(record["epoch"]))
    assert epochs == list(range(epoch + 1, 6))
    assert_same(resumed, fit())
    assert list(tmp_path.iterdir()) == []


def test_a_fit_that_ends_leaves_no_file(tmp_path):
    fit(checkpoint=tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_another_fit_does_not_take_the_file_for_its_own(unfinished):
    inputs, targets = trials()
    others = [
        lambda folder, hook: fit(replace(SETTINGS, learning_rate=0.02), checkpoint=folder, on_epoch=hook),
        lambda folder, hook: fit(seed=1, checkpoint=folder, on_epoch=hook),
        lambda folder, hook: fit_network(network(2), inputs, targets, SETTINGS, checkpoint=folder, on_epoch=hook),
        lambda folder, hook: fit_network(
            network(), inputs, (targets + 1) % 3, SETTINGS, checkpoint=folder, on_epoch=hook
        ),
        lambda folder, hook: fit_network(
            network(), inputs.nextafter(inputs + 1), targets, SETTINGS, checkpoint=folder, on_epoch=hook
        ),
    ]
    for other in others:
        epochs = []
        other(unfinished.parent, lambda record, seen=epochs: seen.append(record["epoch"]))
        assert epochs == list(range(6))
    assert list(unfinished.parent.iterdir()) == [unfinished]


def test_several_unfinished_fits_share_a_folder(unfinished):
    with pytest.raises(Stop):
        fit(seed=1, checkpoint=unfinished.parent, on_epoch=stop_after(1))
    assert len(list(unfinished.parent.iterdir())) == 2
    assert_same(fit(checkpoint=unfinished.parent), fit())
    assert_same(fit(seed=1, checkpoint=unfinished.parent), fit(seed=1))


@pytest.mark.parametrize("size", [0, 7, 100, 1000])
def test_a_damaged_file_says_what_to_do(size, unfinished):
    unfinished.write_bytes(unfinished.read_bytes()[:size])
    with pytest.raises(TrainingError, match="Delete the file"):
        fit(checkpoint=unfinished.parent)


def test_a_file_of_other_contents_says_what_to_do(unfinished):
    checkpoints.save_file({"order": torch.zeros(3)}, unfinished, {"history": "[]"})
    with pytest.raises(TrainingError, match="Delete the file"):
        fit(checkpoint=unfinished.parent)


def test_the_file_holds_tensors_and_a_history_in_json_and_nothing_that_runs(unfinished):
    with safe_open(unfinished, framework="pt") as file:
        history = json.loads(file.metadata()["history"])
        names = set(file.keys())
    assert [record["epoch"] for record in history] == [0, 1, 2, 3]
    assert {name.partition("/")[0] for name in names} == {"network", "best", "optimiser", "random", "order"}


def test_a_full_disk_is_a_clear_error_and_keeps_the_last_epoch(unfinished, monkeypatch):
    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    before = unfinished.read_bytes()
    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        fit(checkpoint=unfinished.parent)
    assert list(unfinished.parent.iterdir()) == [unfinished]
    assert unfinished.read_bytes() == before


def test_writing_takes_a_tenth_of_the_time_at_most(tmp_path, monkeypatch):
    times = []
    monkeypatch.setattr(checkpoints, "_SHARE", 1e-9)
    monkeypatch.setattr(checkpoints, "save_file", lambda *_: times.append(1) or Path(_[1]).write_bytes(b""))
    fit(checkpoint=tmp_path)
    assert len(times) == 1
