"""A decoder to be searched: how good it is, how long it takes and what befalls it are parameters."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from spikesight.evaluation.fitting import InnerFold


class Searched(ClassifierMixin, BaseEstimator):
    """Right about a share ``skill`` of the trials, whatever their spikes; as good after every epoch, after a pause."""

    def __init__(self, skill=0.5, max_epochs=2, pause=0.0, mishap="", diary=None, on_epoch=None, random_state=0):
        self.skill = skill
        self.max_epochs = max_epochs
        self.pause = pause
        self.mishap = mishap
        self.diary = diary
        self.on_epoch = on_epoch
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if self.diary is not None:
            with Path(self.diary).open("a") as file:
                file.write(f"{self.skill}\n")
        for epoch in range(self.max_epochs):
            time.sleep(self.pause)
            self._meet(epoch)
            if self.on_epoch is not None:
                self.on_epoch({"epoch": epoch})
        return self

    def predict(self, X):
        truth = np.asarray(X)[..., 0].reshape(len(X))
        wrong = np.arange(len(X)) >= round(self.skill * len(X))
        return np.where(wrong, (truth + 1) % len(self.classes_), truth)

    def _meet(self, epoch):
        if self.mishap == "raises" and epoch == 1:
            raise MemoryError("no memory left for the weights")
        if self.mishap.startswith("dies once:") and epoch == 1:
            mark = Path(self.mishap.partition(":")[2])
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if self.mishap == "always dies":
            os.kill(os.getpid(), signal.SIGKILL)


def labelled_folds(n_trials=40, n_classes=4):
    """Inner folds whose first feature is the label."""
    y = np.arange(n_trials) % n_classes
    X = y.astype(np.uint8)[:, None, None]
    half = n_trials // 2
    return [InnerFold(X[:half], y[:half], X[half:], y[half:]), InnerFold(X[half:], y[half:], X[:half], y[:half])]
