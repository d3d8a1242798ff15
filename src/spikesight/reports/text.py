"""The sentences of a report: the question, the data, the answer, and how it was found."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from spikesight.records.leaderboard import is_competing
from spikesight.records.run_record import RunRecord
from spikesight.reports.tuning import describe_search
from spikesight.statistics import WHAT_INTERVALS_COVER

_HEADLINE: Final = {
    "searched": "constants searched on training trials",
    "tuned": "constants tuned on training trials",
}


def headline(record: RunRecord) -> dict[str, str]:
    """Put the question, the data and the answer of a run in a sentence each.

    Returns
    -------
    dict
        Plain text. ``question``, ``data`` and ``chance`` are sentences; ``trust`` says what a test trial's fit had not
        seen, and what flatters the answer. ``value`` (an accuracy), ``share``, ``decoder`` and ``how`` make one
        together; they are "" if only references were run.
    """
    card = record.cards[0]
    target = " and ".join(str(card["target"] or "class").split(", "))
    question = f"Which {target} of {card['stimulus'] or 'the stimulus'} was shown?"
    table = record.per_session if record.over_sessions is None else record.over_sessions
    guessing = f"Chance, the share of the most frequent class, is {_percent(table['chance'].iloc[0])}.{_oracle(table)}"
    ranked = _ranked(record)
    sentences = {"question": question, "data": _data(record), "chance": guessing, "trust": _trust(record, len(ranked))}
    if ranked.empty:
        return {**sentences, "value": "", "share": "", "decoder": "", "how": ""}
    best = ranked.iloc[0]
    several = len(record.cards) > 1
    alone = f" of session {best['session']}" if several and record.over_sessions is None else ""
    mean = alone if record.over_sessions is None else f", on the mean over {len(record.cards)} sessions,"
    constants = _HEADLINE.get(str(best["selection"]), "its default constants")
    interval = f"{100 * best['low']:.1f} to {_percent(best['high'])}"
    return {
        **sentences,
        "value": _percent(best["accuracy"]),
        "share": f"of test trials{mean} are decoded correctly by",
        "decoder": str(best["decoder"]),
        "how": f"({constants}; 95\u00a0% interval {interval}).",
    }


def _ranked(record: RunRecord) -> pd.DataFrame:
    """Return the rows among which the best was picked, best first: no references; of one session where no mean is."""
    table = record.per_session if record.over_sessions is None else record.over_sessions
    ranked = table[is_competing(table)]
    if record.over_sessions is None and not ranked.empty:
        ranked = ranked[ranked["session"] == ranked["session"].iloc[0]]
    return ranked


def methods(record: RunRecord) -> list[str]:
    """Say how the numbers were found, a paragraph an entry."""
    seed = record.config.get("seed", 0)
    n_rows = len(_ranked(record))
    picked = f"The best of {n_rows} rows was picked by its own test accuracy, which flatters it slightly. "
    return [
        f"Test trials: {_set_aside(record)} Everything that is fitted saw training trials only; a test trial was read "
        "once, to be scored.",
        *_context_and_drift(record.results),
        *_behaviour(record),
        *filter(None, (_constants(record.results), describe_search(record))),
        f"All rows of a session saw the same trials, bins, units and folds (seed {seed}). {_comparison(record)} "
        f"{picked if n_rows > 1 else ''}Chance is the share of the most frequent class among all trials. The decoder "
        "'chance' may score less: of balanced classes, the one most frequent in training is rarer among the test "
        "trials.",
    ]


def methods_to_paste(record: RunRecord) -> str:
    """Write one paragraph for a paper, from what the run was asked: data, decoders, terms, and the version to cite."""
    head = headline(record)
    competing = record.per_session[is_competing(record.per_session)]
    decoders = list(dict.fromkeys(competing["decoder"].astype(str)))
    version = dict(record.provenance.get("versions") or {}).get("spikesight", "of an unknown version")
    commit = record.provenance.get("git_commit")
    cited = f"spikesight {version}" + (f" (commit {str(commit)[:12]})" if commit else "")
    names = [f"Decoders: {', '.join(decoders)}."] if decoders else []
    over = ", over sessions with Student's t" if len(record.cards) > 2 else ""
    return " ".join(
        [
            f"{head['question'].rstrip('?')} was decoded from spike counts ({head['data'].rstrip('.')}) with {cited}.",
            *_filters(record),
            *names,
            f"Test trials: {_set_aside(record)} Everything that was fitted saw training trials only.",
            *_context_and_drift(record.results),
            *_behaviour(record),
            *filter(None, (_constants(record.results), describe_search(record))),
            f"All decoders saw the same trials, bins, units and folds (seed {record.config.get('seed', 0)}) and were "
            f"compared by paired differences on the same test trials{over}. {WHAT_INTERVALS_COVER} Chance is the share "
            "of the most frequent class.",
        ]
    )


def _filters(record: RunRecord) -> list[str]:
    """Say which units were kept."""
    filters = dict(record.cards[0].get("unit_filters") or {})
    told = [f"{name} = {value}" for name, value in filters.items() if value not in (None, False)]
    return [f"Units were kept by {', '.join(told)}."] if told else []


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


def _set_aside(record: RunRecord) -> str:
    """Which trials were tested, and what was left out of training beside them."""
    first = record.results.iloc[0]
    splitter, gap = str(first["splitter"]), int(first["gap"])
    n_folds = record.results["fold"].nunique()
    name = f"({splitter}, {'one fold' if n_folds == 1 else f'{n_folds} folds'})"
    blocks = [len(card["blocks"]) for card in record.cards]
    if splitter == "repeat-kfold":
        return (
            f"whole repeats of every class were set aside in turn {name}. There is no gap: neighbours in time of test "
            "trials, which are trials of other classes, were trained on."
        )
    if splitter == "last-block":
        n_splits = record.config.get("n_splits")
        share = f"last 1/{n_splits} of the trials" if n_splits else "last part of the trials"
        tested = f"the {share} were" if max(blocks) == 1 else "the last stimulus block was"
        if min(blocks) == 1 < max(blocks):
            tested = f"the last stimulus block, or of a session of a single block the {share}, were"
        sides, text = "before the test trials", f"{tested} set aside {name}"
    elif splitter == "block-kfold":
        bounded = ", bounded by stimulus blocks," if max(blocks) > 1 else ""
        sides, text = (
            "on either side of a test run",
            f"contiguous runs of trials{bounded} were set aside in turn {name}",
        )
    else:
        return f"as {splitter} chose them {name}."
    if not gap:
        return f"{text}, without a gap."
    if max(blocks) == 1:
        return f"{text}; {gap} trials {sides} were left out of training."
    return (
        f"{text}; up to {gap} trials {sides} were left out of training. The gap does not reach into a block that a "
        "pause parts from the test trials."
    )


def asked_of_counts(results: pd.DataFrame) -> str:
    """Name context and detrending in a few words; "" where there is neither, or in a run of a version without them."""
    first = results.iloc[0]
    context, detrend = (str(first.get(name) or "") for name in ("context", "detrend"))
    parts = [f"context {context}"] if context else []
    return ", ".join([*parts, f"detrended over {detrend}"] if detrend else parts)


def _context_and_drift(results: pd.DataFrame) -> list[str]:
    """Say what was put beside each trial's own counts, and what was taken away from them."""
    first = results.iloc[0]
    context, detrend = (str(first.get(name) or "") for name in ("context", "detrend"))
    sentences = []
    if context:
        sentences.append(
            "Context: every decoder saw, beside a trial's own counts, those of neighbouring presentations "
            f"({context}). The gap is at least as wide, so that no presentation is in a training row and in a test "
            "row. The row "
            "'neighbours alone' is fa-lda without a trial's own bins: what they tell by themselves."
        )
    if detrend:
        n_trials, _, causal = detrend.partition(", ")
        which = f"{n_trials} trials before each trial" if causal else f"{n_trials} trials on either side of each trial"
        sentences.append(
            f"Drift: the running mean of square-root counts over the {which} was taken away inside each fold, from "
            "training rows that of training rows and from test rows that of test rows, without labels."
            + ("" if causal else " An experiment under way does not know later trials: it has the causal form.")
        )
    return [" ".join(sentences)] if sentences else []


