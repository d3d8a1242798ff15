"""A fit small enough to be run many times. As a script, it is killed in the middle: `tiny_fit.py FOLDER EPOCH`."""

import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from spikesight.networks import checkpoints
from spikesight.networks.dropout import UnitDropout
from spikesight.networks.training import TrainingSettings, fit_network

SETTINGS = TrainingSettings(max_epochs=6, batch_size=16, learning_rate=0.01)


def trials(n_trials=60, seed=0):
    """Trials (n_trials, 2, 5) of three classes, and their codes."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(3, (n_trials,), generator=generator)
    signal_of_class = torch.eye(3, 5)[codes][:, None]
    return 2 * signal_of_class + torch.randn(n_trials, 2, 5, generator=generator), codes


def network(seed=1):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            UnitDropout(0.2), nn.Flatten(), nn.Linear(10, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
        )


def fit(settings=SETTINGS, **options):
    """Return the trained network and its history; every epoch is checked on 20 other trials."""
    trained = network()
    history = fit_network(trained, *trials(), settings, valid=trials(20, seed=1), **options)
    return trained, history


def main(folder, last):
    def kill(record):
        if record["epoch"] == last:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoints._SHARE = float("inf")  # every epoch is kept, however long writing takes
    fit(checkpoint=folder, on_epoch=kill)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
