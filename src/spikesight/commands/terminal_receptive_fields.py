"""What ``spikesight receptive-fields`` prints."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from spikesight.commands.terminal import print_json
from spikesight.commands.terminal_progress import console
from spikesight.commands.terminal_tables import table_of
from spikesight.records.receptive_fields_record import describe_receptive_fields


def print_receptive_fields(summary: Mapping[str, Any], *, as_json: bool = False) -> None:
    """Write what was found, or all of the summary as JSON."""
    if as_json:
        print_json(dict(summary))
        return
    out = console()
    for line in describe_receptive_fields(summary):
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
        title = f"Reconstruction of {summary['n_images']:,} images, none seen in training"
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


def _with_interval(row: Mapping[str, Any]) -> str:
    measure = row["measure"]
    return f"{_value(measure, row['value'])} [{_value(measure, row['low'])}, {_value(measure, row['high'])}]"


def _value(measure: str, value: float) -> str:
    return f"{value:.3g}" if measure == "median rank" else f"{value:.1%}"
