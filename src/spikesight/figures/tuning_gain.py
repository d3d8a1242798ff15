"""What tuning gained on test trials."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from spikesight.figures.theme import INK, PALETTE, RULE, SOFT_INK, axes_or_new, plain, write_instead, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MEANING: Final = {"default": "default", "tuned": "tuned (presets)", "searched": "searched"}


def plot_tuned_against_default(leaderboard: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Draw what each decoder reaches on test trials with default, tuned and searched constants, and chance.

    A line joins rows of one session and decoder, measured on the same test trials: its slope is a paired difference.
    The intervals are those of single rows, which overlap even where the difference is sure.

    Parameters
    ----------
    leaderboard
        Columns ``session, decoder, selection, accuracy, low, high, chance`` (fractions), as from
        `spikesight.records.leaderboard.session_leaderboard`. ``selection`` is "default", "tuned" (the best of the few
        preset candidates) or "searched"; other rows are not drawn, nor are decoders with one of these alone.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        Decoders and their selections on x, accuracy in % on y, one colour a session.
    """
    rows = leaderboard[leaderboard["selection"].isin(list(_MEANING))]
    rows = rows[rows.groupby("decoder")["selection"].transform("nunique") > 1]
    decoders, sessions = list(dict.fromkeys(rows["decoder"])), list(dict.fromkeys(rows["session"]))
    shown = [name for name in _MEANING if (rows["selection"] == name).any()]
    step = len(shown) + 0.8
    ax = axes_or_new(ax, 2.2 + 0.55 * step * max(len(decoders), 1), 4.2)
    if rows.empty:
        write_instead(ax, "no decoder has rows of two kinds")
        return ax
    spread = 0.3 if len(sessions) > 1 else 0.0
    for number, session in enumerate(sessions):
        shift = spread * (number / max(len(sessions) - 1, 1) - 0.5)
        colour = PALETTE[number % len(PALETTE)]
        for place, decoder in enumerate(decoders):
            own = rows[(rows["session"] == session) & (rows["decoder"] == decoder)].set_index("selection")
            own = own.reindex([name for name in shown if name in own.index])
            x = np.array([place * step + shown.index(name) + shift for name in own.index])
            value = own["accuracy"].to_numpy(np.float64)
            bars = [value - own["low"].to_numpy(np.float64), own["high"].to_numpy(np.float64) - value]
            ax.errorbar(
                x, value, yerr=np.nan_to_num(np.array(bars)).clip(0), fmt="o-", color=colour, ms=5, lw=1.2,
                elinewidth=1.4, zorder=3, label=plain(session) if place == 0 else None,
            )  # fmt: skip
    low, high = float(rows["chance"].min()), float(rows["chance"].max())
    for chance in {low, high}:  # sessions may have other classes
        ax.axhline(chance, color=INK, lw=1, ls=(0, (4, 3)), zorder=1)
    ax.annotate(
        f"chance {low:.1%}" if f"{low:.1%}" == f"{high:.1%}" else f"chance {low:.1%} to {high:.1%}", (1, high),
        xycoords=("axes fraction", "data"), xytext=(0, 2), ha="right",
        textcoords="offset points", color=SOFT_INK, fontsize=8.5,
    )  # fmt: skip
    at = [place * step + kind for place in range(len(decoders)) for kind in range(len(shown))]
    ax.set_xticks(at, [_MEANING[name] for name in shown] * len(decoders), rotation=35, ha="right", fontsize=8.5)
    for place, decoder in enumerate(decoders):
        ax.annotate(
            plain(decoder), (place * step + (len(shown) - 1) / 2, 1.0), xycoords=("data", "axes fraction"),
            xytext=(0, 4), textcoords="offset points", ha="center", va="bottom", color=INK,
        )  # fmt: skip
    ax.set_xlim(-0.6, (len(decoders) - 1) * step + len(shown) - 0.4)
    ax.set_ylim(0, None)
    ax.set_xlabel("constants of the decoder above")
    ax.set_ylabel("accuracy on test trials (%), bar: 95 % interval")
    write_percent(ax, "y")
    ax.grid(axis="y", color=RULE, lw=0.7)
    ax.set_axisbelow(True)
    ax.legend(title="session", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return ax
