"""What came of the last 24 hours, and what is due in the next: one strip, its middle is now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

from cronlite.documents.ticks import Tick
from cronlite.web.charts.svg import Chart, box, dot, drawn, group, path
from cronlite.web.templating import BAD, GOOD, REST, WORK, look
from cronlite.when.clock import MINUTE
from cronlite.wording.numbers import counted

STEP = timedelta(minutes=15)
STEPS = 96
_HOUR = 4  # steps
_HEIGHT, _FOOT = 100.0, 10.0
_STACK = (GOOD, REST, WORK, BAD)  # from the bottom to the top
_LEAST = 2.0  # of what there is, however little


def strip(now: datetime, tally: Mapping[tuple[int, str], int], gaps: Sequence[Tick], ahead: Sequence[int]) -> Chart:
    """Draw the outcomes of the runs queued in each quarter of an hour since a day before `now`, and the load ahead.

    `tally` counts them by the number of the step and their state; `ahead` counts what is due in each minute from `now`
    on. In a gap no daemon ticked.
    """
    behind = [Counter[str]() for _ in range(STEPS)]
    for (step, state), count in tally.items():
        if 0 <= step < STEPS:
            behind[step][look(state)] += count
    coming = [sum(ahead[place * 15 : place * 15 + 15]) for place in range(STEPS)]
    most = max([sum(counts.values()) for counts in behind] + coming, default=0)
    bad, done = sum(counts[BAD] for counts in behind), sum(map(Counter.total, behind))
    ran = f"{counted(done, 'run', thousands=',')} in the last 24 hours, of which {bad:,} went wrong"
    summary = f"{ran}; {sum(coming):,} due in the next 24."
    if gaps:
        summary += f" In {counted(len(gaps), 'stretch', 'stretches', thousands=',')} no daemon ticked."
    begin = now - STEPS * STEP
    parts = [*_gaps(begin, now, gaps), *_behind(behind, most), *_ahead(coming, most), *_titles(begin, behind, coming)]
    parts.append(path("now", [f"M{STEPS} 0v{_HEIGHT + _FOOT:g}"]))
    title = "The last 24 hours and the next"
    return Chart(
        name="strip",
        title=title,
        summary=summary,
        drawing=drawn("strip", 2 * STEPS, _HEIGHT + _FOOT, title, summary, parts),
        axis=("24 h ago", "18 h", "12 h", "6 h", "now", "6 h", "12 h", "18 h", "in 24 h"),
        scale=f"up to {most:,} in 15 min" if most else "",
        legend=[(GOOD, "succeeded"), (BAD, "went wrong"), (WORK, "at work"), (REST, "not run"), ("ahead", "due")]
        + ([("gap", "no daemon ticked")] if gaps else []),
        head=("Hour (UTC)", "Succeeded", "Went wrong", "At work", "Not run", "Due"),
        table=[*_hours(begin, behind), *_hours_ahead(now, coming)],
    )


def _behind(behind: Sequence[Counter[str]], most: int) -> Iterator[Markup]:
    steps: dict[str, list[str]] = {kind: [] for kind in _STACK}
    for place, counts in enumerate(behind):
        top = _HEIGHT
        for kind in _STACK:
            if counts[kind]:
                height = max(_LEAST, counts[kind] / most * (_HEIGHT - 2 * _LEAST))
                top -= height
                steps[kind].append(box(place + 0.1, top, 0.8, height))
    yield from (path(kind, steps[kind]) for kind in _STACK)
    # Below the bars once more: what went wrong is few, and must be seen by those, too, who see no colours.
    yield path("dot bad", [dot(place + 0.5, _HEIGHT + _FOOT / 2) for place, counts in enumerate(behind) if counts[BAD]])


def _ahead(coming: Sequence[int], most: int) -> Iterator[Markup]:
    heights = [max(_LEAST, count / most * (_HEIGHT - 2 * _LEAST)) if count else 0 for count in coming]
    yield path(
        "ahead",
        [box(STEPS + place + 0.1, _HEIGHT - height, 0.8, height) for place, height in enumerate(heights) if height],
    )


def _gaps(begin: datetime, now: datetime, gaps: Sequence[Tick]) -> Iterator[Markup]:
    for gap in gaps:
        first, last = max(gap.first, begin), min(gap.last + MINUTE, now)
        if first < last:
            minutes = (gap.last - gap.first) // MINUTE + 1
            length = counted(minutes, "minute", thousands=",")
            title = f"{gap.first:%H:%M} to {gap.last:%H:%M} UTC: no daemon ticked in {length}"
            yield path("gap", [box((first - begin) / STEP, 0, max((last - first) / STEP, 0.3), _HEIGHT)], title)


def _titles(begin: datetime, behind: Sequence[Counter[str]], coming: Sequence[int]) -> Iterator[Markup]:
    """Say of each hour what it holds, where the pointer rests."""
    for place in range(0, 2 * STEPS, _HOUR):
        first = begin + place * STEP
        if place < STEPS:
            counts = sum(behind[place : place + _HOUR], Counter[str]())
            words = ", ".join(f"{counts[kind]:,} {word}" for kind, word in _WORDS if counts[kind]) or "nothing ran"
        else:
            words = f"{sum(coming[place - STEPS : place - STEPS + _HOUR]):,} due"
        yield group(
            f"{first:%H:%M} to {first + _HOUR * STEP:%H:%M} UTC: {words}",
            [path("hit", [box(place, 0, _HOUR, _HEIGHT + _FOOT)])],
        )


_WORDS = ((GOOD, "succeeded"), (BAD, "went wrong"), (WORK, "at work"), (REST, "not run"))


def _hours(begin: datetime, behind: Sequence[Counter[str]]) -> Iterator[list[str]]:
    for place in range(0, STEPS, _HOUR):
        counts = sum(behind[place : place + _HOUR], Counter[str]())
        yield [f"{begin + place * STEP:%a %H:%M}", *(f"{counts[kind]:,}" for kind, _ in _WORDS), ""]


def _hours_ahead(now: datetime, coming: Sequence[int]) -> Iterator[list[str]]:
    for place in range(0, STEPS, _HOUR):
        yield [f"{now + place * STEP:%a %H:%M}", "", "", "", "", f"{sum(coming[place : place + _HOUR]):,}"]
