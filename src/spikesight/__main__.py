"""``python -m spikesight``."""

from spikesight.cli import main

main()
