"""What does the expression of one cron field mean, and which expressions are refused?

The grammar is that of crontab(5) as ISC cron reads it, with `L`, `LW`, `5L` and `fri#2` added.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from operator import attrgetter

from cronlite.errors import Fault, InvalidExpression

FIELDS = ("minute", "hour", "day", "month", "weekday")
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS: tuple[str, ...] = ("January", "February", "March", "April", "May", "June")
MONTHS += ("July", "August", "September", "October", "November", "December")

_LONGEST = 256
_ITEM = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/([a-z0-9]+))?")
_WEEKDAY_IN_MONTH = re.compile(r"([a-z0-9]+)(?:l|#([0-9]+))")
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
    "month": _Kind(1, 12, MONTHS),
    "weekday": _Kind(0, 7, WEEKDAYS, letters=", 5L or fri#2"),
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


def parse_field(name: str, value: object) -> Field:
    """Parse one of the five fields: None, a number, an expression, or a list of these; raise InvalidExpression."""
    try:
        return _parse(name, _text(_KINDS[name], value))
    except _Refused as refused:
        raise InvalidExpression(Fault(name, value, refused.problem, refused.remedy)) from None


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
        close = get_close_matches(word[:3], kind.names, n=1)
        raise _Refused("is not a number or name", f"did you mean {close[0]!r}?" if close else kind.remedy)
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


@lru_cache(maxsize=512)
def _numbers_of(bits: int) -> tuple[int, ...]:
    return tuple(number for number in range(bits.bit_length()) if bits >> number & 1)


def _roles(name: str, day: date) -> set[str]:
    """Say what a date is in its month, in the words of `Field.specials`."""
    length = monthrange(day.year, day.month)[1]
    if name == "day":
        beyond_friday = max(0, date(day.year, day.month, length).isoweekday() - 5)
        return {role for role, last in (("L", length), ("LW", length - beyond_friday)) if day.day == last}
    weekday = day.isoweekday() % 7
    roles = {f"{weekday}#{(day.day + 6) // 7}"}
    if day.day + 7 > length:
        roles.add(f"{weekday}L")
    return roles
