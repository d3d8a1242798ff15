"""A small run directory in the form that a benchmark leaves, made by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from candidate_table import candidates as make_candidates
from spikesight.records.session_overview import panels_file

SEARCH = {
    "search": "optuna-tpe", "candidates": 24, "scheduler": "asha", "budget": 20, "grace": 0.25, "reduction": 3,
}  # fmt: skip
REACHED = {"fa-lda": 0.8, "lda": 0.7, "svc-linear": 0.6, "chance": 0.1, "oracle": 0.9}


def write_run(
    path: Path,
    *,
    n_sessions: int = 1,
    n_classes: int = 12,
    n_trials: int = 360,
    stimulus: str = "natural_scenes",
    area: str = "VISp",
    label: str = "{}",
    session: str = "session {}",
    panels: bool = True,
    searched: tuple[str, ...] = (),
    candidates: pd.DataFrame | None = None,
) -> Path:
    """Write every file of a finished run; ``label`` and ``session`` are formatted with a number.

    The decoders ``searched`` have rows of a search as well, and the run the ``candidates`` tried (by default some).
    """
    rng = np.random.default_rng(0)
    names = [session.format(number) for number in range(n_sessions)]
    tables = [_tables(name, n_classes, n_trials, stimulus, label, rng, searched) for name in names]
    (path / "panels").mkdir(parents=True)
    pd.concat([results for results, _ in tables]).to_parquet(path / "results.parquet", index=False)
    pd.concat([predictions for _, predictions in tables]).to_parquet(path / "predictions.parquet", index=False)
    tuning = {"tuning": SEARCH} if searched else {}
    (path / "config.yaml").write_text(yaml.safe_dump({"sources": names, "stimulus": stimulus, "seed": 0, **tuning}))
    if searched:
        tried = make_candidates(searched, sessions=names) if candidates is None else candidates
        tried.to_parquet(path / "candidates.parquet", index=False)
    provenance = {"versions": {"spikesight": "0.1.0"}, "git_commit": None, "inputs": [{"path": names[0], "size": 3}]}
    (path / "provenance.json").write_text(json.dumps(provenance))
    cards = [_card(name, n_classes, n_trials, stimulus, area, panels) for name in names]
    (path / "sessions.json").write_text(json.dumps(cards))
    if panels:
        for name in names:
            text = json.dumps({"session_id": name, **_panels(area, label, rng)})
            (path / panels_file(name)).write_text(text)
    return path


def write_epochs(run: Path, decoder: str = "mlp", n_epochs: int = 5) -> Path:
    """Add the epochs of a network to a run: two folds of each session."""
    sessions = [card["session_id"] for card in json.loads((run / "sessions.json").read_text())]
    rows = [
        {"session": session, "decoder": decoder, "selection": "default", "fold": fold, "seed": 0, "epoch": epoch,
         "loss": 2 / (epoch + 1), "accuracy": 1 - 1 / (epoch + 2), "valid_loss": 2.2 / (epoch + 1),
         "valid_accuracy": 0.4, "learning_rate": 1e-3, "seconds": 0.1}
        for session in sessions for fold in (0, 1) for epoch in range(n_epochs)
    ]  # fmt: skip
    pd.DataFrame(rows).to_parquet(run / "epochs.parquet", index=False)
    return run


def _tables(
    session: str,
    n_classes: int,
    n_trials: int,
    stimulus: str,
    label: str,
    rng: np.random.Generator,
    searched: tuple[str, ...],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    results, predictions = [], []
    shown = rng.permutation(np.arange(n_trials) % n_classes)
    common = {"session": session, "seed": 0}
    for decoder, reached in REACHED.items():
        kinds = ["reference"] if decoder in ("chance", "oracle") else ["tuned", "default"]
        kinds += ["searched"] if decoder in searched else []
        for selection in kinds:
            right = rng.random(n_trials) < reached + {"default": -0.05, "searched": 0.03}.get(selection, 0)
            decoded = np.where(right, shown, (shown + rng.integers(1, n_classes, n_trials)) % n_classes)
            row = {**common, "decoder": decoder, "selection": selection}
            frame = pd.DataFrame({"trial": np.arange(n_trials) + 100, "row": np.arange(n_trials)})
            frame["y_true"] = [label.format(one) for one in shown]
            frame["y_pred"] = [label.format(one) for one in decoded]
            frame["correct"] = right
            frame["in_top5"] = pd.array(right | (rng.random(n_trials) < 0.5), dtype="boolean")
            frame["fold"] = np.arange(n_trials) // (n_trials // 2)
            predictions.append(frame.assign(**row, confidence=np.nan, stimulus_block=0))
            for fold, own in frame.groupby("fold"):
                scores = {"accuracy": own["correct"].mean(), "balanced_accuracy": own["correct"].mean()}
                sizes = {"n_train": n_trials - len(own), "n_test": len(own), "n_classes": n_classes, "n_units": 40}
                inner = {"inner_accuracy": 0.7 if selection == "searched" else np.nan} if searched else {}
                results.append(
                    {**row, **inner, **scores, **sizes, "top5_accuracy": 0.9, "chance": 1 / n_classes,
                     "n_bins": 1, "fold": fold,
                     "fit_seconds": 0.5, "predict_seconds": 0.1, "params": "{}", "splitter": "block-kfold", "gap": 10,
                     "blanks": "kept", "stimulus": stimulus, "target": "frame",
                     "n_candidates": {"tuned": 5, "searched": 24}.get(selection, 1)}
                )  # fmt: skip
    return pd.DataFrame(results), pd.concat(predictions)


def _card(session: str, n_classes: int, n_trials: int, stimulus: str, area: str, panels: bool) -> dict[str, object]:
    reasons = {name: "the file holds spike counts, not spike times" for name in ("raster", "rates")}
    return {
        "session_id": session, "source": f"{session}.nwb", "stimulus": stimulus, "target": "frame", "blanks": "kept",
        "n_trials": n_trials, "n_classes": n_classes, "repeats": [30, 30.0, 30],
        "blocks": [{"block": 0, "n_trials": n_trials, "start": 0.0, "stop": 90.0}], "n_units": 40,
        "units_per_area": {area: 22, "LGd": 14, "CA1": 4},
        "median_rate_per_area": {area: 5.1, "LGd": 8.0, "CA1": 1.25}, "n_bins": 1, "bin_size": None, "window": None,
        "dropped_units": {"quality": 12, "isi_violations_maximum": 3}, "dropped_trials": {"invalid times": 2},
        "unit_filters": {"quality": "good"}, "panels_left_out": {} if panels else reasons,
    }  # fmt: skip


def _panels(area: str, label: str, rng: np.random.Generator) -> dict[str, object]:
    units = [[1000 + row, area if row < 22 else "LGd" if row < 36 else "CA1", 3000.0 - 60 * row] for row in range(40)]

    def trial(repeat: int) -> dict[str, object]:
        row = rng.integers(0, 40, 150)
        return {"repeat": repeat, "row": row.tolist(), "time": rng.uniform(-50, 300, 150).round(1).tolist()}

    classes = [{"label": label.format(one), "trials": [trial(repeat) for repeat in range(3)]} for one in (0, 4, 8, 11)]
    time = np.arange(-45.0, 300, 10)
    areas = []
    for at, name in enumerate((area, "LGd", "CA1")):
        mean = 3 + at + 6 * np.exp(-((time - 70 - 20 * at) ** 2) / 900)
        curves = {"mean": mean.tolist(), "low": (0.8 * mean).tolist(), "high": (1.2 * mean).tolist()}
        areas.append({"area": name, "n_units": 10, **curves})
    return {
        "raster": {"window": [-0.05, 0.3], "stop": 0.25, "units": units, "classes": classes},
        "rates": {"time": time.tolist(), "bin_size": 0.01, "stop": 0.25, "n_trials": 360, "areas_left_out": 0,
                  "areas": areas},
    }  # fmt: skip
