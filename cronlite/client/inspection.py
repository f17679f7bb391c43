"""What is going on in a store, what is wrong with it, and why did a schedule run at a minute or not?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from cronlite.daemon.liveness import SILENCE_SECONDS, SKEW_SECONDS
from cronlite.documents import runs, schedules
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Document, Schedule
from cronlite.documents.ticks import Tick
from cronlite.errors import InvalidInput, StoreError, StoreUnavailable, shown, suggestion
from cronlite.store.contract import RunQuery, Store
from cronlite.when import clock, pattern

DAY = timedelta(days=1)
LAST_TICKS = 5
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A store at an instant of its own clock.

    `ticks` are the newest entries of the ledger, newest first, `gaps` those of the last day. `queue` counts the runs at
    work by (state, handler); `unknown_handlers` are those of queued runs that no daemon alive can call.
    """

    address: str
    now: datetime
    next_wake: datetime | None
    alive: Sequence[DaemonRecord]
    dead: Sequence[DaemonRecord]
    ticks: Sequence[Tick]
    gaps: Sequence[Tick]
    queue: Mapping[tuple[str, str], int]
    unknown_handlers: Sequence[str]

    @property
    def handlers(self) -> set[str]:
        """The handlers that some daemon alive can call."""
        return {name for daemon in self.alive for name in daemon.handlers}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and what to do about it. `severity` is "error" (work is not done) or "warning"."""

    severity: str
    subject: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a schedule ran at a tick, or did not.

    `verdict` is the state of its run where there is one, or else "not_due", "not_active", "paused", "not_yet", "gap",
    "no_daemon", "in_hand" (claimed by a daemon and not done yet), "changed_since" or "unknown".
    """

    verdict: str
    reasons: tuple[str, ...]
    run: Run | None = None


def status(store: Store) -> Status:
    """Look at daemons, ledger and queue. Raises StoreError."""
    now = store.now()
    daemons = sorted(store.daemons(), key=lambda daemon: daemon.started_at, reverse=True)
    alive = [daemon for daemon in daemons if _is_alive(daemon, now)]
    entries = sorted(store.ledger(now - DAY, now), key=lambda entry: entry.minute, reverse=True)
    queue = store.count_runs()
    known = {name for daemon in alive for name in daemon.handlers}
    return Status(
        address=store.address,
        now=now,
        next_wake=clock.next_wake(now) if any(daemon.ticks for daemon in alive) else None,
        alive=alive,
        dead=[daemon for daemon in daemons if daemon not in alive],
        ticks=entries[:LAST_TICKS],
        gaps=[entry for entry in entries if entry.is_gap and entry.last > now - DAY],
        queue=queue,
        unknown_handlers=sorted({handler for state, handler in queue if state == runs.QUEUED} - known),
    )


def _is_alive(daemon: DaemonRecord, now: datetime) -> bool:
    """Judge by the store's clock, which wrote `seen_at`; the daemons themselves judge each other by their beats."""
    seen = daemon.seen_at or daemon.started_at
    return daemon.dead_at is None and now - seen < timedelta(seconds=SILENCE_SECONDS)


def doctor(store: Store) -> list[Finding]:
    """Look for all that keeps work from being done, errors first. Raises StoreUnavailable."""
    asked = datetime.now(timezone.utc)
    seen = status(store)
    findings = [
        *_clock_skew(asked, seen.now, datetime.now(timezone.utc)),
        *_indexes(store),
        *_streams(store),
        *_daemons(store, seen),
        *_handlers(seen),
        *_queues(store, seen),
        *_gaps(seen),
        *_documents(store, seen),
    ]
    return sorted(findings, key=lambda finding: finding.severity != "error")


def _clock_skew(asked: datetime, answered: datetime, received: datetime) -> Iterator[Finding]:
    slack = timedelta(seconds=SKEW_SECONDS)
    if not asked - slack <= answered <= received + slack:
        off = (asked - answered).total_seconds()
        told = f"is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the store's, which counts"
        yield Finding("warning", "this host's clock", told, "mend its time service")


def _indexes(store: Store) -> Iterator[Finding]:
    try:
        for complaint in store.prepare():
            yield Finding("warning", "indexes", complaint, "mend that, then start a daemon or the doctor again")
    except StoreUnavailable:
        raise
    except StoreError as refused:
        yield Finding("error", "indexes", f"cannot be looked at: {refused}", "let this user read and create them")


def _streams(store: Store) -> Iterator[Finding]:
    if store.address.startswith("mongodb") and not store.watch(0.001):
        told = "no change streams (a standalone server, or a role without changeStream), so daemons poll each second"
        yield Finding("warning", "MongoDB", told, "make it a replica set, of one member perhaps: rs.initiate()")


