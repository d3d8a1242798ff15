"""The figures of a benchmark: who decodes how well, what is mistaken for what, how networks and searches learned."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from spikesight import figures
from spikesight.decoders import registry
from spikesight.decoding_results import class_accuracy, learning_curves, reliability
from spikesight.errors import DataError, RunDirectoryError, SpikesightError
from spikesight.exploration import embed_trials
from spikesight.figures.confusion import count_confusions
from spikesight.figures.theme import new_pair
from spikesight.gallery.pictures import Picture
from spikesight.gallery.run_material import RunMaterial
from spikesight.records.leaderboard import is_competing, most_thorough
from spikesight.tracking.epochs import EPOCHS_TABLE
from spikesight.tracking.graph_records import EDGES, read_graphs
from spikesight.tuning_results import optimisation_history, parallel_coordinates, parameter_importance

MOST_RELIABLE: Final = 6
"""Decoders in one figure of reliability, the best ones."""
START_AGREES: Final = 0.1
"""Correlation of a learned graph between folds below which it has hardly left the random numbers it began with."""
MOST_TRIALS: Final = 1500
"""Trials of a session that are placed by t-SNE."""
MOST_RASTERS: Final = 4
"""Presentations side by side in one raster: of more, names and ticks lie over each other."""


def _leaderboard(run: RunMaterial) -> Iterable[Picture]:
    if run.record.over_sessions is not None:
        yield Picture(draw=partial(figures.plot_leaderboard, run.record.over_sessions))
    for session, board in run.boards():
        yield Picture(run.of(session), partial(figures.plot_leaderboard, board))


def _accuracy_per_session(run: RunMaterial) -> Iterable[Picture]:
    if not run.several:
        raise DataError("there is one session.")
    rows = most_thorough(run.record.per_session)
    shown = rows.groupby("decoder")["session"].transform("nunique") == len(run.sessions)
    yield Picture(draw=partial(figures.plot_accuracy_per_session, rows[shown]))


def _confusion(run: RunMaterial) -> Iterable[Picture]:
    def draw(row: "pd.Series[Any]", trials: pd.DataFrame) -> Any:
        ax = figures.plot_confusion_matrix(count_confusions(trials["y_true"], trials["y_pred"]), order="similarity")
        ax.set_title(f"{_row(row)}: {row['accuracy']:.1%} of {len(trials):,} test trials", fontsize=10, loc="left")
        return ax

    for session, row, trials in run.best():
        yield Picture(run.of(session), partial(draw, row, trials))


def _class_accuracy(run: RunMaterial) -> Iterable[Picture]:
    def draw(row: "pd.Series[Any]", trials: pd.DataFrame) -> Any:
        ax = figures.plot_per_class_accuracy(class_accuracy(trials), chance=float(row["chance"]))
        ax.set_title(f"{_row(row)}", fontsize=10, loc="left")
        return ax

    for session, row, trials in run.best():
        yield Picture(run.of(session), partial(draw, row, trials))


def _class_pictures(run: RunMaterial) -> Iterable[Picture]:
    def draw(session: str, row: "pd.Series[Any]", trials: pd.DataFrame) -> Any:
        pictures, classes = run.pictures(session), class_accuracy(trials)
        if not set(classes["label"]) & {str(frame) for frame in pictures["frame"].to_numpy().tolist()}:
            raise DataError("no class of this session is the number of a picture.")
        return figures.plot_class_pictures(classes, pictures, chance=float(row["chance"]))

    for session, row, trials in run.best():
        yield Picture(run.of(session), partial(draw, session, row, trials))


def _wrong_trials(run: RunMaterial) -> Iterable[Picture]:
    def draw(session: str, row: "pd.Series[Any]", trials: pd.DataFrame) -> Any:
        dataset = run.dataset(session)
        tested = dataset.isel(trial=np.flatnonzero(dataset["trial"].isin(trials["trial"]).to_numpy()))
        placed = embed_trials(tested, method="tsne", most=MOST_TRIALS)
        table = placed.merge(trials[["trial", "y_true", "y_pred", "correct"]], on="trial")
        axes_are = (placed.attrs["x_label"], placed.attrs["y_label"])
        ax = figures.plot_misclassified_trials(table, axes_are=axes_are)
        ax.set_title(f"{_row(row)}: {ax.get_title(loc='left')}", fontsize=10, loc="left")
        return ax

    for session, row, trials in run.best():
        yield Picture(run.of(session), partial(draw, session, row, trials))


def _reliability(run: RunMaterial) -> Iterable[Picture]:
    board = run.record.per_session if run.record.over_sessions is None else run.record.over_sessions
    rows = most_thorough(board[is_competing(board)])
    found = reliability(run.record.predictions.merge(rows[["decoder", "selection"]], on=["decoder", "selection"]))
    if found.empty:
        raise DataError("no decoder of this run has probabilities.")
    order = [key for key in rows[["decoder", "selection"]].itertuples(index=False, name=None)]
    order = [key for key in order if ((found["decoder"] == key[0]) & (found["selection"] == key[1])).any()]
    own = found.set_index(["decoder", "selection"]).loc[order[:MOST_RELIABLE]].reset_index()
    yield Picture(draw=partial(figures.plot_reliability, own))


def _learning(run: RunMaterial) -> Iterable[Picture]:
    file = run.record.path / EPOCHS_TABLE
    if not file.is_file():
        raise DataError("no decoder of this run is trained in epochs.")
    try:
        curves = learning_curves(pd.read_parquet(file))
    except (OSError, ValueError, KeyError) as error:
        raise RunDirectoryError(f"cannot read {file}: {error}. Delete it and run the benchmark again.") from error

    def draw(title: str, own: pd.DataFrame) -> Any:
        left, right = new_pair(10.4, 4.0)
        figures.plot_learning_curves(own, "loss", left)
        figures.plot_learning_curves(own, "accuracy", right)
        left.set_title(title, fontsize=11, loc="left")
        return left.figure

    for (decoder, selection), own in curves.groupby(["decoder", "selection"], sort=False):
        yield Picture((str(decoder), str(selection)), partial(draw, f"{decoder} ({selection})", own))


def _raster(run: RunMaterial) -> Iterable[Picture]:
    def draw(session: str) -> Any:
        panel = run.panel(session, "raster")
        units = pd.DataFrame([unit[:2] for unit in panel["units"]], columns=["unit", "area"])
        parts = []
        with_trials = [shown for shown in panel["classes"] if shown["trials"]]
        places = np.unique(
            np.linspace(0, len(with_trials) - 1, min(MOST_RASTERS, len(with_trials))).round().astype(int)
        )
        for number, shown in enumerate(with_trials[place] for place in places):
            first = shown["trials"][0]
            rows = units.iloc[first["row"]].reset_index(drop=True)
            at = {"time": np.array(first["time"]) / 1000, "trial": number, "target": str(shown["label"])}
            parts.append(rows.assign(**at))
        if not parts or not sum(map(len, parts)):
            raise DataError(f"the raster of session {session} holds no spike.")
        return figures.plot_raster(pd.concat(parts, ignore_index=True), rows=units, stop=panel["stop"])

    for session in run.sessions:
        yield Picture(run.of(session), partial(draw, session))


def _area_rates(run: RunMaterial) -> Iterable[Picture]:
    def draw(session: str) -> Any:
        panel = run.panel(session, "rates")
        time = np.array(panel["time"]) / 1000
        curves = [pd.DataFrame({**area, "time": time}) for area in panel["areas"]]
        return figures.plot_area_rates(pd.concat(curves, ignore_index=True), stop=panel["stop"])

    for session in run.sessions:
        yield Picture(run.of(session), partial(draw, session))


def _tuning_gain(run: RunMaterial) -> Iterable[Picture]:
    rows = run.record.per_session
    own = rows[rows["selection"].isin(["default", "tuned", "searched"])]
    if not (own.groupby("decoder")["selection"].nunique() > 1).any():
        raise DataError("no decoder of this run has rows with default and with chosen constants.")
    yield Picture(draw=partial(figures.plot_tuned_against_default, rows))


def _search_history(run: RunMaterial) -> Iterable[Picture]:
    def draw(own: pd.DataFrame) -> Any:
        return figures.plot_optimisation_history(optimisation_history(own))

    for decoder, own in _searches(run):
        yield Picture((decoder,), partial(draw, own))


def _search_coordinates(run: RunMaterial) -> Iterable[Picture]:
    def draw(own: pd.DataFrame) -> Any:
        return figures.plot_parallel_coordinates(*parallel_coordinates(own))

    for decoder, own in _searches(run):
        yield Picture((decoder,), partial(draw, own))


def _search_importance(run: RunMaterial) -> Iterable[Picture]:
    def draw(own: pd.DataFrame) -> Any:
        return figures.plot_parameter_importance(parameter_importance(own))

    for decoder, own in _searches(run):
        yield Picture((decoder,), partial(draw, own))


def _searches(run: RunMaterial) -> Iterable[tuple[str, pd.DataFrame]]:
    if run.record.candidates is None:
        raise DataError("no constants were searched in this run.")
    return [(str(name), own) for name, own in run.record.candidates.groupby("decoder", sort=False)]


def _architecture(run: RunMaterial) -> Iterable[Picture]:
    from spikesight.decoders.architecture import architecture_of

    given = run.record.config.get("params") or {}
    card = next(iter(run.sessions.values()), {})
    shape = None if run.several or not card else (card["n_bins"], card["n_units"], card["n_classes"])
    found = []
    for name in dict.fromkeys(run.record.config.get("decoders") or run.record.results["decoder"]):
        try:
            chart = architecture_of(registry.make(name, **given.get(name, {})), name, shape=shape)
        except SpikesightError:  # no network, or a plug-in that is not here
            continue
        found.append(Picture((str(name),), partial(figures.plot_architecture, chart)))
    if not found:
        raise DataError("no decoder of this run is a network whose parts are known.")
    return found


def _graph_per_bin(run: RunMaterial) -> Iterable[Picture]:
    graphs = read_graphs(run.record.path)
    if not graphs:
        raise DataError("no decoder of this run has a graph.")
    own = {key: graph for key, graph in graphs.items() if set(graph.dims) == {"bin", "source_unit", "target_unit"}}
    if not own:
        raise DataError("no decoder of this run has a graph for each bin; one with graph='learned-per-bin' has.")
    edges = pd.read_parquet(run.record.path / EDGES)
    for (session, decoder, selection), graph in own.items():
        rows = edges[edges["session"].astype(str) == session]
        areas = dict(zip(rows["source_unit"], rows["source_area"], strict=True))
        areas |= dict(zip(rows["target_unit"], rows["target_area"], strict=True))
        title = f"{decoder} ({selection}), session {session}{_agreement(rows, decoder, selection)}"
        animate = partial(
            figures.animate_graph, graph, areas=areas, times=_bounds(run, session, graph.sizes["bin"]), title=title
        )
        yield Picture(run.of(session, decoder, selection), animate=animate)


RUN_FIGURES: Final[dict[str, Callable[[RunMaterial], Iterable[Picture]]]] = {
    "leaderboard": _leaderboard,
    "accuracy_per_session": _accuracy_per_session,
    "confusion": _confusion,
    "class_accuracy": _class_accuracy,
    "class_pictures": _class_pictures,
    "wrong_trials": _wrong_trials,
    "reliability": _reliability,
    "learning": _learning,
    "architecture": _architecture,
    "graph_per_bin": _graph_per_bin,
    "tuning_gain": _tuning_gain,
    "search_history": _search_history,
    "search_coordinates": _search_coordinates,
    "search_importance": _search_importance,
    "raster": _raster,
    "area_rates": _area_rates,
}
"""Name of a figure, and of its file -> what makes it."""


def _agreement(edges: pd.DataFrame, decoder: str, selection: str) -> str:
    """Say how alike the graphs of two folds are: a learned one may still be its random start."""
    own = edges[(edges["decoder"] == decoder) & (edges["selection"] == selection)]["fold_correlation"].dropna()
    if own.empty:
        return ""
    r = float(own.iloc[0])
    return f"\nweights of two folds correlate by {r:.2f}" + (": mostly its random start" if r < START_AGREES else "")


def _row(row: "pd.Series[Any]") -> str:
    return f"{row['decoder']} ({row['selection']})"


def _bounds(run: RunMaterial, session: str, n_bins: int) -> list[float] | None:
    """Return the bounds of the bins, s; None where they are not known or are those of several presentations."""
    card = run.sessions.get(session, {})
    if card.get("context") or not card:
        return None
    if card.get("window") and card.get("bin_size"):
        start = float(card["window"][0])
        return [start + float(card["bin_size"]) * place for place in range(n_bins + 1)]
    stop = run.record.panels.get(session, {}).get("rates", {}).get("stop")
    return None if stop is None else [float(stop) * place / n_bins for place in range(n_bins + 1)]
