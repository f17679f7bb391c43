"""What is a run: its states, what ends an attempt, and what follows from that."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from cronlite.documents import attempts, checks, limits, schedules, traceparent
from cronlite.documents.attempts import Attempt
from cronlite.documents.freezes import Freeze
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import Fault, InvalidInput
from cronlite.when import clock
from cronlite.when.clock import whole_milliseconds

QUEUED: Final = "queued"
RUNNING: Final = "running"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
TIMED_OUT: Final = "timed_out"
ABANDONED: Final = "abandoned"
SKIPPED: Final = "skipped"
MISSED: Final = "missed"
CANCELLED: Final = "cancelled"
AT_WORK: Final = (QUEUED, RUNNING)
FINAL: Final = (SUCCEEDED, FAILED, TIMED_OUT, ABANDONED, SKIPPED, MISSED, CANCELLED)
STATES: Final = AT_WORK + FINAL
LARGE: Final = ("output", "earlier_attempts")
"""The fields that a list of many runs does without."""

DEFAULT_QUEUE: Final = "default"
KEPT = timedelta(days=30)
MAX_CRASHES = 3
MAX_BACKOFF_SECONDS = 3_600.0
LATE = timedelta(minutes=1)
SOON = timedelta(seconds=3)

Changes = dict[str, Any]
"""Fields of a run to set; None removes one."""


@dataclass(slots=True, kw_only=True)
class Run:
    """One call to make, of one schedule at one tick or asked for on demand.

    `run_at` None means that it waits until the earlier runs of its lane are done.
    """

    id: str
    handler: str
    params: Mapping[str, Any]
    due_at: datetime
    queued_at: datetime
    run_at: datetime | None = None
    schedule: str | None = None
    user: str = ""
    queue: str = DEFAULT_QUEUE
    limit: str | None = None
    """The name of the limit that it counts under while it runs."""
    priority: int = limits.DEFAULT_PRIORITY
    """0 to 9; of those that wait, the higher come first, as `limits.effective` has it."""
    state: str = QUEUED
    attempt: int = 0
    crashes: int = 0
    failures: int = 0
    daemon: str | None = None
    lane: str | None = None
    key: str | None = None
    overlap: str = "skip"
    retries: int = 0
    retry_delay_seconds: float = 60
    timeout_seconds: float | None = None
    on_crash: str = "retry"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: Any = None
    error: dict[str, str] | None = None
    output: str | None = None
    reason: str | None = None
    retry_of: str | None = None
    deadline_at: datetime | None = None
    late_at: datetime | None = None
    """When it counts as overdue, unless it has begun."""
    ping_url: str | None = None
    sent_at: datetime | None = None
    expires_at: datetime | None = None
    earlier_attempts: list[Mapping[str, Any]] | None = None
    freeze: str | None = None
    """The freeze that held it back: recorded as skipped, or queued and waiting for the end of that."""
    backfill: str | None = None
    """The backfill that asked for it."""
    watched_until: datetime | None = None
    """Until when somebody follows its output, so that it is stored while it comes."""
    output_attempt: int | None = None
    """The attempt that `output` is of, where it was stored while that was at work."""
    traceparent: str | None = None
    """The trace of whoever asked for it, as W3C's Trace Context writes that."""
    ahead: bool = field(default=False, repr=False, compare=False)
    """Made with the others of its minute, before the instant at which it is due. Not stored."""

    @property
    def late(self) -> bool:
        """Tell whether it makes up for a tick that was noticed late."""
        return self.queued_at - self.due_at >= LATE

    @property
    def may_wait(self) -> bool:
        """Tell whether a daemon may claim it before there is a seat for it.

        Were the daemon to die meanwhile, that would count as a crash of it: too much for a run that is not to be
        repeated, or that has been at a death before.
        """
        return not self.crashes and self.on_crash != "abandon"

    @property
    def lot(self) -> str | None:
        """Which part of the queue it is in."""
        return limits.lot(self.priority, self.limit)

    @property
    def one_crash_left(self) -> bool:
        """Tell whether the next daemon that dies with it ends it."""
        return self.crashes == MAX_CRASHES - 1

    @property
    def live_output(self) -> str | None:
        """What the attempt that is at work has printed so far, as far as the store was told."""
        return self.output if self.output_attempt == self.attempt else None

    @property
    def attempts(self) -> list[Attempt]:
        """List the attempts at it, the last one at the end: at most ten, and what was kept of them."""
        told = attempts.read(self.earlier_attempts)
        if self.started_at is not None and self.state != QUEUED:
            # While one is at work, these two are of the one before it.
            last = (None, self.live_output) if self.state == RUNNING else (self.error, self.output)
            told.append(_attempt(self, self.state, self.finished_at, *last))
        return told

    def document(self) -> Document:
        """Return the document to store: `_id` and every field that has a value."""
        stored = {name: value for name, value in zip(_STORED, _values(self), strict=True) if value is not None}
        stored["_id"] = self.id
        if self.priority == limits.DEFAULT_PRIORITY:
            del stored["priority"]
        if lot := self.lot:
            stored["lot"] = lot
        return stored


