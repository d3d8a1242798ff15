"""Who hears how far long work is."""

from typing import Protocol


class Progress(Protocol):
    """Hears how far long work is."""

    def note(self, text: str) -> None:
        """Hear one line about what happens."""

    def advance(self, task: str, done: int, total: int) -> None:
        """Hear that ``done`` of the ``total`` steps of ``task`` are finished."""


class Silent:
    """Hears it and says nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def advance(self, task: str, done: int, total: int) -> None:
        """Say nothing."""
