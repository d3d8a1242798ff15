"""A process that makes and reads one case after the other: numbers come in by stdin, outcomes go out by stdout.

    python fuzz_worker.py seed folder reader

``folder`` has the folders ``seeds`` and ``outside``, of which every worker watches a copy of its own: making a case may
touch what reading it must not, and another worker makes one meanwhile. ``reader`` is the function to try, as
``module:function``. Memory is limited, and so is processor time per case: the process then dies, and says in stderr
where it was.
"""

import faulthandler
import importlib
import json
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from fuzz_cases import make_case
from fuzz_watch import Watch

MEMORY = 2 * 2**30
"""Bytes of data at most, which is heap and anonymous mappings (numba alone reserves 1 GiB)."""
SECONDS = 3
"""Processor time of one case at most; a sound one takes 0.03 s."""


def outcome_of(reader, case, watch):
    """Read one file; give the errors of ours, or what is wrong with the reading."""
    watch.begin()
    fault, errors = "", []
    try:
        errors = reader(case.path)
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in last if "spikesight" in frame.filename and "/tests/" not in frame.filename]
        place = f"{Path(ours[-1].filename).name}:{ours[-1].name}:{ours[-1].lineno}" if ours else "?"
        fault = f"{type(error).__name__} at {place}: {str(error)[:200]}"
    problems = watch.problems()
    return {"errors": errors, "fault": "; ".join(filter(None, [fault, *problems]))}


def limit_time():
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + SECONDS, hard))


def main(seed, folder, reader):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, function = reader.split(":")
    read = getattr(importlib.import_module(module), function)
    folder = Path(folder)
    seeds = {ending: sorted((folder / "seeds").glob(f"*{ending}")) for ending in (".nwb", ".npz", ".nc")}
    warnings.simplefilter("error")
    faulthandler.enable()
    for whole in (path for paths in seeds.values() for path in paths):
        read(whole)  # compiles kernels and imports what is imported late
    faulthandler.register(signal.SIGXCPU, chain=True)
    faulthandler.register(signal.SIGUSR1)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        outside = Path(shutil.copytree(folder / "outside", Path(scratch) / "outside"))
        watch = Watch(outside)
        print(json.dumps({"ready": os.getpid()}), file=answers, flush=True)
        for line in sys.stdin:
            number = int(line)
            limit_time()
            case = make_case(int(seed), number, seeds, Path(scratch), outside)
            print(json.dumps({"recipe": case.recipe}), file=answers, flush=True)
            begin = time.perf_counter()
            found = outcome_of(read, case, watch)
            print(json.dumps({**found, "seconds": time.perf_counter() - begin}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
