"""
What is taken for what
======================

Test trials of one decoder in one session: ``predictions.parquet`` of a run has them.
"""

from gallery_data import counts, pictures, predictions
from spikesight import figures
from spikesight.decoding_results import class_accuracy
from spikesight.exploration import embed_trials
from spikesight.figures.confusion import count_confusions

tested = predictions("fa-lda")

# %%
# Rows are the scenes that were shown, columns what was decoded; scenes that are taken for each other stand together.
figures.plot_confusion_matrix(count_confusions(tested["y_true"], tested["y_pred"]), order="similarity")

# %%
# Some scenes are decoded nearly always, others hardly more often than by chance.
classes = tested.groupby("y_true")["correct"].mean().rename_axis("label").reset_index(name="accuracy")
figures.plot_per_class_accuracy(classes, chance=1 / len(classes))

# %%
# The easiest and the hardest scenes, as they were shown.
figures.plot_class_pictures(class_accuracy(tested), pictures(), chance=1 / len(classes))

# %%
# Trials that were decoded wrongly, among all test trials, placed by principal components of their counts.
placed = embed_trials(counts(), method="pca", most=600)
answers = placed.merge(tested[["trial", "y_true", "y_pred", "correct"]], on="trial")
figures.plot_misclassified_trials(answers, axes_are=(placed.attrs["x_label"], placed.attrs["y_label"]))
