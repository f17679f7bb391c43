"""Which minutes does a cron expression mean, which expressions are refused, and how is one said in English?

The grammar is that of crontab(5) as ISC cron reads it, with `L`, `LW`, `5L` and `fri#2` added. Nothing here knows a
time zone: `wall` is what a clock shows, a naive datetime.
"""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from operator import attrgetter

from cronlite.errors import Fault, InvalidExpression, suggestion

FIELDS = ("minute", "hour", "day", "month", "weekday")
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_LONGEST = 256
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July")
_MONTHS += ("August", "September", "October", "November", "December")
_ITEM = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/([a-z0-9]+))?")
_WEEKDAY_IN_MONTH = re.compile(r"([a-z0-9]+)(?:l|#([0-9]+))")
# The Gregorian calendar knows only these: a year is a leap year or not, and begins on one of seven weekdays.
_KINDS_OF_YEAR = tuple({(isleap(year), date(year, 1, 1).weekday()): year for year in range(2000, 2028)}.values())
_READINGS: dict[str, Callable[[date], int]] = {
    **{name: attrgetter(name) for name in FIELDS[:4]},
    "weekday": lambda wall: wall.isoweekday() % 7,
}


class _Refused(ValueError):
    """What is wrong with one expression, before anyone has said whose it was."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True, slots=True)
class _Kind:
    """What one of the five fields allows."""

    low: int
    high: int
    titles: tuple[str, ...] = ()
    letters: str = ""

    @property
    def names(self) -> list[str]:
        return [title[:3].lower() for title in self.titles]

    @property
    def remedy(self) -> str:
        names = f" or {self.names[0]}-{self.names[-1]}" if self.titles else ""
        return f"give {self.low}-{self.high}{names}{self.letters}"


_KINDS = {
    "minute": _Kind(0, 59),
    "hour": _Kind(0, 23),
    "day": _Kind(1, 31, letters=", L or LW"),
    "month": _Kind(1, 12, _MONTHS),
    "weekday": _Kind(0, 7, _WEEKDAYS),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One expression, parsed: bit n of `values` is set where the number n matches; Sunday is 0.

    `specials` holds what depends on the month: "L" and "LW" of days, "5L" and "5#2" of weekdays.
    """

    name: str
    text: str
    values: int
    specials: frozenset[str] = frozenset()

    @property
    def restricted(self) -> bool:
        return self.text != "*"

    @property
    def starts_with_star(self) -> bool:
        return self.text.startswith("*")

    @property
    def numbers(self) -> tuple[int, ...]:
        return _numbers_of(self.values)

    def matches(self, wall: date) -> bool:
        """Tell whether a wall minute (or, of the coarser fields, a date) fits."""
        if self.values >> _READINGS[self.name](wall) & 1:
            return True
        return bool(self.specials) and not self.specials.isdisjoint(_roles(self.name, wall))


