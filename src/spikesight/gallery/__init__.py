"""Every figure that a session or a run has data for, as files."""
