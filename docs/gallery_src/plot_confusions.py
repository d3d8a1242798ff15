"""
What is taken for what
======================

Test trials of one decoder in one session: ``predictions.parquet`` of a run has them.
"""

from gallery_data import predictions
from spikesight import figures
from spikesight.figures.confusion import count_confusions

tested = predictions("fa-lda")

# %%
# Rows are the scenes that were shown, columns what was decoded.
figures.plot_confusion_matrix(count_confusions(tested["y_true"], tested["y_pred"]))

# %%
# Some scenes are decoded nearly always, others hardly more often than by chance.
classes = tested.groupby("y_true")["correct"].mean().rename_axis("label").reset_index(name="accuracy")
figures.plot_per_class_accuracy(classes, chance=1 / len(classes))
