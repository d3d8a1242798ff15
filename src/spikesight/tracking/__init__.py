"""The run directory, what is written in it, and who else follows a run."""
