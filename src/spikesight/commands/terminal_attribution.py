"""What ``spikesight attribution`` prints: the units that carry most, area by area, or what is left without units."""

from pathlib import Path
from typing import Any, Final

import pandas as pd
from rich.text import Text

from spikesight.attribution.ablation import MOST_FIRST, RANDOM
from spikesight.attribution.files import ABLATION_TABLE, UNITS_TABLE, Q
from spikesight.commands.terminal import print_json
from spikesight.commands.terminal_progress import console
from spikesight.commands.terminal_tables import table_of

N_SHOWN: Final = 10


def print_attribution(directory: Path, *, as_json: bool = False) -> None:
    """Write what an attribution found.

    Parameters
    ----------
    directory
        As `spikesight.attribution.run.run_attribution` returns it.
    as_json
        Print JSON, and nothing else.
    """
    if (directory / ABLATION_TABLE).is_file():
        _print_ablation(pd.read_parquet(directory / ABLATION_TABLE), directory, as_json)
        return
    table = pd.read_parquet(directory / UNITS_TABLE)
    if as_json:
        print_json({"out": str(directory.resolve()), "units": table.to_dict("records")})
        return
    out = console()
    for session, own in table.groupby("session", sort=False):
        carry = int((own["q_value"] <= Q).sum())
        measure = str(own["measure"].iloc[0]).replace("_", " ")
        title = (
            f"Session {session}, {own['decoder'].iloc[0]}: {carry:,} of {len(own):,} units carry (q <= {Q}); {measure}"
        )
        rows = [_unit_line(row) for row in own.head(N_SHOWN).to_dict("records")]
        out.print(table_of(rows, title, columns=list(rows[0])))
        if (own["area"] != "").any():
            by_area = own[own["area"] != ""].groupby("area")["q_value"].agg(lambda q: (q <= Q).mean())
            told = ", ".join(f"{area} {share:.0%}" for area, share in by_area.sort_values(ascending=False).items())
            out.print(Text(f"share of units that carry: {told}"))
    out.print(Text(f"tables and figures: {directory.resolve()}"), soft_wrap=True)


def _unit_line(row: dict[Any, Any]) -> dict[str, str]:
    depth = "-" if pd.isna(row["depth"]) else f"{row['depth']:.0f}"
    lost = {} if pd.isna(row["accuracy_lost"]) else {"accuracy lost %": f"{100 * row['accuracy_lost']:.2f}"}
    return {
        "unit": str(row["unit"]),
        "area": str(row["area"]) or "-",
        "depth": depth,
        "importance": f"{row['importance']:.4f}",
        "[95 %]": f"[{row['low']:.4f}, {row['high']:.4f}]",
        **lost,
        "q": f"{row['q_value']:.2g}",
    }


def _print_ablation(table: pd.DataFrame, directory: Path, as_json: bool) -> None:
    curves = table[table["area"] == ""]
    means = curves.groupby(["session", "how", "order", "share_dropped"], sort=False)["accuracy"].mean().reset_index()
    if as_json:
        areas = table[table["area"] != ""].groupby(["session", "how", "order", "area"], sort=False)["accuracy"].mean()
        found = {"curves": means.to_dict("records"), "areas": areas.reset_index().to_dict("records")}
        print_json({"out": str(directory.resolve()), **found})
        return
    out = console()
    for (session, how), own in means.groupby(["session", "how"], sort=False):
        wide = own.pivot(index="share_dropped", columns="order", values="accuracy")
        first = [name for name in (MOST_FIRST, RANDOM) if name in wide]
        wide = wide[[*first, *(name for name in wide if name not in first)]]
        rows = [
            {"units dropped": f"{share:.0%}", **{str(name): f"{100 * value:.1f}" for name, value in line.items()}}
            for share, line in wide.iterrows()
        ]
        title = f"Session {session}: accuracy % on test trials without units ({how})"
        out.print(table_of(rows, title, columns=list(rows[0])))
    out.print(Text(f"tables and figures: {directory.resolve()}"), soft_wrap=True)
