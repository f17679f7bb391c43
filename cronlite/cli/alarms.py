"""How are alarms looked at, acknowledged and tried, from a command line?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import click

from cronlite.cli import documents, render
from cronlite.cli.parameters import late_after, seconds
from cronlite.cli.render import Column
from cronlite.cli.schedules import as_json
from cronlite.cli.session import Session, pass_session
from cronlite.cli.several import each
from cronlite.cli.streams import say
from cronlite.client import checking
from cronlite.client.app import Cronlite
from cronlite.documents.alarms import Alarm
from cronlite.errors import ConfigurationError, Conflict, NotFound, StoreError, shown


@click.group("alarms", invoke_without_command=True)
@click.option("--all", "cleared", is_flag=True, help="Also those that are over.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@as_json
@click.pass_context
def alarms(context: click.Context, cleared: bool, limit: int, as_json: bool) -> None:
    """List alarms: what failed, is overdue, or was not ticked.

    They are told by the channels in the [[alarms]] of the configuration file.
    --json prints a list of: id, kind, title, detail, command, since_at, raised_at, last_at, times, cleared_at,
    acked_at, acked_by, schedule, name, run, user, handler, tags, event, and told (by channel: told_at, times, cleared).
    """
    if context.invoked_subcommand is not None:
        return
    cron = context.find_object(Session).cron  # type: ignore[union-attr]
    shown = cron.alarms.list(cleared=cleared, limit=limit + 1)
    if len(shown) > limit:
        shown = shown[:limit]
        render.note(f"there are more than {limit}; --limit shows more")
    if as_json:
        render.print_json([documents.alarm(alarm) for alarm in shown])
        return
    say(_table(shown, cron.now()) if shown else "no alarm is open" if not cleared else "no alarm is known")


@alarms.command()
@click.argument("ref", metavar="ID")
@as_json
@pass_session
def show(session: Session, ref: str, as_json: bool) -> None:
    """Show all of one alarm. ID may be a unique beginning, or the name of its schedule.

    --json prints it as 'cronlite alarms --json' does.
    """
    cron = session.cron
    alarm = _named(cron, ref)
    if as_json:
        render.print_json(documents.alarm(alarm))
    else:
        say(_shown(alarm, cron.now()))


@alarms.command()
@click.argument("refs", metavar="ID...", nargs=-1, required=True)
@pass_session
def ack(session: Session, refs: Sequence[str]) -> None:
    """Let alarms stay quiet: somebody looks after them. The next one with the same reason is told again."""
    cron = session.cron
    each(refs, lambda ref: f"acknowledged {cron.alarms.ack(_named(cron, ref).id, actor=session.actor).id}")


@alarms.command()
@click.option("--channel", "only", metavar="NAME", help="This channel only.")
@as_json
@pass_session
def test(session: Session, only: str | None, as_json: bool) -> None:
    """Send a message by each channel of the configuration file, and say what became of it.

    Exit code 1 where one does not take it.
    --json prints a list of: channel, and problem, null where it was taken.
    """
    from cronlite.alarms.sending import ChannelFailed, sender

    channels = [channel for channel in session.channels if only in (None, channel.name)]
    if not channels:
        known = ", ".join(channel.name for channel in session.channels)
        missing = f"no channel is called {shown(only)}; there are: {known}" if known else _NO_CHANNEL
        raise ConfigurationError(missing)
    problems: dict[str, str | None] = {}
    for channel in channels:
        try:
            sender(channel)("cronlite: this is a test", f"Alarms of {session.cron.store.address} are told here.")
            problems[channel.name] = None
        except ChannelFailed as failed:
            problems[channel.name] = str(failed)
    if as_json:
        render.print_json([{"channel": name, "problem": problem} for name, problem in problems.items()])
    else:
        for name, problem in problems.items():
            say(f"{name}: {'taken' if problem is None else f'not taken: {problem}'}")
    if any(problems.values()):
        raise click.exceptions.Exit(1)


_NO_CHANNEL = 'no channel is configured: write [[alarms]] with to = "…" into the file that --config names'


@click.command()
@late_after()
@as_json
@pass_session
def check(session: Session, late_after: timedelta | str, as_json: bool) -> None:
    """Say in one line whether all is well, for cron, a container's health check or a monitoring agent.

    As Nagios plugins do: exit code 0 OK; 1 WARNING, an alarm is open or a daemon in trouble; 2 CRITICAL, for two
    minutes no daemon has ticked, or a schedule is overdue; 3 UNKNOWN, the store is unreachable. It only reads.
    --json prints code, state, problems, figures, and overdue (schedule, due_at, why, user, handler, run).
    """
    try:
        seen = checking.check(session.cron.store, seconds(late_after))
    except StoreError as broken:
        seen = checking.unknown(str(broken))
    if as_json:
        render.print_json(documents.check(seen))
    else:
        say(seen.line())
    raise click.exceptions.Exit(seen.code)


def _table(alarms: Sequence[Alarm], now: datetime) -> str:
    columns = [Column("alarm", 12, middle=True), Column("since"), Column("state"), Column("what", 20)]
    rows = [[alarm.id, render.relative(alarm.since_at, now), _state(alarm), alarm.title] for alarm in alarms]
    return render.table(columns, rows)


def _state(alarm: Alarm) -> str:
    if not alarm.is_open:
        return "over"
    if alarm.acked_at is not None:
        return "acknowledged"
    return "told" if alarm.told else "not told"


def _shown(alarm: Alarm, now: datetime) -> str:
    channels = "\n".join(
        f"{name}: {word.times} times, last {render.dated(word.told_at, now)}" for name, word in alarm.told.items()
    )
    rows = [
        ("alarm", alarm.id),
        ("what", render.one_line(alarm.title)),
        ("since", render.dated(alarm.since_at, now)),
        ("raised", render.dated(alarm.raised_at, now)),
        ("times", f"{alarm.times}, last {render.dated(alarm.last_at, now)}" if alarm.times > 1 else ""),
        ("over", render.dated(alarm.cleared_at, now)),
        (
            "acknowledged",
            f"by {render.one_line(alarm.acked_by or '')}, {render.dated(alarm.acked_at, now)}"
            if alarm.acked_at
            else "",
        ),
        ("schedule", alarm.name or alarm.schedule or ""),
        ("user", render.one_line(alarm.user)),
        ("told by", channels),
        ("more", alarm.command),
        ("detail", render.printable(alarm.detail)),
    ]
    return render.pairs(rows)


def _named(cron: Cronlite, ref: str) -> Alarm:
    """Find an alarm by its id, a unique beginning of it, or the name or id of its schedule."""
    try:
        return cron.alarms.get(ref)
    except NotFound:
        some = cron.alarms.list(limit=10_000)
        fitting = [alarm for alarm in some if ref and (alarm.id.startswith(ref) or ref in (alarm.name, alarm.schedule))]
        if not fitting:
            raise
        if len(fitting) > 1:
            ids = ", ".join(alarm.id for alarm in fitting[:3])
            raise Conflict(f"several alarms fit {shown(ref)}: {ids}; give more of the id") from None
        return fitting[0]
