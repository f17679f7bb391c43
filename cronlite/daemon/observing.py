"""What in a store is a reason for an alarm now: its ledger, its daemons, what runs and what is late?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from shlex import quote

from cronlite.alarms.messages import detail, tail
from cronlite.daemon.overdue import Overdue
from cronlite.documents import alarms, runs
from cronlite.documents.alarms import Alarm
from cronlite.documents.daemons import NO_TICK, DaemonRecord
from cronlite.documents.runs import Run
from cronlite.documents.ticks import Tick
from cronlite.store.contract import RunQuery, Store
from cronlite.when.clock import MINUTE, utc_minute, utc_second

BAD = (runs.FAILED, runs.TIMED_OUT, runs.ABANDONED)
SLACK = timedelta(seconds=5)
NOBODY = "daemons"
BROKER_TROUBLE = "the broker "
"""How the trouble of a daemon begins that cannot reach its broker."""
OUT_OF_REACH = timedelta(seconds=60)
FEWEST_RUNS = 10
MOST_RUNS = 100
SLOWER_BY = timedelta(seconds=60)
ASKED_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Called:
    """What people call a schedule."""

    id: str
    name: str | None = None
    tags: Sequence[str] = ()

    def __str__(self) -> str:
        return self.name or self.id


def of_run(run: Run, called: Called | None, now: datetime) -> Alarm:
    """Make the alarm of a run that failed for good, timed out or was abandoned."""
    error = run.error or {}
    ended = run.finished_at or now
    how = {runs.FAILED: "failed", runs.TIMED_OUT: "timed out", runs.ABANDONED: "was abandoned"}[run.state]
    what = f"schedule {called}" if called else f"{run.handler} on demand"
    message = f"{error.get('type', '').rpartition('.')[2]}: {error.get('message', '')}".strip(": ")
    return alarms.new(
        run.state,
        called.id if called else f"demand/{run.handler}/{run.user}"[:500].strip(),
        f"{what}{_for(run.user)} {how}: {(message or run.reason or '').partition(chr(10))[0]}".rstrip(": "),
        now=now,
        since_at=ended,
        last_at=ended,
        detail=detail([f"handler {run.handler}, attempt {run.attempt}", message or run.reason or "", tail(run.output)]),
        command=f"cronlite log {quote(run.id)}",
        schedule=called.id if called else None,
        name=called.name if called else None,
        tags=list(called.tags) if called else [],
        run=run.id,
        user=run.user,
        handler=run.handler,
        event=called is None,
    )


def of_overdue(late: Overdue, called: Called, now: datetime) -> Alarm:
    """Make the alarm of a schedule whose run has not begun."""
    return alarms.new(
        alarms.OVERDUE,
        late.schedule,
        f"schedule {called}{_for(late.user)} is overdue since {utc_minute(late.due_at)}: {late.why}",
        now=now,
        since_at=late.due_at,
        detail=f"handler {late.handler}",
        command=f"cronlite why {quote(late.schedule)} --at {late.due_at:%Y-%m-%dT%H:%MZ}",
        schedule=late.schedule,
        name=called.name,
        tags=list(called.tags),
        run=late.run,
        user=late.user,
        handler=late.handler,
    )


def of_document(id_: str, name: str | None, problem: str, now: datetime) -> Alarm:
    """Make the alarm of a schedule that is set aside because it cannot be read."""
    return alarms.new(
        alarms.SET_ASIDE,
        id_,
        f"schedule {name or id_} is set aside, and never runs: {problem}",
        now=now,
        command="cronlite doctor",
        schedule=id_,
        name=name,
    )


def of_text(subject: str, now: datetime) -> Alarm:
    """Make the alarm of a text in a time field that cannot be read, whichever schedules have it."""
    title = f"schedules with the {subject} are set aside, and never run: it cannot be read"
    return alarms.new(alarms.SET_ASIDE, f"text/{subject}", title, now=now, command="cronlite doctor")


def silence(entries: Iterable[Tick], now: datetime) -> Iterator[Alarm]:
    """Yield the alarm that no daemon ticks, if none has for two minutes."""
    done = [entry.done_at for entry in entries if entry.done_at is not None]
    if done and now - max(done) > NO_TICK + SLACK:
        yield _silent(max(done), now)


def silences(entries: Iterable[Tick], since: datetime, now: datetime) -> Iterator[Alarm]:
    """Yield the alarms of silences that have ended since: no daemon had ticked, and by now they are over."""
    done = sorted(entry.done_at for entry in entries if entry.done_at is not None)
    for before, after in pairwise(done):
        if after > since and after - before > NO_TICK + SLACK:
            alarm = _silent(before, now)
            alarm.cleared_at = after
            yield alarm


def _silent(since: datetime, now: datetime) -> Alarm:
    title = f"no daemon has ticked since {utc_second(since)}"
    return alarms.new(alarms.NO_TICK, NOBODY, title, now=now, since_at=since, command="cronlite status")


def gaps(entries: Iterable[Tick], since: datetime, now: datetime) -> Iterator[Alarm]:
    """Yield the alarms of gaps that were accounted for since."""
    for gap in entries:
        if gap.is_gap and gap.done_at is not None and gap.done_at > since:
            left_out = f"; catch_up left {gap.skipped} runs out" if gap.skipped else ""
            span = f"{utc_minute(gap.first)} to {utc_minute(gap.last)}"
            minutes = (gap.last - gap.first) // MINUTE + 1
            yield alarms.new(
                alarms.GAP,
                f"{gap.first:%Y-%m-%dT%H:%MZ}",
                f"no daemon ticked in {minutes} minutes, {span}{left_out}",
                now=now,
                since_at=gap.first,
                last_at=gap.done_at,  # however often it is looked at
                command="cronlite doctor",
                event=True,
            )


def stuck(daemons: Iterable[DaemonRecord], now: datetime) -> Iterator[Alarm]:
    """Yield the alarms of daemons with more stuck threads than half their seats."""
    for daemon in daemons:
        if daemon.is_alive(now) and daemon.stuck * 2 > daemon.seats:
            who = f"daemon {daemon.id} ({daemon.host}, pid {daemon.pid})"
            problem = f"{who} has {daemon.stuck} stuck threads, and {daemon.seats} seats"
            more = "Their handlers are over their time-out. Restart it; give such handlers isolation='process'."
            yield alarms.new(alarms.STUCK, daemon.id, problem, now=now, detail=more, command="cronlite doctor")


class Brokers:
    """Tells when daemons have not reached their broker for a minute."""

    def __init__(self) -> None:
        self._since: datetime | None = None

    def look(self, daemons: Iterable[DaemonRecord], now: datetime) -> Iterator[Alarm]:
        """Yield the alarm, if it is so."""
        cut_off = [daemon for daemon in daemons if daemon.is_alive(now) and BROKER_TROUBLE in daemon.trouble]
        self._since = (self._since or now) if cut_off else None
        if self._since is not None and now - self._since >= OUT_OF_REACH:
            who = ", ".join(f"{daemon.id} ({daemon.host})" for daemon in cut_off[:3])
            yield alarms.new(
                alarms.BROKER,
                "broker",
                f"the broker is out of reach of {len(cut_off)} daemons: {who}",
                now=now,
                since_at=self._since,
                detail=cut_off[0].trouble,
                command="cronlite status",
            )


class Slow:
    """Tells which runs take much longer than 95 % of those before them: twice as long, and by a minute at least."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._usual: dict[str, tuple[timedelta | None, datetime]] = {}

    def look(self, now: datetime) -> Iterator[tuple[Run, timedelta]]:
        """Yield the runs, each with what is usual."""
        running = self._store.runs(RunQuery(states=[runs.RUNNING], limit=1_000))
        for run in running:
            if run.schedule is None or run.started_at is None or now - run.started_at < SLOWER_BY:
                continue
            usual = self._usually(run.schedule, now)
            if usual is not None and now - run.started_at > max(2 * usual, usual + SLOWER_BY):
                yield run, usual

    def _usually(self, schedule: str, now: datetime) -> timedelta | None:
        usual, until = self._usual.get(schedule, (None, now))
        if until > now:
            return usual
        ended = self._store.runs(RunQuery(schedule=schedule, states=[runs.SUCCEEDED], limit=MOST_RUNS))
        took = sorted(run.finished_at - run.started_at for run in ended if run.finished_at and run.started_at)
        usual = took[int(len(took) * 0.95)] if len(took) >= FEWEST_RUNS else None
        if len(self._usual) > 10_000:
            self._usual.clear()
        self._usual[schedule] = usual, now + ASKED_AGAIN
        return usual


def of_slow(run: Run, usual: timedelta, called: Called, now: datetime) -> Alarm:
    """Make the alarm of a run that takes too long."""
    since = run.started_at or now
    took = f"has run for {_minutes(now - since)}; 95 % of its runs took {_minutes(usual)} at most"
    title = f"schedule {called}{_for(run.user)} {took}"
    return alarms.new(
        alarms.SLOW,
        called.id,
        title,
        now=now,
        since_at=since,
        detail=f"handler {run.handler}, daemon {run.daemon}",
        command=f"cronlite log {quote(run.id)}",
        schedule=called.id,
        name=called.name,
        tags=list(called.tags),
        run=run.id,
        user=run.user,
        handler=run.handler,
    )


def _for(user: str) -> str:
    return f" for {user}" if user else ""


def _minutes(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
