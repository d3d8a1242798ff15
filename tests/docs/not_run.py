"""Which commands of the pages are not run by the tests, and why. All others are.

Commands of spikesight that are not run are still parsed: command and options must exist. Those that are run do less
than they say: ``smaller`` has what is cut.
"""

import re
from collections.abc import Sequence

NOT_RUN = {
    r"^make\b": "builds an environment, or runs this very suite",
    r"^git clone": "needs a network",
    r"^source ": "the tests run in the environment already",
    r"^pip install": "needs a network; the environment has it",
    r"--ray (node-7|HEAD)": "needs a cluster; tests/test_ray_on_two_nodes.py runs one of two nodes",
    r"^\(umask|^python -c|^export RAY|^ray start": "writes below /shared and starts a cluster; tests/test_cluster.py",
    r"^export WANDB|--wandb online|^wandb sync": "needs an account; tests/test_wandb_upload.py has a server",
    r"\.\./shared/data": "reads recordings that may not be passed on; the tables beside it say what came out",
    r"^python benchmarks/": "takes an hour, or needs a run of such; tests/benchmarks runs each on little data",
    r"--preset allen|allen_0\.nwb": "takes 6 minutes and 3.6 GB",
    r"demo\.nwb --bins 5": "takes 3 to 4 minutes of search for each fold; docs/tuning.md runs smaller ones",
    r"runs/<": "names a run that a reader has",
    r"^spikesight serve": "runs until it is stopped; tests/test_serve.py and tests/browser follow runs at work",
    r"--compare units\.parquet": "reads recordings that may not be passed on; docs/results.md says what came out",
    r"--images natural_scenes/": "reads pictures that are published elsewhere; the next command has simulated ones",
    r"sessions --refresh": "reads tables of the bucket; tests/data/test_catalogue.py has a server with such",
    r"spikesight attribution RUN": "RUN stands for one",
    r"connectivity fit FILE": "FILE stands for one",
    r"connectivity validate --json": "takes an hour; README.md runs it with --quick",
}
"""Pattern of a command -> reason."""
SUBMISSION = "&& sbatch"
"""What follows needs SLURM and is left out. tests/test_slurm.py runs scripts with stand-ins."""

SMALLER = {
    "--candidates": "2",
    "--budget": "20s",
    "--time-limit": "1",
    "--sessions": "715093703,719161530",
}
"""Options that only say how much is done, and the value that they are run with."""

FOLDS = "2"
CANDIDATES = "4"
DECODERS = "chance,ridge,fa-lda"
EPOCHS = "2"
"""Of a benchmark or a search that does not say how many, or which."""


def smaller(words: Sequence[str]) -> list[str]:
    """Make a command of spikesight as small as can be without making it another one."""
    done = list(words)
    for option, value in SMALLER.items():
        for at in [at for at, word in enumerate(done[:-1]) if word == option]:
            done[at + 1] = value
    if "--all" in done:  # of `fetch`: 32 sessions
        at = done.index("--all")
        done[at : at + 2] = SMALLER["--sessions"].split(",")
    if done[0] in ("benchmark", "tune") and "--config" not in done:
        done += [] if "--folds" in done else ["--folds", FOLDS]
        asked = [name for option in ("--decoders", "--decoder") if option in done for name in named(done, option)]
        if not asked and done[0] == "benchmark":
            done += ["--decoders", DECODERS]
        elif "--tuned" not in done and done[0] == "benchmark":
            done += [
                word for name in asked if is_network(name) for word in ("--set", f"params.{name}.max_epochs={EPOCHS}")
            ]
        if done[0] == "benchmark" and "--tuned" not in done and "--selection" not in done:
            done += ["--selection", "default"]
        if (done[0] == "tune" or "--tuned" in done) and "--candidates" not in done:
            done += ["--candidates", CANDIDATES]
        done += [] if "--jobs" in done else ["--jobs", "2"]
    if done[0] == "attribution":
        done += [] if "--seeds" in done else ["--seeds", "1"]
    return done


def named(words: Sequence[str], option: str) -> list[str]:
    """Give the names that an option lists."""
    return words[words.index(option) + 1].split(",")


def is_network(name: str) -> bool:
    """Whether a decoder is trained by epochs."""
    return name in ("mlp", "mlp-deep", "lstm", "gru", "transformer", "cnn") or name.startswith(("st-", "g"))


def reason(command: str) -> str:
    """Say why a command is not run; empty if it is."""
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, command)), "")
