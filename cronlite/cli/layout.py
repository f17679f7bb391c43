"""How wide is each column of a table, and how are texts shortened so that they can still be told apart?"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

GAP = "  "
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; where the terminal is too narrow, its texts may be cut to `least` columns of that.

    What is to be told apart by its beginning and its end, as names are, is cut in the `middle`. Of a `brief` one, what
    stands behind a comma is left out before anything is cut.
    """

    title: str
    least: int | None = None
    right: bool = False
    middle: bool = False
    brief: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns that there is room for, how wide each is, and whether it is said briefly."""

    columns: Sequence[Column]
    widths: Sequence[int]
    briefly: bool
    left_out: Sequence[Column]


def layout(columns: Sequence[Column], natural: Sequence[int], brief: Sequence[int], room: int) -> Layout:
    """Find room for columns of these widths, or of these ones where they are said briefly.

    First texts are cut; then what can be said briefly is, and texts are cut further; then the last columns go away.
    """
    cosy = [_least(column, width, 1) for column, width in zip(columns, natural, strict=True)]
    if _total(cosy) <= room:
        return Layout(columns, _narrowed(natural, cosy, room), False, ())
    tight = [_least(column, width, 2 / 3) for column, width in zip(columns, brief, strict=True)]
    count = len(columns)
    while count > 1 and _total(tight[:count]) > room:
        count -= 1
    return Layout(columns[:count], _narrowed(brief[:count], tight[:count], room), True, columns[count:])


def shortened(texts: Iterable[str]) -> list[str]:
    """Leave out of texts what stands behind a comma."""
    return [text.split(", ")[0] for text in texts]


def _least(column: Column, width: int, share: float) -> int:
    """Say how narrow a column may be; one that can be said briefly is not cut before it is."""
    if column.least is None or (column.brief and share == 1):
        return width
    return min(max(round(column.least * share), 4), width)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _narrowed(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Take what is too much from whichever column that shrinks is the widest at the time."""
    widths = list(natural)
    for _ in range(_total(widths) - room):
        shrinking = [n for n, width in enumerate(widths) if width > least[n]]
        if not shrinking:
            break
        widths[max(shrinking, key=widths.__getitem__)] -= 1
    return [min(width, room) for width in widths]


def cells(text: str) -> int:
    """Count the columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_cells_of, text))


@lru_cache(maxsize=1_000)  # in a list of 100,000, most characters of most cells are looked at
def _cells_of(character: str) -> int:
    return 0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int, *, middle: bool = False) -> str:
    """Shorten a text to so many columns of a terminal, at its end or in its middle."""
    if cells(text) <= width:
        return text
    tail = _from_left(text[::-1], (width - 1) // 2)[::-1] if middle else ""
    return f"{_from_left(text, width - 1 - cells(tail))}…{tail}" if width > 0 else ""


def cut_apart(texts: Iterable[str], width: int) -> dict[str, str]:
    """Shorten texts in the middle, and elsewhere where different ones would look the same."""
    return _apart(set(texts), width, {text: cut(text, width, middle=True) for text in texts}, _DEEPEST)


def _apart(texts: set[str], width: int, shown: dict[str, str], deepest: int) -> dict[str, str]:
    alike: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        alike[shown[text]].append(text)
    for group in alike.values():
        if len(group) > 1 and deepest:
            same = _alike(min(group), max(group))
            shown |= {text: _from(text, same, width) for text in group}
            _apart(set(group), width, shown, deepest - 1)
    return shown


def _alike(first: str, second: str) -> int:
    """Count the characters with which both of two texts begin."""
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def _from(text: str, place: int, width: int) -> str:
    """Shorten a text so that the beginning is in it, and what comes at a place."""
    head = _from_left(text, width // 4)
    tail = text[max(place - 1, len(head)) :]
    left_out = "…" if place - 1 > len(head) else ""
    room = width - cells(head) - len(left_out)
    if left_out and cells(tail) < room:  # the text ends soon: all of its end
        return f"{head}…{_from_left(text[::-1], room)[::-1]}"
    return f"{head}{left_out}{cut(tail, room, middle=True)}"


def _from_left(text: str, width: int) -> str:
    """Return as much of a text as fits, from its left end."""
    if text.isascii():
        return text[: max(width, 0)]
    taken = 0
    for at, character in enumerate(text):
        taken += _cells_of(character)
        if taken > width:
            return text[:at]
    return text
