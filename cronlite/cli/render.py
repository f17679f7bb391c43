"""How does an answer look: aligned tables and relative times for people, one JSON document for scripts?"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import click

from cronlite.cli import streams
from cronlite.wording.instants import clock_time as clock_time
from cronlite.wording.instants import dated as dated
from cronlite.wording.instants import iso as iso
from cronlite.wording.instants import minute as minute
from cronlite.wording.instants import relative as relative
from cronlite.wording.instants import second as second
from cronlite.wording.instants import span as span
from cronlite.wording.instants import utc_minute as utc_minute
from cronlite.wording.instants import when as when
from cronlite.wording.text import one_line as one_line
from cronlite.wording.text import printable as printable
from cronlite.wording.values import json_text as json_text
from cronlite.wording.values import plain as plain

GAP = "  "
_COLOURS = {
    "succeeded": "green",
    "alive": "green",
    "running": "cyan",
    "queued": "yellow",
    "waiting": "yellow",
    "paused": "yellow",
    "skipped": "yellow",
    "missed": "yellow",
    "warning": "yellow",
    "failed": "red",
    "timed_out": "red",
    "abandoned": "red",
    "dead": "red",
    "error": "red",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; where the terminal is too narrow, its texts may be cut to `least` columns of that.

    What is to be told apart by its beginning and its end, as names are, is cut in the `middle`.
    """

    title: str
    least: int | None = None
    right: bool = False
    middle: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], indent: str = "") -> str:
    """Align rows under their titles, no line wider than the terminal; columns in which no row has anything go away."""
    return "\n".join(tables(columns, [rows], indent))


def tables(columns: Sequence[Column], pages: Iterable[Iterable[Sequence[str]]], indent: str = "") -> Iterator[str]:
    """Align a table that comes in pages, of which one at a time is in memory: a page is as wide as those before it."""
    titled: list[int] = []
    before: dict[int, int] = {}
    for page in pages:
        body = [[one_line(cell) for cell in row] for row in page]
        kept = [index for index in range(len(columns)) if index in before or any(row[index] for row in body)]
        chosen = [columns[index] for index in kept]
        lines = [[column.title.upper() for column in chosen], *([row[index] for index in kept] for row in body)]
        natural = [max(before.get(index, 0), *(cells(line[n]) for line in lines)) for n, index in enumerate(kept)]
        room = terminal_width() - len(indent)
        widths = _widths(chosen, natural, room)
        titles, *rest = (indent + _joined(chosen, widths, line, room) for line in lines)
        yield "\n".join([*([] if titled == kept else [click.style(titles, bold=True)]), *rest])
        titled, before = kept, dict(zip(kept, natural, strict=True))


def pairs(rows: Iterable[tuple[str, str]], indent: str = "  ") -> str:
    """Align labels and texts; a text of several lines keeps them, under each other."""
    told = [(label, text) for label, text in rows if text]
    width = max((len(label) for label, _ in told), default=0)
    room = max(terminal_width() - len(indent) - width - len(GAP), 20)
    lines = []
    for label, text in told:
        first, *more = (part for line in text.split("\n") for part in _wrapped(line, room))
        lines.append(f"{indent}{click.style(label.ljust(width), dim=True)}{GAP}{coloured(first)}")
        lines += [f"{indent}{' ' * width}{GAP}{line}" for line in more]
    return "\n".join(lines)


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, break_on_hyphens=False) if cells(line) > width else [line]


def coloured(word: str) -> str:
    """Give a state its colour; any other text stays as it is."""
    colour = _COLOURS.get(word.strip())
    return click.style(word, fg=colour) if colour else word


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


def terminal_width() -> int:
    """Say how wide a line may be: the terminal's width, $COLUMNS, or as good as unlimited where nobody looks."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return max(shutil.get_terminal_size().columns, 20)
    return 100_000


def _widths(columns: Sequence[Column], natural: Sequence[int], room: int) -> list[int]:
    """Take what is too much from whichever column that shrinks is the widest at the time."""
    widths = list(natural)
    surplus = sum(widths) + len(GAP) * (len(columns) - 1) - room
    while surplus > 0:
        shrinking = [n for n, column in enumerate(columns) if column.least is not None and widths[n] > column.least]
        if not shrinking:
            break
        widths[max(shrinking, key=widths.__getitem__)] -= 1
        surplus -= 1
    return widths


def _joined(columns: Sequence[Column], widths: Sequence[int], line: Sequence[str], room: int) -> str:
    """Join the cells of a line; the last columns go away where there is no room for them even so."""
    parts: list[str] = []
    for column, width, text in zip(columns, widths, line, strict=True):
        if parts and room < min(width, column.least or width):
            break
        width = min(width, room)
        text = cut(text, width, middle=column.middle)
        padding = " " * max(width - cells(text), 0)
        parts.append(padding + text if column.right else coloured(text) + padding)
        room -= width + len(GAP)
    return GAP.join(parts).rstrip()


# JSON


def print_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    streams.say(json_text(value))


def print_json_list(values: Iterable[Any]) -> None:
    """Print one JSON document on stdout, a list, of which one element at a time is in memory."""
    before = "["
    for value in values:
        streams.say(f"{before}\n{textwrap.indent(json_text(value), '  ')}", end="")
        before = ","
    streams.say("[]" if before == "[" else "\n]")


def note(message: str, kind: str = "note") -> None:
    """Say something on stderr that is no part of the answer."""
    streams.remark(f"cronlite: {click.style(kind, fg=_COLOURS.get(kind))}: {one_line(message)}")
