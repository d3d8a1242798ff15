"""Pages about runs: one self-contained file, or one that follows a run at work."""
