"""Tables on a terminal: where it is too narrow for all columns, those that matter least are left out, and named."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

ENOUGH_TO_WRAP: Final = 24
"""Characters a line that a column of sentences needs."""
BETWEEN: Final = 2
"""Spaces between two columns."""


def table_of(
    rows: Iterable[Mapping[str, Any]],
    title: str,
    *,
    columns: Sequence[str],
    width: int | None = None,
    spare: Sequence[str] = (),
    sentences: Collection[str] = (),
) -> Table:
    """Lay rows out in the named columns; text from files is shown as it is.

    Parameters
    ----------
    rows
        Cells by column.
    title
        What stands above.
    columns
        Which columns, in this order.
    width
        Columns of the terminal. None: nothing is left out.
    spare
        Columns that may be left out where they do not all fit, the first first.
    sentences
        Columns whose cells may be broken into lines.
    """
    lines = [{name: str(row.get(name, "")) for name in columns} for row in rows]
    left_out = [] if width is None else without(columns, lines, width, spare, sentences)
    table = Table(
        title=Text(title), title_justify="left", caption=caption(left_out), caption_justify="left", box=None,
        pad_edge=False, header_style="dim",
    )  # fmt: skip
    shown = [name for name in columns if name not in left_out]
    for name in shown:
        table.add_column(Text(name), overflow="fold")
    for line in lines:
        table.add_row(*(Text(line[name]) for name in shown))
    return table


def without(
    columns: Sequence[str],
    lines: Sequence[Mapping[str, str]],
    width: int,
    spare: Sequence[str],
    sentences: Collection[str] = (),
) -> list[str]:
    """Return the columns to leave out so that the others fit into ``width``, or all of ``spare``.

    The parameters are those of :func:`table_of`.
    """
    needs = {name: max(cell_len(text) for text in (name, *(line[name] for line in lines))) for name in columns}
    needs.update({name: min(needs[name], ENOUGH_TO_WRAP) for name in sentences if name in needs})
    left_out: list[str] = []
    for name in spare:
        if sum(needs.values()) + BETWEEN * (len(needs) - 1) <= width:
            break
        del needs[name]
        left_out.append(name)
    return left_out


def caption(left_out: Sequence[str], more: str = "") -> str | None:
    """Say which columns are left out, below ``more``."""
    said = f"Not shown for want of room: {', '.join(left_out)}. A wider terminal and --json have all."
    return "\n".join([*([more] if more else []), *([said] if left_out else [])]) or None
