"""Searches by Ray Tune: what is found, what fails, what is resumed, and what is never seen."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from searched_decoder import Searched, labelled_folds
from spikesight.cluster import connected
from spikesight.decoders import registry
from spikesight.errors import ConfigError, RunDirectoryError, TrainingError
from spikesight.evaluation.candidates import Record
from spikesight.evaluation.fitting import with_constants
from spikesight.evaluation.search_folder import SearchFolder
from spikesight.search_space import Choice, Range
from spikesight.tracking.progress import Silent
from spikesight.tuning.ray_search import RaySearch, resources
from spikesight.tuning_config import TuningConfig

SKILL = {"skill": Range(0.0, 1.0)}


@pytest.fixture(scope="module", autouse=True)
def _ray():
    with connected("local", jobs=2):
        yield


def settings(**changes):
    return TuningConfig(**{"search": "random", "candidates": 6, "scheduler": "none", **changes})


def found(space=SKILL, estimator=None, folder=None, *, resume=False, jobs=None, **changes):
    search = RaySearch(space, settings(**changes), label="a test", resume=resume, jobs=jobs)
    return search(estimator or Searched(), labelled_folds(), folder)


def outcome(table):
    """What a table says, whatever the order and the clock."""
    values = [(json.loads(row.params), row.state, round(row.accuracy, 9)) for row in table.itertuples()]
    return sorted(values, key=str)


def test_the_best_of_the_candidates_is_chosen_and_the_first_is_the_default():
    chosen = found()
    table = chosen.candidates
    assert list(table["candidate"]) == [0, 1, 2, 3, 4, 5]
    assert set(table["state"]) == {"finished"}
    skills = [json.loads(params)["skill"] for params in table["params"]]
    assert skills[0] == 0.5
    np.testing.assert_allclose(table["accuracy"], [round(20 * skill) / 20 for skill in skills])
    assert chosen.accuracy == table["accuracy"].max()
    assert chosen.params["skill"] == skills[int(table["accuracy"].to_numpy().argmax())]


@pytest.mark.parametrize("search", ["optuna-gp", pytest.param("optuna-tpe", marks=pytest.mark.slow)])
def test_every_search_algorithm_gives_as_many_candidates_as_asked(search):
    space = {**SKILL, "max_epochs": Range(1, 3, whole=True, log=True), "mishap": Choice(("", "none"))}
    chosen = found(space, search=search, candidates=12)
    assert len(chosen.candidates) == 12
    values = [json.loads(params) for params in chosen.candidates["params"]]
    assert {value["max_epochs"] for value in values} <= {1, 2, 3}
    assert all(0 <= value["skill"] <= 1 for value in values)
    assert chosen.accuracy >= 0.5


@pytest.mark.slow
def test_the_same_seed_proposes_the_same_candidates():
    assert outcome(found().candidates) == outcome(found(jobs=1).candidates)


@pytest.mark.slow
def test_asha_gives_up_candidates_that_are_behind():
    chosen = found(estimator=Searched(max_epochs=8, pause=0.02), scheduler="asha", candidates=12)
    table = chosen.candidates
    pruned = table[table["state"] == "pruned"]
    assert len(pruned) >= 2
    assert (pruned["progress"] < 1).all()
    assert pruned["accuracy"].max() <= chosen.accuracy
    assert len(table) == 12


def test_one_that_raises_is_recorded_and_the_search_goes_on():
    chosen = found({**SKILL, "mishap": Choice(("", "raises"))}, candidates=8)
    states = chosen.candidates.set_index("candidate")["state"]
    raised = ['"raises"' in params for params in chosen.candidates["params"]]
    assert list(states == "failed") == raised
    assert 0 < sum(raised) < 8
    failed = chosen.candidates[raised]
    assert set(failed["error"]) == {"MemoryError: no memory left for the weights"}
    assert chosen.params["mishap"] == ""


@pytest.mark.slow
def test_if_all_fail_the_reason_is_told():
    with pytest.raises(TrainingError, match=r"all 3 candidates failed, the first with MemoryError: no memory"):
        found(estimator=Searched(mishap="raises"), candidates=3)


def test_a_candidate_whose_process_dies_is_tried_again_from_the_folds_it_had(tmp_path):
    diary = tmp_path / "diary"
    estimator = Searched(mishap=f"dies once:{tmp_path / 'mark'}", diary=str(diary))
    chosen = found(estimator=estimator, candidates=4, jobs=1)
    assert (tmp_path / "mark").exists()
    assert outcome(chosen.candidates) == outcome(found(candidates=4, jobs=1).candidates)
    assert len(diary.read_text().split()) == 4 * 2 + 1  # two folds each, and the one that died


@pytest.mark.slow
def test_a_candidate_whose_process_always_dies_is_failed_in_the_end():
    space = {**SKILL, "mishap": Choice(("", "always dies"))}
    chosen = found(space, candidates=4, jobs=1)
    dead = chosen.candidates[chosen.candidates["state"] == "failed"]
    assert 0 < len(dead) < 4
    assert all("its process died 4 times" in error for error in dead["error"])


def test_the_budget_ends_a_search_with_the_best_so_far():
    begun = time.monotonic()
    chosen = found(estimator=Searched(pause=0.3), candidates=1000, budget="6s")
    assert time.monotonic() - begun < 60
    states = chosen.candidates["state"].value_counts()
    assert states["finished"] >= 1
    assert set(states.index) <= {"finished", "stopped"}


@pytest.mark.slow
def test_a_budget_in_which_none_finishes_says_so():
    with pytest.raises(TrainingError, match=r"0 of \d+ did in 0.05 minutes.*--budget"):
        found(estimator=Searched(pause=5.0), candidates=4, budget="3s")


def test_a_search_that_is_over_is_not_searched_again_when_its_final_fit_was_killed(tmp_path):
    diary = tmp_path / "diary"
    first = found(estimator=Searched(diary=str(diary)), folder=tmp_path / "search", candidates=2)
    fitted = diary.read_text()
    again = found(estimator=Searched(diary=str(diary)), folder=tmp_path / "search", candidates=2)
    assert diary.read_text() == fitted
    assert (again.params, again.accuracy) == (first.params, first.accuracy)
    pd.testing.assert_frame_equal(again.candidates, first.candidates)


@pytest.mark.slow
def test_defaults_outside_of_a_range_are_told_of_and_are_no_candidate():
    class Listener(Silent):
        notes: ClassVar[list[str]] = []

        def note(self, text):
            self.notes.append(text)

    search = RaySearch({"skill": Range(0.0, 0.4)}, settings(candidates=2), label="a test", progress=Listener())
    chosen = search(Searched(), labelled_folds(), None)
    assert Listener.notes == ["the default of skill is outside of its range: the defaults of a test are no candidate"]
    assert chosen.accuracy <= 0.4


def test_a_parameter_that_the_decoder_does_not_have_is_refused():
    with pytest.raises(ConfigError, match=r"Searched has no parameter hidden_size to search. It has: diary"):
        found({"hidden_size": Range(1, 2)})


def test_hebo_says_how_it_is_installed():
    with pytest.raises(ConfigError, match="make test-hebo"):
        found(search="hebo")


def test_a_graph_that_is_only_named_is_made_where_its_own_parameters_are_set():
    made = with_constants(registry.make("gcn"), {"graph": "learned", "graph__rank": 3})
    assert (type(made.graph).__name__, made.graph.rank) == ("LearnedGraph", 3)
    assert with_constants(registry.make("gcn"), {"graph__rank": 5}).graph.rank == 5
    assert registry.make("gcn").graph is None


def test_more_memory_than_there_is_is_refused():
    huge = np.broadcast_to(np.uint8(0), (10**6, 10, 10**4))
    fold = labelled_folds()[0]._replace(counts=huge)
    with pytest.raises(ConfigError, match="GB of memory for a candidate"):
        resources([fold])


DRIVER = """
    import sys
    from pathlib import Path
    from searched_decoder import Searched, labelled_folds
    from spikesight.cluster import connected
    from spikesight.search_space import Range
    from spikesight.tuning.ray_search import RaySearch
    from spikesight.tuning_config import TuningConfig

    if __name__ == "__main__":
        settings = TuningConfig(search="random", candidates=8, scheduler="none")
        with connected("local", jobs=2):
            search = RaySearch({"skill": Range(0.0, 1.0)}, settings, resume="--resume" in sys.argv)
            chosen = search(Searched(pause=0.5), labelled_folds(), Path(sys.argv[1]))
        chosen.candidates.to_parquet(Path(sys.argv[1]) / "table.parquet")
