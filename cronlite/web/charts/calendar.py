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
    for outline in outlines:
        day = outline.due_at.astimezone(zone).date()
        if today - timedelta(days=DAYS) < day <= today + timedelta(days=1):
            by_day.setdefault(day, []).append(outline)
    if not by_day:
        return None
    days = [max(by_day) - timedelta(days=n) for n in range((max(by_day) - min(by_day)).days + 1)]
    counts = {day: Counter(look(outline.state) for outline in by_day.get(day, ())) for day in days}
    total = sum(counts.values(), Counter[str]())
    words = ", ".join(f"{total[kind]:,} {word}" for kind, word in _WORDS if total[kind])
    summary = f"{total.total():,} runs on {len(days)} days: {words}."
    parts = []
    for place, day in enumerate(days):
        steps: dict[str, list[str]] = {kind: [] for kind in _HEIGHTS}
        for outline in by_day.get(day, ()):
            steps[look(outline.state)].append(_square(outline, zone, place * _ROW))
        words = ", ".join(f"{counts[day][kind]:,} {word}" for kind, word in _WORDS if counts[day][kind])
        row = path("row", [box(0, place * _ROW + 4.5, _MINUTES, 1)])
        parts.append(group(f"{day:%a %d %b}: {words or 'no run'}", [row, *(path(kind, steps[kind]) for kind in steps)]))
    title = "Its last runs, day by day"
    return Chart(
        name="calendar",
        title=title,
        summary=summary,
        drawing=drawn("calendar", _MINUTES, len(days) * _ROW, title, summary, parts, pixels=18 * len(days)),
        axis=("00:00", "06:00", "12:00", "18:00", "24:00"),
        rows=[f"{day:%a %d %b}" for day in days],
        legend=list(_WORDS),
        head=(f"Day ({zone})", "Succeeded", "Went wrong", "At work", "Not run"),
        table=[[f"{day:%a %d %b}", *(f"{counts[day][kind]:,}" for kind, _ in _WORDS)] for day in days],
    )


def _square(outline: Outline, zone: tzinfo, top: float) -> str:
    shown = outline.due_at.astimezone(zone)
    begin = shown.hour * 60 + shown.minute + shown.second / 60
    width = max(_LEAST, (outline.seconds or 0.0) / 60)
    begin = min(begin, _MINUTES - _LEAST)
    offset, height = _HEIGHTS[look(outline.state)]
    return box(begin, top + offset, min(width, _MINUTES - begin), height)
