"""Which of many expressions of one field fit a minute? Each expression is one number, and so is what a clock shows.

Bit n of an expression stands for the value n of its field; higher bits stand for what depends on the month, such as
`L`. An expression fits a wall minute if the two numbers have a bit in common. So it takes milliseconds to compare a
hundred thousand expressions with a minute.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from cronlite.errors import InvalidExpression
from cronlite.when.fields import Field, parse_field
from cronlite.when.limits import FIELDS, MONTHS, WEEKDAYS

LONGEST = 256  # characters; the parser refuses more

_HIGHEST = {"minute": 59, "hour": 23, "day": 31, "month": 12, "weekday": 7}
_SPECIALS: dict[str, list[str]] = {
    "day": ["L", "LW"],
    "weekday": [f"{weekday}{which}" for weekday in range(7) for which in ("L", "#1", "#2", "#3", "#4", "#5")],
}
_SPECIAL_BITS = {
    name: {special: 1 << 64 + place for place, special in enumerate(specials)} for name, specials in _SPECIALS.items()
}
_NAMES = {"month": [title[:3].lower() for title in MONTHS], "weekday": [title[:3].lower() for title in WEEKDAYS]}


def _item_of(name: str) -> re.Pattern[str]:
    value = "|".join(["[0-9]+", *_NAMES.get(name, [])])
    special = {"day": "|lw?", "weekday": f"|(?:{value})(?:l|#[0-9]+)"}.get(name, "")
    return re.compile(rf"(?:\*|(?:{value})(?:-(?:{value}))?)(?:/[0-9]+)?{special}")


# An item that none of these matches never reaches the parser, which would refuse it as well, but first search for what
# was meant: that takes much longer than all the rest.
_ITEMS = {name: _item_of(name) for name in FIELDS}


def of_text(name: str, text: str) -> int:
    """Return the bits of an expression; 0 for one that cannot be read.

    Accepts a few texts that the parser refuses, and refuses none that the parser accepts.
    """
    if len(text) > LONGEST:
        return 0
    bits = 0
    for item in text.strip(" \t\r\n").lower().split(","):
        if not (of_item := _of_item(name, item)):
            return 0
        bits |= of_item
    return bits


# Kept by item and not by expression: there are many expressions, but they consist of few different items.
@lru_cache(maxsize=1 << 16)
def _of_item(name: str, item: str) -> int:
    if not _ITEMS[name].fullmatch(item):
        return 0
    try:
        field = parse_field(name, item)
    except InvalidExpression:
        return 0
    return field.values | _together(_SPECIAL_BITS[name][special] for special in field.specials)


def of_wall(name: str, wall: date) -> int:
    """Return the bits that a wall minute (or, of the coarser fields, a date) has in a field."""
    if name == "minute":
        return _of_wall(name, wall.replace(**_ANY_HOUR))
    if name == "hour":
        return _of_wall(name, wall.replace(**_ANY_DAY))
    return _of_wall(name, date(wall.year, wall.month, wall.day))


# What a field does not look at is the same for all, or each minute of each day would be worked out anew.
_ANY_HOUR = {"year": 2000, "month": 1, "day": 1, "hour": 0}
_ANY_DAY = {"year": 2000, "month": 1, "day": 1, "minute": 0}


@lru_cache(maxsize=1024)
def _of_wall(name: str, wall: date) -> int:
    values = _together(1 << number for number in range(_HIGHEST[name] + 1) if _fits(name, str(number), wall))
    specials = _SPECIAL_BITS.get(name, {})
    return values | _together(bit for special, bit in specials.items() if _fits(name, special, wall))


@lru_cache(maxsize=1024)
def numbers(name: str, bits: int) -> tuple[int, ...]:
    """List the values of a field that some bits stand for; Sunday is 0, and 7 as well."""
    values = tuple(number for number in range(_HIGHEST[name] + 1) if bits >> number & 1)
    return (*values, 7) if name == "weekday" and 0 in values and 7 not in values else values


def _fits(name: str, text: str, wall: date) -> bool:
    try:
        field: Field = parse_field(name, text)
    except InvalidExpression:  # of days and months, 0
        return False
    return field.matches(wall)


def _together(bits: Iterable[int]) -> int:
    together = 0
    for each in bits:
        together |= each
    return together
