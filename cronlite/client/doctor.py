"""What keeps work from being done in a store, and how is that mended?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from shlex import quote

from cronlite.client.limits import in_use
from cronlite.client.status import Status, how_to_register, status
from cronlite.daemon.liveness import SKEW_SECONDS
from cronlite.documents import ids, runs, schedules
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.schedules import Document, Schedule, label
from cronlite.errors import InvalidInput, StoreError, StoreUnavailable
from cronlite.store.contract import RunQuery, ScheduleQuery, Store
from cronlite.when import clock
from cronlite.when.clock import utc_minute, utc_second
from cronlite.wording.numbers import counted

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and what to do about it. `severity` is "error" (work is not done) or "warning"."""

    severity: str
    subject: str
    problem: str
    remedy: str


def doctor(store: Store) -> list[Finding]:
    """Look for all that keeps work from being done, errors first. Raises StoreUnavailable."""
    if damage := store.damage():  # then nothing else that it says can be relied on
        remedy = "stop the daemons and restore a copy, or mend it with .recover in SQLite's shell"
        return [Finding("error", store.address, f"is damaged: {complaint}", remedy) for complaint in damage]
    asked = datetime.now(timezone.utc)
    seen = status(store)
    findings = [
        *_clock_skew(asked, seen.now, datetime.now(timezone.utc)),
        *_indexes(store),
        *_streams(store),
        *_daemons(store, seen),
        *_handlers(seen),
        *_queues(store, seen),
        *_limits(store),
        *_freezes(store),
        *_gaps(seen),
        *_failing(seen),
        *_channels(seen),
        *_documents(store, seen),
    ]
    return sorted(findings, key=lambda finding: finding.severity != "error")


def _clock_skew(asked: datetime, answered: datetime, received: datetime) -> Iterator[Finding]:
    slack = timedelta(seconds=SKEW_SECONDS)
    if not asked - slack <= answered <= received + slack:
        off = (asked - answered).total_seconds()
        problem = f"is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the store's, which counts"
        yield Finding("warning", "this host's clock", problem, "mend its time service")


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
        why = "a standalone server, a role without changeStream, or maxPoolSize=1 in the URI"
        problem = f"no change streams ({why}), so daemons poll each second"
        yield Finding("warning", "MongoDB", problem, "make it a replica set, of one member perhaps: rs.initiate()")


def _daemons(store: Store, seen: Status) -> Iterator[Finding]:
    if not seen.alive:
        last = f"; the last minute done is {utc_minute(seen.ticks[0].last)}" if seen.ticks else ""
        yield Finding("error", "daemons", f"none is alive, so nothing runs{last}", "start one: cronlite run -A MODULE")
    elif not any(daemon.ticks for daemon in seen.alive):
        yield Finding(
            "error", "daemons", "only workers are alive, so no schedule is ever due", "start one: cronlite run"
        )
    alive = {daemon.id for daemon in seen.alive}
    for owner in sorted(store.owners() - alive):
        orphans = sum(1 for _ in store.runs(RunQuery(daemon=owner, states=[runs.RUNNING])))
        what = f"is dead and still owns {counted(orphans, 'running run')}" if orphans else "is dead and owns a tick"
        remedy = "daemons alive take that over within a minute" if alive else "any daemon that starts takes that over"
        yield Finding("warning", f"daemon {owner}", what, remedy)
    for daemon in seen.alive:
        if wrong := daemon.what_is_wrong(seen.now):
            yield Finding("error", _named(daemon), wrong, "mend that; it goes on by itself then")
        if daemon.stuck:
            threads = counted(daemon.stuck, "thread")
            problem = f"{threads} stuck in handlers that are over their time-out ({daemon.seats} seats)"
            yield Finding("warning", _named(daemon), problem, "restart it; give such handlers isolation='process'")


def _handlers(seen: Status) -> Iterator[Finding]:
    for handler in seen.unknown_handlers if seen.alive else ():
        waiting = counted(seen.queue[runs.QUEUED, handler], "queued run")
        yield Finding(
            "error", f"handler {handler}", f"no daemon alive has it: {waiting}", how_to_register(handler, seen)
        )


def _queues(store: Store, seen: Status) -> Iterator[Finding]:
    served = [daemon.queues for daemon in seen.alive if daemon.seats]
    if not seen.alive or any(queues is None for queues in served):
        return
    known = {queue for queues in served for queue in queues or ()}
    for queue, count in sorted(store.count_queues().items()):
        if queue not in known:
            problem = f"no daemon alive serves it: {counted(count, 'queued run')}"
            remedy = f"start one for it: cronlite run -A MODULE --queue {queue}"
            yield Finding("error", f"queue {queue}", problem, remedy)


def _freezes(store: Store) -> Iterator[Finding]:
    for id_ in store.broken_freezes():
        problem = "cannot be read, so that it holds nothing back"
        yield Finding("error", f"freeze {id_}", problem, "delete it in the database's own shell, and freeze anew")


def _limits(store: Store) -> Iterator[Finding]:
    for limit in in_use(store):
        waiting = counted(limit.waiting, "queued run")
        if limit.most is None:
            remedy = f"set it: cronlite limit {limit.name} 3"
            problem = f"is not set, so it restricts nothing; {waiting} named it"
            yield Finding("warning", f"limit {limit.name}", problem, remedy)
        elif not limit.most and limit.waiting:
            remedy = f"raise it: cronlite limit {limit.name} 3"
            yield Finding("warning", f"limit {limit.name}", f"is 0, so nothing starts; {waiting}", remedy)