"""


def start_driver(folder, *options):
    script = folder.parent / "driver.py"
    script.write_text(textwrap.dedent(DRIVER))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.Popen([sys.executable, script, folder, *options], env=environment, stderr=subprocess.PIPE)


def wait_for_candidates(folder, number, driver):
    for _ in range(1200):
        time.sleep(0.1)
        records = SearchFolder(folder).records()
        if sum(record.state == "finished" for record in records) >= number and SearchFolder(folder).holds_state():
            return
        assert driver.poll() is None, driver.stderr.read().decode()
    raise AssertionError("the search did not begin")


@pytest.mark.slow
@pytest.mark.parametrize("killed", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_search_whose_driver_is_stopped_goes_on_and_loses_no_candidate(tmp_path, killed):
    folder = tmp_path / "search"
    driver = start_driver(folder)
    wait_for_candidates(folder, 3, driver)
    driver.send_signal(killed)
    driver.communicate(timeout=120)
    assert driver.returncode != 0
    so_far = [record for record in SearchFolder(folder).records() if record.state == "finished"]
    assert 3 <= len(so_far) < 8
    again = start_driver(folder, "--resume")
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said.decode()
    table = pd.read_parquet(folder / "table.parquet")
    assert outcome(table) == outcome(found(estimator=Searched(pause=0.0), candidates=8).candidates)
    kept = {record.candidate: record.started for record in so_far}
    after = {record.candidate: record.started for record in SearchFolder(folder).records()}
    assert all(after[number] == started for number, started in kept.items())
    assert not SearchFolder(folder).ray.exists()


def test_an_unfinished_search_is_not_taken_up_unasked(tmp_path):
    folder = _unfinished(tmp_path)
    with pytest.raises(RunDirectoryError, match=r"unfinished search of 1 candidates.*--resume"):
        found(folder=folder)


def test_a_search_that_was_moved_is_not_taken_up(tmp_path):
    moved = _unfinished(tmp_path).rename(tmp_path / "elsewhere")
    with pytest.raises(RunDirectoryError, match=r"was begun in .*search, and Ray's state names that place. Move it"):
        found(folder=moved, resume=True)


def test_links_in_a_state_are_not_followed(tmp_path):
    folder = _unfinished(tmp_path)
    (folder / "ray" / "search" / "more.pkl").symlink_to(tmp_path)
    with pytest.raises(RunDirectoryError, match=r"more.pkl to belong to you"):
        found(folder=folder, resume=True)


def test_a_state_that_others_may_have_written_is_not_unpickled(tmp_path):
    folder = _unfinished(tmp_path)
    (folder / "ray").chmod(0o777)
    with pytest.raises(RunDirectoryError, match=r"belong to you and to nobody else.*drwxrwxrwx"):
        found(folder=folder, resume=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_state_of_another_user_is_not_unpickled(tmp_path):
    folder = _unfinished(tmp_path)
    os.chown(folder / "ray" / "search" / "tuner.pkl", 12345, -1)
    with pytest.raises(RunDirectoryError, match="It belongs to user 12345"):
        found(folder=folder, resume=True)


def test_a_state_that_was_cut_off_is_begun_anew_and_finished_candidates_are_kept(tmp_path):
    folder = _unfinished(tmp_path)
    chosen = found(folder=folder, resume=True, candidates=2)
    assert len(chosen.candidates) == 2
    assert chosen.candidates["accuracy"].iloc[0] == 0.875  # what its record said, not what it would score


def _unfinished(folder):
    """The folder of a search that was killed as Ray wrote its state, which it writes in place every few seconds."""
    place = SearchFolder(folder / "search")
    place.begin()
    state = place.ray / "search"
    state.mkdir()
    (state / "tuner.pkl").write_bytes(b"\x80")
    (state / "experiment_state-1.json").write_text("{")
    Record(0, {"skill": 0.5}, "finished", (0.875, 0.875), 0.875, 1.0).write(place.candidates)
    return place.path
