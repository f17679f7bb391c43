"""How long do the runs of a schedule take, and is that changing?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from cronlite.documents.outlines import Outline
from cronlite.web.charts.svg import Chart, dot, drawn, line, path
from cronlite.web.templating import BAD, GOOD, look
from cronlite.wording.instants import span

_WIDTH, _HEIGHT, _EDGE = 960.0, 200.0, 6.0
_GROUPS = 20
_FEWEST = 5  # runs of a group: the 95th of a hundred means little among three
_SPREAD = 30.0


class Took(NamedTuple):
    """How long some runs took, one after the other: from when to when, the median, and what 95 of 100 keep below."""

    first: datetime
    last: datetime
    runs: int
    p50: float
    p95: float


def percentile(seconds: Sequence[float], of_hundred: int) -> float:
    """Return the least value that so many of a hundred do not exceed (nearest rank)."""
    ordered = sorted(seconds)
    return ordered[max(0, math.ceil(len(ordered) * of_hundred / 100) - 1)]


def took(outlines: Sequence[Outline]) -> list[Took]:
    """Cut the runs that were timed into groups of equally many, the oldest first, and measure each."""
    timed = sorted(
        (outline for outline in outlines if outline.seconds is not None),
        key=lambda outline: (outline.due_at, outline.id),
    )
    groups = max(1, min(_GROUPS, len(timed) // _FEWEST))
    cuts = [len(timed) * place // groups for place in range(groups + 1)]
    taken = []
    for begin, end in pairwise(cuts):
        if part := timed[begin:end]:
            seconds = [outline.seconds or 0.0 for outline in part]
            taken.append(
                Took(part[0].due_at, part[-1].due_at, len(part), percentile(seconds, 50), percentile(seconds, 95))
            )
    return taken


def durations(outlines: Sequence[Outline]) -> Chart | None:
    """Draw each run that was timed as a dot, and the lines of p50 and p95; None without such a run."""
    timed = [outline for outline in outlines if outline.seconds is not None]
    if not timed:
        return None
    seconds = [outline.seconds or 0.0 for outline in timed]
    p50, p95, most = _span(percentile(seconds, 50)), _span(percentile(seconds, 95)), _span(max(seconds))
    sheet, groups = _Sheet.of(timed), took(timed)
    dots = {
        is_bad: [sheet.dot(outline) for outline in timed if (look(outline.state) == BAD) == is_bad]
        for is_bad in (False, True)
    }
    parts = [path("dot good", dots[False]), path("dot bad", dots[True])]
    parts.append(path("line p95", [sheet.line([(at, each.p95) for each in groups for at in each[:2]])]))
    parts.append(path("line p50", [sheet.line([(at, each.p50) for each in groups for at in each[:2]])]))
    first, last = f"{sheet.first:%d %b %H:%M}", f"{sheet.last:%d %b %H:%M}"
    summary = f"{len(timed):,} runs from {first} to {last} UTC: half took up to {p50}, 95 of 100 up to {p95}"
    summary, title = f"{summary}, the longest {most}.", "How long it takes"
    return Chart(
        name="durations",
        title=title,
        summary=summary,
        drawing=drawn("durations", _WIDTH, _HEIGHT, title, summary, parts),
        axis=(first, last),
        scale=f"up to {most}{', on a logarithmic scale' if sheet.low else ''}",
        legend=[("p50", f"p50 {p50}"), ("p95", f"p95 {p95}"), (GOOD, "a run"), (BAD, "one that went wrong")],
        head=("From (UTC)", "To", "Runs", "p50", "p95"),
        table=[
            [
                f"{each.first:%d %b %H:%M}",
                f"{each.last:%d %b %H:%M}",
                f"{each.runs:,}",
                _span(each.p50),
                _span(each.p95),
            ]
            for each in groups
        ],
    )


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if 1 <= seconds < 10 else span(seconds)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Where an instant and a length of time are on the drawing; `low` is the least length on a logarithmic scale."""

    first: datetime
    last: datetime
    most: float
    low: float | None

    @classmethod
    def of(cls, timed: Sequence[Outline]) -> _Sheet:
        seconds = [outline.seconds or 0.0 for outline in timed]
        most, typical = max(seconds), percentile(seconds, 50)
        low = max(min(seconds), most / 10_000) if most > _SPREAD * max(typical, 0.001) else None
        return cls(min(outline.due_at for outline in timed), max(outline.due_at for outline in timed), most, low)

    def dot(self, outline: Outline) -> str:
        return dot(self._x(outline.due_at), self._y(outline.seconds or 0.0))

    def line(self, points: Sequence[tuple[datetime, float]]) -> str:
        return line((self._x(at), self._y(value)) for at, value in points)

    def _x(self, at: datetime) -> float:
        share = (at - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return _EDGE + share * (_WIDTH - 2 * _EDGE)

    def _y(self, value: float) -> float:
        share = value / self.most if self.most else 0.0
        if self.low:
            share = math.log(max(value, self.low) / self.low) / math.log(self.most / self.low)
        return _HEIGHT - _EDGE - share * (_HEIGHT - 2 * _EDGE)
