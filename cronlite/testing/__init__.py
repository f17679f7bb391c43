"""How do an application's tests try its schedules and its work on demand: on a clock that they crank by hand?

With pytest, ask for the fixture `cronlite_test`; elsewhere write `with Rehearsal() as rehearsal:`.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from functools import partial
from types import TracebackType
from typing import Any

from cronlite.client import default
from cronlite.client.app import Cronlite
from cronlite.client.known_handlers import KnownHandlers
from cronlite.client.limits import Limits
from cronlite.client.opened import Opened
from cronlite.daemon.handover import Handover
from cronlite.daemon.holds import Holds
from cronlite.daemon.options import CATCH_UP_WINDOW_SECONDS, GRACE_SECONDS
from cronlite.daemon.store_clock import StoreClock
from cronlite.daemon.ticking import Inserts, Periods, Ticker
from cronlite.documents import runs, transitions
from cronlite.documents.runs import Changes, Outcome, Run
from cronlite.documents.schedules import Schedule
from cronlite.errors import ConfigurationError, Fault, InvalidInput, suggestion
from cronlite.handlers.output import capture_logs, capture_prints
from cronlite.handlers.registry import Handler, Registry
from cronlite.store.contract import ClaimQuery, RunQuery
from cronlite.testing.calls import Call, InPool, in_this_thread
from cronlite.testing.telling import fits, listed, run_told, schedule_told, wanted
from cronlite.when.clock import MINUTE, floor_minute, utc, whole_milliseconds

__all__ = ["START", "HandlerFailed", "Rehearsal"]

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
"""When a rehearsal begins unless told otherwise: on a Monday, at midnight UTC."""

GRACE = timedelta(seconds=GRACE_SECONDS)
CATCH_UP_WINDOW = timedelta(seconds=CATCH_UP_WINDOW_SECONDS)
MAX_RUNS_AT_ONCE = 10_000
DAEMON = "rehearsal"


class HandlerFailed(AssertionError):
    """A handler failed where a test did not expect it; `run` is what was recorded, `__cause__` what was raised."""

    def __init__(self, run: Run) -> None:
        self.run = run
        super().__init__(f"{run_told(run)}\n(with raising=False failures are recorded, and retried, as by a daemon)")


class Rehearsal:
    """Schedules and runs in memory, and a clock that stands still until it is told how much time passes.

    The rest is what a daemon does: ticks, the due query, claims, overlap, deadlines, retries and records. Handlers run
    one after the other in the thread of the test, without time limits and child processes; with `in_pool` they run in
    the pool of a daemon, where these are real. `cron` is the Cronlite to work with; once the rehearsal is entered,
    `cronlite.schedule` and its like work on it, too. `registry` has its handlers: the default one unless given.
    """

    def __init__(self, start: datetime = START, *, registry: Registry | None = None, in_pool: bool = False) -> None:
        self.clock = Cranked(utc(start))
        self.cron = Cronlite("memory:", registry=registry)
        self._registry = _Registries()
        self._store = self.cron.store
        self._store.now = self.clock.now  # type: ignore[method-assign] # in memory, the store's clock is the host's
        self._end = ExitStack()
        self._end.callback(Cronlite.close, self.cron)
        self._call: Call = partial(in_this_thread, self._is_running, self.cron)
        if in_pool:
            self._call = self._end.enter_context(InPool(self._is_running, self._registry, self.cron))
        self._holds = Holds(self._store, Handover(self._store, self.clock), asked_every_seconds=0)
        self._ticker = Ticker(
            self._store, Inserts(self._store.add_runs), lambda: DAEMON, lambda _: False, Periods(GRACE, CATCH_UP_WINDOW)
        )
        self._ticker.step(self.now)  # or schedules would be due at the very minute in which a test makes them
        self.use(self.cron)

    @property
    def now(self) -> datetime:
        """What the clock shows: an aware UTC instant."""
        return self.clock.now()

    def use(self, cron: Cronlite) -> Cronlite:
        """Let an application's own Cronlite work on this store, by this clock, with its handlers; return it.

        Until the end its `start` and `close` do nothing, so that the application can be tested as it is. Raises
        ConfigurationError when its daemon is running already.
        """
        if cron.running:
            raise ConfigurationError("its daemon is running: start it where the server starts, not at import")
        own = vars(cron)
        opened = Opened.on(self._store, self.clock)
        on_it = {"_opened": opened, "_limits": Limits(opened), "_known": KnownHandlers(opened)}
        self._end.callback(_give_back, cron, {name: own.get(name) for name in (*on_it, *_IDLE)})
        own |= {**on_it, **_IDLE}
        own["start"] = lambda **_: cron.declare_handlers()
        self._registry.add_all(cron.registry)
        return cron

    # time

    def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0, raising: bool = True
    ) -> list[Run]:
        """Let time pass, tick each minute of the way, and run what comes due, in order; return a run per attempt.

        Raises HandlerFailed at the first handler that fails, once that is recorded, and AssertionError for a queued run
        that no handler is registered for. Neither with `raising=False`. RetryLater and GiveUp, which handlers raise on
        purpose, are only recorded.
        """
        __tracebackhide__ = True
        until = self._later(days=days, hours=hours, minutes=minutes, seconds=seconds)
        ran = self.drain(raising=raising)
        while (instant := self._next_instant()) <= until:
            self.clock.to(instant)
            if instant == floor_minute(instant):
                self._ticker.step(instant)
            ran += self.drain(raising=raising)
        self.clock.to(until)
        return ran

    def outage(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass without a daemon; the next `advance` makes up for that as the grace and `catch_up` have it."""
        self.clock.to(self._later(days=days, hours=hours, minutes=minutes, seconds=seconds))

    def drain(self, *, raising: bool = True) -> list[Run]:
        """Run what is queued for now, and what that queues, until nothing is left; return a run per attempt.

        Retries and what is queued for later stay so until `advance` comes to them. Raises what `advance` raises.
        """
        __tracebackhide__ = True
        ran: list[Run] = []
        while claimed := self._store.claim_runs(DAEMON, ClaimQuery(self._registry.names(), self.now, 1)):
            (run,) = claimed
            if not self._holds.keep_back(claimed, self.now):
                continue
            if missed := transitions.too_late(run, self.now):
                self._record(run, missed)
                continue
            ran.append(self._run(run, raising))
            if len(ran) >= MAX_RUNS_AT_ONCE:
                raise AssertionError(f"{len(ran)} runs without an end; the last was {run_told(ran[-1])}")
        if raising:
            self._refuse_unknown_handlers()
        return ran

    # what is there

    def runs(
        self,
        *,
        handler: str | None = None,
        state: str | Collection[str] | None = None,
        user: str | None = None,
        schedule: str | None = None,
    ) -> list[Run]:
        """List runs in the order in which they were due; `schedule` is an id or a name."""
        listed = self.cron.runs(handler=handler, state=state, user=user, schedule=schedule, limit=None)
        return sorted(listed, key=lambda run: (run.due_at, run.queued_at, run.id))

    def assert_scheduled(
        self,
        *,
        name: str | None = None,
        handler: str | None = None,
        params: Mapping[str, Any] | None = None,
        user: str | None = None,
        at: datetime | None = None,
    ) -> Schedule:
        """Return the schedule with these fields and at least these params that is due `at` an aware instant.

        Raises AssertionError, which lists the schedules that there are.
        """
        fields = {"name": name, "handler": handler, "params": params, "user": user}
        tick = None if at is None else floor_minute(at)
        there = self.cron.schedules()
        for stored in there:
            if fits(stored, fields) and (tick is None or stored.is_due(tick)):
                return stored
        raise AssertionError(f"no schedule has {wanted(fields, at)}; {listed(map(schedule_told, there))}")

    def assert_enqueued(
        self,
        *,
        handler: str | None = None,
        params: Mapping[str, Any] | None = None,
        user: str | None = None,
        key: str | None = None,
        at: datetime | None = None,
    ) -> Run:
        """Return the first queued run with these fields and at least these params that is due `at` an aware instant.

        Raises AssertionError, which lists the runs that there are.
        """
        fields = {"handler": handler, "params": params, "user": user, "key": key}
        there = self.runs()
        for run in there:
            if run.state == runs.QUEUED and fits(run, fields) and (at is None or run.due_at == utc(at)):
                return run
        raise AssertionError(f"no queued run has {wanted(fields, at)}; {listed(map(run_told, there))}")

    # its end

    def close(self) -> None:
        """Give the application's Cronlites their own stores and clocks back, and forget everything else."""
        self._end.close()

    def __enter__(self) -> Rehearsal:
        self._end.callback(setattr, default, "_default", default._default)
        default._default = self.cron
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # how it goes

    def _later(self, **passing: float) -> datetime:
        later = self.now + timedelta(**passing)
        if later < self.now:
            raise InvalidInput(Fault("time", passing, "would run backwards", "give a positive amount"))
        return later

    def _next_instant(self) -> datetime:
        """Say when something may happen next: a tick, or the start of a run that is queued for later."""
        tick = floor_minute(self.now) + MINUTE
        run_at = self._store.next_run_at(self._registry.names())
        return run_at if run_at is not None and self.now < run_at < tick else tick

    def _run(self, run: Run, raising: bool) -> Run:
        """Call the handler of a claimed run, and record how that ended."""
        __tracebackhide__ = True  # what is of interest to a test is in the handler
        handler = self._registry.get(run.handler)
        assert handler is not None, "only runs of known handlers are claimed"
        with capture_logs(), capture_prints():
            outcome, raised = self._call(run, handler)
        recorded = self._record(run, transitions.settled(run, outcome, self.now, _NO_JITTER))
        if raising and outcome.error and not _on_purpose(outcome):
            raise HandlerFailed(recorded) from raised
        return recorded

    def _record(self, run: Run, changes: Changes) -> Run:
        self._store.change_runs([(run, changes)])
        self._store.release_lanes(self.now)
        return self._store.run(run.id) or run

    def _is_running(self, run: Run) -> bool:
        stored = self._store.run(run.id)
        return stored is not None and (stored.state, stored.attempt) == (runs.RUNNING, run.attempt)

    def _refuse_unknown_handlers(self) -> None:
        __tracebackhide__ = True
        known = self._registry.names()
        for run in self._store.runs(RunQuery(states=[runs.QUEUED])):
            if run.handler not in known:
                hint = suggestion(run.handler, known) or "none is registered"
                raise AssertionError(f"nobody can run {run_told(run)}: {hint}; does the test import its module?")


