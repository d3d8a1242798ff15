"""What `spikesight inspect` prints: a session in tables, and what is wrong with it in sentences."""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from spikesight.commands.terminal import listed, print_card
from spikesight.commands.terminal_progress import console
from spikesight.commands.terminal_tables import table_of

NOT_CHECKED: Final = "clocks and labels were not checked"


def print_inspection(found: Mapping[str, Any]) -> None:
    """Write what a file holds, and what is wrong with it."""
    out = console()
    if found["kind"] == "counts":
        print_card(found)
    else:
        _print_session(found, out)
    _print_checks(found, out)
    for flag in found["flags"]:
        out.print(Text(f"! {flag}", style="bold yellow"), soft_wrap=True)
    checked = found["clocks"] is not None or found["labels"] is not None
    if not found["flags"]:
        out.print(Text("nothing is flagged" if checked else f"nothing is flagged; {NOT_CHECKED}"))


def _print_session(found: Mapping[str, Any], out: Console) -> None:
    out.print(Text(f"session {found['session_id']} ({found['session_type'] or 'type not given'})"))
    out.print(Text(str(found["source"])), soft_wrap=True)
    dropped = listed(found["dropped_units"])
    out.print(Text(f"{found['n_units']:,} units, {found['n_spikes']:,} spikes; dropped by filters: {dropped}"))
    out.print(Text(f"units per area: {listed(found['units_per_area'])}"))
    extras = [name for name in ("running", "pupil") if found[name]]
    out.print(Text(f"{found['n_invalid_times']} invalid times; also holds: {', '.join(extras) or 'nothing else'}"))
    out.print()
    if found["unit_steps"]:
        rows = [{**step, "asks for": step["value"]} for step in found["unit_steps"]]
        out.print(table_of(rows, "Units", columns=("filter", "asks for", "before", "removed", "after")))
        out.print()
    rows = [_stimulus_row(row) for row in found["stimuli"]]
    columns = ("stimulus", "shown", "valid", "conditions", "repeats", "blanks", "blocks", "seconds each", "pause")
    spare = ("pause", "seconds each", "blocks", "blanks", "valid")
    out.print(table_of(rows, "Stimuli", columns=columns, width=out.width, spare=spare))
    for row in rows:
        if row["told"]:
            out.print(Text(f"{row['stimulus']}: {row['told']}"), soft_wrap=True)
    out.print()


def _stimulus_row(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = row.get("presentations")
    expected = row.get("n_expected")
    design = f" of {expected:,}" if expected is not None and expected != row["n_presentations"] else ""
    low, high = row.get("fewest_repeats"), row.get("most_repeats")
    told = []
    if kept is not None:
        told += [f"{number} overlap invalid times ({reason})" for reason, number in kept["dropped"].items()]
        told += [f"{probe} is invalid during {number}" for probe, number in kept["by_probe"].items()]
    if row.get("n_uneven"):
        told.append(f"{row['n_uneven']} last {row['shortest']:.3g} to {row['longest']:.3g} s")
    return {
        "stimulus": row["stimulus"],
        "shown": f"{row['n_presentations']:,}{design}",
        "valid": "-" if kept is None else f"{kept['after']:,}",
        "conditions": _number(row.get("n_conditions")),
        "repeats": _number(low) if low == high else f"{low} to {high}",
        "blanks": row.get("n_blanks") or "-",
        "blocks": _number(row.get("n_blocks")),
        "seconds each": "-" if row["duration"] is None else f"{row['duration']:.3g}",
        "pause": "-" if row.get("gap") is None else f"{max(row['gap'], 0):.3g}",
        "told": "; ".join(told),
    }


def _print_checks(found: Mapping[str, Any], out: Console) -> None:
    if found["clocks"]:
        rows = [
            {
                **check,
                "units": check["n_units"],
                "delay ms [95 %]": _delay(check),
                "p": _p_value(check["tuned_p"]),
                "rate modulated": "-" if check["change_depth"] != check["change_depth"] else _depth(check),
            }
            for check in found["clocks"]
        ]
        told = ("probe", "units", "stimulus", "delay ms [95 %]", "p", "rate modulated", "status")
        title, spare = "Clocks: when the probe tells what was shown", ("rate modulated", "units", "p")
        out.print(table_of(rows, title, columns=told, width=out.width, spare=spare, sentences=("status",)))
        out.print()
    if found["labels"]:
        rows = [
            {
                "stimulus": check["stimulus"] or "-",
                "target": check["target"],
                "trials": f"{check['n_trials']:,}",
                "classes": check["n_classes"],
                "explained %": "-" if check["z"] != check["z"] else f"{100 * check['explained']:.2f}",
                "z": "-" if check["z"] != check["z"] else f"{check['z']:.1f}",
                "p": _p_value(check["p_value"]),
                "status": check["status"],
            }
            for check in found["labels"]
        ]
        columns = ("stimulus", "target", "trials", "classes", "explained %", "z", "p", "status")
        title, spare = "Labels: how much of the counts they explain", ("classes", "z", "trials")
        out.print(table_of(rows, title, columns=columns, width=out.width, spare=spare, sentences=("status",)))
        out.print()


def _delay(check: Mapping[str, Any]) -> str:
    if check["delay"] != check["delay"]:
        return "-"
    return f"{1000 * check['delay']:.0f} [{1000 * check['low']:.0f}, {1000 * check['high']:.0f}]"


def _depth(check: Mapping[str, Any]) -> str:
    return f"{100 * check['change_depth']:.0f} % (p {_p_value(check['change_p'])})"


def _p_value(value: float) -> str:
    return "-" if value != value else f"{value:.1g}"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
