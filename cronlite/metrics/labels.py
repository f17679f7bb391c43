"""Which values may a label have, so that nobody's words make series without end?"""

from __future__ import annotations

from collections.abc import Iterable

from cronlite.errors import visible

OTHER = "other"
MAX_HANDLERS, MAX_QUEUES, MAX_WATCHED = 100, 50, 100
LONGEST = 100


class Bounded:
    """The first so many values by their own names, and all others under one; `kept` are sure of theirs."""

    def __init__(self, most: int, kept: Iterable[str] = ()) -> None:
        self._most = most
        self._labels = {value: clean(value) for value in kept}
        self.kept = list(self._labels.values())

    def of(self, value: str) -> str:
        """Return the label of a value."""
        label = self._labels.get(value)
        if label is None:
            if len(self._labels) >= self._most:
                return OTHER
            label = self._labels.setdefault(value, clean(value))
        return label


def clean(text: str) -> str:
    """Return somebody's text as a label: one line without control characters, not too long."""
    return " ".join(visible(text[: 2 * LONGEST]).split())[:LONGEST]
