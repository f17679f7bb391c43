"""What is going on now: what went wrong, who is at work, what waits?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cronlite.client.failing import LOOKED_BACK, not_put_right
from cronlite.documents import runs
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.ticks import Tick
from cronlite.errors import StoreError
from cronlite.store.contract import RunQuery, ScheduleQuery, Store
from cronlite.web.charted import the_strip
from cronlite.web.exchange import Answer
from cronlite.web.pages.runs import names_of
from cronlite.web.visit import Visit
from cronlite.when import clock

DAY = timedelta(days=1)
LOOKED_AT = 200
SHOWN = 20
COUNTED = 10_000
ALARMS, COUNTED_ALARMS = 5, 100
_AGES: Sequence[tuple[str, timedelta, timedelta | None]] = (
    ("under a minute", timedelta(0), timedelta(minutes=1)),
    ("1 to 10 min", timedelta(minutes=1), timedelta(minutes=10)),
    ("10 to 60 min", timedelta(minutes=10), timedelta(hours=1)),
    ("over an hour", timedelta(hours=1), None),
)


@dataclass(frozen=True, slots=True)
class Age:
    """How many runs have waited so long; `more` where counting stopped."""

    called: str
    count: int

    @property
    def more(self) -> bool:
        """Whether there are more than were counted."""
        return self.count >= COUNTED


def now(visit: Visit) -> Answer:
    """Show what is going on."""
    store, at = visit.cron.store, visit.now
    bad = not_put_right(store, RunQuery(since=at - LOOKED_BACK, limit=LOOKED_AT, brief=True))
    daemons = sorted(store.daemons(), key=lambda daemon: daemon.started_at, reverse=True)
    alive = [daemon for daemon in daemons if daemon.is_alive(at)]
    entries = store.ledger(at - DAY, at)
    queue = ages(store, at)
    open_alarms = [alarm for alarm in visit.cron.alarms.list(limit=COUNTED_ALARMS) if alarm.acked_at is None]
    ticking = any(daemon.is_ticking(at) for daemon in alive)
    return visit.page(
        "now.html",
        strip=the_strip(visit),
        bad=bad[:SHOWN],
        bad_count=len(bad),
        looked_back=LOOKED_BACK.days,
        names=names_of(visit.cron, bad[:SHOWN]),
        alive=alive,
        dead=[daemon for daemon in daemons if daemon not in alive],
        seats=sum(daemon.seats for daemon in alive),
        used=sum(daemon.running for daemon in alive),
        running=store.count_listed(RunQuery(states=[runs.RUNNING], limit=COUNTED)),
        queue=queue,
        waiting=sum(age.count for age in queue),
        strangers=_strangers(store, alive),
        alarms=open_alarms[:ALARMS],
        alarm_count=len(open_alarms),
        has_alarms=any(path == "/alarms" for path, _ in visit.nav),
        gaps=[entry for entry in entries if entry.is_gap and entry.last > at - DAY],
        next_wake=clock.next_wake(at) if ticking else None,
        last_tick=_last_tick(entries),
        is_new=not alive and not entries and next(store.schedules(ScheduleQuery(limit=1)), None) is None,
    )


def ages(store: Store, at: datetime) -> list[Age]:
    """Count the queued runs by how long ago they were queued."""
    listed = []
    for called, least, most in _AGES:
        query = RunQuery(states=[runs.QUEUED], until=at - least if least else None, limit=COUNTED)
        listed.append(Age(called, store.count_listed(replace(query, since=None if most is None else at - most))))
    return listed


def _strangers(store: Store, alive: Sequence[DaemonRecord]) -> Mapping[str, int]:
    """Count the queued runs of handlers that no daemon alive has; nothing where there is too much to count."""
    known = {name for daemon in alive for name in daemon.handlers}
    if store.count_listed(RunQuery(states=[runs.QUEUED], limit=COUNTED)) >= COUNTED:
        return {}
    try:
        counts = store.count_runs()
    except StoreError:
        return {}
    return {name: count for (state, name), count in counts.items() if state == runs.QUEUED and name not in known}


def _last_tick(entries: Sequence[Tick]) -> datetime | None:
    return max((entry.done_at for entry in entries if entry.done_at is not None), default=None)
