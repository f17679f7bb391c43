"""Which schedules fail again and again?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from cronlite.documents import runs
from cronlite.documents.runs import Run
from cronlite.store.contract import RunQuery, Store

BAD = (runs.FAILED, runs.TIMED_OUT, runs.ABANDONED)
IN_A_ROW = 3
# How far back to look, and at how many failed runs: what fails again and again is among the last ones.
LOOKED_BACK = timedelta(days=8)
LOOKED_AT = 1_000
NAMED = 20


@dataclass(frozen=True, slots=True)
class Failing:
    """A schedule, by id and name, whose last runs all failed: how many in a row, and the last of them."""

    schedule: str
    name: str | None
    times: int
    last: Run
    params: Mapping[str, Any]


def not_put_right(store: Store, query: RunQuery) -> list[Run]:
    """List the failed runs that fit a query and that nothing has made up for, the last queued first.

    Of a schedule that is its last run, if it failed; of those on demand, each that was not retried.
    """
    bad = list(store.runs(replace(query, states=BAD)))
    schedules = {run.schedule for run in bad if run.schedule is not None}
    last = store.last_outlines(schedules, 1, (*runs.AT_WORK, runs.SUCCEEDED, *BAD)) if schedules else {}
    newest = {outline.id for outlines in last.values() for outline in outlines}
    on_demand = [run.id for run in bad if run.schedule is None]
    retries = store.runs(RunQuery(retry_of=on_demand, brief=True)) if on_demand else ()
    retried = {run.retry_of for run in retries}
    return [run for run in bad if (run.id not in retried if run.schedule is None else run.id in newest)]


def failing(store: Store, now: datetime) -> list[Failing]:
    """List the schedules whose last three runs failed, timed out or were abandoned; the newest failure first."""
    bad = store.runs(RunQuery(states=BAD, since=now - LOOKED_BACK, limit=LOOKED_AT))
    counts = Counter(run.schedule for run in bad if run.schedule is not None)
    often = [id_ for id_, count in counts.most_common() if count >= IN_A_ROW][:NAMED]
    schedules = [schedule for id_ in often if (schedule := _failing(store, id_, counts[id_]))]
    return sorted(schedules, key=lambda schedule: schedule.last.queued_at, reverse=True)


def _failing(store: Store, id_: str, count: int) -> Failing | None:
    document = store.schedule(id_)
    if document is None:
        return None
    ended = store.runs(RunQuery(schedule=id_, states=(*BAD, runs.SUCCEEDED), limit=count))
    row = list(_until_a_success(ended))
    if len(row) < IN_A_ROW:
        return None
    name = document.get("name")
    return Failing(id_, name if isinstance(name, str) else None, len(row), row[0], row[0].params)


def _until_a_success(ended: Iterator[Run]) -> Iterator[Run]:
    for run in ended:
        if run.state == runs.SUCCEEDED:
            return
        yield run
