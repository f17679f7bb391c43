"""What becomes of what a freeze held back, once that has ended?"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from cronlite.daemon.holds import hold_queued, pages
from cronlite.daemon.lanes import busy_lanes
from cronlite.documents import new_runs, runs, schedules, transitions
from cronlite.documents.freezes import KEPT, Freeze, Frozen, ids, in_force, to_end
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Schedule
from cronlite.logger import logger
from cronlite.store.contract import ScheduleQuery, Store

log = logger("cronlite.tick")

_PAGE = 500


class Thaws:
    """Ends freezes: makes up for each schedule once, where that was asked for, and lets the runs go that were held.

    Whoever does the minutes does so. It may be repeated, and by several daemons at a time: the one run that makes up
    for a schedule is the record of its last frozen minute, which is queued on condition that it still is a record.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, Collection[str]] = {}  # the freezes that a schedule of another is still in, by that

    def end(self, now: datetime, window: timedelta) -> int:
        """End the freezes that are over, and let what is queued wait for those that hold it; return how many runs were
        queued. Raises StoreError.
        """
        frozen = self._store.freezes(now)
        still = Frozen(in_force(frozen, now))
        ended = to_end(frozen, now)
        for freeze in still.freezes:
            if freeze.hold:
                hold_queued(self._store, freeze, now)
        return sum(self._end(freeze, ended, still, now, now - window) for freeze in ended)

    def _end(self, freeze: Freeze, ended: Collection[Freeze], still: Frozen, now: datetime, earliest: datetime) -> int:
        queued = 0
        if freeze.afterwards == "run":
            waits_for = self._waiting.pop(freeze.id, ())
            if not (waits_for and ids(still.freezes).issuperset(waits_for)):
                making = [each.id for each in ended if each.afterwards == "run"]
                queued, waits_for = self._make_up(freeze, making, still, now, earliest)
            if waits_for:
                self._waiting[freeze.id] = waits_for
                return queued
        if freeze.hold:
            self._store.release_held(freeze.id, now)
        self._store.change_freeze(freeze, {"done_at": now, "expires_at": now + KEPT})
        log.info("freeze %s of %s has ended: %d runs make up for it", freeze.id, freeze.picks(), queued)
        return queued

    def _make_up(
        self, freeze: Freeze, making: Collection[str], still: Frozen, now: datetime, earliest: datetime
    ) -> tuple[int, Collection[str]]:
        """Queue the last run of each schedule that was held back; return how many, and what some are still frozen by.

        As catch_up "latest" does, it makes up for nothing older than the window, and for no schedule that is paused.
        """
        queued, waits_for = 0, set[str]()
        query = ScheduleQuery(tag=freeze.tag, user=freeze.user, handler=freeze.handler)
        for page in pages(self._store.schedules(query), _PAGE):
            picked = [
                schedule
                for schedule in schedules.readable(page)[0]
                if freeze.fits(schedule) and not schedule.is_paused(now)
            ]
            last = self._store.held_back(making, [schedule.id for schedule in picked])
            wanted: list[Run] = []
            for schedule in picked:
                run = last.get(schedule.id)
                if run is None or run.state != runs.SKIPPED or run.due_at < earliest:
                    continue
                if blocked := still.covering(now, schedule):
                    waits_for |= set(ids(blocked))
                else:
                    wanted.append(run)
            queued += self._queue(wanted, now)
        return queued, waits_for

    def _queue(self, wanted: Collection[Run], now: datetime) -> int:
        busy = busy_lanes(self._store, wanted)
        changes = [(run, transitions.made_up(now, waits=run.lane in busy)) for run in wanted]
        return len(changes) - len(self._store.change_runs(changes))


def frozen_run(schedule: Schedule, instant: datetime, now: datetime, frozen: Frozen) -> Run | None:
    """Make the record of an instant at which a schedule is due and held back; None where nothing holds it."""
    by = frozen.holding(instant, schedule)
    return None if by is None else new_runs.frozen(schedule, instant, now, by)
