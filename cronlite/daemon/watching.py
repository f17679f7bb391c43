"""How do reasons become alarms, and how are they cleared when the reasons are gone?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from cronlite.daemon import observing
from cronlite.daemon.observing import BAD, Brokers, Called, Slow
from cronlite.daemon.overdue import LOOKED_BACK, Overdues
from cronlite.documents import alarms, checks, runs, schedules
from cronlite.documents.alarms import Alarm
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import Run
from cronlite.documents.ticks import Tick
from cronlite.errors import StoreError, StoreUnavailable, shown, visible
from cronlite.store.contract import AlarmQuery, RunQuery, Store

EVENT_KEPT = timedelta(days=1)
THOROUGH = timedelta(minutes=5)
OVERLAP = timedelta(minutes=1)
"""How much of the time is looked at twice: an outcome is in the store a moment after its end."""
LOOKED_AT = 200
"""How many alarms of failures are asked after in a round; the others have their turn in the next ones."""
MOST_FAILED = 1_000


class Watch:
    """Looks at a store for all that raises or clears alarms. Whoever looks at the same time does no harm."""

    def __init__(self, store: Store, late_after_seconds: float | None = None) -> None:
        self._store = store
        self._overdues = Overdues(store, late_after_seconds)
        self._slow, self._brokers = Slow(store), Brokers()
        self._thorough_at: datetime | None = None
        self._thorough_from: datetime | None = None
        self._next = 0

    def look(self, now: datetime, since: datetime) -> None:
        """Raise and clear what there is a reason for; `since` is up to when somebody has looked before.

        What cannot be looked at, because that takes a store too long, say, keeps nothing else from being noticed: its
        error is raised in the end.
        """
        store = self._store
        entries, daemons = store.ledger(now - LOOKED_BACK, now), store.daemons()
        standing = {alarm.id: alarm for alarm in store.alarms(AlarmQuery())}
        failed = self._judge(now, standing, self._lookers(now, entries, daemons, standing))
        past = [*observing.gaps(entries, since, now), *self._silences(entries, since, now, standing)]
        store.raise_alarms(past)
        for alarm in [*self._put_right(standing), *_forgotten(standing.values(), now)]:
            store.change_alarm(alarm, {"cleared_at": now})
        if self._thorough_at is None or now - self._thorough_at >= THOROUGH:
            self._thorough_at, self._thorough_from = now, self._thorough_from or since
            self._look_thoroughly(now, self._thorough_from - OVERLAP, standing)
            self._thorough_from = now
        if failed is not None:
            raise failed

    def _judge(
        self, now: datetime, standing: dict[str, Alarm], lookers: dict[str, Callable[[], Iterable[Alarm]]]
    ) -> StoreError | None:
        """Raise and clear the alarms of some kinds, each by what finds all that there are; return what went wrong."""
        failed: StoreError | None = None
        for kind, look in lookers.items():
            try:
                reasons = {alarm.id: alarm for alarm in look()}
            except StoreUnavailable:
                raise
            except StoreError as refused:
                failed = refused
                continue
            self._store.raise_alarms([alarm for alarm in reasons.values() if alarm.id not in standing])
            if kind == alarms.OVERDUE and not self._overdues.is_complete:
                continue
            for alarm in standing.values():
                if alarm.kind == kind and alarm.id not in reasons:
                    self._store.change_alarm(alarm, {"cleared_at": now})
        return failed

    def ended(self, ended: Iterable[Run], now: datetime) -> None:
        """Raise the alarms of runs that have ended badly."""
        self._store.raise_alarms([observing.of_run(run, self._called(run.schedule), now) for run in ended])

    def set_aside(self, new: Iterable[Alarm]) -> None:
        """Raise the alarms of what cannot be read, each once, whoever notices it."""
        for alarm in new:
            standing = self._store.alarm(alarm.id)
            if standing is None or not standing.is_open:
                self._store.raise_alarms([alarm])

    def _lookers(
        self, now: datetime, entries: list[Tick], daemons: list[DaemonRecord], standing: dict[str, Alarm]
    ) -> dict[str, Callable[[], Iterable[Alarm]]]:
        """Name what finds all reasons of each kind; what counts most comes first."""
        return {
            alarms.NO_TICK: lambda: observing.silence(entries, now),
            alarms.OVERDUE: lambda: self._overdue(now, entries, daemons, standing),
            alarms.STUCK: lambda: observing.stuck(daemons, now),
            alarms.BROKER: lambda: self._brokers.look(daemons, now),
            alarms.SLOW: lambda: self._slower(now, standing),
        }

    def _overdue(
        self, now: datetime, entries: list[Tick], daemons: list[DaemonRecord], standing: dict[str, Alarm]
    ) -> Iterator[Alarm]:
        for late in self._overdues.find(now, daemons, entries):
            known = standing.get(alarms.alarm_id(alarms.OVERDUE, late.schedule))
            yield known or observing.of_overdue(late, self._called(late.schedule) or Called(late.schedule), now)

    def _slower(self, now: datetime, standing: dict[str, Alarm]) -> Iterator[Alarm]:
        for run, usual in self._slow.look(now):
            known = standing.get(alarms.alarm_id(alarms.SLOW, run.schedule or ""))
            yield known or observing.of_slow(run, usual, self._called(run.schedule) or Called(run.schedule or ""), now)

    def _silences(
        self, entries: list[Tick], since: datetime, now: datetime, standing: dict[str, Alarm]
    ) -> Iterator[Alarm]:
        """Yield the times without a tick that nobody was there to tell of while they lasted."""
        for alarm in observing.silences(entries, since, now):
            before = standing.get(alarm.id) or self._store.alarm(alarm.id)
            if before is None or before.since_at < alarm.since_at:
                yield alarm

    def _put_right(self, standing: dict[str, Alarm]) -> Iterator[Alarm]:
        """Yield the alarms of schedules that have succeeded since they failed, and of those that can be read again."""
        failed = [each for each in standing.values() if each.kind in alarms.OF_RUNS and each.schedule]
        some = (failed[self._next :] + failed[: self._next])[:LOOKED_AT]
        self._next = (self._next + LOOKED_AT) % len(failed) if len(failed) > LOOKED_AT else 0
        last = self._store.last_runs({each.schedule for each in some if each.schedule}) if some else {}
        for alarm in some:
            newest = last.get(alarm.schedule or "")
            if newest is not None and newest.id != alarm.run and self._has_succeeded(newest, alarm):
                yield alarm
        for alarm in standing.values():
            if alarm.kind == alarms.SET_ASIDE and alarm.schedule and self._is_readable(alarm.schedule):
                yield alarm

    def _has_succeeded(self, newest: Run, alarm: Alarm) -> bool:
        if newest.state == runs.SUCCEEDED:
            good: Run | None = newest
        else:
            asked = RunQuery(schedule=alarm.schedule, states=[runs.SUCCEEDED], limit=1)
            good = next(self._store.runs(asked), None)
        return good is not None and good.finished_at is not None and good.finished_at > alarm.last_at

    def _look_thoroughly(self, now: datetime, since: datetime, standing: dict[str, Alarm]) -> None:
        """Look for what a daemon died too early to tell, and for alarms whose subject is gone."""
        bad = self._store.runs(RunQuery(states=BAD, since=now - LOOKED_BACK, limit=MOST_FAILED))
        self.ended((run for run in bad if run.finished_at and run.finished_at > since and self._is_new(run)), now)
        texts: set[str] | None = None
        for alarm in standing.values():
            if alarm.schedule and alarm.kind in alarms.OF_RUNS and self._store.schedule(alarm.schedule) is None:
                self._store.change_alarm(alarm, {"cleared_at": now})
            if alarm.kind == alarms.SET_ASIDE and not alarm.schedule:
                texts = _texts(self._store) if texts is None else texts
                if alarm.subject.removeprefix("text/") not in texts:
                    self._store.change_alarm(alarm, {"cleared_at": now})

    def _is_new(self, run: Run) -> bool:
        called = self._called(run.schedule)
        before = self._store.alarm(observing.of_run(run, called, run.queued_at).id)
        return before is None or before.last_at < (run.finished_at or run.queued_at)

    def _called(self, schedule: str | None) -> Called | None:
        """Say what people call a schedule; of one that is gone, its id."""
        if schedule is None:
            return None
        document = self._store.schedule(schedule) or {}
        name, tags = document.get("name"), document.get("tags") or []
        called = visible(" ".join(name.split()))[:200] if isinstance(name, str) else ""
        return Called(schedule, called or None, [] if checks.tags(tags) else list(tags))

    def _is_readable(self, schedule: str) -> bool:
        """Tell whether a schedule can be read, or is gone."""
        document = self._store.schedule(schedule)
        return document is None or schedules.read_or_none(document) is not None


def _forgotten(standing: Iterable[Alarm], now: datetime) -> list[Alarm]:
    """List the events that are so old that nobody is to be reminded of them."""
    return [alarm for alarm in standing if alarm.event and now - alarm.last_at >= EVENT_KEPT]


def _texts(store: Store) -> set[str]:
    return {f"{field} {shown(value)}" for field, values in store.expressions().items() for value in values}