@dataclass(frozen=True, slots=True)
class Pattern:
    """A whole cron line. With `either_day`, day or weekday is enough when both are restricted (crontab(5))."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    either_day: bool = False

    @classmethod
    def of(
        cls,
        minute: object = "*",
        hour: object = "*",
        day: object = "*",
        month: object = "*",
        weekday: object = "*",
        *,
        either_day: bool = False,
    ) -> Pattern:
        """Parse five fields; raise InvalidExpression with all their faults, or because they can never be due."""
        parsed: list[Field] = []
        faults: list[Fault] = []
        for name, value in zip(FIELDS, (minute, hour, day, month, weekday), strict=True):
            try:
                parsed.append(parse_field(name, value))
            except InvalidExpression as refused:
                faults.extend(refused.faults)
        if faults:
            raise InvalidExpression(*faults)
        pattern = cls(*parsed, either_day=either_day)
        if not _ever_due(pattern):
            raise InvalidExpression(_never_due(pattern))
        return pattern

    @property
    def minutes(self) -> tuple[int, ...]:
        return self.minute.numbers

    @property
    def hours(self) -> tuple[int, ...]:
        return self.hour.numbers

    @property
    def follows_clock(self) -> bool:
        """Whether Debian's cron takes it for a wildcard job, which no DST change moves or makes up for."""
        return self.minute.starts_with_star or self.hour.starts_with_star

    def matches(self, wall: datetime) -> bool:
        """Tell whether a wall minute fits all of the line."""
        return self.minute.matches(wall) and self.hour.matches(wall) and self.matches_day(wall)

    def matches_day(self, day: date) -> bool:
        """Tell whether the line has any run on that day."""
        if not self.month.matches(day):
            return False
        if self.either_day and self.day.restricted and self.weekday.restricted:
            return self.day.matches(day) or self.weekday.matches(day)
        return self.day.matches(day) and self.weekday.matches(day)

    def days(self, first: date) -> Iterator[date]:
        """Yield the days that match, from `first` to the end of its year."""
        for month in self.month.numbers:
            if month >= first.month:
                start = first.day if month == first.month else 1
                in_month = (date(first.year, month, n) for n in range(start, _length(first.year, month) + 1))
                yield from filter(self.matches_day, in_month)

    def expressions(self) -> dict[str, int | str]:
        """Return the five fields as they are stored: whole numbers as int, all else in its one spelling."""
        texts = {name: getattr(self, name).text for name in FIELDS}
        return {name: int(text) if text.isdigit() else text for name, text in texts.items()}


def matches(name: str, value: object, wall: datetime) -> bool:
    """Tell whether the expression `value` of the field `name` fits a wall minute; raise InvalidExpression."""
    return parse_field(name, value).matches(wall)


def parse_field(name: str, value: object) -> Field:
    """Parse one of the five fields: None, a number, an expression, or a list of these; raise InvalidExpression."""
    try:
        return _parse(name, _text(_KINDS[name], value))
    except _Refused as refused:
        raise InvalidExpression(Fault(name, value, refused.problem, refused.remedy)) from None


def parse_line(line: str) -> Pattern:
    """Parse a crontab(5) line without its command, day rule included; raise InvalidExpression."""
    try:
        words = _plain(line, 5 * _LONGEST).lower().split()
        if words[0].startswith("@"):
            words = _nickname(words)
        if len(words) != len(FIELDS):
            fields = f"give five: {' '.join(FIELDS)}; no seconds, no year and no command"
            raise _Refused(f"has {len(words)} field{'s' * (len(words) > 1)}", fields)
    except _Refused as refused:
        raise InvalidExpression(Fault("cron", line, refused.problem, refused.remedy)) from None
    either_day = not words[2].startswith("*") and not words[4].startswith("*")
    return Pattern.of(*words, either_day=either_day)


def _nickname(words: list[str]) -> list[str]:
    name, *rest = words
    if rest:
        raise _Refused("has something after the nickname", f"say {name!r} alone")
    if name == "@reboot":
        raise _Refused("is not a time", "call the handler where the application starts")
    if name not in NICKNAMES:
        raise _Refused("is not a nickname", suggestion(name, NICKNAMES))
    return NICKNAMES[name].split()


def _text(kind: _Kind, value: object) -> str:
    if value is None:
        return "*"
    if isinstance(value, list | tuple):
        if not 0 < len(value) <= _LONGEST or any(each is None or isinstance(each, list | tuple) for each in value):
            raise _Refused("is not a list of expressions", f"give one to {_LONGEST} plain values")
        return _plain(",".join(_text(kind, each) for each in value))
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
        # Compared before it is printed: Python refuses to print an integer of thousands of digits.
        if not kind.low <= value <= kind.high:
            raise _Refused("is out of range", kind.remedy)
        if value == int(value):
            return str(int(value))
    # Not isinstance: BSON's Code is a str too, and no query for text finds it.
    if type(value) is not str:
        raise _Refused("is neither a whole number nor an expression", kind.remedy)
    text = _plain(value)
    if text.startswith("@"):
        raise _Refused("stands for a whole line", "give it as 'cron', alone")
    if re.search(r"\s", text):
        raise _Refused("has blanks in it", "separate the parts by commas alone")
    return text