class Cranked(StoreClock):
    """A clock that stands still until it is told what to show."""

    def __init__(self, now: datetime) -> None:
        self.to(now)

    def to(self, now: datetime) -> None:
        """Show an instant from now on, to the millisecond."""
        self._now = whole_milliseconds(now)

    def now(self) -> datetime:
        """Return what it shows."""
        return self._now

    def set(self, answered: datetime) -> None:
        """Go on showing the same: the store answers what this clock shows."""


class _NoJitter(random.Random):
    """Retries come after exactly their delay, or no test could say when."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 - as random.Random has it
        return a


_NO_JITTER = _NoJitter()


class _Registries(Registry):
    """The handlers of several registries, as they are when asked for; the first registry counts."""

    def __init__(self) -> None:
        super().__init__()
        self._all: list[Registry] = []

    def add_all(self, registry: Registry) -> None:
        self._all.append(registry)

    def get(self, name: str) -> Handler | None:
        return next((handler for registry in self._all if (handler := registry.get(name))), None)

    def names(self) -> list[str]:
        return sorted({name for registry in self._all for name in registry.names()})


def _on_purpose(outcome: Outcome) -> bool:
    """Tell whether a handler raised RetryLater or GiveUp."""
    return outcome.again_in is not None or (outcome.state == runs.FAILED and not outcome.retriable)


def _nothing(**options: Any) -> None:
    """Start nothing and close nothing: time is in the hands of a test."""


_IDLE = {"start": _nothing, "close": _nothing}


def _give_back(cron: Cronlite, before: Mapping[str, Any]) -> None:
    for name, value in before.items():
        if value is None and name in _IDLE:
            del vars(cron)[name]
        else:
            vars(cron)[name] = value
