"""Who hears how far long work is."""

from typing import Protocol

import pandas as pd


class Progress(Protocol):
    """Hears how far long work is."""

    def note(self, text: str) -> None:
        """Hear one line about what happens."""

    def advance(self, task: str, done: int, total: int) -> None:
        """Hear that ``done`` of the ``total`` steps of ``task`` are finished."""

    def transfer(self, task: str, done: int, total: int) -> None:
        """Hear that ``done`` of the ``total`` bytes of ``task`` are here."""

    def search(self, label: str, candidates: pd.DataFrame, total: int, seconds_left: float | None) -> None:
        """Hear of a search: candidates so far, of ``total`` at most, and the time left (s; None: no limit)."""


class Silent:
    """Hears it and says nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def advance(self, task: str, done: int, total: int) -> None:
        """Say nothing."""

    def transfer(self, task: str, done: int, total: int) -> None:
        """Say nothing."""

    def search(self, label: str, candidates: pd.DataFrame, total: int, seconds_left: float | None) -> None:
        """Say nothing."""