def _plain(text: object, longest: int = _LONGEST) -> str:
    if not isinstance(text, str):
        raise _Refused("is not text", "give five fields such as '30 2 * * *'")
    if len(text) > longest:
        raise _Refused(f"is longer than {longest} characters", "say it with ranges and steps")
    text = text.strip(" \t\r\n")
    if not text:
        raise _Refused("is empty", "say '*' for any")
    if not text.isascii() or not text.replace("\t", " ").isprintable():
        raise _Refused("has characters other than printable ASCII", "type it anew")
    return text


@lru_cache(maxsize=4096)
def _parse(name: str, text: str) -> Field:
    kind = _KINDS[name]
    values, specials = 0, set()
    for item in text.lower().split(","):
        try:
            if special := _special(name, kind, item):
                specials.add(special)
            else:
                values |= _bits(kind, item)
        except _Refused as refused:
            place = "" if item == text.lower() else f" at {item!r}"
            raise _Refused(refused.problem + place, refused.remedy) from None
    if name == "weekday":
        values = (values | values >> 7) & 0b1111111
    return Field(name, _spelled(name, text), values, frozenset(specials))


def _spelled(name: str, text: str) -> str:
    if text.isdigit():
        return str(int(text))
    if name == "day":
        return text.upper()
    text = text.lower()
    # The name of no weekday has an l, and a small one looks like 1.
    return text.replace("l", "L") if name == "weekday" else text


def _special(name: str, kind: _Kind, item: str) -> str:
    if name == "day" and item in ("l", "lw"):
        return item.upper()
    found = _WEEKDAY_IN_MONTH.fullmatch(item) if name == "weekday" else None
    if not found:
        return ""
    weekday, nth = _number(kind, found[1]) % 7, found[2]
    if nth is None:
        return f"{weekday}L"
    if not 1 <= int(nth) <= 5:
        raise _Refused("is out of range", "give 1-5 after '#'")
    return f"{weekday}#{int(nth)}"


def _bits(kind: _Kind, item: str) -> int:
    found = _ITEM.fullmatch(item)
    if not found or (found[1] == "*" and found[2]):
        raise _unreadable(kind, item)
    start, end, step = found[1], found[2], _step(kind, found[3])
    if start == "*":
        low, high = kind.low, kind.high
    else:
        low = high = _number(kind, start)
        if end:
            high = 7 if end == "sun" and low > 0 else _number(kind, end)
        elif found[3]:
            high = kind.high
    if low > high:
        raise _Refused("is a reversed range", f"say '{_unwrapped(kind, low, high, step)}'")
    return sum(1 << number for number in range(low, high + 1, step))


def _step(kind: _Kind, word: str | None) -> int:
    if word is None:
        return 1
    if not word.isdigit() or not 1 <= int(word) <= kind.high:
        raise _Refused("has a step out of range", f"give 1-{kind.high} after '/'")
    return int(word)


def _number(kind: _Kind, word: str) -> int:
    if word in kind.names:
        return kind.names.index(word) + kind.low
    if not word.isdigit():
        if word[:3] in kind.names:
            raise _Refused("has a name of more than three letters", f"say {word[:3]!r}")
        raise _Refused("is not a number or name", suggestion(word[:3], kind.names) or kind.remedy)
    if not kind.low <= int(word) <= kind.high:
        raise _Refused("is out of range", kind.remedy)
    return int(word)


def _unreadable(kind: _Kind, item: str) -> _Refused:
    if re.fullmatch(r"-[0-9]+", item):
        return _Refused("is out of range", kind.remedy)
    if not item:
        return _Refused("has an empty part", kind.remedy)
    return _Refused("cannot be read", "say '*'" if item == "?" else kind.remedy)


def _unwrapped(kind: _Kind, low: int, high: int, step: int) -> str:
    size = len(kind.titles) or kind.high - kind.low + 1
    around = [(low - kind.low + n) % size + kind.low for n in range((high - low) % size + 1)]
    if kind.titles:
        return ",".join(kind.names[number - kind.low] for number in around[::step])
    if step > 1:
        return ",".join(map(str, around[::step]))
    spans = ((low, kind.high), (kind.low, high))
    return ",".join(f"{first}-{last}" if first < last else f"{first}" for first, last in spans)
