"""
Which decoder is best
=====================

A run directory of ``spikesight benchmark``, read back: the leaderboard of one session, and the same decoders in three
sessions.
"""

from gallery_data import benchmark
from spikesight import figures

run = benchmark()  # ss.read_run("runs/...")

# %%
# One row per decoder, with 95 % block-bootstrap intervals. The dashed line is chance. ``oracle`` knows how the
# session was simulated; real sessions have no such row.
first = run.per_session["session"].iloc[0]
figures.plot_leaderboard(run.per_session[run.per_session["session"] == first])

# %%
# A line joins what was measured on the same trials: its slope is a paired difference.
figures.plot_accuracy_per_session(run.per_session)
