"""What ``spikesight receptive-fields`` prints."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from spikesight.terminal import print_json
from spikesight.terminal_progress import console
from spikesight.terminal_tables import table_of


def print_receptive_fields(summary: Mapping[str, Any], *, as_json: bool = False) -> None:
    """Write what was found, or all of the summary as JSON."""
    if as_json:
        print_json(dict(summary))
        return
    out = console()
    for line in _lines(summary):
        out.print(Text(line), soft_wrap=True)
    if "reconstruction" in summary:
        rows = [
            {
                "method": row["method"],
                "measure": {"pixel_r": "pixel correlation", "ssim": "SSIM"}[row["measure"]],
                "mean [95 %]": f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
                "shuffled": f"{row['shuffled']:.3f}",
                "gain [95 %]": f"{row['gain']:.3f} [{row['gain_low']:.3f}, {row['gain_high']:.3f}]",
            }
            for row in summary["reconstruction"]
        ]
        title = f"Reconstruction of {summary['n_images']} images, none seen in training"
        out.print(table_of(rows, title, columns=tuple(rows[0])))
    if "retrieval" in summary:
        rows = [
            {
                "predicted": row["direction"],
                "query": row["query"],
                "measure": row["measure"],
                "value [95 %]": _with_interval(row),
                "chance": _value(row["measure"], row["chance"]),
            }
            for row in summary["retrieval"]
        ]
        title = f"Retrieval among {summary['retrieval'][0]['n_candidates']:.3g} images never seen in training"
        out.print(table_of(rows, title, columns=tuple(rows[0])))
    out.print(Text(f"maps, tables and figures: {summary['run']}"), soft_wrap=True)


def _lines(summary: Mapping[str, Any]) -> list[str]:
    share = summary["n_significant"] / max(summary["n_units"], 1)
    images = f", {summary['n_images']} images" if summary["n_images"] else ""
    lines = [
        f"Session {summary['session_id']}, {summary['stimulus']}: {summary['n_units']:,} units, "
        f"{summary['n_trials']:,} trials{images}, seed {summary['seed']}.",
        f"{summary['n_significant']:,} units ({share:.0%}) answer to some places or images more than to others "
        f"(p <= {summary['significance']:g}, {summary['n_shuffles']} shuffles within blocks).",
    ]
    named = {"held_out_r": "maps", "contrast_held_out_r": "maps of contrast"}
    for name, (low, middle, high) in summary["quartiles"].items():
        lines.append(
            f"Held-out correlation of {named[name]}: median {middle:.3f} (quartiles {low:.3f} and {high:.3f})."
        )
    known = summary.get("agreement")
    for axis in ("azimuth", "elevation") if known else ():
        found = known[axis]  # type: ignore[index]
        lines.append(
            f"Centres against {known['reference']} ones, {axis}: r = {found['r']:.3f} "  # type: ignore[index]
            f"[{found['low']:.3f}, {found['high']:.3f}], n = {found['n']:,}; half are within "
            f"{found['median_difference']:.1f} degrees."
        )
    return lines


def _with_interval(row: Mapping[str, Any]) -> str:
    measure = row["measure"]
    return f"{_value(measure, row['value'])} [{_value(measure, row['low'])}, {_value(measure, row['high'])}]"


def _value(measure: str, value: float) -> str:
    return f"{value:.3g}" if measure == "median rank" else f"{value:.1%}"
