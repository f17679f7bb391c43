"""When did a schedule run in the last weeks, day by day, and what came of it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo

from cronlite.documents.outlines import Outline
from cronlite.web.charts.svg import Chart, box, drawn, group, path
from cronlite.web.templating import BAD, GOOD, REST, WORK, look

DAYS = 28
_MINUTES, _ROW = 1440.0, 10.0
_LEAST = 9.0  # minutes that a square is wide, however short its run
# What went wrong is taller, and what did not run is a line, for those who see no colours.
_HEIGHTS = {GOOD: (2.0, 6.0), BAD: (0.5, 9.0), WORK: (2.0, 6.0), REST: (6.0, 2.0)}
_WORDS = ((GOOD, "succeeded"), (BAD, "went wrong"), (WORK, "at work"), (REST, "not run"))


def calendar(outlines: Sequence[Outline], zone: tzinfo, now: datetime) -> Chart | None:
    """Draw a square a run, its length by how long the run took: a row a day on the clock of `zone`, today's the first.

    None without a run in those weeks.
    """
    today = now.astimezone(zone).date()
    by_day: dict[date, list[Outline]] = {}
    for one in outlines:
        day = one.due_at.astimezone(zone).date()
        if today - timedelta(days=DAYS) < day <= today + timedelta(days=1):
            by_day.setdefault(day, []).append(one)
    if not by_day:
        return None
    days = [max(by_day) - timedelta(days=n) for n in range((max(by_day) - min(by_day)).days + 1)]
    counts = {day: Counter(look(one.state) for one in by_day.get(day, ())) for day in days}
    total = sum(counts.values(), Counter[str]())
    said = ", ".join(f"{total[kind]:,} {word}" for kind, word in _WORDS if total[kind])
    told = f"{total.total():,} runs on {len(days)} days: {said}."
    parts = []
    for place, day in enumerate(days):
        steps: dict[str, list[str]] = {kind: [] for kind in _HEIGHTS}
        for one in by_day.get(day, ()):
            steps[look(one.state)].append(_square(one, zone, place * _ROW))
        said = ", ".join(f"{counts[day][kind]:,} {word}" for kind, word in _WORDS if counts[day][kind])
        row = path("row", [box(0, place * _ROW + 4.5, _MINUTES, 1)])
        parts.append(group(f"{day:%a %d %b}: {said or 'no run'}", [row, *(path(kind, steps[kind]) for kind in steps)]))
    title = "Its last runs, day by day"
    return Chart(
        name="calendar",
        title=title,
        told=told,
        drawing=drawn("calendar", _MINUTES, len(days) * _ROW, title, told, parts, pixels=18 * len(days)),
        axis=("00:00", "06:00", "12:00", "18:00", "24:00"),
        rows=[f"{day:%a %d %b}" for day in days],
        legend=list(_WORDS),
        head=(f"Day ({zone})", "Succeeded", "Went wrong", "At work", "Not run"),
        table=[[f"{day:%a %d %b}", *(f"{counts[day][kind]:,}" for kind, _ in _WORDS)] for day in days],
    )


def _square(one: Outline, zone: tzinfo, top: float) -> str:
    shown = one.due_at.astimezone(zone)
    begin = shown.hour * 60 + shown.minute + shown.second / 60
    width = max(_LEAST, (one.seconds or 0.0) / 60)
    begin = min(begin, _MINUTES - _LEAST)
    offset, height = _HEIGHTS[look(one.state)]
    return box(begin, top + offset, min(width, _MINUTES - begin), height)
