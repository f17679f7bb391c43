"""Which intervals may be written, and at which instants has one passed?

An interval is counted from 1970-01-01T00:00Z on; one of whole days ends at midnight on the clock of a zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from cronlite.errors import Fault, InvalidExpression

EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
LONGEST_DAYS = 366

_MINUTE, _DAY = 60, 86_400
_SECONDS = {"s": 1, "m": _MINUTE, "h": 3_600, "d": _DAY, "w": 7 * _DAY}
_TITLES = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_SPELLING, _LONGEST_TEXT = re.compile(r"([1-9][0-9]{0,3})([smhdw])"), 5
_EXAMPLES = "give a number and a unit, such as '10s', '90m', '2h' or '1d'"
_EPOCH_DAY = EPOCH.date().toordinal()


@dataclass(frozen=True, slots=True)
class Interval:
    """A length of time that passes again and again."""

    seconds: int

    @property
    def text(self) -> str:
        """Its one spelling: in the largest unit of which it is a whole number, weeks aside."""
        unit = next(unit for unit in "dhms" if self.seconds % _SECONDS[unit] == 0)
        return f"{self.seconds // _SECONDS[unit]}{unit}"

    @property
    def below_a_minute(self) -> bool:
        """Tell whether it passes several times in each minute."""
        return self.seconds < _MINUTE

    @property
    def days(self) -> int:
        """How many whole days it has; 0 for an interval below a day."""
        return self.seconds // _DAY

    def begun_at(self, instant: datetime) -> datetime:
        """Return the last multiple of it up to a UTC instant."""
        length = timedelta(seconds=self.seconds)
        return EPOCH + (instant - EPOCH) // length * length

    def ends_in(self, tick: datetime) -> bool:
        """Tell whether an interval below a day ends in the minute of a tick."""
        return self.below_a_minute or self.begun_at(tick) == tick

    def ends_on(self, day: date) -> bool:
        """Tell whether an interval of whole days ends with the midnight at which a day begins."""
        return (day.toordinal() - _EPOCH_DAY) % self.days == 0

    def described(self) -> str:
        """Say it in plain English, such as "every 90 minutes"."""
        number, unit = self.text[:-1], _TITLES[self.text[-1]]
        often = f"every {unit}" if number == "1" else f"every {number} {unit}s"
        return f"{often} at 00:00" if self.days else often


def parse(value: object) -> Interval:
    """Read an interval. Raises InvalidExpression."""
    if type(value) is not str:
        raise InvalidExpression(Fault("every", value, "is not text", _EXAMPLES))
    if (known := of_text(value)) is None:
        raise InvalidExpression(Fault("every", value, *_complaint(value)))
    return known


@lru_cache(maxsize=4096)
def of_text(text: str) -> Interval | None:
    """Look a text up that may be an interval."""
    spelled = _SPELLING.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    return of_seconds(int(spelled[1]) * _SECONDS[spelled[2]]) if spelled else None


def of_seconds(seconds: int) -> Interval | None:
    """Return the interval of so many seconds, if there is one."""
    return Interval(seconds) if seconds and _is_allowed(seconds) else None


@lru_cache(maxsize=1)
def spellings() -> list[str]:
    """List all texts that are an interval, some thousand."""
    texts = (f"{number}{unit}" for unit in _SECONDS for number in range(1, 10_000))
    return [text for text in texts if of_text(text)]


def _is_allowed(seconds: int) -> bool:
    if seconds < _MINUTE:
        return _MINUTE % seconds == 0
    return seconds % (_MINUTE if seconds < _DAY else _DAY) == 0 and seconds <= LONGEST_DAYS * _DAY


def _complaint(text: str) -> tuple[str, str]:
    """Say what is wrong with a text that is no interval, and what to give instead."""
    spelled = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    if spelled is None:
        return "is no interval", _EXAMPLES
    seconds = int(spelled[1]) * _SECONDS[spelled[2]]
    if not 0 < seconds <= LONGEST_DAYS * _DAY:
        return "is out of range", f"give 1s to {LONGEST_DAYS}d"
    if _is_allowed(seconds):
        return "is no interval", f"say '{Interval(seconds).text}'"
    if seconds < _MINUTE:
        divisors = (f"{seconds}s" for seconds in range(1, _MINUTE) if _is_allowed(seconds))
        return "does not divide a minute", f"below a minute, give one of {', '.join(divisors)}"
    if seconds < _DAY:
        return "is not of whole minutes", f"from a minute on, give whole ones, such as '{seconds // _MINUTE}m'"
    return "is not of whole days", f"from a day on, give whole ones, such as '{seconds // _DAY}d'"
