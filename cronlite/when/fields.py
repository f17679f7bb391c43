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

from cronlite.errors import Fault, InvalidExpression, shown
from cronlite.when import foreign_fields
from cronlite.when.limits import FIELDS, LIMITS, Limits

_LONGEST = 256
_LIKE = 0.75
_ITEM = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/([a-z0-9]+))?")
_WEEKDAY_IN_MONTH = re.compile(r"([a-z0-9]+)(?:l|#([0-9]+))")
_READINGS: dict[str, Callable[[date], int]] = {
    **{name: attrgetter(name) for name in FIELDS[:4]},
    "weekday": lambda wall: wall.isoweekday() % 7,
}


class _Refused(ValueError):
    """What is wrong with one expression; whoever catches it adds the name of the field and its value."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


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
        return _parse(name, _text(name, value))
    except _Refused as refused:
        raise InvalidExpression(Fault(name, value, refused.problem, refused.remedy)) from None


def _text(name: str, value: object) -> str:
    limits = LIMITS[name]
    if value is None:
        return "*"
    if isinstance(value, list | tuple):
        if not 0 < len(value) <= _LONGEST or any(each is None or isinstance(each, list | tuple) for each in value):
            raise _Refused("is not a list of expressions", f"give one to {_LONGEST} plain values")
        return _plain(",".join(_listed(name, each) for each in value))
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
        # The range comes before the text: Python refuses to print an integer of thousands of digits.
        if not limits.low <= value <= limits.high:
            refused = _Refused("is out of range", limits.remedy)
            raise _advised(name, str(int(value)), refused) if abs(value) < _LONGEST else refused
        if value == int(value):
            return str(int(value))
    # Not isinstance: BSON's Code is a subclass of str, and a query for text does not find it.
    if type(value) is not str:
        raise _Refused("is neither a whole number nor an expression", limits.remedy)
    text = _plain(value)
    if text.startswith("@"):
        raise _Refused("stands for a whole line", "give it as 'cron', alone")
    if re.search(r"\s", text):
        refused = _Refused("has blanks in it", "separate the parts by commas alone")
        raise _advised(name, " ".join(text.lower().split()), refused)
    return text


def _listed(name: str, value: object) -> str:
    try:
        return _text(name, value)
    except _Refused as refused:
        raise _Refused(f"{refused.problem} at {shown(value)}", refused.remedy) from None


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
    limits = LIMITS[name]
    values, specials = 0, set()
    for item in text.lower().split(","):
        try:
            if special := _special(name, limits, item):
                specials.add(special)
            else:
                values |= _bits(limits, item)
        except _Refused as refused:
            place = "" if item == text.lower() else f" at {item!r}"
            advised = _advised(name, item, refused)
            raise _Refused(advised.problem + place, advised.remedy) from None
    if name == "weekday":
        values = (values | values >> 7) & 0b1111111
    return Field(name, _spelled(name, text), values, frozenset(specials))


def _advised(name: str, text: str, refused: _Refused) -> _Refused:
    """Explain a spelling of another program, if it is one; otherwise return the general refusal."""
    known = foreign_fields.meant(name, text)
    if known is None:
        return refused
    try:
        # The suggested expression may itself be refused, as 'fri-mon' is. Then its own remedy says more.
        _parse(known.of or name, known.say or "*")
    except _Refused as again:
        return _Refused(known.problem, again.remedy)
    return _Refused(known.problem, known.advice)


def _spelled(name: str, text: str) -> str:
    if text.isdigit():
        return str(int(text))
    if name == "day":
        return text.upper()
    text = text.lower()
    # An l always means "last", because no weekday's name has one. It is kept as L, because l looks like 1.
    return text.replace("l", "L") if name == "weekday" else text


def _special(name: str, limits: Limits, item: str) -> str:
    if name == "day" and item in ("l", "lw"):
        return item.upper()
    matched = _WEEKDAY_IN_MONTH.fullmatch(item) if name == "weekday" else None
    if not matched:
        return ""
    weekday, nth = _number(limits, matched[1], item) % 7, matched[2]
    if nth is None:
        return f"{weekday}L"
    if not 1 <= int(nth) <= 5:
        raise _Refused("is out of range", "give 1-5 after '#'")
    return f"{weekday}#{int(nth)}"


def _bits(limits: Limits, item: str) -> int:
    matched = _ITEM.fullmatch(item)
    if not matched or (matched[1] == "*" and matched[2]):
        raise _unreadable(limits, item)
    start, end, step = matched[1], matched[2], _step(limits, matched[3])
    if start == "*":
        low, high = limits.low, limits.high
    else:
        low = high = _number(limits, start, item)
        if end:
            high = 7 if end == "sun" and low > 0 else _number(limits, end, item)
        elif matched[3]:
            high = limits.high
    if low > high:
        raise _Refused("is a reversed range", f"say '{_unwrapped(limits, low, high, step)}'")
    return sum(1 << number for number in range(low, high + 1, step))


def _step(limits: Limits, word: str | None) -> int:
    if word is None:
        return 1
    if not word.isdigit() or not 1 <= int(word) <= limits.high:
        raise _Refused("has a step out of range", f"give 1-{limits.high} after '/'")
    return int(word)


def _number(limits: Limits, word: str, item: str) -> int:
    if word in limits.names:
        return limits.names.index(word) + limits.low
    if not word.isdigit():
        close = get_close_matches(word, map(str.lower, limits.titles), n=1, cutoff=_LIKE)
        remedy = f"did you mean {item.replace(word, close[0][:3])!r}?" if close else limits.remedy
        raise _Refused("is not a number or name", remedy)
    if not limits.low <= int(word) <= limits.high:
        raise _Refused("is out of range", limits.remedy)
    return int(word)


def _unreadable(limits: Limits, item: str) -> _Refused:
    if re.fullmatch(r"-[0-9]+", item):
        return _Refused("is out of range", limits.remedy)
    if not item:
        return _Refused("has an empty part", limits.remedy)
    return _Refused("cannot be read", limits.remedy)


def _unwrapped(limits: Limits, low: int, high: int, step: int) -> str:
    size = len(limits.titles) or limits.high - limits.low + 1
    around = [(low - limits.low + n) % size + limits.low for n in range((high - low) % size + 1)]
    if limits.titles:
        return ",".join(limits.names[number - limits.low] for number in around[::step])
    if step > 1:
        return ",".join(map(str, around[::step]))
    spans = ((low, limits.high), (limits.low, high))
    return ",".join(f"{first}-{last}" if first < last else f"{first}" for first, last in spans)


@lru_cache(maxsize=512)
def _numbers_of(bits: int) -> tuple[int, ...]:
    return tuple(number for number in range(bits.bit_length()) if bits >> number & 1)


def _roles(name: str, day: date) -> set[str]:
    """Return those values of `Field.specials` that a date fits, such as "L" for the last day of its month."""
    length = monthrange(day.year, day.month)[1]
    if name == "day":
        beyond_friday = max(0, date(day.year, day.month, length).isoweekday() - 5)
        return {role for role, last in (("L", length), ("LW", length - beyond_friday)) if day.day == last}
    weekday = day.isoweekday() % 7
    roles = {f"{weekday}#{(day.day + 6) // 7}"}
    if day.day + 7 > length:
        roles.add(f"{weekday}L")
    return roles
