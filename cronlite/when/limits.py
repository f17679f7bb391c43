"""What does each of the five fields allow: from where to where, and which names?"""

from __future__ import annotations

from dataclasses import dataclass

FIELDS = ("minute", "hour", "day", "month", "weekday")
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS: tuple[str, ...] = ("January", "February", "March", "April", "May", "June")
MONTHS += ("July", "August", "September", "October", "November", "December")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one of the five fields allows."""

    low: int
    high: int
    titles: tuple[str, ...] = ()
    letters: str = ""

    @property
    def names(self) -> list[str]:
        """The three-letter names of its numbers, from the lowest on."""
        return [title[:3].lower() for title in self.titles]

    @property
    def remedy(self) -> str:
        """What to give instead of something that it does not allow."""
        names = f" or {self.names[0]}-{self.names[-1]}" if self.titles else ""
        return f"give {self.low}-{self.high}{names}{self.letters}"


LIMITS = {
    "minute": Limits(0, 59),
    "hour": Limits(0, 23),
    "day": Limits(1, 31, letters=", L or LW"),
    "month": Limits(1, 12, MONTHS),
    "weekday": Limits(0, 7, WEEKDAYS, letters=", 5L or fri#2"),
}
