# %% [markdown]
# # Search a decoder's constants
#
# Candidates are compared on inner folds of the training trials; the winner of each outer fold reads its test trials
# once. This needs the extra `spikesight[tune]`. The search here is far too short to gain anything: it shows what
# comes out. In a shell: `spikesight tune session.nwb --decoder mlp --candidates 50 --budget 30m`.

# %%
import spikesight as ss
from spikesight import figures
from spikesight.tuning_results import optimisation_history, parallel_coordinates

session = ss.simulate_session("demo", seed=0).session
trials = ss.select_trials(session, "natural_scenes")
counts = ss.bin_spikes(trials, n_bins=1)
counts = counts.sel(unit=counts["area"] == "VISp")
dict(counts.sizes)

# %% [markdown]
# ## The search
# What is varied, and where. `optuna-tpe` or `optuna-gp` propose better candidates than `random` in longer searches;
# with one candidate at a time `random` comes out the same each time.

# %%
space = {"shrinkage": ss.Range(0.01, 1.0, log=True)}
settings = ss.TuningConfig(search="random", scheduler="none", candidates=6)
found = ss.tune("lda", counts, ss.BlockKFold(n_splits=2, gap=10), space=space, settings=settings, jobs=1)

# %% [markdown]
# ## Two accuracies
# `inner_accuracy` is the best of six on the trials it was chosen on, and inner folds learn from half of the
# training trials. `accuracy` is of test trials: the one to report.

# %%
found.results[["fold", "inner_accuracy", "accuracy", "chance", "n_test", "params"]]

# %%
axes = figures.plot_optimisation_history(optimisation_history(found.candidates))

# %%
lines = parallel_coordinates(found.candidates)
axes = figures.plot_parallel_coordinates(lines.lines, lines.ticks)

# %% [markdown]
# ## Was it worth it?
# The same folds with the constants as they come.

# %%
default = ss.evaluate("lda", counts, ss.BlockKFold(n_splits=2, gap=10))
accuracies = {"searched": found.results["accuracy"], "default": default.results["accuracy"]}
{name: round(float(values.mean()), 3) for name, values in accuracies.items()}