def _daemons(store: Store, seen: Status) -> Iterator[Finding]:
    if not seen.alive:
        last = f"; the last minute done is {_minute(seen.ticks[0].last)}" if seen.ticks else ""
        yield Finding("error", "daemons", f"none is alive, so nothing runs{last}", "start one: cronlite run -A MODULE")
    elif seen.next_wake is None:
        yield Finding(
            "error", "daemons", "only workers are alive, so no schedule is ever due", "start one: cronlite run"
        )
    alive = {daemon.id for daemon in seen.alive}
    for owner in sorted(store.owners() - alive):
        orphans = sum(1 for _ in store.runs(RunQuery(daemon=owner, states=[runs.RUNNING])))
        what = f"is dead and still owns {_counted(orphans, 'running run')}" if orphans else "is dead and owns a tick"
        remedy = "daemons alive take that over within a minute" if alive else "any daemon that starts takes that over"
        yield Finding("warning", f"daemon {owner}", what, remedy)
    for daemon in seen.alive:
        if daemon.trouble:
            yield Finding("error", _named(daemon), daemon.trouble, "mend that; it goes on by itself then")
        if daemon.stuck:
            threads = _counted(daemon.stuck, "thread")
            told = f"{threads} stuck in handlers that are over their time-out ({daemon.seats} seats)"
            yield Finding("warning", _named(daemon), told, "restart it; give such handlers isolation='process'")


def _handlers(seen: Status) -> Iterator[Finding]:
    for handler in seen.unknown_handlers if seen.alive else ():
        waiting = _counted(seen.queue[runs.QUEUED, handler], "queued run")
        yield Finding("error", f"handler {handler}", f"no daemon alive has it: {waiting}", _register(handler, seen))


def _queues(store: Store, seen: Status) -> Iterator[Finding]:
    served = [daemon.queues for daemon in seen.alive if daemon.seats]
    if not seen.alive or any(queues is None for queues in served):
        return
    known = {queue for queues in served for queue in queues or ()}
    for queue, count in sorted(store.count_queues().items()):
        if queue not in known:
            told = f"no daemon alive serves it: {_counted(count, 'queued run')}"
            yield Finding("error", f"queue {queue}", told, f"start a worker for it: cronlite worker --queue {queue}")


def _gaps(seen: Status) -> Iterator[Finding]:
    for gap in seen.gaps:
        minutes = (gap.last - gap.first) // clock.MINUTE + 1
        left_out = f"; catch_up left {_counted(gap.skipped, 'run')} out" if gap.skipped else ""
        told = f"no daemon ticked in {_counted(minutes, 'minute')}{left_out}"
        span = f"{_minute(gap.first)} to {_minute(gap.last)}"
        yield Finding("warning", span, told, "keep a second daemon running; see each schedule's catch_up")


def _documents(store: Store, seen: Status) -> Iterator[Finding]:
    homeless: dict[str, list[str]] = defaultdict(list)
    for document in store.schedules():
        try:
            schedule = schedules.read(document)
        except InvalidInput as fault:
            yield Finding("error", f"schedule {_name(document)}", f"is set aside: {fault}", _mend(document))
            continue
        if schedule.enabled and seen.alive and schedule.handler not in seen.handlers:
            homeless[schedule.handler].append(schedule.name or schedule.id)
    for handler, names in sorted(homeless.items()):
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        told = f"no daemon alive has it, but schedules name it: {', '.join(names[:_NAMED])}{more}"
        yield Finding("error", f"handler {handler}", told, _register(handler, seen))


def _mend(document: Document) -> str:
    id_ = document.get("_id")
    if not isinstance(id_, str):
        return "insert it again under an ObjectId or a string, and delete this one, in the database's own shell"
    return f"'cronlite edit {id_}' the fields named, or 'cronlite remove {id_}'"


def _register(handler: str, seen: Status) -> str:
    hint = suggestion(handler, seen.handlers)
    start = "start a daemon whose -A module registers it"
    return f"{hint} or else {start}" if "did you mean" in hint else start


def _name(document: Document) -> str:
    named = document.get("name")
    return named if isinstance(named, str) else shown(document.get("_id")).strip("'")


def _named(daemon: DaemonRecord) -> str:
    return f"daemon {daemon.id} ({daemon.host}, pid {daemon.pid})"


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}Z"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def why(store: Store, schedule: Schedule, tick: datetime) -> Answer:
    """Say why a schedule ran at the minute of an aware instant, or did not. Raises StoreError."""
    tick = clock.floor_minute(tick)
    run = store.run(runs.scheduled_id(schedule.id, tick))
    if run is not None:
        return Answer(run.state, tuple(_of_run(store, run)), run)
    now = store.now()
    against = list(_against(schedule, tick))
    if not against and tick > now:
        against = [("not_yet", "that minute is still to come, and it is due then")]
    if not against:
        against = [_by_the_ledger(store, schedule, tick, now)]
    reasons = [reason for _, reason in against]
    changed_at = schedule.updated_at if schedule.updated_at != schedule.created_at else None
    if changed_at and tick < changed_at and against[0][0] != "changed_since":
        reasons.append(f"it was last changed at {_second(changed_at)}, after that minute; this goes by what it is now")
    return Answer(against[0][0], tuple(reasons))


