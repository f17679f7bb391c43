"""How is a run made, queued, and called off?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cronlite.client.arguments import instant
from cronlite.client.opened import Opened
from cronlite.dispatch import tracing
from cronlite.documents import checks, ids, new_runs, runs, transitions
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Schedule
from cronlite.documents.words import word_of_runs
from cronlite.errors import Conflict, Fault, InvalidInput, NotFound, QuotaExceeded, shown

# What is to start at once is dated back a little: a daemon whose clock is behind the store's must not wait with it.
AT_ONCE = timedelta(milliseconds=250)
# The options of enqueue besides handler, params and user.
POLICIES = ("queue", "limit", "priority", "retries", "retry_delay_seconds", "timeout_seconds", "on_crash")
OPTIONS = ("run_at", "key", "deadline", *POLICIES)


def on_demand(
    now: datetime,
    handler: str,
    params: Mapping[str, Any],
    user: str,
    *,
    run_at: datetime | timedelta | None = None,
    key: str | None = None,
    deadline: datetime | timedelta | None = None,
    **policies: Any,
) -> Run:
    """Make the run of one call of a handler. Raises InvalidInput."""
    unknown = [name for name in policies if name not in POLICIES]
    if unknown:
        faults = [
            Fault(option, policies[option], "is no option of enqueue", word_of_runs(option, OPTIONS))
            for option in unknown
        ]
        raise InvalidInput(*faults)
    due_at = now if run_at is None else instant(now, run_at, "run_at")
    run = Run(
        id=ids.new_run_id(),
        handler=handler,
        params=checks.check_params(params),
        user=user,
        due_at=due_at,
        queued_at=now,
        run_at=due_at if due_at > now else now - AT_ONCE,
        key=key,
        deadline_at=None if deadline is None else instant(now, deadline, "deadline"),
        traceparent=tracing.current(),
        **policies,
    )
    return runs.check(run)


def of_schedule(now: datetime, schedule: Schedule) -> Run:
    """Make a run of a schedule beside those that it is due for."""
    run = new_runs.of_schedule(schedule, now, now - AT_ONCE)
    run.id, run.queued_at, run.traceparent = ids.new_run_id(), now, tracing.current()
    return run


def again(now: datetime, ended: Run) -> Run:
    """Make a new run of a finished one. Raises Conflict for one that is still at work."""
    if ended.state in runs.AT_WORK:
        raise Conflict(f"run {ended.id} is {ended.state}: only a finished run can be retried")
    run = new_runs.again(ended, ids.new_run_id(), now, AT_ONCE)
    run.traceparent = tracing.current()
    return run


def queue(opened: Opened, run: Run) -> str:
    """Queue a run and return its id, or the id of the queued one that holds its key.

    Raises Conflict when another user or another handler holds the key, and when the run's schedule is at work and its
    overlap is skip.
    """
    if run.lane and opened.store.at_work([run.lane]):
        if run.overlap == "skip":
            raise Conflict(f"a run of schedule {run.schedule} is still at work, and its overlap is skip")
        run.run_at = None
    opened.door.params(run.user, run.params)
    # This takes one round trip: the write, which waits for the majority's journals, so that no server that is killed
    # forgets what was asked for. There is no look for the key before it: the unique index keeps a second run from the
    # key, and only a run that it refused asks for the one that holds it.
    while True:
        try:
            if not _refused(opened, run):
                return run.id
            holder = _holder(opened, run)
        except QuotaExceeded:
            if (holder := _holder(opened, run)) is None:  # a run that is queued already is no more of them
                raise
        if holder is not None:
            return holder
        run.id = ids.new_run_id()  # it was taken, or else the key is free again


def _holder(opened: Opened, run: Run) -> str | None:
    """Name the queued run that holds the key of a run. Raises Conflict when it is another user's or handler's."""
    holder = opened.store.run_with_key(run.key) if run.key else None
    if holder is None:
        return None
    if (holder.user, holder.handler) != (run.user, run.handler):
        raise Conflict(f"the key {shown(run.key)} is held by a queued run of another user or handler; choose another")
    return holder.id


def _refused(opened: Opened, run: Run) -> bool:
    """Add a run to the queue; tell whether its id or its key is taken. Raises QuotaExceeded."""
    store = opened.prepared_store
    with opened.door.one_more("queued", run.user, store.count_queued):
        return bool(store.add_runs([run]))


def cancel(opened: Opened, run: Run) -> None:
    """Close a queued run before it starts. Raises Conflict for one that is not queued."""
    change = transitions.closed(runs.CANCELLED, opened.now(), reason="cancelled on request")
    if run.state != runs.QUEUED or opened.store.change_runs([(run, change)]):
        state = find(opened, run.id).state
        raise Conflict(f"run {run.id} is {state}: only a queued run can be cancelled")
    if run.lane:
        opened.store.release_lanes(opened.now(), [run.lane])


def find(opened: Opened, id_: str) -> Run:
    """Fetch one run by its id. Raises NotFound."""
    run = opened.store.run(id_)
    if run is None:
        raise NotFound(f"no run has the id {shown(id_)}")
    return run
