"""How is the daemon run, and how is what it does looked at, from a command line?"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from cronlite.cli import documents, render
from cronlite.cli.parameters import Duration
from cronlite.cli.render import Column
from cronlite.cli.schedules import as_json
from cronlite.cli.session import Session, pass_session
from cronlite.cli.streams import say
from cronlite.client import doctor as doctors
from cronlite.client import status as statuses
from cronlite.client.failing import Failing
from cronlite.client.status import Status
from cronlite.daemon.options import CATCH_UP_WINDOW_SECONDS, DRAIN_SECONDS, GRACE_SECONDS, SEATS
from cronlite.documents.alarms import Duty
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.ticks import Tick
from cronlite.errors import ConfigurationError, StoreUnavailable
from cronlite.logger import logger
from cronlite.wording import labels

if TYPE_CHECKING:
    from cronlite.daemon.options import Options
    from cronlite.daemon.parent import Parent

log = logger("cronlite.daemon")

WATCH_SECONDS = 2.0

MOST_ALARMS = 5

MOST_PROCESSES = 256

_PASSWORD = re.compile(r"[a-z+]+://[^/@]*:[^/]*@", re.IGNORECASE)

_seats = click.option(
    "--seats", type=int, default=SEATS, show_default=True, show_envvar=True, help="Handlers at work at a time."
)
_processes = click.option(
    "--processes",
    type=click.IntRange(1, MOST_PROCESSES),
    default=1,
    show_default=True,
    show_envvar=True,
    help="Daemons, a process each with all these seats, kept as one service: about one for each core.",
)
_drain_seconds = click.option(
    "--drain-seconds",
    type=float,
    default=DRAIN_SECONDS,
    show_default=True,
    show_envvar=True,
    help="For handlers at a stop.",
)
_allow_shell = click.option(
    "--allow-shell", is_flag=True, show_envvar=True, help="Let schedules run commands as this user."
)
_metrics = click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    show_envvar=True,
    help="Serve figures for Prometheus at /metrics, on this machine only unless HOST says otherwise; with --processes, "
    "each process has the next port.",
)
_allow_private_pings = click.option(
    "--allow-private-pings",
    is_flag=True,
    show_envvar=True,
    help="Let the ping_url of a schedule lead to this machine and its network.",
)
_log_format = click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, show_envvar=True
)


@click.command()
@_seats
@_processes
@_drain_seconds
@click.option(
    "--grace-seconds",
    type=float,
    default=GRACE_SECONDS,
    show_default=True,
    show_envvar=True,
    help="Late minutes made up in full.",
)
@click.option(
    "--catch-up-window",
    type=Duration(),
    default=f"{CATCH_UP_WINDOW_SECONDS // 3_600}h",
    show_default=True,
    show_envvar=True,
    help="How far back catch_up reaches.",
)
@click.option("--dispatch", metavar="AMQP_URI", show_envvar=True, help="The broker that tells workers of queued runs.")
@click.option("--queue", "queues", multiple=True, metavar="NAME", help="Claim runs of this queue; repeatable. [all]")
@click.option(
    "--fair-users/--no-fair-users",
    default=True,
    show_default=True,
    show_envvar=True,
    help="Users take turns when more is queued than there are seats for.",
)
@_metrics
@click.option(
    "--late-after",
    type=Duration(none=True),
    default="none",
    show_default=True,
    show_envvar=True,
    help="How long after it is due a run has to begin, of schedules that do not say so.",
)
@click.option("--heartbeat-url", metavar="URL", show_envvar=True, help="Called after each minute that was ticked here.")
@_allow_private_pings
@_allow_shell
@_log_format
@pass_session
def run(
    session: Session,
    seats: int,
    processes: int,
    drain_seconds: float,
    grace_seconds: float,
    catch_up_window: timedelta,
    dispatch: str | None,
    queues: Sequence[str],
    fair_users: bool,
    metrics: str | None,
    late_after: timedelta | str,
    heartbeat_url: str | None,
    allow_private_pings: bool,
    allow_shell: bool,
    log_format: str,
) -> None:
    """Run the daemon in the foreground: it ticks, and calls the handlers that -A registers.

    SIGTERM, SIGINT or a closed terminal lets running handlers end, at most for --drain-seconds; a second signal ends it
    at once. With no store to be reached it waits for one. With --processes, one that dies is started again, and signals
    go to all. With --dispatch, workers anywhere take a share; --seats 0 leaves all to them.
    """
    from cronlite.daemon.options import Options

    options = Options(
        seats=seats,
        drain_seconds=drain_seconds,
        grace_seconds=grace_seconds,
        catch_up_window_seconds=catch_up_window.total_seconds(),
        dispatch=dispatch,
        queues=tuple(queues) or None,
        fair_users=fair_users,
        metrics=metrics,
        alarms=session.channels,
        late_after_seconds=late_after.total_seconds() if isinstance(late_after, timedelta) else None,
        heartbeat_url=heartbeat_url,
        allow_private_pings=allow_private_pings,
    )
    _serve(session, options, processes, allow_shell=allow_shell, log_format=log_format)


@click.command()
@click.argument("broker", metavar="AMQP_URI", envvar="CRONLITE_DISPATCH")
@click.option("--queue", "queues", multiple=True, metavar="NAME", help="A queue to serve; repeatable. [default]")
@_seats
@_processes
@_drain_seconds
@_metrics
@_allow_private_pings
@_allow_shell
@_log_format
@pass_session
def worker(
    session: Session,
    broker: str,
    queues: Sequence[str],
    seats: int,
    processes: int,
    drain_seconds: float,
    metrics: str | None,
    allow_private_pings: bool,
    allow_shell: bool,
    log_format: str,
) -> None:
    """Run a worker: it runs what a broker tells it of.

    A daemon without ticks: it hears of runs to claim, as many as it has seats free. Some daemon has to run with
    --dispatch and the same broker. The store is the same, too: give --uri and -A as for 'cronlite run'. AMQP_URI is
    amqp://user:password@host:5672/vhost, or $CRONLITE_DISPATCH.
    """
    from cronlite.daemon.options import Options

    served = tuple(queues) or None
    options = Options(
        seats=seats,
        drain_seconds=drain_seconds,
        dispatch=broker,
        queues=served,
        metrics=metrics,
        alarms=session.channels,
        allow_private_pings=allow_private_pings,
    )
    _serve(session, options, processes, worker=True, allow_shell=allow_shell, log_format=log_format)


def _serve(
    session: Session, options: Options, processes: int, *, worker: bool = False, allow_shell: bool, log_format: str
) -> None:
    from cronlite.daemon import logs
    from cronlite.daemon.parent import find_parent

    parent = find_parent(os.environ)
    logs.configure("json" if log_format == "json" else "text", process=parent.number if parent else None)
    if parent:
        _serve_one(session, options, worker=worker, allow_shell=allow_shell, parent=parent)
        return
    _warn_of_typed_passwords(click.get_current_context())
    if processes == 1:
        _serve_one(session, options, worker=worker, allow_shell=allow_shell)
        return
    from cronlite.daemon.processes import Processes
    from cronlite.daemon.service import Notifier

    sys.exit(Processes(processes, Notifier(os.environ.get("NOTIFY_SOCKET")), options.drain_seconds).run())


def _serve_one(
    session: Session, options: Options, *, worker: bool, allow_shell: bool, parent: Parent | None = None
) -> None:
    from cronlite.daemon import service
    from cronlite.handlers import loading, output, registry, shell
    from cronlite.metrics import address

    cron = session.cron
    if parent and cron.uri.startswith("memory:"):
        raise ConfigurationError("several processes share no memory: give --uri sqlite:PATH, or leave --processes out")
    if parent and options.metrics is not None:
        options = replace(options, metrics=address.of_process(options.metrics, parent.number))
    registry.be_at_home(cron)
    for broken in loading.load_entry_points(cron.registry):
        log.warning("%s", broken)
    if allow_shell:
        shell.allow_shell(cron.registry)
    if options.seats and not cron.registry.names() and (parent is None or parent.number == 1):
        log.warning(
            "no handler is registered, so every run stays queued: name a module with @cronlite.handler as -A, "
            "or let schedules run commands with --allow-shell"
        )
    with output.capture_logs(), output.capture_prints():
        service.run(cron.store, cron.registry, options, worker=worker, home=cron, parent=parent)


def _warn_of_typed_passwords(context: click.Context) -> None:
    """Say so where a password is on the command line, which everybody on this machine can read as long as this runs."""
    for ctx in (context, context.find_root()):
        for option in ctx.command.params:
            name, value = option.name or "", ctx.params.get(option.name or "")
            typed = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
            if typed and isinstance(value, str) and _PASSWORD.match(value):
                log.warning("the password on the command line shows in the list of processes: give $%s", option.envvar)


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
        ("frozen", "\n".join(f"{one.picks()}: {one.told()}" for one in seen.freezes)),
        ("paused", f"{seen.paused} schedule{'s' * (seen.paused > 1)}" if seen.paused else ""),
        ("stuck", _stuck(seen.alive)),
        ("trouble", "\n".join(f"daemon {one.id}: {one.trouble}" for one in seen.alive if one.trouble)),
        ("failing", "\n".join(_failing(one, seen.now) for one in seen.failing)),
        ("alarms", _alarms(seen)),
        ("channels", "\n".join(_channel(one, seen.now) for one in seen.failing_channels)),
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
    told = "\n".join(
        f"{one.title}, since {render.relative(one.since_at, seen.now)}" for one in seen.alarms[:MOST_ALARMS]
    )
    more = f"\nand {len(seen.alarms) - MOST_ALARMS} more: cronlite alarms" if len(seen.alarms) > MOST_ALARMS else ""
    return told + more


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
