"""From a file, the public bucket or the simulator to binned trials."""