_STORED = tuple(f.name for f in fields(Run) if f.name not in ("id", "ahead"))
_DEFAULTS: dict[str, object] = {f.name: f.default for f in fields(Run) if f.default is not MISSING}
_values = attrgetter(*_STORED)
_RETRYING = ("retries", "retry_delay_seconds", "timeout_seconds", "on_crash")
_POLICIES = ("user", "handler", "params", "queue", "limit", "priority", "overlap", "ping_url", *_RETRYING)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended: its final state unless a retry is left.

    `again_in` is what RetryLater asked for in seconds; `retriable` is false after GiveUp.
    """

    state: str
    result: Any = None
    error: dict[str, str] | None = None
    output: str | None = None
    again_in: float | None = None
    retriable: bool = True


def read(document: Mapping[str, Any]) -> Run:
    """Read a stored run. Raises InvalidInput where somebody edited it into nonsense."""
    try:
        run = Run(id=document["_id"], **{name: document[name] for name in _STORED if name in document})
    except (TypeError, KeyError) as broken:
        raise InvalidInput(Fault("_id", document.get("_id"), f"is no whole run: {broken}", "remove it")) from None
    run.traceparent = traceparent.readable(run.traceparent)
    return check(run)


def check(run: Run) -> Run:
    """Return the run, or raise InvalidInput with everything that is wrong with it."""
    faults = [
        Fault(name, value, *complaint)
        for name, fits, default in _CHECKED
        # What was left as it is needs no check, and that is most of it.
        if (value := getattr(run, name)) is not default and (complaint := fits(value))
    ]
    if run.state == RUNNING and run.daemon is None:
        faults.append(Fault("daemon", None, "is missing in a running run", "queue it, or remove it"))
    if faults:
        raise InvalidInput(*faults)
    return run


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
        # Each by its name, which takes two thirds of the time.
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

    The latter start at their instants, by the next one at the latest: what a lane still at work, or a late tick, keeps
    from that ends as missed. At least `SOON`, or the first of a minute could not be in time: ticks come a second late.
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


def fence(run: Run) -> Changes:
    """Return what a run must still be like for a change of it to count: its state, daemon and attempt."""
    return {"state": run.state, "daemon": run.daemon, "attempt": run.attempt}


def claim(run: Run, daemon: str, now: datetime) -> None:
    """Turn a queued run into one that a daemon has claimed."""
    run.state, run.daemon, run.started_at, run.attempt = RUNNING, daemon, now, run.attempt + 1


def unclaim(run: Run) -> None:
    """Undo a claim that the store knows nothing of."""
    run.state, run.daemon, run.started_at, run.attempt = QUEUED, None, None, run.attempt - 1


def closed(state: str, now: datetime, **more: Any) -> Changes:
    """Return the changes that end a run for good; it is kept for 30 days."""
    return {"state": state, "finished_at": now, "expires_at": now + KEPT, **more}


def skip(run: Run, reason: str, now: datetime) -> None:
    """Turn a run that was not queued yet into the record of a skip."""
    for name, value in closed(SKIPPED, now, reason=reason, run_at=None).items():
        setattr(run, name, value)


def backfilled(schedule: Schedule, instant: datetime, now: datetime, backfill: str, lane: str) -> Run:
    """Make the run that makes up for an instant of the past; it waits for its turn in a lane, and no deadline holds."""
    run = of_schedule(schedule, instant, now)
    run.backfill, run.lane, run.overlap = backfill, lane, "wait"
    run.run_at = run.deadline_at = run.late_at = None
    return run


def frozen(schedule: Schedule, instant: datetime, now: datetime, by: Freeze) -> Run:
    """Make the record of what a schedule was due for while a freeze held it back."""
    run = of_schedule(schedule, instant, now)
    skip(run, by.told(), now)
    run.freeze, run.late_at = by.id, None
    return run


def made_up(now: datetime, *, waits: bool) -> Changes:
    """Return the changes that queue what a freeze held back; if it `waits`, behind what is at work."""
    gone = dict.fromkeys(("reason", "finished_at", "expires_at"))
    return {"state": QUEUED, "run_at": None if waits else now, "queued_at": now, **gone}


def settled(run: Run, outcome: Outcome, now: datetime, chance: random.Random) -> Changes:
    """Return what becomes of a run after an attempt: its end, or its return to the queue for a retry.

    An outcome that is "queued" stands for an attempt that was cut off through no fault of its own.
    """
    if outcome.state == QUEUED:
        return cut_off(run, now, (outcome.error or {}).get("message", ""), outcome.output)
    told: Changes = {
        name: value
        for name in ("result", "error", "output")
        if (value := getattr(outcome, name)) is not None or getattr(run, name) is not None  # left by an attempt before
    }
    if outcome.state == SUCCEEDED:
        return closed(SUCCEEDED, now, **told)
    told["failures"] = failures = run.failures + 1
    if not outcome.retriable or failures > run.retries:
        return closed(outcome.state, now, **told)
    if outcome.again_in is None:
        seconds = backoff_seconds(run.retry_delay_seconds, failures) * chance.uniform(1, 1.25)
    else:
        seconds = outcome.again_in
    ended = _attempt(run, outcome.state, now, outcome.error, outcome.output)
    return queued_again(now + timedelta(seconds=seconds), **told, **_with(run, ended))


def backoff_seconds(delay_seconds: float, failures: int) -> float:
    """Double the delay with each failure after the first, up to an hour (or the delay itself, where that is longer)."""
    return min(delay_seconds * 2.0 ** min(failures - 1, 40), max(MAX_BACKOFF_SECONDS, delay_seconds))


def queued_again(run_at: datetime, **more: Any) -> Changes:
    """Return the changes that put a claimed run back into the queue."""
    return {"state": QUEUED, "run_at": run_at, "daemon": None, "started_at": None, "sent_at": None, **more}


def cut_off(run: Run, now: datetime, why: str, output: str | None = None) -> Changes:
    """Return what becomes of a run whose attempt had to be ended: once more, at no cost, unless it may not."""
    if run.on_crash == "abandon":
        return closed(ABANDONED, now, reason=f"{why}, and on_crash is abandon")
    ended = _attempt(run, attempts.CUT_OFF, now, _told("CutOff", why), output)
    return queued_again(run.run_at or now, **_with(run, ended))


def too_late(run: Run, now: datetime) -> Changes | None:
    """Return what becomes of a claimed run that should have started by now; None where it may start.

    The deadline is for the first start: what was once begun in time is brought to its end.
    """
    if run.deadline_at is None or now <= run.deadline_at or run.failures or run.crashes:
        return None
    return closed(
        MISSED, now, started_at=None, reason=f"not started by its deadline, {run.deadline_at:%Y-%m-%d %H:%M:%SZ}"
    )


def after_crash(run: Run, now: datetime) -> Changes:
    """Return what becomes of a run whose daemon died: once more, unless it may not or has cost three daemons."""
    crashes = run.crashes + 1
    if run.on_crash == "abandon":
        return closed(ABANDONED, now, crashes=crashes, reason="its daemon died, and on_crash is abandon")
    if crashes >= MAX_CRASHES:
        return closed(ABANDONED, now, crashes=crashes, reason=f"it took {crashes} daemons with it")
    ended = _attempt(run, attempts.CRASHED, now, _told("Crashed", "its daemon died"), run.live_output)
    return queued_again(now, crashes=crashes, **_with(run, ended))


def _attempt(
    run: Run, state: str, ended_at: datetime | None, error: Mapping[str, str] | None = None, output: str | None = None
) -> Attempt:
    return Attempt(
        number=run.attempt,
        state=state,
        daemon=run.daemon,
        started_at=run.started_at,
        ended_at=ended_at,
        error=error,
        output=output,
    )


def _with(run: Run, ended: Attempt) -> Changes:
    return {"earlier_attempts": attempts.kept(run.earlier_attempts, ended)}


def _told(kind: str, message: str) -> dict[str, str]:
    return {"type": kind, "message": message, "traceback": ""}


def _needed(check: checks.Check) -> checks.Check:
    return lambda value: ("is missing", "remove the run") if value is None else check(value)


def _if_any(check: checks.Check) -> checks.Check:
    return lambda value: None if value is None else check(value)


_CHECKS: dict[str, checks.Check] = {
    "id": checks.label(300),
    "user": checks.label(200),
    "key": _if_any(checks.line(200)),
    **{name: _if_any(checks.label(300)) for name in ("schedule", "lane", "daemon", "retry_of", "freeze", "backfill")},
    "handler": checks.handler_name,
    "params": checks.mapping,
    "queue": checks.queue_name,
    "limit": limits.check_name_or_none,
    "priority": limits.check_priority,
    "state": checks.one_of(*STATES),
    "attempt": checks.number(0, 2**31, whole=True),
    "crashes": checks.number(0, 2**31, whole=True),
    "failures": checks.number(0, 2**31, whole=True),
    **{name: schedules.CHECKS[name] for name in _RETRYING},
    "overlap": schedules.CHECKS["overlap"],
    "due_at": _needed(checks.instant),
    "queued_at": _needed(checks.instant),
    **dict.fromkeys(("run_at", "started_at", "finished_at", "expires_at"), checks.instant),
    **dict.fromkeys(("deadline_at", "late_at"), checks.instant),
    "ping_url": checks.web_address,
    "sent_at": checks.instant,
    "watched_until": checks.instant,
    "output_attempt": _if_any(checks.number(0, 2**31, whole=True)),
    "earlier_attempts": attempts.check,
}
_CHECKED = [(name, fits, _DEFAULTS.get(name, _DEFAULTS)) for name, fits in _CHECKS.items()]
