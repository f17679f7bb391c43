"""How does an application ask for runs, and learn what came of them?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from cronlite.client.opened import aware
from cronlite.client.receipt import Handle
from cronlite.client.schedules import SHORTEST_PREFIX, Scheduling
from cronlite.documents import checks, ids, runs
from cronlite.documents.runs import Run
from cronlite.errors import Conflict, Fault, InvalidInput, NotFound, shown, suggestion
from cronlite.store.contract import RunQuery

# No daemon's idea of the store's time may hold back what was asked for at once.
AT_ONCE = timedelta(milliseconds=250)


class Asking(Scheduling):
    """What an application does with runs."""

    def enqueue(
        self,
        handler: str,
        params: Mapping[str, Any] | None = None,
        user: str = "",
        *,
        run_at: datetime | timedelta | None = None,
        key: str | None = None,
        deadline: datetime | timedelta | None = None,
        **policies: Any,
    ) -> Handle:
        """Queue one call of a handler, at once or from an instant (or a timedelta from now), and return its handle.

        While a run with the same `key` is queued and was never claimed, that one is returned instead. A run not
        started by its `deadline` (an instant, or a timedelta from now) is closed as missed. `policies` are queue,
        retries, retry_delay_seconds, timeout_seconds and on_crash.
        """
        asked_for = self._asked_for(handler, params, user, run_at=run_at, key=key, deadline=deadline, **policies)
        return self._queued(asked_for)

    def trigger(self, ref: str) -> Handle:
        """Queue one run of a schedule now, beside the ones that it is due for; its `overlap` holds."""
        now = self.now()
        run = runs.of_schedule(self.get(ref), now, now - AT_ONCE)
        run.id, run.queued_at = ids.new_id(), now
        return self._queued(run)

    def retry(self, ref: str) -> Handle:
        """Queue a new run like a finished one. Raises Conflict while that one is still at work."""
        old = self.run_of(ref)
        if old.state in runs.AT_WORK:
            raise Conflict(f"run {old.id} is {old.state}: only a finished run can be retried")
        return self._queued(runs.again(old, ids.new_id(), self.now(), AT_ONCE))

    def cancel(self, ref: str) -> Run:
        """Close a queued run before it starts. Raises Conflict for one that is not queued."""
        run = self.run_of(ref)
        change = runs.closed(runs.CANCELLED, self.now(), reason="cancelled on request")
        if run.state != runs.QUEUED or self.store.change_runs([(run, change)]):
            state = self.run_of(run.id).state
            raise Conflict(f"run {run.id} is {state}: only a queued run can be cancelled")
        self.store.release_lanes(self.now())
        return self.run_of(run.id)

    def runs(
        self,
        *,
        schedule: str | None = None,
        user: str | None = None,
        handler: str | None = None,
        state: str | Collection[str] | None = None,
        since: datetime | None = None,
        limit: int | None = 100,
    ) -> list[Run]:
        """List runs, the last queued first; `schedule` is an id or a name, also of one that was removed."""
        states = [state] if isinstance(state, str) else state
        for given in states or ():
            if given not in runs.STATES:
                raise InvalidInput(Fault("state", given, "is no state of a run", suggestion(given, runs.STATES)))
        wanted = self._schedule_id(schedule) if schedule else None
        since = aware(since, "since") if since else None
        query = RunQuery(schedule=wanted, user=user, handler=handler, states=states, since=since, limit=limit)
        return list(self.store.runs(query))

    def run_of(self, ref: str) -> Run:
        """Fetch one run by its id or a unique prefix of it."""
        found = self.store.run(ref)
        if found is None and len(ref) >= SHORTEST_PREFIX:
            several = list(self.store.runs(RunQuery(prefix=ref, limit=2)))
            if len(several) > 1:
                raise Conflict(f"several runs begin with {shown(ref)}: give more of the id")
            found = several[0] if several else None
        if found is None:
            raise NotFound(f"no run has the id {shown(ref)}; 'cronlite runs' lists them")
        return found

    def wake(self) -> None:
        """Let the daemon in this process, if there is one, look for queued runs now."""

    def _schedule_id(self, ref: str) -> str:
        try:
            return str(self.document(ref)["_id"])
        except NotFound:
            return ref

    def _asked_for(
        self,
        handler: str,
        params: Mapping[str, Any] | None,
        user: str,
        *,
        run_at: datetime | timedelta | None = None,
        key: str | None = None,
        deadline: datetime | timedelta | None = None,
        **policies: Any,
    ) -> Run:
        """Make the run that `enqueue` queues."""
        now = self.now()
        due_at = now if run_at is None else _instant(now, run_at, "run_at")
        run = Run(
            id=ids.new_id(),
            handler=handler,
            params=checks.check_params(params or {}),
            user=user,
            due_at=due_at,
            queued_at=now,
            run_at=due_at if due_at > now else now - AT_ONCE,
            key=key,
            deadline_at=None if deadline is None else _instant(now, deadline, "deadline"),
            **_known_policies(policies),
        )
        return runs.check(run)

    def _queued(self, run: Run) -> Handle:
        if run.lane and self.store.at_work([run.lane]):
            if run.overlap == "skip":
                raise Conflict(f"a run of schedule {run.schedule} is still at work, and its overlap is skip")
            run.run_at = None
        if self.prepared_store.add_runs([run]):
            holder = self.store.run_with_key(run.key) if run.key else None
            if holder is None:
                run.id = ids.new_id()  # taken, or else the one that held the key has been claimed meanwhile
                return self._queued(run)
            run = holder
        self.wake()
        return Handle(self.store, run.id)


def _known_policies(policies: Mapping[str, Any]) -> Mapping[str, Any]:
    known = ("queue", "retries", "retry_delay_seconds", "timeout_seconds", "on_crash")
    for name, value in policies.items():
        if name not in known:
            raise InvalidInput(Fault(name, value, "is no option of enqueue", suggestion(name, known)))
    return policies


def _instant(now: datetime, given: datetime | timedelta, field: str) -> datetime:
    if not isinstance(given, timedelta):
        return aware(given, field)
    try:
        return now + given
    except OverflowError:
        raise InvalidInput(Fault(field, given, "is out of range", "give an instant in the years 1 to 9999")) from None
