"""Processes that hear Ctrl-C however the tests were started."""

import signal


def hear_signals() -> None:
    """Undo, in a child (``preexec_fn``), that what a shell started in the background ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
