"""The folder of an unfinished search: what is read from it, and what it refuses."""

import pytest

from spikesight.errors import RunDirectoryError
from spikesight.evaluation.candidates import Record
from spikesight.evaluation.search_folder import SearchFolder


def test_an_end_that_was_written_for_a_candidate_is_its_state(tmp_path):
    folder = SearchFolder(tmp_path)
    for number in range(3):
        Record(number, {"C": 1.0}).write(folder.candidates)
    Record(3, {"C": 1.0}, "finished", (0.5,), 0.5, 1.0).write(folder.candidates)
    folder.end(1, "pruned")
    folder.end(2, "failed", "its process died")
    folder.end(3, "pruned")  # ASHA also ends those that are at their end
    assert [(record.state, record.error) for record in folder.records()] == [
        ("unfinished", ""),
        ("pruned", ""),
        ("failed", "its process died"),
        ("finished", ""),
    ]


def test_time_spent_and_candidates_outlive_a_new_beginning(tmp_path):
    folder = SearchFolder(tmp_path / "search")
    assert folder.spent() == 0
    folder.spend(12.5)
    Record(0, {}).write(folder.candidates)
    folder.end(0, "pruned")
    assert folder.spent() == 12.5
    folder.begin()
    assert folder.spent() == 12.5
    assert [record.state for record in folder.records()] == ["unfinished"]
    assert folder.ray.stat().st_mode & 0o777 == 0o700


def test_only_a_whole_state_of_ray_is_one(tmp_path):
    folder = SearchFolder(tmp_path)
    folder.begin()
    assert not folder.holds_state()
    (folder.ray / "search").mkdir()
    (folder.ray / "search" / "tuner.pkl").touch()
    assert not folder.holds_state()
    (folder.ray / "search" / "experiment_state-1.json").touch()
    assert folder.holds_state()
    assert not folder.is_whole()
    (folder.ray / "search" / "experiment_state-2.json").write_text("{}")
    assert folder.is_whole()
    assert not folder.is_over()
    folder.close()
    assert folder.is_over()
    assert not folder.ray.exists()


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_damaged_file_is_named(tmp_path, text):
    folder = SearchFolder(tmp_path)
    folder.spend(1.0)
    (tmp_path / "spent.json").write_text(text)
    with pytest.raises(RunDirectoryError, match=r"spent.json.*start again"):
        folder.spent()


def test_what_is_left_when_the_time_is_over_is_written_down(tmp_path):
    folder = SearchFolder(tmp_path)
    Record(0, {}).write(folder.candidates)
    Record(1, {}, "finished", (0.5,), 0.5, 1.0).write(folder.candidates)
    folder.end_unfinished("stopped")
    assert [record.state for record in folder.records()] == ["stopped", "finished"]
