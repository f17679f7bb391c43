"""How does an answer look: aligned tables and relative times for people, one JSON document for scripts?"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from cronlite.cli import streams
from cronlite.cli.layout import GAP, Layout, cut, cut_apart, layout, shortened
from cronlite.cli.layout import Column as Column
from cronlite.cli.layout import cells as cells
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


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], indent: str = "") -> str:
    """Align rows under their titles, no line wider than the terminal; columns in which no row has anything go away."""
    return "\n".join(tables(columns, [rows], indent))


def tables(columns: Sequence[Column], pages: Iterable[Iterable[Sequence[str]]], indent: str = "") -> Iterator[str]:
    """Align a table that comes in pages, of which one at a time is in memory: a page is as wide as those before it."""
    titled: list[int] = []
    before: dict[int, tuple[int, int]] = {}
    left_out: dict[str, None] = {}
    for page in pages:
        body = [[one_line(cell) for cell in row] for row in page]
        kept = [index for index in range(len(columns)) if index in before or any(row[index] for row in body)]
        chosen = [columns[index] for index in kept]
        lines = [[column.title.upper() for column in chosen], *([row[index] for index in kept] for row in body)]
        before = {
            index: _width([line[n] for line in lines], before.get(index), columns[index])
            for n, index in enumerate(kept)
        }
        natural, brief = zip(*before.values(), strict=True) if before else ((), ())
        plan = layout(chosen, natural, brief, terminal_width() - len(indent))
        titles, *rest = (indent + _joined(plan, shown) for shown in _fitted(plan, lines))
        yield "\n".join([*([] if titled == kept else [click.style(titles, bold=True)]), *rest])
        titled = kept
        left_out |= dict.fromkeys(column.title.upper() for column in plan.left_out)
    if left_out:
        note(f"no room for {', '.join(filter(None, left_out))}; a wider terminal shows more, and --json all")


def _width(texts: Sequence[str], before: tuple[int, int] | None, column: Column) -> tuple[int, int]:
    """Return how wide a column of these texts is, in full and said briefly, and not narrower than it was before."""
    full = max(map(cells, texts))
    brief = max(map(cells, shortened(texts))) if column.brief else full
    return (full, brief) if before is None else (max(full, before[0]), max(brief, before[1]))


def pairs(rows: Iterable[tuple[str, str]], indent: str = "  ") -> str:
    """Align labels and texts; a text of several lines keeps them, under each other."""
    kept = [(label, text) for label, text in rows if text]
    width = max((len(label) for label, _ in kept), default=0)
    room = max(terminal_width() - len(indent) - width - len(GAP), 20)
    lines = []
    for label, text in kept:
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


def terminal_width() -> int:
    """Say how wide a line may be: the terminal's width, $COLUMNS, or as good as unlimited where nobody looks."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return max(shutil.get_terminal_size().columns, 20)
    return 100_000


def _joined(plan: Layout, shown: Sequence[str]) -> str:
    """Join the cells of a line."""
    parts: list[str] = []
    for column, width, text in zip(plan.columns, plan.widths, shown, strict=True):
        padding = " " * max(width - cells(text), 0)
        parts.append(padding + text if column.right else coloured(text) + padding)
    return GAP.join(parts).rstrip()


def _fitted(plan: Layout, lines: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Cut the cells of some lines, the titles among them, to the widths of their columns."""
    fitted: list[Sequence[str]] = []
    for n, (column, width) in enumerate(zip(plan.columns, plan.widths, strict=True)):
        texts = [line[n] for line in lines]
        if plan.briefly and column.brief:
            texts = shortened(texts)
        if column.middle and any(cells(text) > width for text in texts):
            apart = cut_apart(texts, width)
            fitted.append([apart[text] for text in texts])
        else:
            fitted.append([cut(text, width) for text in texts])
    return zip(*fitted, strict=True)


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