def _against(schedule: Schedule, tick: datetime) -> Iterator[tuple[str, str]]:
    """Yield what keeps a schedule from being due at a tick, as it stands now."""
    for reason in _not_due(schedule, tick):
        yield "not_due", reason
    if schedule.active_from is not None and tick < schedule.active_from:
        since = _second(schedule.active_from)
        yield "not_active", f"it counts from {since} on, when it was made, resumed, or its times were changed"
    if not schedule.enabled:
        yield "paused", f"it is paused; 'cronlite resume {schedule.name or schedule.id}' lets it run again"


def _not_due(schedule: Schedule, tick: datetime) -> Iterator[str]:
    timetable, wall = schedule.timetable, clock.wall(tick, schedule.timetable.zone)
    if timetable.due(tick):
        return
    clock_says = f"the clock in {schedule.tz} showed {wall.minute:%a %Y-%m-%d %H:%M}"
    if timetable.pattern.matches(wall.minute):
        yield f"{clock_says} for the second time, and fixed times run the first time only"
        return
    failing = [name for name in pattern.FIELDS if not getattr(timetable.pattern, name).matches(wall.minute)]
    if timetable.pattern.matches_day(wall.minute):  # with either_day, one of its two fields may fail
        failing = [name for name in failing if name in ("minute", "hour")]
    told = (f"{name} {_reading(name, wall.minute)} is not in {getattr(schedule, name)}" for name in failing)
    yield f"{clock_says}: {', '.join(told)}"


def _reading(name: str, minute: datetime) -> str:
    return f"{minute:%A}" if name == "weekday" else str(getattr(minute, name))


def _by_the_ledger(store: Store, schedule: Schedule, tick: datetime, now: datetime) -> tuple[str, str]:
    """Explain why a schedule that seems due at a past tick has no run of it."""
    if now - tick > runs.KEPT:
        return "unknown", f"runs are kept for {runs.KEPT.days} days only"
    entries = store.ledger(tick, tick + clock.MINUTE)  # a gap that begins with the tick has an id after it
    entry = next((entry for entry in entries if entry.first <= tick <= entry.last), None)
    if entry is None and not entries:
        return "no_daemon", "the ledger does not go back that far: no daemon had ticked yet, or its entry was pruned"
    if entry is None:
        return "no_daemon", "no daemon has done that minute yet; the next to tick makes up for it, as catch_up has it"
    if entry.is_gap:
        gap = f"no daemon ticked from {_minute(entry.first)} to {_minute(entry.last)}"
        done = "" if entry.done_at else "; what catch_up makes up for is being queued"
        return "gap", f"{gap}, and its catch_up is {schedule.catch_up!r}{done}"
    if entry.done_at is None:
        return (
            "in_hand",
            f"daemon {entry.daemon} claimed that minute at {_second(entry.claimed_at)} and has not ended it",
        )
    if schedule.updated_at and entry.done_at < schedule.updated_at:
        return "changed_since", f"it was changed at {_second(schedule.updated_at)}, and was not due before that"
    told = f"the minute was done at {_second(entry.done_at)} without it; was it written later, or its run deleted?"
    return "unknown", told


def _of_run(store: Store, run: Run) -> Iterator[str]:
    """Yield what there is to say about a run: what it waits for, or how it went."""
    if run.started_at:
        yield f"attempt {run.attempt} started at {_second(run.started_at)} on daemon {run.daemon}"
    if run.late:
        yield f"it was late: queued at {_second(run.queued_at)}"
    if run.state == runs.QUEUED:
        yield from _waiting(store, run)
    if run.reason:
        yield run.reason
    if run.error:
        yield f"{run.error.get('type', 'error')}: {run.error.get('message', '')}"
    if run.finished_at:
        yield f"it ended at {_second(run.finished_at)}"


def _waiting(store: Store, run: Run) -> Iterator[str]:
    seen = status(store)
    if not seen.alive:
        yield "no daemon is alive; start one: cronlite run"
    elif run.handler not in seen.handlers:
        yield f"no daemon alive has the handler {run.handler!r}; {_register(run.handler, seen)}"
    if run.run_at is None:
        others = [other.id for other in store.at_work([run.lane] if run.lane else []) if other.id != run.id]
        yield f"it waits until {', '.join(others) or 'the earlier run'} has ended"
    elif run.run_at > seen.now:
        yield f"attempt {run.attempt + 1} is to start at {_second(run.run_at)}"
    elif run.handler in seen.handlers:
        yield "it is about to be claimed, or all seats are taken"


def _second(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}Z"


def readable(documents: Collection[Document] | Iterator[Document]) -> tuple[list[Schedule], list[str]]:
    """Read documents; return the schedules, and the names of those that cannot be read."""
    found, broken = [], []
    for document in documents:
        try:
            found.append(schedules.read(document))
        except InvalidInput:
            broken.append(_name(document))
    return found, broken