def _behaviour(record: RunRecord) -> list[str]:
    """Say which trials were chosen by running, and what the rows are that see no spike."""
    sentences = []
    state = str(record.config.get("running") or "all")
    if state != "all":
        speed = "1 cm/s or more" if state == "running" else "less than 1 cm/s"
        sentences.append(f"Only {state} trials: the mean speed over the presentation is {speed}.")
    controls = [f"'{name} alone'" for name in record.config.get("controls") or ()]
    if controls:
        sentences.append(
            f"{' and '.join(controls)} saw what the mouse did in each bin (running speed, the pupil's size and place, "
            "as far as known) and no spike, on the same trials and folds: logistic regression with the constants it "
            "comes with. What is missing is filled in from training trials; drift was not taken away from it."
        )
    return [" ".join(sentences)] if sentences else []


def _constants(results: pd.DataFrame) -> str:
    """How the decoders' own constants were set."""
    selections = set(results["selection"])
    sentences = []
    if "tuned" in selections:
        sentences.append(f"Rows marked tuned chose their constants on training trials alone{_candidates(results)}.")
    if "default" in selections:
        sentences.append("Rows marked default kept the constants they come with.")
    if ((results["decoder"] == "fa-lda") & (results["n_bins"] > 1)).any():
        sentences.append("With several bins fa-lda weighs its two models on inner folds of training trials, always.")
    return " ".join(sentences)


