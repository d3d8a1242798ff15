"""A cluster of two nodes on this machine: nodes that are lost or too small, drivers that are stopped."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest

from spikesight.cluster import connected
from spikesight.errors import ClusterError
from spikesight.evaluation import ray_executor
from spikesight.tracking.run_directory import RunDirectory
from test_benchmark import Fragile, benchmark, run_in, session
from test_ray_executor import assert_same, files

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow


class Leisurely(Fragile):
    """Takes its time, and leaves a note of the node that it was fitted on and of the process."""

    def __init__(self, notes="", seconds=0.5):
        self.notes = notes
        self.seconds = seconds

    def fit(self, X, y):
        node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else "none"
        with open(os.path.join(self.notes, f"{node}-{os.getpid()}-{time.time()}"), "w"):
            time.sleep(self.seconds)
        self.classes_ = np.unique(y)
        return self


@pytest.fixture(scope="module")
def head():
    """A cluster of one node with one core and little memory."""
    from ray.cluster_utils import Cluster

    port = random.Random(os.getpid()).randrange(20000, 30000)  # outside of what Ray gives to its workers
    small = {"num_cpus": 1, "memory": 600_000_000}
    cluster = Cluster(
        initialize_head=True, head_node_args={**small, "gcs_server_port": port, "include_dashboard": False}
    )
    yield cluster
    cluster.shutdown()


@pytest.fixture
def two_nodes(head):
    """The cluster with another node of two cores; no driver is connected."""
    head.add_node(num_cpus=2)
    yield head
    for node in set(head.worker_nodes):
        head.remove_node(node)


def test_a_cluster_of_two_nodes_gives_the_numbers_of_one_process_though_a_node_is_lost(tmp_path, two_nodes):
    notes = tmp_path / "notes"
    notes.mkdir()
    slow = {name: Leisurely(str(notes)) for name in ("first", "second", "third")}
    plan = benchmark(
        datasets={"s0": session(), "s1": session(1, n_trials=600, n_units=300, name="s1")},
        decoders=("logistic", "fa-lda"), references={"s0": slow, "s1": slow},
    )  # fmt: skip
    alone = run_in(tmp_path / "alone", plan)
    nodes_used = []

    def lose_a_node(done, total, row):
        if done == total // 2:
            nodes_used.extend(note.name.split("-")[0] for note in notes.iterdir())
            two_nodes.remove_node(next(iter(two_nodes.worker_nodes)), allow_graceful=False)

    joined = run_in(tmp_path / "ray", replace(plan, ray=two_nodes.address), lose_a_node)
    assert len(set(nodes_used) - {"none"}) == 2  # both took part
    assert joined.failures.empty
    assert_same(alone, joined)
    assert files(tmp_path / "ray") == files(tmp_path / "alone")
    assert not ray.is_initialized()  # only the driver left; the cluster is there


def test_a_node_that_is_too_small_gets_no_cell_and_the_loss_of_the_large_one_ends_the_run_not_the_cluster(
    tmp_path, two_nodes, monkeypatch
):
    monkeypatch.setattr(ray_executor, "working_memory", lambda n_counts, detrended: 10**9)
    monkeypatch.setattr(ray_executor, "NODE_SECONDS", 3.0)
    monkeypatch.setattr(ray_executor, "LOOK_SECONDS", 1.0)
    notes = tmp_path / "notes"
    notes.mkdir()
    plan = benchmark(decoders=(), references={"s0": {"slow": Leisurely(str(notes))}}, ray=two_nodes.address)
    [large] = two_nodes.worker_nodes

    def lose_the_large_node(done, total, row):
        if done == 4:  # three of chance
            two_nodes.remove_node(large, allow_graceful=False)

    with pytest.raises(ClusterError, match=r"a fit needs a core .* 1,105 MB .* the largest has 600 MB"):
        run_in(tmp_path / "run", plan, lose_the_large_node)
    assert {note.name.split("-")[0] for note in notes.iterdir()} == {large.node_id}
    with RunDirectory(tmp_path / "run", {"seed": 0}) as run:
        assert len(run.finished_parts()) >= 4
    two_nodes.add_node(num_cpus=1)
    assert len(run_in(tmp_path / "run", plan).results) == 6


def test_the_object_store_holds_no_session_longer_than_its_cells_need(tmp_path, two_nodes):
    many = {f"s{place}": session(place, n_trials=300, n_units=4000, name=f"s{place}") for place in range(6)}
    plan = benchmark(datasets=many, decoders=(), ray="auto")
    most = 0

    def look(done, total, row):
        nonlocal most
        most = max(most, in_store())

    def in_store():
        total, free = ray.cluster_resources(), ray.available_resources()
        return total["object_store_memory"] - free.get("object_store_memory", 0)

    with connected(two_nodes.address):
        run_in(tmp_path, plan, look)
        deadline = time.monotonic() + 20
        while in_store() > 0 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert in_store() == 0
    # A session's counts are 1.2 MB, and every session has three cells; six or fewer cells are under way.
    assert 0 < most < 2 * 4 * 1_300_000


def test_a_stopped_run_on_ray_keeps_finished_cells_and_leaves_no_task_and_no_file(tmp_path, two_nodes):
    """The cluster goes on: what was cancelled must not go on with it."""
    notes = tmp_path / "notes"
    notes.mkdir()
    code = textwrap.dedent(f"""
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_ray_on_two_nodes import Leisurely, benchmark, run_in
        slow = {{"slow": Leisurely({str(notes)!r}, 60.0)}}
        plan = benchmark(decoders=(), references={{"s0": slow}}, ray={two_nodes.address!r})
        run_in({str(tmp_path / "run")!r}, plan, lambda done, total, row: print(done, flush=True), config={{}})
    """)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout.readline() == "1\n"
        while not list(notes.iterdir()):
            time.sleep(0.1)
        begun = time.monotonic()
        driver.send_signal(signal.SIGINT)
        _, errors = driver.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert time.monotonic() - begun < 20  # the fits that were running take a minute
    workers = {int(note.name.split("-")[1]) for note in notes.iterdir()}
    assert all(gone(worker, seconds=20) for worker in workers)
    assert not list((tmp_path / "run").rglob("*.tmp"))
    assert not (tmp_path / "run" / "results.parquet").exists()
    assert 1 <= len(list((tmp_path / "run" / "parts").glob("*.result.parquet"))) < 6


def gone(pid, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
