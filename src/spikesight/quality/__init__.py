"""Is a session what it says: how much of it survives selection, when stimuli came, which clocks and labels fit."""
