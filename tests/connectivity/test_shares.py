import numpy as np

from spikesight.connectivity.base import Running
from spikesight.connectivity.finished import Finished
from spikesight.connectivity.shares import in_shares


class Listener:
    def __init__(self):
        self.heard = []

    def note(self, text):
        self.heard.append(text)

    def advance(self, task, done, total):
        self.heard.append((task, done, total))


def test_shares_come_in_order_and_the_last_may_be_smaller():
    heard = Listener()
    running = Running(heard, Finished.nowhere(), False, 0)

    parts = in_shares(lambda first, stop: {"units": np.arange(first, stop)}, 5, running, "method", size=2)

    assert [part["units"].tolist() for part in parts] == [[0, 1], [2, 3], [4]]
    assert sorted(done for _, done, _ in heard.heard)[-1] == 5


def test_shares_that_were_kept_are_not_estimated_again(tmp_path):
    running = Running(Listener(), Finished(tmp_path), False, 0)
    in_shares(lambda first, stop: {"units": np.arange(first, stop)}, 4, running, "method", size=2)
    (tmp_path / "method-2-4.npz").unlink()
    asked = []

    def estimate(first, stop):
        asked.append((first, stop))
        return {"units": np.arange(first, stop)}

    parts = in_shares(estimate, 4, running, "method", size=2)

    assert asked == [(2, 4)]
    assert [part["units"].tolist() for part in parts] == [[0, 1], [2, 3]]
