"""Which instant, or which length of time, is meant by what somebody types: `22:00`, `tomorrow 08:00`, `2h`?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo

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
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|min|s|m|h|d|w))+", re.ASCII)
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

    def ending(self, begin: datetime, now: datetime, zone: tzinfo | None = None) -> datetime:
        """Return the end of a stretch: the first instant that fits after its beginning; a length counts from now."""
        return self.coming(now if self.span is not None else begin, zone)

    def _on(self, now: datetime, zone: tzinfo | None) -> datetime:
        zone = self.zone or zone
        day = self.day if isinstance(self.day, date) else now.astimezone(zone).date() + _DAY * (self.day or 0)
        return placed(datetime.combine(day, self.clock), zone)


NOW = Spoken(span=timedelta())


def spoken(text: str, *, spans: bool = False) -> Spoken:
    """Read an instant; with `spans`, a length of time such as `2h` as well. Raises ValueError with what to give."""
    if text == "now":
        return NOW
    if spans and (_SPAN.fullmatch(text) or text.isdecimal()):
        return Spoken(span=duration(text))
    typed = _TYPED.fullmatch(text)
    try:
        if typed:
            zone = clock.zone(typed["region"]) if typed["region"] else _zone(typed["zone"])
            return _spoken(typed["day"], typed["at"] or typed["clock"] or "00:00", zone)
    except InvalidInput as refused:
        raise ValueError(f"{shown(text)} names no zone: {refused}") from None
    except ValueError:
        pass
    also = f"{_EXAMPLES}, or a time ago such as 2h" if spans else _EXAMPLES
    raise ValueError(f"{shown(text)} is no instant; {also}")


def past(text: str, field: str, now: datetime, zone: tzinfo = timezone.utc) -> datetime:
    """Return the latest instant that fits what somebody typed into a field, on the clock of a zone; `2h` counts back.

    Raises InvalidInput.
    """
    return _read(text, field).past(now, zone)


def coming(text: str, field: str, now: datetime, zone: tzinfo = timezone.utc) -> datetime:
    """Return the earliest instant that fits what somebody typed into a field, on a zone's clock; `2h` counts ahead.

    Raises InvalidInput.
    """
    return _read(text, field).coming(now, zone)


def ending(text: str, field: str, begin: datetime, now: datetime, zone: tzinfo = timezone.utc) -> datetime:
    """Return the end of a stretch of time that somebody typed into a field: `Spoken.ending`. Raises InvalidInput."""
    return _read(text, field).ending(begin, now, zone)


def _read(text: str, field: str) -> Spoken:
    try:
        return spoken(text, spans=True)
    except ValueError as refused:
        problem, _, remedy = str(refused).rpartition("; ")
        raise InvalidInput(Fault(field, text, problem.removeprefix(shown(text)).strip(), remedy)) from None


def duration(text: str, *, either: str = "") -> timedelta:
    """Read a length of time such as `90`, `90s`, `10m`, `1h30m` or `3d`. Raises ValueError, which says what to give.

    `either` is what else may be given, for that text.
    """
    parts = _PART.findall(text)
    if not text or "".join(amount + unit for amount, unit in parts) != text:
        raise ValueError(f"{shown(text)} is no duration; give 90s, 10m, 2h, 1h30m, 3d{either}")
    seconds = sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{shown(text)} is too long; give up to {LONGEST.days}d")
    return timedelta(seconds=seconds)


LONGEST = timedelta(days=3660)
_UNITS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|min|s|m|h|d|w|)", re.ASCII)


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