def _gaps(seen: Status) -> Iterator[Finding]:
    for gap in seen.gaps:
        minutes = (gap.last - gap.first) // clock.MINUTE + 1
        left_out = f"; catch_up left {counted(gap.skipped, 'run')} out" if gap.skipped else ""
        problem = f"no daemon ticked in {counted(minutes, 'minute')}{left_out}"
        span = f"{utc_minute(gap.first)} to {utc_minute(gap.last)}"
        yield Finding("warning", span, problem, "keep a second daemon running; see each schedule's catch_up")


def _failing(seen: Status) -> Iterator[Finding]:
    for failing in seen.failing:
        error = failing.last.error or {}
        ended = utc_second(failing.last.finished_at or failing.last.queued_at)
        problem = f"failed {failing.times} times in a row, last at {ended}: {error.get('message', '')}"
        yield Finding(
            "warning",
            f"schedule {failing.name or failing.schedule}",
            problem,
            f"see 'cronlite log {quote(failing.last.id)}'; 'cronlite retry {quote(failing.last.id)}' repeats it",
        )


def _channels(seen: Status) -> Iterator[Finding]:
    for duty in seen.failing_channels:
        since = utc_second(duty.failing_since) if duty.failing_since else "some time"
        problem = f"takes no alarms since {since}, tried {counted(duty.failures, 'time')}: {duty.error}"
        remedy = "mend its URL in the configuration file, or its service; 'cronlite alarms test' tries it"
        yield Finding("warning", f"channel {duty.id.removeprefix('channel:')}", problem, remedy)


def _documents(store: Store, seen: Status) -> Iterator[Finding]:
    homeless: dict[str, list[str]] = defaultdict(list)
    ended: list[str] = []
    unlimited: dict[str, list[str]] = defaultdict(list)
    limits = {limit.name for limit in store.limits()} | store.queued_limits()
    declared = {name for daemon in seen.alive for name in daemon.declared}
    for document in store.schedules(ScheduleQuery()):
        try:
            schedule = schedules.read(document)
        except InvalidInput as fault:
            yield Finding("error", f"schedule {label(document)}", f"is set aside: {fault}", _mend(document))
            continue
        yield from _made_in_the_future(schedule, seen.now)
        if not schedule.is_paused(seen.now) and schedule.active_until is not None and schedule.active_until < seen.now:
            ended.append(schedule.name or schedule.id)
        if schedule.owner == schedules.CODE and seen.alive and schedule.name not in declared:
            problem = "was declared by code that no daemon alive has any more"
            remedy = f"'cronlite remove {quote(schedule.id)}', unless a daemon with that code comes back"
            yield Finding("warning", f"schedule {schedule.name or schedule.id}", problem, remedy)
        if schedule.limit is not None and schedule.limit not in limits:
            unlimited[schedule.limit].append(schedule.name or schedule.id)
        if not schedule.is_paused(seen.now) and seen.alive and schedule.handler not in seen.handlers:
            homeless[schedule.handler].append(schedule.name or schedule.id)
    if ended:
        problem = f"are past their active_until, and never due again: {_listed(ended)}"
        remedy = "'cronlite remove ID' deletes one, and 'cronlite edit ID --active-until none' lets it go on"
        yield Finding("warning", "schedules", problem, remedy)
    for limit, names in sorted(unlimited.items()):
        problem = f"is not set, so it restricts nothing; schedules name it: {_listed(names)}"
        yield Finding("warning", f"limit {limit}", problem, f"set it: cronlite limit {limit} 3")
    for handler, names in sorted(homeless.items()):
        problem = f"no daemon alive has it, but schedules name it: {_listed(names)}"
        yield Finding("error", f"handler {handler}", problem, how_to_register(handler, seen))


def _made_in_the_future(schedule: Schedule, now: datetime) -> Iterator[Finding]:
    """Tell of a schedule that waits for an instant at which it was made, by a clock that ran ahead."""
    latest = now + timedelta(seconds=SKEW_SECONDS)
    made = [instant for instant in (schedule.created_at, schedule.updated_at, ids.made_at(schedule.id)) if instant]
    if (
        not schedule.is_paused(now)
        and schedule.active_from
        and schedule.active_from > latest
        and max(made, default=now) > latest
    ):
        problem = f"is not due before {utc_second(schedule.active_from)}, when a clock that ran ahead says it was made"
        remedy = f"'cronlite edit {quote(schedule.id)} --active-from now'"
        yield Finding("error", f"schedule {schedule.name or schedule.id}", problem, remedy)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _mend(document: Document) -> str:
    id_ = document.get("_id")
    if not isinstance(id_, str):
        return "insert it again under an ObjectId or a string, and delete this one, in the database's own shell"
    return (
        f"mend the fields named, as 'cronlite edit {quote(id_)} --minute 0' does one; or 'cronlite remove {quote(id_)}'"
    )


def _named(daemon: DaemonRecord) -> str:
    return f"daemon {daemon.id} ({daemon.host}, pid {daemon.pid})"
