"""Which runs are made of a schedule, and of a run that is made once more?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cronlite.documents import transitions
from cronlite.documents.freezes import Freeze
from cronlite.documents.runs import RETRYING, Run
from cronlite.documents.schedules import Schedule
from cronlite.when import clock
from cronlite.when.clock import whole_milliseconds

SOON = timedelta(seconds=3)
_POLICIES = ("user", "handler", "params", "queue", "limit", "priority", "overlap", "ping_url", *RETRYING)


def scheduled_id(schedule: str, tick: datetime, *, by_the_second: bool = False) -> str:
    """Name the one run of a schedule at a tick; the store's refusal of a second is the once-only guarantee."""
    return f"{schedule}@{_stamp(tick, by_the_second)}"


@lru_cache(maxsize=64)
def _stamp(tick: datetime, by_the_second: bool) -> str:
    return f"{tick:%Y-%m-%dT%H:%M:%SZ}" if by_the_second else f"{tick:%Y-%m-%dT%H:%MZ}"


def of_schedule(schedule: Schedule, tick: datetime, now: datetime) -> Run:
    """Make the run of a schedule at a tick, with copies of all that it needs."""
    return Run(
        id=scheduled_id(schedule.id, tick, by_the_second=schedule.timetable.by_the_second),
        schedule=schedule.id,
        lane=None if schedule.overlap == "allow" else schedule.id,
        due_at=tick,
        run_at=now,
        queued_at=now,
        deadline_at=None
        if schedule.deadline_seconds is None
        else whole_milliseconds(tick + timedelta(seconds=schedule.deadline_seconds)),
        late_at=None
        if schedule.late_after_seconds is None
        else whole_milliseconds(tick + timedelta(seconds=schedule.late_after_seconds)),
        ping_url=schedule.ping_url,
        # Written out, because a loop over the names takes half as long again.
        user=schedule.user,
        handler=schedule.handler,
        params=schedule.params,
        queue=schedule.queue,
        limit=schedule.limit,
        priority=schedule.priority,
        overlap=schedule.overlap,
        retries=schedule.retries,
        retry_delay_seconds=schedule.retry_delay_seconds,
        timeout_seconds=schedule.timeout_seconds,
        on_crash=schedule.on_crash,
    )


def of_minute(schedule: Schedule, tick: datetime, now: datetime) -> Iterator[Run]:
    """Make the run of a schedule at a tick, or, below a minute, one for each instant of the minute.

    Each of the latter starts at its instant, and the next instant is its deadline: one that its lane or a late tick
    holds up for longer ends as missed. The deadline is never shorter than `SOON`: a tick comes a second late, and the
    first run of each minute would miss it.
    """
    if not schedule.timetable.by_the_second:
        yield of_schedule(schedule, tick, now)
        return
    instants = list(schedule.instants(tick))
    step = clock.MINUTE / sum(1 for _ in schedule.timetable.instants(tick))
    for instant in instants:
        run = of_schedule(schedule, instant, now)
        run.run_at, run.ahead = instant, True
        run.deadline_at = min(filter(None, (run.deadline_at, instant + max(step, SOON))))
        yield run


def again(run: Run, id_: str, now: datetime, head_start: timedelta) -> Run:
    """Make a new run of a finished one, to start at once."""
    copied: dict[str, Any] = {name: getattr(run, name) for name in _POLICIES}
    return Run(
        id=id_,
        schedule=run.schedule,
        lane=run.lane,
        retry_of=run.id,
        due_at=now,
        queued_at=now,
        run_at=now - head_start,
        **copied,
    )


def backfilled(schedule: Schedule, instant: datetime, now: datetime, backfill: str, lane: str) -> Run:
    """Make the run that makes up for an instant of the past; it waits for its turn in a lane, and no deadline holds."""
    run = of_schedule(schedule, instant, now)
    run.backfill, run.lane, run.overlap = backfill, lane, "wait"
    run.run_at = run.deadline_at = run.late_at = None
    return run


def frozen(schedule: Schedule, instant: datetime, now: datetime, by: Freeze) -> Run:
    """Make the record of what a schedule was due for while a freeze held it back."""
    run = of_schedule(schedule, instant, now)
    transitions.skip(run, by.told(), now)
    run.freeze, run.late_at = by.id, None
    return run
