"""What is to come: when in the next day and week does most come due, and which schedules make that?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice

from cronlite.client.ahead import Ahead
from cronlite.daemon.due import due
from cronlite.documents.schedules import Schedule
from cronlite.errors import Fault, InvalidInput
from cronlite.web.charted import DAY, WEEK, forecasts
from cronlite.web.charts import day_heat, week_heat
from cronlite.web.exchange import Answer
from cronlite.web.visit import Visit
from cronlite.when.clock import MINUTE, floor_minute
from cronlite.wording.spoken import spoken

WORST, MAKERS, LISTED = 5, 3, 100


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute, how many runs it makes, and what most of them are made by: how many schedules, and when they are due"""

    tick: datetime
    runs: int
    makers: Sequence[tuple[int, str]]


def ahead(visit: Visit) -> Answer:
    """Show the heat maps, the worst minutes, and, for a minute that is asked for, the schedules that are due then."""
    seen = forecasts.of(visit, WEEK)
    asked = _tick(visit)
    listed = [] if asked is None else list(islice(due(visit.cron.store, asked), LISTED + 1))
    return visit.page(
        "ahead.html",
        charts=[day_heat(seen.first, seen.runs[:DAY]), week_heat(seen.first, seen.runs[:WEEK])]
        if any(seen.runs)
        else [],
        worst=[_minute(seen, *each) for each in _still_to_come(seen, floor_minute(visit.now)).worst(WORST)],
        asked=asked,
        at=visit.asked("at"),
        listed=listed[:LISTED],
        more=len(listed) > LISTED,
        whole=seen.is_whole,
        frozen=len(visit.cron.freezes.list()),
    )


def _still_to_come(seen: Ahead, now: datetime) -> Ahead:
    """Leave out what is past by now, and what is more than a day away."""
    past = (now - seen.first) // MINUTE + 1
    return Ahead(seen.tick(past), seen.runs[past : past + DAY], seen.kinds, seen.is_whole)


def _minute(seen: Ahead, tick: datetime, runs: int) -> Minute:
    return Minute(tick, runs, [(kind.schedules, told(kind.example)) for kind in seen.makers(tick, MAKERS)])


def told(schedule: Schedule) -> str:
    """Say when a schedule is due: in words, where they are not too many."""
    words = schedule.describe()
    return words[0].upper() + words[1:]


def _tick(visit: Visit) -> datetime | None:
    """Read the minute that was asked for; one without a zone is in UTC."""
    if not (typed := visit.asked("at")):
        return None
    try:
        return floor_minute(spoken(typed).coming(visit.now, timezone.utc))
    except ValueError as refused:
        raise InvalidInput(Fault("at", typed, str(refused), "give a time such as 02:30 or 2026-11-21 02:30")) from None
