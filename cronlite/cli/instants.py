"""Which instant is meant by what somebody types: `22:00`, `yesterday`, `tomorrow 08:00`, `2h`, or a whole date?

One without a zone is on the clock of this machine (or of $TZ), as in a crontab, unless the command is about one
schedule, which has a clock of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Any

import click

from cronlite.cli import render
from cronlite.cli.parameters import Duration, ParamType
from cronlite.errors import Fault, InvalidInput, shown
from cronlite.when import clock

_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_DAY = timedelta(days=1)
_CLOCK = r"\d\d?:\d\d(?::\d\d(?:\.\d{1,6})?)?"
_TYPED = re.compile(
    rf"(?:(?P<day>\d{{4}}-\d\d-\d\d|yesterday|today|tomorrow)(?:[T ](?P<at>{_CLOCK}))?|(?P<clock>{_CLOCK}))"
    r"(?: ?(?P<zone>Z|UTC|[+-]\d\d(?::?\d\d)?)| (?P<region>[A-Z][\w/+-]{0,60}))?",
    re.ASCII | re.IGNORECASE,
)
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|min|s|m|h|d|w))+", re.ASCII)
_EXAMPLES = "give 2026-11-21T02:30Z, 2026-11-21 02:30, 22:00, yesterday, tomorrow 08:00, 22:00 Europe/Berlin, or now"


@dataclass(frozen=True, slots=True)
class Spoken:
    """An instant in somebody's words, which mean one only where it is known what time it is, and on which clock.

    `day` is a date, or a number of days from today; without one, `clock` is the nearest such time. `zone` None is the
    clock that the command goes by. `span` stands for all of that where a length of time was typed.
    """

    day: date | int | None = None
    clock: time = time()
    zone: tzinfo | None = None
    span: timedelta | None = None

    @property
    def is_local(self) -> bool:
        """Whether it takes somebody's clock to know which instant it is."""
        return self.span is None and self.zone is None

    def past(self, now: datetime, zone: tzinfo | None = None) -> datetime:
        """Return the latest instant that fits and is not after now; a length of time counts back."""
        if self.span is not None:
            return _moved(now, -self.span)
        instant = self._on(now, zone)
        return instant if self.day is not None or instant <= now else self._on(now - _DAY, zone)

    def coming(self, now: datetime, zone: tzinfo | None = None) -> datetime:
        """Return the earliest instant that fits and is not before now; a length of time counts ahead."""
        if self.span is not None:
            return _moved(now, self.span)
        instant = self._on(now, zone)
        return instant if self.day is not None or instant >= now else self._on(now + _DAY, zone)

    def _on(self, now: datetime, zone: tzinfo | None) -> datetime:
        zone = self.zone or zone
        day = self.day if isinstance(self.day, date) else now.astimezone(zone).date() + _DAY * (self.day or 0)
        return placed(datetime.combine(day, self.clock), zone)


NOW = Spoken(span=timedelta())


class Instant(ParamType):
    """What somebody types for an instant, as a Spoken; with `spans`, a length of time such as `2h` as well."""

    name = "instant"

    def __init__(self, *, spans: bool = False) -> None:
        self._spans = spans

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Spoken:
        if isinstance(value, Spoken):
            return value
        if value == "now":
            return NOW
        if self._spans and (_DURATION.fullmatch(value) or value.isdecimal()):
            return Spoken(span=Duration().convert(value, param, ctx))
        typed = _TYPED.fullmatch(value)
        try:
            if typed:
                zone = clock.zone(typed["region"]) if typed["region"] else _zone(typed["zone"])
                return _spoken(typed["day"], typed["at"] or typed["clock"] or "00:00", zone)
        except InvalidInput as refused:
            self.fail(f"{shown(value)} names no zone: {refused}", param, ctx)
        except ValueError:
            pass
        also = f"{_EXAMPLES}, or a time ago such as 2h" if self._spans else _EXAMPLES
        return self.fail(f"{shown(value)} is no instant; {also}", param, ctx)


def _spoken(day: str | None, at: str, zone: tzinfo | None) -> Spoken:
    whole, _, fraction = at.partition(".")
    hour, minute, second = map(int, (*whole.split(":"), "0")[:3])
    named = _DAYS.get(day.lower()) if day else None
    meant = named if named is not None else date.fromisoformat(day) if day else None
    return Spoken(meant, time(hour, minute, second, int(fraction.ljust(6, "0"))), zone)


def _zone(typed: str | None) -> tzinfo | None:
    if typed is None:
        return None
    if typed.upper() in ("Z", "UTC"):
        return timezone.utc
    digits = typed[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-ahead if typed[0] == "-" else ahead)


def tell_clock(**typed: tuple[Spoken | None, datetime | None]) -> None:
    """Say on stderr which instants were meant, where this machine's clock decided that and is not on UTC."""
    readings = []
    for option, (spoken, instant) in typed.items():
        if (
            spoken is not None
            and spoken.is_local
            and instant is not None
            and (local := instant.astimezone()).utcoffset()
        ):
            readings.append(f"{option} {local:%a %Y-%m-%d %H:%M %Z} ({render.clock_time(instant, instant)})")
    if readings:
        render.note(f"{', '.join(readings)}, on this machine's clock")


def placed(instant: datetime, zone: tzinfo | None = None) -> datetime:
    """Return an instant in UTC; one without a zone is read on the clock of `zone`, or else of this machine.

    Where that clock showed the minute twice, the first time is meant.
    """
    try:
        return (instant if instant.tzinfo else instant.replace(tzinfo=zone)).astimezone(timezone.utc)
    except (OverflowError, ValueError, OSError):  # by the C library's account of this machine's clock, the last two
        raise _out_of_range(instant.isoformat()) from None


def _moved(now: datetime, by: timedelta) -> datetime:
    try:
        return now + by
    except OverflowError:
        raise _out_of_range(str(by)) from None


def _out_of_range(typed: str) -> InvalidInput:
    return InvalidInput(Fault("instant", typed, "is out of range", "give the years 1 to 9999"))
