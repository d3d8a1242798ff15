"""Thousands of spoilt files: each reads fine or ends in an error of ours, and harms nothing.

A case is a number; ``Outcome(number=...)`` in a failure is enough to make its file again
(see ``fuzz_cases.make_case``).
"""

import os
import pickle
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fuzz_cases import make_case
from fuzz_pool import Fuzzing, summary

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and time are those of Linux")


@pytest.fixture(scope="module")
def fuzzing(tmp_path_factory):
    return Fuzzing(tmp_path_factory.mktemp("fuzz"))


def report(outcomes):
    """Print what came of all cases, and every case that dies inside the HDF5 library."""
    print("\n" + "\n".join(f"{n:6} {word}" for word, n in summary(outcomes).most_common()))
    for outcome in outcomes:
        if outcome.library:
            print(f"inside HDF5: case {outcome.number}, {outcome.recipe}: {outcome.library}")


def check(outcomes, n):
    report(outcomes)
    assert [outcome.number for outcome in outcomes] == list(range(n))
    assert [outcome for outcome in outcomes if outcome.fault] == []
    words = summary(outcomes)
    assert words["reads fine"] > 0.05 * n
    assert words["inside HDF5"] < 0.02 * n


def test_200_spoilt_files_read_fine_or_end_in_an_error_of_ours(tmp_path):
    check(Fuzzing(tmp_path).run(range(200)), 200)


@pytest.mark.slow
def test_10_000_spoilt_files_read_fine_or_end_in_an_error_of_ours(tmp_path):
    check(Fuzzing(tmp_path).run(range(10_000)), 10_000)


def test_a_case_is_made_alike_by_its_number_alone(tmp_path, fuzzing):
    for number in range(40):
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir(exist_ok=True)
            case = make_case(0, number, fuzzing.seeds, tmp_path / name, fuzzing.outside)
            made.append((case.recipe, case.path.read_bytes().replace(b"/one/", b"/two/")))
        assert made[0] == made[1]


# --- readers that are wrong on purpose: the harness finds each --------------------------------------------------------

kept = []


def on_spoilt_files_only(reader):
    """Spare the whole files, on which every worker warms up."""
    return lambda path: [] if path.parent.name == "seeds" else reader(path)


def secret_beside(path):
    return path.parent / "outside" / "secret.bin"


def loop(path):
    while path:
        pass


def leave_open(path):
    kept.append(path.open("rb"))
    return []


bug = on_spoilt_files_only(lambda path: [{}["nothing"]])
endless = on_spoilt_files_only(loop)
waiting = on_spoilt_files_only(lambda path: time.sleep(3600))
greedy = on_spoilt_files_only(lambda path: [str(np.ones(3 * 2**30, np.uint8)[0])])
large = on_spoilt_files_only(lambda path: [str(np.ones(800 * 2**20, np.uint8)[0])])
dying = on_spoilt_files_only(lambda path: os.kill(os.getpid(), signal.SIGSEGV))
curious = on_spoilt_files_only(lambda path: [secret_beside(path).read_bytes()[:1].hex()])
pickled = on_spoilt_files_only(lambda path: [pickle.loads(pickle.dumps(Path("x"))).name])
forgetful = on_spoilt_files_only(leave_open)


@pytest.mark.parametrize(
    ("reader", "wait", "fault"),
    [
        ("bug", 60, "KeyError"),
        ("endless", 60, "hang: out of processor time"),
        ("waiting", 2, "hang: no answer"),
        ("greedy", 60, "MemoryError"),
        ("large", 60, "took [78].. MiB"),
        ("dying", 60, "crash: ended with -11"),
        ("curious", 60, "touched a file outside"),
        ("pickled", 60, "pickle.find_class"),
        ("forgetful", 60, "left a file open"),
    ],
)
def test_a_reader_that_is_wrong_is_found(fuzzing, reader, wait, fault):
    fuzzing.reader, fuzzing.wait = f"test_fuzz:{reader}", wait

    [outcome] = fuzzing.run([5], n_workers=1)

    assert (outcome.number, outcome.word()) == (5, "FAULT")
    assert re.search(fault, outcome.fault), outcome
