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
from cronlite.errors import CronliteError, StoreTooSlow
from cronlite.logger import logger
from cronlite.store.contract import RunQuery
from cronlite.web.charts import Chart, calendar, durations, strip
from cronlite.web.charts.strip import STEP, STEPS
from cronlite.web.visit import Visit
from cronlite.when.clock import MINUTE, floor_minute

log = logger("cronlite.web")

DAY = 24 * 60
WEEK = 7 * DAY
FRESH = timedelta(seconds=10)
"""How old the load ahead may be before it is counted anew, beside the pages that show it meanwhile."""
STALE = timedelta(minutes=10)
"""How old it may be to be shown at all: all pages, and all who look at them, share it."""
MOST_RUNS = 500
_SPARE = 60 + STALE // MINUTE  # it begins with an hour


class Forecasts:
    """The load ahead of each Cronlite that a page was asked about, counted once for all: by whoever asks first, and
    from then on in a thread of its own.
    """

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Cronlite, tuple[datetime, Ahead]] = WeakKeyDictionary()
        self._counting = threading.Lock()

    def forget(self, cron: Cronlite) -> None:
        """Count anew the next time."""
        self._kept.pop(cron, None)

    def of(self, visit: Visit, minutes: int) -> Ahead:
        """Return the load of at least so many minutes, from this hour on or the last. Raises StoreTooSlow."""
        cron, now = visit.cron, visit.now
        if kept := self._known(cron, now, minutes):
            if now - kept[0] >= FRESH and self._counting.acquire(blocking=False):
                asked = cron, now, len(kept[1].runs)
                threading.Thread(target=self._count_beside, args=asked, name="cronlite-ahead", daemon=True).start()
            return kept[1]
        with self._counting:  # whoever comes meanwhile gets the same
            kept = self._known(cron, now, minutes)
            return kept[1] if kept else self._count(cron, now, minutes + _SPARE)

    def _known(self, cron: Cronlite, now: datetime, minutes: int) -> tuple[datetime, Ahead] | None:
        kept = self._kept.get(cron)
        fits = kept and len(kept[1].runs) >= minutes + _SPARE and timedelta(0) <= now - kept[0] < STALE
        return kept if fits else None

    def _count(self, cron: Cronlite, now: datetime, minutes: int) -> Ahead:
        ahead = look_ahead(cron.store, now.replace(minute=0, second=0, microsecond=0), minutes)
        self._kept[cron] = now, ahead
        return ahead

    def _count_beside(self, cron: Cronlite, now: datetime, minutes: int) -> None:
        try:
            self._count(cron, now, minutes)
        except CronliteError as refused:
            log.warning("the load ahead is not counted anew: %s", refused)
        finally:
            self._counting.release()


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
    outlines = visit.cron.store.outlines(RunQuery(schedule=schedule.id, limit=MOST_RUNS))
    charts = calendar(outlines, schedule.timetable.zone, visit.now), durations(outlines)
    return [chart for chart in charts if chart is not None]


def _gaps(visit: Visit, since: datetime, now: datetime) -> list[Tick]:
    return [entry for entry in visit.cron.store.ledger(since, now) if entry.is_gap and entry.last >= since]
