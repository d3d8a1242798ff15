"""Run directories read back, and the leaderboards of their decoders."""