def _candidates(results: pd.DataFrame) -> str:
    """How many candidates the tuned decoders compared, and which of them compared another number."""
    if "n_candidates" not in results:  # a run of a version that did not keep it
        return ""
    numbers = results[results["selection"] == "tuned"].groupby("decoder", sort=False)["n_candidates"].first()
    usual = int(numbers.mode().max())
    others = ", ".join(f"{name} from {number}" for name, number in numbers[numbers != usual].items())
    return f", each decoder from {usual} candidates" + (f" (but {others})" if others else "")


def _comparison(record: RunRecord) -> str:
    """How to compare two rows."""
    text = (
        "Rows are compared by paired differences, not by their intervals, which overlap even where one row is surely "
        "better. The column minus best is the difference to the best row (no reference) in percent points: within a "
        "session with a block bootstrap of the differences of the same test trials"
    )
    if record.over_sessions is None:
        return f"{text}."
    return f"{text}, over sessions with Student's t of the sessions' differences."


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
    number = int(card.get("n_own_bins", card["n_bins"]))
    beside = f", with those of neighbours ({card['context']}) beside them" if card.get("context") else ""
    return _own_bins(card, number) + beside


def _own_bins(card: Mapping[str, Any], number: int) -> str:
    if card.get("bin_size") and card.get("window"):
        low, high = (1000 * float(edge) for edge in card["window"])
        bins = "one bin" if number == 1 else f"{number} bins"
        return f"{bins} of {1000 * float(card['bin_size']):g} ms from {low:g} to {high:g} ms"
    return "one bin over each presentation" if number == 1 else f"{number} bins over each presentation"


def _oracle(table: pd.DataFrame) -> str:
    oracle = table[table["decoder"] == "oracle"]
    if oracle.empty:
        return ""
    return f" The oracle, which knows how the session was simulated, reaches {_percent(oracle['accuracy'].iloc[0])}."


def _trust(record: RunRecord, n_rows: int) -> str:
    """Say in short what the fit behind a test trial had not seen, and that the best row was picked afterwards."""
    gap = int(record.results["gap"].iloc[0])
    apart = (
        f"had seen neither it nor up to {gap} trials beside it."
        if gap
        else "had not seen it; the trials right beside it may have been in training."
    )
    picked = f" Best of {n_rows} rows, picked by these very trials, which flatters it slightly." if n_rows > 1 else ""
    return f"Every test trial was decoded by a fit that {apart}{picked}"


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
