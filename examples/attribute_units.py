# %% [markdown]
# # Encoders, and which units carry the prediction
#
# Does a decoder gain from components that an encoder learned in front of it? And of which units does it live? Both are
# asked on held-out trials of a simulated session, whose units have a known tuning. In a shell: `spikesight benchmark
# session.nwb --encoder pca --decoders fa-lda` and `spikesight attribution runs/...`.

# %%
import tempfile
from pathlib import Path

import pandas as pd

import spikesight as ss
from spikesight import figures
from spikesight.attribution.run import run_attribution

folder = Path(tempfile.mkdtemp())
simulation = ss.simulate_session("demo", seed=0, n_units=60)
ss.write_session(simulation.session, folder / "session.nwb")

# %% [markdown]
# ## Encoders
# Each is fitted to the training trials of a fold. Rows with one stand beside the bare decoders.

# %%
config = ss.BenchmarkConfig(
    sources=(folder / "session.nwb",),
    decoders=("fa-lda", "logistic"),
    encoders=("pca", "factor-analysis"),
    selection=("default",),
    n_splits=2,
    out=folder / "run",
)
run = ss.run_benchmark(config)
board = ss.read_run(run).per_session
board[["decoder", "accuracy", "low", "high", "minus_best", "chance", "n_trials"]].round(3)

# %% [markdown]
# ## Permutation importance
# The counts of one unit are dealt out anew among the test trials of a block; importance is the log-probability of the
# true class that this costs.

# %%
found = run_attribution(run, decoder="fa-lda", seeds=1, permutations=2)
units = pd.read_parquet(found / "attribution.parquet")
units[["unit", "area", "depth", "importance", "low", "high", "q_value"]].head(8).round(3)

# %%
axes = figures.plot_unit_importance(units)

# %% [markdown]
# ## Ablation
# Units are dropped in an order that training trials chose, and the test trials are asked once for each number of units.

# %%
dropped = pd.read_parquet(run_attribution(run, decoder="fa-lda", method="ablation", seeds=2) / "ablation.parquet")
axes = figures.plot_ablation_curves(dropped)

# %%
axes = figures.plot_area_ablation(dropped)
