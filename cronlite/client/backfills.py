"""How are runs asked for of minutes in the past that have none?"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import count, islice, takewhile
from typing import TypeGuard

from cronlite.client.arguments import aware
from cronlite.client.opened import Opened
from cronlite.documents import checks, new_runs, runs, transitions
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Schedule
from cronlite.errors import Fault, InvalidInput
from cronlite.store.contract import Store
from cronlite.store.grouping import batches
from cronlite.when import clock

MOST = 10_000
"""How many runs one asks for, unless told otherwise."""
PAGE = 1_000
LOOK_SECONDS = 0.5
_MICROSECOND = timedelta(microseconds=1)
_PARALLEL = checks.number(1, 1_000, whole=True)
_MOST = checks.number(0, 10_000_000, whole=True)


@dataclass(frozen=True, slots=True)
class Backfill:
    """Runs of a schedule for minutes of the past.

    `asked` counts those that were queued for it now, `left_out` those minutes that have a run, by its state. Of minutes
    before `unknown_before` runs are no longer kept, so that nobody knows whether there was one.
    """

    store: Store = field(repr=False)
    id: str
    schedule: str = ""
    start: datetime | None = None
    end: datetime | None = None
    asked: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    unknown_before: datetime | None = None

    def progress(self) -> dict[str, int]:
        """Count all runs of it, also those asked for before, by their state."""
        return self.store.count_backfill(self.id)

    def wait(self, told: Callable[[Mapping[str, int]], object] = lambda _: None) -> dict[str, int]:
        """Wait until nothing of it is at work, and return its progress, which is `told` each time that it changes."""
        before: dict[str, int] | None = None
        while True:
            now = self.progress()
            if now != before:
                told(now)
            if not any(now.get(state) for state in runs.AT_WORK):
                return now
            before = now
            time.sleep(LOOK_SECONDS)

    def cancel(self, now: datetime) -> int:
        """Close all queued runs of it before they start; return how many. What runs already goes on."""
        total = 0
        while queued := self.store.queued_of_backfill(self.id, PAGE):
            change = transitions.closed(
                runs.CANCELLED, now, reason="its backfill was cancelled on request", run_at=None
            )
            lost = self.store.change_runs([(run, change) for run in queued])
            total += len(queued) - len(lost)
            self.store.release_lanes(now, {run.lane for run in queued if run.lane})
        return total


def backfill(
    opened: Opened,
    schedule: Schedule,
    start: datetime,
    end: datetime | None,
    *,
    parallel: int = 1,
    dry_run: bool = False,
    most: int | None = MOST,
) -> Backfill:
    """Queue a run for each time from `start` on and before `end` that a schedule is due by its fields of today.

    Times that have a run are left out. Raises InvalidInput, also where more than `most` are to be queued.
    """
    now = opened.now()
    begin, until = aware(start, "start"), _until(now, end)
    _refuse(begin, until, parallel, most)
    kept = now - transitions.KEPT
    id_ = _id(schedule, begin, end)
    left_out: Counter[str] = Counter()
    missing = list(islice(_missing(opened.store, schedule, begin, until, left_out), most if most is None else most + 1))
    if most is not None and len(missing) > most:
        remedy = "shorten the stretch, or say most=None (--yes)"
        raise InvalidInput(Fault("start", clock.utc_second(begin), f"makes more than {most} runs", remedy))
    asked = Backfill(
        opened.store, id_, schedule.id, begin, until, len(missing), left_out, kept if begin < kept else None
    )
    if missing and not dry_run:
        _queue(opened, schedule, missing, asked, parallel)
    return asked


def _queue(opened: Opened, schedule: Schedule, missing: list[datetime], asked: Backfill, parallel: int) -> None:
    """Add the runs in order: a backfill that was cut off and is asked for again goes on where it ended."""
    store, now = opened.prepared_store, opened.now()
    lanes = [schedule.id] if parallel == 1 else [f"{asked.id}/{number}" for number in range(parallel)]
    made = (
        new_runs.backfilled(schedule, instant, now, asked.id, lanes[number % parallel])
        for number, instant in zip(count(), missing, strict=False)
    )
    for page in batches(made, PAGE):
        refused = store.add_runs(page)
        _take_up(store, [run for run in page if run.id in refused])
        store.release_lanes(now, lanes)


def _take_up(store: Store, again: list[Run]) -> None:
    """Queue those once more that were cancelled before they began."""
    for run in again:
        if _was_called_off(there := store.run(run.id)):
            gone = dict.fromkeys(("reason", "finished_at", "expires_at"))
            own = {"lane": run.lane, "backfill": run.backfill, "queued_at": run.queued_at}
            store.change_runs([(there, {"state": runs.QUEUED, "run_at": None, **own, **gone})])


def _was_called_off(run: Run | None) -> TypeGuard[Run]:
    """Tell whether a run was cancelled with its backfill before it began; then it may be asked for again."""
    return run is not None and run.state == runs.CANCELLED and run.attempt == 0 and run.backfill is not None


def _missing(
    store: Store, schedule: Schedule, begin: datetime, until: datetime, left_out: Counter[str]
) -> Iterator[datetime]:
    """Yield the times without a run, in order; count the others by the states of their runs."""
    due = takewhile(lambda tick: tick < until, schedule.timetable.next_ticks(begin - _MICROSECOND))
    if schedule.active_until is not None:
        last = schedule.active_until
        due = takewhile(lambda tick: tick <= last, due)
    for page in batches(due, PAGE):
        by_id = {
            new_runs.scheduled_id(schedule.id, tick, by_the_second=schedule.timetable.by_the_second): tick
            for tick in page
        }
        known = store.known_runs(by_id)
        for id_, tick in by_id.items():
            if id_ not in known or (
                known[id_] == runs.CANCELLED and (there := store.run(id_)) and _was_called_off(there)
            ):
                yield tick
            else:
                left_out[known[id_]] += 1


def _until(now: datetime, end: datetime | None) -> datetime:
    """Return where it ends: before the first minute whose tick may still come."""
    latest = clock.floor_minute(now)
    return latest if end is None else min(aware(end, "end"), latest)


def _refuse(begin: datetime, until: datetime, parallel: int, most: int | None) -> None:
    faults = []
    if begin >= until:
        faults.append(Fault("start", clock.utc_second(begin), "has no minute behind it", "give an earlier one"))
    if complaint := _PARALLEL(parallel):
        faults.append(Fault("parallel", parallel, *complaint))
    if most is not None and (complaint := _MOST(most)):
        faults.append(Fault("most", most, *complaint))
    if faults:
        raise InvalidInput(*faults)


def _id(schedule: Schedule, begin: datetime, end: datetime | None) -> str:
    """Name a backfill after what it covers, so that the same one has the same id when it is asked for again."""
    whole = f"{schedule.id} {begin.isoformat()} {end.astimezone(timezone.utc).isoformat() if end else 'now'}"
    return f"backfill-{hashlib.sha256(whole.encode()).hexdigest()[:16]}"
