"""The bits of an expression fit those of a minute exactly where the expression itself matches it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from cronlite.errors import InvalidExpression
from cronlite.when import bits
from cronlite.when.pattern import FIELDS, parse_field

_WORDS = {
    "minute": ["*", "*/7", "5", "05", "0-59", "10-20/3", "5/15", "59", "60", "5-1", "*-3"],
    "hour": ["*", "*/5", "0", "23", "8-18", "22/1", "24", "-1"],
    "day": ["*", "L", "lw", "1", "31", "28-31", "1/10", "0", "L-3", "15W"],
    "month": ["*", "JAN", "feb-apr", "12", "1-12/5", "0", "13", "sun"],
    "weekday": ["*", "sun", "0", "7", "5L", "friL", "fri#2", "1#5", "mon-fri", "5-7", "sat-sun", "8", "fri#6", "tue#L"],
}
_ANYWHERE = ["", "banana", "5 5", "?", "@daily", "*/0", "1,,2", "\u0665", "1" * 300]


def _known(name: str, text: str, wall: datetime) -> bool | None:
    try:
        return parse_field(name, text).matches(wall)
    except InvalidExpression:
        return None


@pytest.mark.parametrize("name", FIELDS)
def test_bits_say_the_same_as_the_parser(name: str, seed: random.Random) -> None:
    walls = [datetime(2024, 1, 1) + timedelta(minutes=seed.randrange(4 * 366 * 1440)) for _ in range(60)]
    for _ in range(150):
        words = seed.choices(_WORDS[name], k=seed.randrange(1, 4))
        text = seed.choice([",".join(words), f" {words[0]}\n", seed.choice(_ANYWHERE)])
        its_bits = bits.of_text(name, text)
        for wall in walls:
            fits = bool(its_bits & bits.of_wall(name, wall))
            matches = _known(name, text, wall)
            assert fits or not matches, (text, wall)
            if matches is not None:
                assert fits == matches, (text, wall)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("text", _ANYWHERE)
def test_what_cannot_be_read_has_no_bits(name: str, text: str) -> None:
    assert bits.of_text(name, text) == 0


def test_the_numbers_of_a_minute_are_those_that_stand_for_it() -> None:
    sunday = datetime(2026, 11, 22, 2, 30)
    numbers = {name: bits.numbers(name, bits.of_wall(name, sunday)) for name in FIELDS}
    assert numbers == {"minute": (30,), "hour": (2,), "day": (22,), "month": (11,), "weekday": (0, 7)}
