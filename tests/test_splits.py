"""Splitters: who is tested, who is trained on, and what lies between."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from spikesight.data.timeline import stretches, trial_step
from spikesight.errors import ConfigError, DataError, TooFewRepeatsError, UnknownNameError
from spikesight.splits import (
    SPLITTERS,
    BlockKFold,
    LastBlock,
    RepeatKFold,
    inner_folds,
    make_splitter,
    segments,
)


def folds_of(splitter, n_rows, y=None, groups=None):
    return list(splitter.split(np.zeros((n_rows, 1)), y, groups))


def test_block_kfold_tests_contiguous_runs_and_leaves_a_gap_on_both_sides():
    folds = folds_of(BlockKFold(n_splits=3, gap=1), 9)
    assert [test.tolist() for _, test in folds] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert [train.tolist() for train, _ in folds] == [[4, 5, 6, 7, 8], [0, 1, 7, 8], [0, 1, 2, 3, 4]]


def test_block_kfold_cuts_every_block_and_the_gap_stops_at_its_bounds():
    groups = [4, 4, 4, 4, 7, 7, 7, 7]
    folds = folds_of(BlockKFold(n_splits=2, gap=1), 8, groups=groups)
    assert [test.tolist() for _, test in folds] == [[0, 1, 4, 5], [2, 3, 6, 7]]
    # Row 4 follows row 3, which is tested, but in another block: only its own block's run counts.
    assert [train.tolist() for train, _ in folds] == [[3, 7], [0, 4]]


def test_block_kfold_gap_does_not_reach_into_the_next_block():
    train, test = folds_of(BlockKFold(n_splits=2, gap=50), 203, groups=[0] * 200 + [1] * 2 + [2])[1]
    assert test.tolist() == [*range(100, 200), 201]
    assert 202 in train  # right behind a tested row, but in another block
    assert 200 not in train


def test_block_kfold_with_several_blocks_does_not_test_small_blocks_in_one_fold_only():
    groups = np.repeat(np.arange(30), 1)
    sizes = [len(test) for _, test in folds_of(BlockKFold(n_splits=3, gap=0), 30, groups=groups)]
    assert sizes == [10, 10, 10]


@st.composite
def blocks_and_folds(draw):
    n_splits = draw(st.integers(2, 6))
    gap = draw(st.integers(0, 4))
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=4))
    return n_splits, gap, [n_splits * (2 * gap + 3), *sizes]


@given(blocks_and_folds())
def test_block_kfold_tests_every_row_once_in_contiguous_runs_with_the_gap_kept_and_no_row_wasted(case):
    n_splits, gap, sizes = case
    groups = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.arange(len(groups))
    folds = folds_of(BlockKFold(n_splits, gap), len(groups), groups=groups)
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == rows.tolist()
    for train, test in folds:
        near = (np.abs(rows[:, None] - test) <= gap) & (groups[:, None] == groups[test])
        assert train.tolist() == np.flatnonzero(~near.any(axis=1)).tolist()
        for block in np.unique(groups):
            run = test[groups[test] == block]
            assert (np.diff(run) == 1).all()
    for block, size in enumerate(sizes):
        lengths = [int((groups[test] == block).sum()) for _, test in folds]
        assert max(lengths) - min(lengths) <= 1, (block, size)


def test_block_kfold_without_gap_on_one_block_is_scikit_learns_kfold():
    ours = folds_of(BlockKFold(n_splits=4, gap=0), 40)
    theirs = list(KFold(4).split(np.zeros((40, 1))))
    for (train, test), (train_theirs, test_theirs) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(train, train_theirs)
        np.testing.assert_array_equal(test, test_theirs)


def test_repeat_kfold_tests_early_repeats_first_and_every_class_in_every_fold():
    y = ["b", "a", "a", "b", "b", "a", "b", "a"]
    folds = folds_of(RepeatKFold(n_splits=2), 8, y)
    assert [test.tolist() for _, test in folds] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [train.tolist() for train, _ in folds] == [[4, 5, 6, 7], [0, 1, 2, 3]]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(2, 4))
def test_repeat_kfold_puts_contiguous_repeats_of_a_class_in_one_fold(extra, n_splits):
    y = np.array([0, 1, 2, 3] * n_splits + extra)
    fold_of_row = np.empty(len(y), int)
    for fold, (_, test) in enumerate(folds_of(RepeatKFold(n_splits), len(y), y)):
        fold_of_row[test] = fold
    for label in range(4):
        own = fold_of_row[y == label]
        assert (np.diff(own) >= 0).all()
        assert set(own.tolist()) == set(range(n_splits))
        assert np.ptp(np.bincount(own)) <= 1


def test_last_block_trains_on_the_earlier_blocks():
    [(train, test)] = folds_of(LastBlock(gap=2), 7, groups=[2, 2, 2, 5, 5, 9, 9])
    assert (train.tolist(), test.tolist()) == ([0, 1, 2, 3, 4], [5, 6])


def test_last_block_tests_the_end_of_a_single_block_behind_a_gap():
    [(train, test)] = folds_of(LastBlock(gap=3), 20)
    assert (train.tolist(), test.tolist()) == ([*range(13)], [16, 17, 18, 19])


def test_stretches_are_blocks_merged_where_the_pause_is_no_longer_than_the_gap():
    groups = [4, 4, 4, 7, 7, 9, 9]
    start = np.array([0, 1, 2, 5, 6, 17, 18])  # pauses of 2 and 10 s between trials of 1 s
    assert trial_step(groups, start) == 1
    assert stretches(groups, start, start + 1, gap=1).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert stretches(groups, start, start + 1, gap=2).tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert stretches(groups, start, start + 1, gap=10).tolist() == [0] * 7


def test_stretches_of_blocks_that_are_single_trials_and_of_unknown_times_are_one():
    start = np.arange(5.0)
    assert stretches(np.arange(5), start, start + 0.5, gap=1).tolist() == [0] * 5
    for unknown in (np.nan, np.inf):
        never = np.full(5, unknown)
        assert np.isnan(trial_step([0, 0, 1, 1, 1], never))
        assert stretches([0, 0, 1, 1, 1], never, never, gap=0).tolist() == [0] * 5
    assert stretches([0, 0, 1, 1, 1], [0, 1, np.nan, 61, 62], [1, 2, 60, 62, 63], gap=1).tolist() == [0] * 5
    assert stretches([3], [0.0], [1.0], gap=1).tolist() == [0]


def test_block_kfold_over_stretches_keeps_the_gap_across_the_bounds_of_blocks():
    X, groups = np.zeros(8), [4, 4, 4, 4, 7, 7, 7, 7]
    folds = list(BlockKFold(n_splits=2, gap=1).split(X, groups=groups, stretches=np.zeros(8)))
    assert [test.tolist() for _, test in folds] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [train.tolist() for train, _ in folds] == [[5, 6, 7], [0, 1, 2]]


def test_last_block_keeps_the_gap_before_a_block_that_touches_it():
    X, groups = np.zeros(7), [2, 2, 2, 5, 5, 9, 9]
    [(train, test)] = LastBlock(gap=3).split(X, groups=groups, stretches=[0] * 7)
    assert (train.tolist(), test.tolist()) == ([0, 1], [5, 6])


def test_segments_start_anew_at_blocks_and_at_holes_as_long_as_the_gap():
    train = np.array([0, 1, 5, 6, 8, 9])
    groups = np.array([0] * 9 + [1])
    assert segments(train, groups, gap=3).tolist() == [0, 0, 1, 1, 1, 2]
    assert segments(train, groups, gap=4).tolist() == [0, 0, 0, 0, 0, 1]
    assert segments(train, None, gap=0).tolist() == [0, 0, 1, 1, 2, 2]


@given(
    st.integers(150, 300),
    st.integers(0, 6),
    st.sampled_from(["block-kfold", "repeat-kfold"]),
    st.integers(0, 1000),
)
def test_inner_folds_keep_the_gap_in_trials_whatever_the_outer_test_run_cut_out(n_rows, gap, name, seed):
    y = np.random.default_rng(seed).permutation(np.arange(n_rows) % 3)
    groups = np.repeat([0, 1], [n_rows // 3, n_rows - n_rows // 3])
    for train, _ in make_splitter(name, 5, gap).split(y, y, groups):
        inner = inner_folds(train, groups, gap)
        assert sorted(np.concatenate([test for _, test in inner]).tolist()) == list(range(len(train)))
        for inner_train, inner_test in inner:
            a, b = train[inner_train], train[inner_test]
            near = (np.abs(a[:, None] - b) <= gap) & (groups[a][:, None] == groups[b])
            assert not near.any()


def test_inner_folds_of_repeat_kfold_do_not_shatter_into_segments_shorter_than_the_gap():
    y = np.tile(np.arange(10), 30)
    y = np.random.default_rng(0).permutation(y)
    train, _ = folds_of(RepeatKFold(5), 300, y)[2]
    inner = inner_folds(train, None, gap=10)
    assert min(len(a) for a, _ in inner) > 80  # half of 240, less a gap


@pytest.mark.parametrize("name", SPLITTERS)
def test_splitters_work_in_scikit_learns_searches(name):
    splitter = make_splitter(name, n_splits=3, gap=2)
    y = np.tile([0, 1, 2], 20)
    X = np.zeros((60, 2))
    groups = np.repeat([1, 2], 30)
    scores = cross_val_score(DummyClassifier(), X, y, cv=splitter, groups=groups)
    assert len(scores) == splitter.get_n_splits(X, y, groups)
    search = GridSearchCV(DummyClassifier(), {"strategy": ["prior", "uniform"]}, cv=splitter)
    clone(search).fit(X, y, groups=groups)


@pytest.mark.parametrize("splitter", [BlockKFold(4, 7), RepeatKFold(4), LastBlock(7, 0.25)])
def test_splitters_are_values_that_print_as_they_are_written(splitter):
    assert eval(repr(splitter)) == splitter
    assert pickle.loads(pickle.dumps(splitter)) == splitter


def test_make_splitter_passes_on_what_each_splitter_takes():
    assert make_splitter("block-kfold", 4, 7) == BlockKFold(4, 7)
    assert make_splitter("repeat-kfold", 4, 7) == RepeatKFold(4)
    assert make_splitter("last-block", 4, 7) == LastBlock(7, 0.25)
    assert {make_splitter(name).name for name in SPLITTERS} == set(SPLITTERS)


def test_make_splitter_offers_the_nearest_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'block-kfold'"):
        make_splitter("blok-kfold")


@pytest.mark.parametrize("splitter", [BlockKFold(3, 0), RepeatKFold(3)])
def test_a_class_with_fewer_repeats_than_folds_is_named_with_its_count(splitter):
    y = ["cat"] * 6 + ["owl"] * 2
    with pytest.raises(
        TooFewRepeatsError, match=r"at least 3 repeats .* class 'owl' has 2 \(1 of 2 .* Use fewer folds"
    ):
        folds_of(splitter, 8, y)


def test_last_block_refuses_a_class_that_is_shown_once():
    with pytest.raises(TooFewRepeatsError, match="class 9 has 1"):
        folds_of(LastBlock(0), 5, [1, 1, 1, 1, 9])


def test_a_block_that_comes_back_means_rows_out_of_time_order():
    with pytest.raises(DataError, match="block 3 comes back"):
        folds_of(BlockKFold(2, 0), 6, groups=[3, 3, 4, 4, 3, 3])


def test_a_gap_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match=r"fold 0 of BlockKFold\(n_splits=2, gap=9\) has 5 test and 0 training"):
        folds_of(BlockKFold(2, 9), 10)


def test_fewer_trials_than_folds_are_refused():
    with pytest.raises(DataError, match="0 test"):
        folds_of(BlockKFold(5, 0), 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlockKFold(1, 0), "at least 2 folds, got 1"),
        (lambda: RepeatKFold(0), "at least 2 folds, got 0"),
        (lambda: BlockKFold(5, -1), "got -1"),
        (lambda: LastBlock(-2), "got -2"),
        (lambda: LastBlock(0, 1.0), r"got 1\.0"),
        (lambda: make_splitter("last-block", 1), "at least 2 folds"),
    ],
)
def test_impossible_splitters_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_rows": 4, "groups": [0, 0, 1]}, r"groups of shape \(3,\) for 4 rows"),
        ({"n_rows": 4, "y": [0, 0, 1]}, "3 labels for 4 rows"),
        ({"n_rows": 0}, "at least one trial"),
    ],
)
def test_rows_labels_and_groups_must_agree(arguments, message):
    with pytest.raises(DataError, match=message):
        folds_of(BlockKFold(2, 0), **arguments)


def test_repeat_kfold_needs_labels():
    with pytest.raises(DataError, match="expected y"):
        folds_of(RepeatKFold(2), 4)


def test_segments_refuse_rows_out_of_order():
    with pytest.raises(DataError, match="ascending"):
        segments(np.array([1, 0]), None, 0)
