"""Which due minutes have no run that has begun, though it should have long since?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronlite.daemon import due
from cronlite.documents import new_runs, runs, schedules
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.freezes import Frozen
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Schedule
from cronlite.documents.ticks import Tick
from cronlite.errors import InvalidInput
from cronlite.store.contract import Store
from cronlite.when.clock import MINUTE, floor_minute

MOST = 1_000
LOOKED_BACK = timedelta(days=1)
LEAST = timedelta(seconds=10)
"""How late a minute has to be before it counts as not ticked: a tick takes its time."""
UNDONE = timedelta(seconds=30)
"""How long a claimed minute has to be undone: to read what is due in it takes its tick's time, and slows that down."""
BUDGET_SECONDS = 5.0
BEATS_PER_SILENCE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A schedule whose run for an instant should have begun, and what stands in the way."""

    schedule: str
    due_at: datetime
    why: str
    user: str = ""
    handler: str
    run: str | None = None


class Overdues:
    """Finds what is overdue in a store, and remembers what it has read of minutes that nobody ticked.

    `late_after_seconds` is for schedules that do not say so themselves; None leaves them out.
    """

    def __init__(self, store: Store, late_after_seconds: float | None = None) -> None:
        self._store, self._default = store, late_after_seconds
        self._unticked: dict[datetime, list[Schedule]] = {}
        self.is_complete = True
        """Whether the last look found room and time for all."""

    def find(self, now: datetime, daemons: Iterable[DaemonRecord], entries: Iterable[Tick]) -> list[Overdue]:
        """List what is overdue, one for each schedule, the longest late first."""
        self.is_complete = True
        known = {daemon.id: daemon for daemon in daemons}
        late = [*self._never_ticked(now, list(entries)), *self._not_begun(now, known)]
        first: dict[str, Overdue] = {}
        for overdue in sorted(late, key=lambda overdue: overdue.due_at):
            first.setdefault(overdue.schedule, overdue)
        return list(first.values())

    def _not_begun(self, now: datetime, daemons: Mapping[str, DaemonRecord]) -> Iterator[Overdue]:
        late = self._store.late_runs(now, MOST)
        self.is_complete &= len(late) < MOST
        for run in late:
            why = _why(run, daemons, now)
            if run.schedule is not None and why:
                yield Overdue(
                    schedule=run.schedule, due_at=run.due_at, why=why, user=run.user, handler=run.handler, run=run.id
                )

    def _never_ticked(self, now: datetime, entries: list[Tick]) -> Iterator[Overdue]:
        minutes = unticked(entries, now)
        self._read(minutes)
        last = max((entry.done_at for entry in entries if entry.done_at), default=None)
        why = f"no daemon has ticked since {last:%Y-%m-%d %H:%M:%S}Z" if last else "no daemon has ticked"
        yielded: set[str] = set()
        for minute in minutes:
            for schedule in self._unticked.get(minute, ()):
                limit = self._limit(schedule)
                if schedule.id in yielded or limit is None or now < minute + max(limit, LEAST):
                    continue
                if not self._has_run(schedule, minute) and self._is_due_still(schedule, minute):
                    yielded.add(schedule.id)
                    yield Overdue(
                        schedule=schedule.id, due_at=minute, why=why, user=schedule.user, handler=schedule.handler
                    )

    def _read(self, minutes: list[datetime]) -> None:
        """Read what was due in these minutes, the newest first, for as long as there is time."""
        self._unticked = {minute: self._unticked[minute] for minute in minutes if minute in self._unticked}
        until = time.monotonic() + BUDGET_SECONDS
        expressions: due.Expressions | None = None
        for minute in reversed(minutes):
            if minute in self._unticked:
                continue
            if time.monotonic() > until:
                self.is_complete = False
                return
            if expressions is None:
                expressions = due.Expressions()
                expressions.update(self._store.expressions())
            due_then = due.due(self._store, minute, None, expressions)
            self._unticked[minute] = [schedule for schedule in due_then if self._limit(schedule) is not None][:MOST]

    def _limit(self, schedule: Schedule) -> timedelta | None:
        seconds = self._default if schedule.late_after_seconds is None else schedule.late_after_seconds
        return None if seconds is None else timedelta(seconds=seconds)

    def _has_run(self, schedule: Schedule, minute: datetime) -> bool:
        instant = next(iter(schedule.instants(minute)), minute)
        try:
            return self._store.run(new_runs.of_schedule(schedule, instant, minute).id) is not None
        except InvalidInput:
            return True

    def _is_due_still(self, schedule: Schedule, minute: datetime) -> bool:
        """Tell whether the schedule, as it is by now, is due at a minute: it may have been paused or frozen since."""
        document = self._store.schedule(schedule.id)
        try:
            is_due = document is not None and schedules.read(document).is_due(minute)
        except InvalidInput:
            return False
        return is_due and Frozen(self._store.freezes(minute)).holding(minute, schedule) is None


def unticked(entries: Iterable[Tick], now: datetime) -> list[datetime]:
    """List the minutes, up to a day back, that are not done: those after all that the ledger has, and the undone ones.

    Nobody expects anything of an empty ledger.
    """
    known = [entry for entry in entries if entry.minute <= now]
    if not known:
        return []
    first = max(max(entry.last for entry in known) + MINUTE, floor_minute(now - LOOKED_BACK))
    begun = [entry for entry in known if entry.done_at is None and not entry.is_gap]
    undone = [entry.minute for entry in begun if now - entry.claimed_at >= UNDONE]
    count = max(0, (now - LEAST - first) // MINUTE + 1)
    return [*sorted(undone), *(first + MINUTE * number for number in range(count))]


def _why(run: Run, daemons: Mapping[str, DaemonRecord], now: datetime) -> str:
    """Say why a late run has not begun; nothing for one that has."""
    if run.run_at is not None and run.run_at > now:
        return ""  # it was put off: a freeze holds it, say
    alive = [daemon for daemon in daemons.values() if daemon.is_alive(now)]
    if run.state == runs.RUNNING:
        return (
            "" if _has_begun(run, daemons.get(run.daemon or ""), now) else f"daemon {run.daemon} claimed it and hangs"
        )
    if not alive:
        return "no daemon is alive"
    if not any(run.handler in daemon.handlers for daemon in alive):
        return f"no daemon alive has the handler {run.handler}"
    if run.run_at is None:
        return "it waits for an earlier run of its schedule"
    if run.limit is not None:
        return f"it is queued and has not begun: the limit {run.limit} may be full"
    if not any(daemon.queues is None or run.queue in daemon.queues for daemon in alive):
        return f"no daemon alive serves the queue {run.queue}"
    return "it is queued and has not begun: all seats are taken, or whoever should claim it does not"


def _has_begun(run: Run, daemon: DaemonRecord | None, now: datetime) -> bool:
    """Tell whether a claimed run's handler was called, as far as others can: what lives on after a claim calls it."""
    if run.attempt > 1 or run.started_at is None or (daemon is not None and daemon.is_alive(now)):
        return True
    if daemon is None or daemon.seen_at is None:
        return False
    return daemon.seen_at - run.started_at > timedelta(seconds=daemon.silence / BEATS_PER_SILENCE)
