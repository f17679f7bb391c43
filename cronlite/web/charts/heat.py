"""In which minutes does most come due?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from markupsafe import Markup

from cronlite.web.charts.svg import Chart, box, drawn, group, path
from cronlite.when.clock import MINUTE
from cronlite.wording.numbers import counted

LEVELS = 6
_HOUR = timedelta(hours=1)


def level(count: int, most: int) -> int:
    """Return which of six shades a count has, 0 for nothing: by its logarithm, or all but the worst would be pale."""
    if count <= 0:
        return 0
    if most <= 1:
        return 1
    return 1 + min(LEVELS - 1, int(LEVELS * math.log(count) / math.log(most)))


def day_heat(first: datetime, runs: Sequence[int]) -> Chart:
    """Draw a day by the minute: a row an hour from `first` on, which is on the hour; `runs` counts each minute."""
    most = max(runs, default=0)
    rows = [list(runs[place : place + 60]) for place in range(0, len(runs), 60)]
    hours = [first + place * _HOUR for place in range(len(rows))]
    worst = first + list(runs).index(most) * MINUTE if most else None
    summary = f"{_due(sum(runs))} in {len(rows)} hours."
    summary += f" The worst minute is {worst:%H:%M} UTC with {most:,}." if worst else ""
    title = "The coming day, minute by minute"
    return Chart(
        name="day",
        title=title,
        summary=summary,
        drawing=drawn("day", 60, len(rows), title, summary, _rows(rows, list(map(_of_hour, hours, rows)))),
        axis=(":00", ":15", ":30", ":45", ":59"),
        rows=[f"{hour:%H}" for hour in hours],
        legend=_legend(most, "a minute"),
        head=("Hour (UTC)", "Runs", "Most in a minute", "At"),
        table=[
            [f"{hour:%a %H:%M}", f"{sum(row):,}", f"{max(row):,}", f"{hour + row.index(max(row)) * MINUTE:%H:%M}"]
            for hour, row in zip(hours, rows, strict=True)
        ],
    )


def week_heat(first: datetime, runs: Sequence[int]) -> Chart:
    """Draw a week by the hour: a row a day, and of each hour the most that is due in one of its minutes."""
    hours = [list(runs[place : place + 60]) for place in range(0, len(runs), 60)]
    days: dict[datetime, list[int]] = {}
    totals: dict[datetime, int] = {}
    for place, minutes in enumerate(hours):
        at = first + place * _HOUR
        midnight = at.replace(hour=0)
        days.setdefault(midnight, [0] * 24)[at.hour] = max(minutes)
        totals[midnight] = totals.get(midnight, 0) + sum(minutes)
    most = max(runs, default=0)
    summary = f"{_due(sum(runs))} in {len(hours)} hours, at most {most:,} in one minute."
    title = "The coming week, hour by hour"
    rows = list(days.values())
    titles = [f"{day:%a %d %b}: {totals[day]:,} runs, at most {max(row):,} in a minute" for day, row in days.items()]
    return Chart(
        name="week",
        title=title,
        summary=summary,
        drawing=drawn("week", 24, len(rows), title, summary, _rows(rows, titles)),
        axis=("00", "06", "12", "18", "23"),
        rows=[f"{day:%a %d}" for day in days],
        legend=_legend(most, "in the worst minute of an hour"),
        head=("Day (UTC)", "Runs", "Most in a minute", "In the hour from"),
        table=[
            [f"{day:%a %d %b}", f"{totals[day]:,}", f"{max(row):,}", f"{row.index(max(row)):02}:00"]
            for day, row in days.items()
        ],
    )


def _due(count: int) -> str:
    return f"{counted(count, 'run is', 'runs are', thousands=',')} due"


def _rows(rows: Sequence[Sequence[int]], titles: Sequence[str]) -> Iterator[Markup]:
    most = max(map(max, rows), default=0)
    for y, (row, title) in enumerate(zip(rows, titles, strict=True)):
        boxes: dict[int, list[str]] = {}
        x = 0
        for shade, cells in groupby(row, lambda count: level(count, most)):
            width = len(list(cells))
            boxes.setdefault(shade, []).append(box(x, y + 0.06, width, 0.88))
            x += width
        yield group(title, [path(f"heat heat-{shade}", boxes[shade]) for shade in sorted(boxes)])


def _of_hour(hour: datetime, row: Sequence[int]) -> str:
    worst = max(row)
    most = f", at most {worst:,} at {hour + row.index(worst) * MINUTE:%H:%M}" if worst else ""
    return f"{hour:%H:%M} to {hour + _HOUR:%H:%M} UTC: {sum(row):,} runs{most}"


def _legend(most: int, what: str) -> list[tuple[str, str]]:
    """Say from which count on each shade is used, where it is used at all."""
    edges = {1, most, *(math.ceil(most ** (shade / LEVELS)) + near for shade in range(LEVELS) for near in (-1, 0, 1))}
    least: dict[int, int] = {}
    for count in sorted(edge for edge in edges if 1 <= edge <= most):
        least.setdefault(level(count, most), count)
    shades = [(f"heat-{shade}", f"{count:,} or more") for shade, count in least.items()]
    return [*shades[:-1], *((shade, f"{count} {what}") for shade, count in shades[-1:])]
