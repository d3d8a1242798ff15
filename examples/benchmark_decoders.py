# %% [markdown]
# # Benchmark decoders
#
# Which picture was it? Several decoders on the same trials and folds, with intervals. In a shell this is `spikesight
# benchmark session.nwb`, which also keeps everything in a run directory and writes a report.

# %%
import pandas as pd

import spikesight as ss
from spikesight import figures
from spikesight.figures.confusion import count_confusions
from spikesight.records.leaderboard import session_leaderboard

session = ss.simulate_session("demo", seed=0).session
counts = ss.bin_spikes(ss.select_trials(session, "natural_scenes"), n_bins=1)
dict(counts.sizes)

# %% [markdown]
# ## Folds
# Test trials are contiguous runs, and ten trials on either side of them are in neither part: neighbours share drift
# and late responses. Each decoder scales and fits on training trials alone, and reads the test trials once.

# %%
folds = ss.BlockKFold(n_splits=3, gap=10)
names = ("fa-lda", "lda", "ridge", "poisson-bayes", "chance")
found = {name: ss.evaluate(name, counts, folds) for name in names}
pd.concat([one.results for one in found.values()])[
    ["decoder", "fold", "accuracy", "top5_accuracy", "chance", "n_test"]
].round(3)

# %% [markdown]
# ## Leaderboard
# Folds are pooled. Intervals are block bootstraps over runs of 50 test trials; they cover the sampling of test trials
# only.

# %%
results = pd.concat([one.results for one in found.values()])
predictions = pd.concat([one.predictions for one in found.values()])
results["session"] = predictions["session"] = "demo"
board = session_leaderboard(results, predictions)
axes = figures.plot_leaderboard(board)

# %% [markdown]
# ## What is taken for what

# %%
best = found["fa-lda"].predictions
axes = figures.plot_confusion_matrix(count_confusions(best["y_true"], best["y_pred"]))

# %%
classes = best.groupby("y_true")["correct"].mean().rename_axis("label").reset_index(name="accuracy")
axes = figures.plot_per_class_accuracy(classes, chance=1 / len(classes))

# %% [markdown]
# ## A decoder by itself
# Every decoder is a scikit-learn classifier. Here the first two thirds are for training, with a gap before the rest.

# %%
from spikesight import decoders

X, y, groups = ss.to_arrays(counts)
decoder = decoders.make("fa-lda", q=30).fit(X[:950], y[:950])
round(float((decoder.predict(X[960:]) == y[960:]).mean()), 3)
