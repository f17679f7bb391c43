"""How are the daemons and the queue, and what is wrong?"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import click

from cronlite.cli import documents, render
from cronlite.cli.render import Column
from cronlite.cli.schedules import as_json
from cronlite.cli.session import Session, pass_session
from cronlite.cli.streams import say
from cronlite.client import doctor as doctors
from cronlite.client import status as statuses
from cronlite.client.failing import Failing
from cronlite.client.status import Status
from cronlite.documents.alarms import Duty
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.ticks import Tick
from cronlite.errors import StoreUnavailable
from cronlite.wording import labels
from cronlite.wording.numbers import counted

WATCH_SECONDS = 2.0
MOST_ALARMS = 5


@click.command()
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")
@as_json
@pass_session
def status(session: Session, watch: bool, as_json: bool) -> None:
    """Show who is alive, last ticks, queue, gaps.

    Exit code 1 where no daemon and no worker is alive.
    --json prints address, now, next_wake, daemons, ticks, gaps, queue (state, handler, runs), unknown_handlers, and
    failing (schedule, name, times in a row, last run), paused, a number of schedules, freezes, those in force, alarms
    (those open that nobody acknowledged), and channels (those that take none: channel, error, failing_since, failures,
    next_at).
    """
    if watch and as_json:
        raise click.UsageError("--watch shows it anew, and --json prints one document", click.get_current_context())
    seen = statuses.status(session.cron.store)
    if as_json:
        render.print_json(documents.status(seen))
    else:
        say(_told(seen))
    with suppress(KeyboardInterrupt):
        while watch:
            time.sleep(WATCH_SECONDS)
            try:
                seen = statuses.status(session.cron.store)
            except StoreUnavailable as missing:
                render.note(str(missing), "warning")
                continue
            click.clear()  # which does nothing but on a terminal
            say(_told(seen))
            sys.stdout.flush()
    if not seen.alive:
        raise click.exceptions.Exit(1)


def _told(seen: Status) -> str:
    return "\n".join(part for part in (_overview(seen), _daemons(seen), _ticks(seen), _queue(seen)) if part)


def _overview(seen: Status) -> str:
    wake = seen.next_wake
    dead = f", {len(seen.dead)} dead" if seen.dead else ""
    queue = {state: sum(n for (of, _), n in seen.queue.items() if of == state) for state in ("queued", "running")}
    rows = [
        ("store", seen.address),
        ("now", render.second(seen.now)),
        (
            "next wake",
            f"{render.second(wake)}, {render.relative(wake, seen.now)}"
            if wake
            else f"never: no daemon {'that ticks ' if seen.alive else ''}is alive",
        ),
        ("daemons", f"{len(seen.alive)} alive{dead}"),
        ("runs", f"{queue['queued']} queued, {queue['running']} running"),
        ("frozen", "\n".join(f"{freeze.picks()}: {freeze.told()}" for freeze in seen.freezes)),
        ("paused", counted(seen.paused, "schedule") if seen.paused else ""),
        ("stuck", _stuck(seen.alive)),
        ("trouble", "\n".join(f"daemon {daemon.id}: {daemon.trouble}" for daemon in seen.alive if daemon.trouble)),
        ("failing", "\n".join(_failing(job, seen.now) for job in seen.failing)),
        ("alarms", _alarms(seen)),
        ("channels", "\n".join(_channel(channel, seen.now) for channel in seen.failing_channels)),
        ("gaps", "\n".join(_gap(gap) for gap in seen.gaps)),
        (
            "unknown",
            "\n".join(f"no daemon alive has the handler {name!r} of queued runs" for name in seen.unknown_handlers),
        ),
    ]
    return render.pairs(rows, "")


def _stuck(alive: Sequence[DaemonRecord]) -> str:
    stuck = sum(daemon.stuck for daemon in alive)
    return f"{stuck} threads in handlers over their time-out" if stuck else ""


def _failing(failing: Failing, now: datetime) -> str:
    name = labels.called(failing.name, failing.schedule)
    ago = render.relative(labels.at(failing.last), now)
    return f"{name} {failing.times} times in a row, last {ago}: {labels.outcome(failing.last)}"


def _alarms(seen: Status) -> str:
    listed = "\n".join(
        f"{alarm.title}, since {render.relative(alarm.since_at, seen.now)}" for alarm in seen.alarms[:MOST_ALARMS]
    )
    more = f"\nand {len(seen.alarms) - MOST_ALARMS} more: cronlite alarms" if len(seen.alarms) > MOST_ALARMS else ""
    return listed + more


def _channel(duty: Duty, now: datetime) -> str:
    since = render.relative(duty.failing_since, now)
    name = duty.id.removeprefix("channel:")
    again = f"; tried again {render.relative(duty.next_at, now)}" if duty.next_at else ""
    return f"{name} takes no alarms, {duty.failures} times since {since}: {duty.error}{again}"


def _gap(gap: Tick) -> str:
    minutes = (gap.last - gap.first) // timedelta(minutes=1) + 1
    left_out = f", {gap.skipped} runs left out" if gap.skipped else ""
    return f"{render.utc_minute(gap.first)} to {render.utc_minute(gap.last)}, {minutes} min without a tick{left_out}"


def _daemons(seen: Status) -> str:
    columns = [Column("daemon"), Column("state"), Column("host", 8), Column("pid", right=True)]
    columns += [Column("seats", right=True), Column("running", right=True), Column("seen"), Column("handlers", 8)]
    rows = [
        [
            daemon.id,
            ("alive" if daemon.ticks else "worker") if daemon in seen.alive else "dead",
            daemon.host,
            str(daemon.pid),
            str(daemon.seats),
            str(daemon.running),
            render.relative(daemon.seen_at, seen.now),
            ", ".join(daemon.handlers),
        ]
        for daemon in [*seen.alive, *seen.dead]
    ]
    return f"\n{render.table(columns, rows)}" if rows else ""


def _ticks(seen: Status) -> str:
    columns = [Column("last ticks"), Column("due", right=True), Column("done"), Column("by")]
    rows = [
        [
            render.utc_minute(tick.minute) if not tick.is_gap else f"gap to {render.utc_minute(tick.last)}",
            str(tick.due),
            render.relative(tick.done_at, seen.now) or "not yet",
            tick.daemon,
        ]
        for tick in seen.ticks
    ]
    return f"\n{render.table(columns, rows)}" if rows else ""


def _queue(seen: Status) -> str:
    columns = [Column("at work"), Column("runs", right=True), Column("handler", 8)]
    rows = [[state, str(count), handler] for (state, handler), count in sorted(seen.queue.items())]
    return f"\n{render.table(columns, rows)}" if rows else ""


@click.command()
@as_json
@pass_session
def doctor(session: Session, as_json: bool) -> None:
    """Look for what is wrong, and how to mend it.

    Exit code 1 if something keeps work from being done. Indexes that are missing are made.
    --json prints a list of: severity ("error" or "warning"), subject, problem, remedy.
    """
    findings = doctors.doctor(session.cron.store)
    if as_json:
        render.print_json([documents.finding(finding) for finding in findings])
    else:
        for finding in findings:
            say(f"{render.coloured(finding.severity)}: {render.one_line(f'{finding.subject}: {finding.problem}')}")
            say(f"  remedy: {render.one_line(finding.remedy)}")
        if not findings:
            say("nothing is wrong")
    if any(finding.severity == "error" for finding in findings):
        raise click.exceptions.Exit(1)
