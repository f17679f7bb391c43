"""How does an answer look: aligned tables and relative times for people, one JSON document for scripts?"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any

import click

from cronlite.cli import streams
from cronlite.cli.visible import one_line as one_line
from cronlite.cli.visible import printable as printable
from cronlite.errors import shown

GAP = "  "
_UNITS = ((1.0, 0.001, "ms"), (120.0, 1, "s"), (7_200.0, 60, "min"), (172_800.0, 3_600, "h"), (math.inf, 86_400, "d"))
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
    """A column of a table; where the terminal is too narrow, its texts may be cut to `least` columns of that."""

    title: str
    least: int | None = None
    right: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], indent: str = "") -> str:
    """Align rows under their titles, no line wider than the terminal; columns in which no row has anything go away."""
    body = [[one_line(cell) for cell in row] for row in rows]
    kept = [index for index in range(len(columns)) if any(row[index] for row in body)]
    columns = [columns[index] for index in kept]
    lines = [[column.title.upper() for column in columns], *([row[index] for index in kept] for row in body)]
    widths = _widths(columns, lines, len(indent))
    titles, *rest = (_joined(columns, widths, line, indent) for line in lines)
    return "\n".join([click.style(titles, bold=True), *rest])


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
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def cut(text: str, width: int) -> str:
    """Shorten a text to so many columns of a terminal."""
    if cells(text) <= width:
        return text
    while text and cells(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def terminal_width() -> int:
    """Say how wide a line may be: the terminal's width, $COLUMNS, or as good as unlimited where nobody looks."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return max(shutil.get_terminal_size().columns, 20)
    return 100_000


def _widths(columns: Sequence[Column], lines: Sequence[Sequence[str]], indent: int) -> list[int]:
    """Take what is too much from whichever column that shrinks is the widest at the time."""
    widths = [max(cells(line[index]) for line in lines) for index in range(len(columns))]
    surplus = indent + sum(widths) + len(GAP) * (len(columns) - 1) - terminal_width()
    while surplus > 0:
        shrinking = [n for n, column in enumerate(columns) if column.least is not None and widths[n] > column.least]
        if not shrinking:
            break
        widths[max(shrinking, key=widths.__getitem__)] -= 1
        surplus -= 1
    return widths


def _joined(columns: Sequence[Column], widths: Sequence[int], line: Sequence[str], indent: str) -> str:
    room, parts = terminal_width() - len(indent), []
    for column, width, text in zip(columns, widths, line, strict=True):
        text = cut(text, max(min(width, room), 0)) if room > 0 else ""
        padding = " " * max(min(width, room) - cells(text), 0)
        parts.append(padding + text if column.right else coloured(text) + padding)
        room -= width + len(GAP)
    return (indent + GAP.join(part for part in parts if part)).rstrip()


# instants


def span(seconds: float) -> str:
    """Say how long something is, in one unit."""
    size, unit = next((size, unit) for limit, size, unit in _UNITS if seconds < limit)
    return f"{seconds / size:.0f} {unit}"


def relative(instant: datetime | None, now: datetime) -> str:
    """Say how far an instant is from now: `in 3 min`, `2 h ago`."""
    if instant is None:
        return ""
    seconds = round((instant - now).total_seconds())
    if seconds == 0:
        return "now"
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def minute(tick: datetime, zone: tzinfo) -> str:
    """Show a tick on the clock of a zone, such as `Sat 2026-11-21 02:30 CET`."""
    try:
        return f"{tick.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"
    except OverflowError:
        return utc_minute(tick)


def utc_minute(tick: datetime) -> str:
    """Show a tick in UTC."""
    return f"{tick:%Y-%m-%d %H:%M}Z"


def second(instant: datetime | None) -> str:
    """Show an instant in UTC, to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S}Z" if isinstance(instant, datetime) else ""


# JSON


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Render a value as JSON that every reader takes: ASCII, instants as ISO 8601 in UTC, foreign values as text."""
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def plain(value: Any) -> Any:
    """Turn a value, foreign ones too, into what JSON can say."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, datetime):
        return iso(value)
    if type(value) in (int, float):
        return value if isinstance(value, int) or math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (bytes, timedelta, date)):
        return str(value)
    return _foreign(value)


def _foreign(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a value from elsewhere, of any type
        return shown(value)


def iso(instant: datetime) -> str:
    """Write an instant as ISO 8601 in UTC with milliseconds; one without a zone is taken for UTC."""
    aware = instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
    try:
        aware = aware.astimezone(timezone.utc)
    except OverflowError:
        return str(instant)
    return f"{aware.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def print_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    streams.say(json_text(value))


def note(message: str, kind: str = "note") -> None:
    """Say something on stderr that is no part of the answer."""
    streams.remark(f"cronlite: {click.style(kind, fg=_COLOURS.get(kind))}: {one_line(message)}")
