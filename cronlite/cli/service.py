"""How is the daemon run from a command line, and a worker?"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from cronlite.cli.parameters import Duration, late_after, seconds
from cronlite.cli.session import Session, pass_session
from cronlite.daemon.options import CATCH_UP_WINDOW_SECONDS, DRAIN_SECONDS, GRACE_SECONDS, SEATS
from cronlite.errors import ConfigurationError
from cronlite.logger import logger

if TYPE_CHECKING:
    from cronlite.daemon.options import Options
    from cronlite.daemon.parent import Parent

log = logger("cronlite.daemon")

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
_late_after = late_after(show_envvar=True)
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
@_late_after
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
        late_after_seconds=seconds(late_after),
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
@_late_after
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
    late_after: timedelta | str,
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
        late_after_seconds=seconds(late_after),
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
