"""What is a run: its fields, its states, and which documents are refused?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from cronlite.documents import attempts, checks, limits, schedules, traceparent
from cronlite.documents.attempts import Attempt
from cronlite.documents.schedules import Document
from cronlite.errors import Fault, InvalidInput

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

RETRYING: Final = ("retries", "retry_delay_seconds", "timeout_seconds", "on_crash")
"""The policies that say what becomes of it when an attempt ends."""

DEFAULT_QUEUE: Final = "default"
MAX_CRASHES = 3
LATE = timedelta(minutes=1)

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

        If the daemon died while the run waited, that would count as one of its crashes. A run that must not be
        repeated, or that a daemon has already died with, is not risked like that.
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
        known = attempts.read(self.earlier_attempts)
        if self.started_at is not None and self.state != QUEUED:
            # While an attempt is at work, `error` and `output` are still those of the attempt before it.
            last = (None, self.live_output) if self.state == RUNNING else (self.error, self.output)
            known.append(attempt_of(self, self.state, self.finished_at, *last))
        return known

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
        # A field that has its default needs no check, and most fields have it.
        if (value := getattr(run, name)) is not default and (complaint := fits(value))
    ]
    if run.state == RUNNING and run.daemon is None:
        faults.append(Fault("daemon", None, "is missing in a running run", "queue it, or remove it"))
    if faults:
        raise InvalidInput(*faults)
    return run


def fence(run: Run) -> Changes:
    """Return what a run must still be like for a change of it to count: its state, daemon and attempt."""
    return {"state": run.state, "daemon": run.daemon, "attempt": run.attempt}


def attempt_of(
    run: Run, state: str, ended_at: datetime | None, error: Mapping[str, str] | None = None, output: str | None = None
) -> Attempt:
    """Return the attempt at a run that is at work or ended last, with how it ended."""
    return Attempt(
        number=run.attempt,
        state=state,
        daemon=run.daemon,
        started_at=run.started_at,
        ended_at=ended_at,
        error=error,
        output=output,
    )


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
    **{name: schedules.CHECKS[name] for name in RETRYING},
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
