"""The sentences of a report: the question, the data, the answer, and how it was found."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from spikesight.run_record import REFERENCE, RunRecord

_SPLITTERS = {
    "block-kfold": "contiguous runs of trials, bounded by stimulus blocks, were set aside in turn",
    "repeat-kfold": "whole repeats of every class were set aside in turn",
    "last-block": "the last stimulus block was set aside",
}


def headline(record: RunRecord) -> dict[str, str]:
    """Put the question, the data and the answer of a run in a sentence each.

    Returns
    -------
    dict
        Plain text. ``question``, ``data`` and ``chance`` are sentences. ``value`` (an accuracy), ``share``, ``decoder``
        and ``how`` make one together; they are "" if only references were run.
    """
    card = record.cards[0]
    target = " and ".join(str(card["target"] or "class").split(", "))
    question = f"Which {target} of {card['stimulus'] or 'the stimulus'} was shown?"
    table = record.per_session if record.over_sessions is None else record.over_sessions
    guessing = f"Always guessing the most frequent class gives {_percent(table['chance'].iloc[0])}.{_oracle(table)}"
    sentences = {"question": question, "data": _data(record), "chance": guessing}
    ranked = table[(table["selection"] != REFERENCE) & (table["decoder"] != "chance")]
    if ranked.empty:
        return {**sentences, "value": "", "share": "", "decoder": "", "how": ""}
    best = ranked.iloc[0]
    mean = "" if record.over_sessions is None else f", on the mean over {len(record.cards)} sessions,"
    constants = "constants tuned on training trials" if best["selection"] == "tuned" else "its default constants"
    interval = f"{100 * best['low']:.1f} to {_percent(best['high'])}"
    return {
        **sentences,
        "value": _percent(best["accuracy"]),
        "share": f"of test trials{mean} are decoded correctly by",
        "decoder": str(best["decoder"]),
        "how": f"({constants}; 95\u00a0% interval {interval}).",
    }


def methods(record: RunRecord) -> list[str]:
    """Say how the numbers were found, a paragraph an entry."""
    config = record.config
    first = record.results.iloc[0]
    splitter = str(first["splitter"])
    folds = record.results["fold"].nunique()
    fold_text = "in one fold" if folds == 1 else f"in {folds} folds"
    gap = int(first["gap"])
    gap_text = f"; {gap} trials on either side of a test run were left out of training" if gap else ""
    selections = set(record.results["selection"])
    constants = []
    if "tuned" in selections:
        constants.append(
            "Rows marked tuned chose their constants on training trials alone, each decoder from the same number of "
            "candidates."
        )
    if "default" in selections:
        constants.append("Rows marked default kept the constants they come with.")
    n_rows = len(record.per_session[["decoder", "selection"]].drop_duplicates())
    return [
        f"Test trials: {_SPLITTERS.get(splitter, splitter)} ({splitter}, {fold_text}{gap_text}). Everything that is "
        "fitted saw training trials only; a test trial was read once, to be scored.",
        " ".join(constants),
        f"All rows of a session saw the same trials, bins, units and folds (seed {config.get('seed', 0)}). The first "
        f"of {n_rows} rows is first by its own test accuracy, which flatters it slightly; compare rows by their "
        "intervals. Chance is the share of the most frequent class.",
    ]


def provenance_rows(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what is known of a run's making in (name, value) rows."""
    rows: list[tuple[str, str]] = []
    for key, value in provenance.items():
        if key == "earlier":
            if value:
                rows.append(("resumed", f"{len(value)} time{'s' if len(value) > 1 else ''}; see provenance.json"))
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            rows.extend((key.replace("_", " "), _plain(entry)) for entry in value)
        else:
            rows.append((key.replace("_", " "), _plain(value)))
    return rows


def _data(record: RunRecord) -> str:
    """Units, areas, trials and classes, in words."""
    cards = record.cards
    units, trials = [[int(card[key]) for card in cards] for key in ("n_units", "n_trials")]
    areas = list(dict.fromkeys(area for card in cards for area in card["units_per_area"]))
    area_text = ", ".join(areas[:6]) + (f" and {len(areas) - 6} more" if len(areas) > 6 else "")
    blanks = {"kept": ", blanks a class of their own", "dropped": ", blanks dropped"}.get(cards[0]["blanks"], "")
    session = f"{len(cards)} sessions" if len(cards) > 1 else f"session {cards[0]['session_id']}"
    return (
        f"{_span(units)} units in {area_text} of {session}; {_span(trials)} trials of "
        f"{_span([int(card['n_classes']) for card in cards])} classes{blanks}; {_bins(cards[0])}."
    )


def _bins(card: Mapping[str, Any]) -> str:
    """How time was cut."""
    number = int(card["n_bins"])
    if card.get("bin_size") and card.get("window"):
        low, high = (1000 * float(edge) for edge in card["window"])
        return f"{number} bins of {1000 * float(card['bin_size']):g} ms from {low:g} to {high:g} ms"
    return "one bin over each presentation" if number == 1 else f"{number} bins over each presentation"


def _oracle(table: pd.DataFrame) -> str:
    oracle = table[table["decoder"] == "oracle"]
    if oracle.empty:
        return ""
    return f" The oracle, which knows how the session was simulated, reaches {_percent(oracle['accuracy'].iloc[0])}."


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}\u00a0%"


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {entry}" for name, entry in value.items())
    if isinstance(value, list):
        return " ".join(str(entry) for entry in value)
    return "not known" if value is None else str(value)
