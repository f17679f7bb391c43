"""Which numbers do the charts of a page show, and how old may they be?"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from cronlite.client.ahead import Ahead, look_ahead
from cronlite.client.app import Cronlite
from cronlite.documents.schedules import Schedule
from cronlite.documents.ticks import Tick
from cronlite.errors import StoreTooSlow
from cronlite.store.contract import RunQuery
from cronlite.web.charts import Chart, calendar, durations, strip
from cronlite.web.charts.strip import STEP, STEPS
from cronlite.web.visit import Visit
from cronlite.when.clock import MINUTE, floor_minute

DAY = 24 * 60
WEEK = 7 * DAY
AGE = timedelta(seconds=10)
"""How old the load ahead may be: all pages, and all who look at them, share it."""
MOST_RUNS = 1_000
_Kept = WeakKeyDictionary[Cronlite, tuple[datetime, Ahead]]


class Forecasts:
    """The load of the coming week, of each Cronlite that a page was asked about, counted once for all."""

    def __init__(self) -> None:
        self._kept: _Kept = WeakKeyDictionary()
        self._lock = threading.Lock()

    def forget(self, cron: Cronlite) -> None:
        """Count anew the next time."""
        with self._lock:
            self._kept.pop(cron, None)

    def of(self, visit: Visit, minutes: int) -> Ahead:
        """Return the load from the hour of the visit on, of at least so many minutes. Raises StoreTooSlow."""
        with self._lock:  # whoever comes meanwhile gets the same
            made_at, ahead = self._kept.get(visit.cron, (None, None))
            is_old = made_at is None or not timedelta(0) <= visit.now - made_at < AGE
            if ahead is None or is_old or len(ahead.runs) < minutes + 60:
                first = visit.now.replace(minute=0, second=0, microsecond=0)
                ahead = look_ahead(visit.cron.store, first, minutes + 60)
                self._kept[visit.cron] = visit.now, ahead
            return ahead


forecasts = Forecasts()


def the_strip(visit: Visit) -> Chart | None:
    """Draw the last 24 hours and the next; None where the store cannot count them in time."""
    now = floor_minute(visit.now) + MINUTE
    since = now - STEPS * STEP
    try:
        tally = visit.cron.store.tally(since, now, STEP)
        ahead = forecasts.of(visit, DAY)
    except StoreTooSlow:
        return None
    skipped = (now - ahead.first) // MINUTE
    return strip(now, tally, _gaps(visit, since, now), ahead.runs[skipped : skipped + STEPS * 15])


def of_schedule(visit: Visit, schedule: Schedule) -> Sequence[Chart]:
    """Draw when a schedule ran of late, and how long that took."""
    found = visit.cron.store.outlines(RunQuery(schedule=schedule.id, limit=MOST_RUNS))
    charts = calendar(found, schedule.timetable.zone, visit.now), durations(found)
    return [chart for chart in charts if chart is not None]


def _gaps(visit: Visit, since: datetime, now: datetime) -> list[Tick]:
    return [entry for entry in visit.cron.store.ledger(since, now) if entry.is_gap and entry.last >= since]
