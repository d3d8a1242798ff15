"""Tables of candidates as searches leave them: made by hand, with effects that are known."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from page_reading import EVIL

RUNGS = (3, 9, 27)
"""Epochs after which successive halving compares candidates; the last is the whole training."""


def candidates(
    decoders: Sequence[str] = ("st-gat",),
    *,
    sessions: Sequence[str] = ("session 0",),
    folds: int = 2,
    n: int = 24,
    pruned: bool = True,
    failed: int = 1,
    effects: bool = True,
    seed: int = 0,
) -> pd.DataFrame:
    """Search at random, ``n`` candidates in each outer fold.

    The learning rate decides nearly everything, the graph a little, input_noise nothing; only the graph "attention"
    has heads. Without ``effects`` every candidate is worth the same.
    """
    rng = np.random.default_rng(seed)
    rows = [
        _search(rng, n, pruned, failed, effects).assign(session=session, decoder=decoder, fold=fold, seed=0)
        for session in sessions
        for decoder in decoders
        for fold in range(folds)
    ]
    return pd.concat(rows, ignore_index=True)


def with_values(parameters: Sequence[dict[str, object]], accuracy: Sequence[float], **columns: object) -> pd.DataFrame:
    """One finished candidate for every set of parameters."""
    table = pd.DataFrame(
        {
            "session": "a", "decoder": "mlp", "fold": 0, "seed": 0, "candidate": np.arange(len(accuracy)),
            "state": "finished", "accuracy": np.asarray(accuracy, float), "progress": 1.0,
            "started": np.arange(len(accuracy)) * 10.0, "seconds": 10.0, "error": "",
            "params": [json.dumps(values) for values in parameters],
            "chosen": np.arange(len(accuracy)) == int(np.argmax(accuracy)),
        }
    )  # fmt: skip
    return table.assign(**columns)


def _search(rng: np.random.Generator, n: int, pruned: bool, failed: int, effects: bool) -> pd.DataFrame:
    rate = 10 ** rng.uniform(-5, -1, n)
    graph = rng.choice(["attention", "identity", "learned"], n)
    noise = rng.uniform(0, 2, n)
    goal = np.full(n, 0.55)
    speed = np.full(n, 0.2)
    if effects:
        off = np.log10(rate) + 2.7
        goal = 0.6 - 0.25 * (1 - np.exp(-(off**2) / 2)) - 0.03 * (graph == "identity")
        speed = np.minimum(0.15 * 10 ** (0.5 * (np.log10(rate) + 3)), 1.0)
    before: dict[int, list[float]] = {epochs: [] for epochs in RUNGS}
    rows = []
    busy = [0.0, 0.0]  # two candidates at a time
    for at in range(n):
        luck = rng.normal(0, 0.015)
        for epochs in RUNGS:
            risen = 1 - np.exp(-1.5 * speed[at] * epochs)
            accuracy = 0.08 + (goal[at] - 0.08) * risen + luck + rng.normal(0, 0.008)
            before[epochs].append(accuracy)
            behind = len(before[epochs]) > 3 and accuracy < np.quantile(before[epochs], 2 / 3)
            if pruned and epochs < RUNGS[-1] and behind:
                break
        worker = int(np.argmin(busy))
        params = {"learning_rate": float(f"{rate[at]:.3g}"), "hidden_size": int(2 ** rng.integers(5, 10)),
                  "input_noise": round(float(noise[at]), 2), "graph": str(graph[at])}  # fmt: skip
        if graph[at] == "attention":
            params["n_heads"] = int(rng.choice([1, 2, 4]))
        rows.append(
            {"candidate": at, "state": "finished" if epochs == RUNGS[-1] else "pruned", "accuracy": accuracy,
             "progress": epochs / RUNGS[-1], "started": busy[worker], "seconds": 2.5 * epochs, "error": "",
             "params": json.dumps(params)}
        )  # fmt: skip
        busy[worker] += 2.5 * epochs + 1
    table = pd.DataFrame(rows)
    for at in range(failed):
        table.loc[n - 1 - 5 * at, ["state", "accuracy", "progress", "error"]] = [
            "failed", np.nan, 0.0, "the loss is NaN after epoch 2",
        ]  # fmt: skip
    best = table["accuracy"].where(table["state"] == "finished").idxmax()
    return table.assign(chosen=table.index == best)


def hostile(session: str = "session 0") -> pd.DataFrame:
    """Candidates whose every text wants to be markup, and whose numbers are none."""
    params = {EVIL: EVIL, "$x": [EVIL], "huge": 10**400, "n": None}
    table = with_values(
        [params, {**params, "extra": EVIL}, params, params], [0.3, np.inf, np.nan, 0.2], session=session
    )
    table = table.assign(decoder=EVIL, error=EVIL, state=["finished", "finished", "failed", "pruned"])
    return table.assign(started=[0.0, np.nan, np.inf, 3.0], chosen=[True, False, False, False])
