"""Which classes, trials and units are looked at where there are too many."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from counts_by_hand import counts_of
from spikesight.data.labels import distinct_labels, short_labels
from spikesight.data.presentations import Trials
from spikesight.errors import ConfigError, NoTrialsError
from spikesight.exploration import choices


def test_spread_classes_reaches_from_the_first_to_the_last_without_blanks(scenes: Trials) -> None:
    assert -1 in set(scenes.table["target"])
    assert choices.spread_classes(scenes, 3) == [0, 3, 7]
    assert choices.spread_classes(scenes, 100) == list(range(8))
    with pytest.raises(ConfigError, match="at least 1 class"):
        choices.spread_classes(scenes, 0)


def test_blanks_are_shown_where_there_is_nothing_else(scenes: Trials) -> None:
    only = replace(scenes, table=scenes.table[scenes.table["target"] == -1])
    assert choices.spread_classes(only, 2) == [-1]


def test_choose_trials_keeps_the_order_of_time(by_hand_trials: Trials) -> None:
    chosen = choices.choose_trials(by_hand_trials, ["7"])
    assert chosen.table.index.tolist() == [11, 13]
    assert choices.choose_trials(by_hand_trials, None) is by_hand_trials


def test_most_active_units_takes_an_equal_share_of_each_area(by_hand_trials: Trials) -> None:
    session = by_hand_trials.session
    assert choices.most_active_units(session, 2) == [1, 3]
    assert sorted(choices.most_active_units(session, 100)) == [1, 2, 3]
    with pytest.raises(ConfigError, match="at least 1 unit"):
        choices.most_active_units(session, 0)


def test_best_tuned_unit_is_that_with_the_largest_f() -> None:
    rng = np.random.default_rng(0)
    target = np.arange(60) % 3
    counts = rng.poisson(5, (60, 4))
    counts[:, 2] += 9 * target
    assert choices.best_tuned_unit(counts_of(counts, target.tolist())) == 102
    with pytest.raises(NoTrialsError, match="3 trials have 3 classes"):
        choices.best_tuned_unit(counts_of(counts[:3], [0, 1, 2]))


def test_classes_by_response_run_from_the_preferred_to_the_least() -> None:
    counts = np.array([[1], [9], [4], [6]])
    assert choices.classes_by_response(counts_of(counts, [10, 11, 12, 13]), 100, 4) == [11, 13, 12, 10]
    assert choices.classes_by_response(counts_of(counts, [10, 11, 12, 13]), 100, 2) == [11, 10]


def test_labels_stand_as_a_reader_counts_and_keep_their_type() -> None:
    assert distinct_labels([10, 9, -1, 10]) == [-1, 9, 10]
    assert distinct_labels(["x=-10, y=0", "x=-40, y=0", "x=5, y=0"]) == ["x=-40, y=0", "x=-10, y=0", "x=5, y=0"]
    assert distinct_labels(pd.Series(["b", "a10", "a9"])) == ["a9", "a10", "b"]
    assert short_labels(["x=-10, y=0", "x=5, y=1"]) == (["-10, 0", "5, 1"], "x, y")
