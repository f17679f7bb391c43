"""In which order do runs come of which each user has some, so that nobody waits behind all of another's?"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import chain, islice, zip_longest
from typing import TypeVar

T = TypeVar("T")

MOST_LOTS = 50
"""How many lots of the queue one claim looks at."""


def some(lots: list[T]) -> list[T]:
    """Return the lots that a claim looks at: the first, and of too many others some by chance; all come to be it."""
    return lots if len(lots) <= MOST_LOTS else [lots[0], *random.sample(lots[1:], MOST_LOTS - 1)]


def share(limit: int, users: Sequence[str]) -> int:
    """Say how many runs of each user are looked for, when `limit` are wanted."""
    return -(-limit // len(users))


def in_turns(of_each: Iterable[Sequence[T]], limit: int) -> list[T]:
    """Return the first of each, then the second of each, and so on."""
    rounds: Iterable[T | None] = chain.from_iterable(zip_longest(*of_each))
    return list(islice((item for item in rounds if item is not None), limit))
