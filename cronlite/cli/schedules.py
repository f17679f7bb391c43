"""How are schedules listed, shown, switched and removed from a command line?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase

import click

from cronlite.cli import documents, render
from cronlite.cli.parameters import Name
from cronlite.cli.references import schedule_document, schedule_id
from cronlite.cli.render import Column
from cronlite.cli.session import Session, handler_names, pass_session, schedule_names
from cronlite.cli.several import each
from cronlite.cli.streams import say
from cronlite.documents import schedules as schedule_documents
from cronlite.documents.schedules import Schedule
from cronlite.errors import InvalidInput
from cronlite.when import pattern as cron_language

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
ref = click.argument("ref", metavar="ID", type=Name(schedule_names))
refs = click.argument("refs", metavar="[ID]...", nargs=-1, type=Name(schedule_names))


@click.command("list")
@click.option("--tag", metavar="TEXT", help="Only those with this tag.")
@click.option("--match", metavar="GLOB", help="Only those whose name or id fits, such as 'nightly-*'.")
@click.option("--user", metavar="TEXT", help="Only those of this user.")
@click.option("--handler", type=Name(handler_names), metavar="NAME", help="Only those that call this handler.")
@click.option("--enabled/--disabled", default=None, help="Only those that may run, or only the paused ones.")
@as_json
@pass_session
def list_(
    session: Session,
    tag: str | None,
    match: str | None,
    user: str | None,
    handler: str | None,
    enabled: bool | None,
    as_json: bool,
) -> None:
    """List schedules and their next runs.

    --json prints a list of schedules: their fields, description, next_runs and faults (empty).
    """
    cron = session.cron
    found, broken = schedule_documents.readable(cron.store.schedules(tag=tag, user=user, handler=handler))
    fitting = [s for s in found if _fits(s, match) and (enabled is None or s.enabled is enabled)]
    now = cron.now()
    if as_json:
        render.print_json([documents.schedule(schedule, now) for schedule in fitting])
    elif fitting:
        say(_listed(sorted(fitting, key=lambda s: (s.name is None, s.name or s.id)), now))
    else:
        render.note(
            "no schedule fits" if found else "there are no schedules; 'cronlite add --help' tells how to add one"
        )
    if broken:
        render.note(f"{len(broken)} cannot be read ({', '.join(broken[:3])}); 'cronlite doctor' tells why", "warning")


def _fits(schedule: Schedule, glob: str | None) -> bool:
    return glob is None or any(fnmatchcase(text, glob) for text in (schedule.name or "", schedule.id))


def _listed(schedules: Iterable[Schedule], now: datetime) -> str:
    columns = [Column("schedule"), Column("next run"), Column("when", 14), Column("handler", 10)]
    columns += [Column("user", 6), Column("tags", 6)]
    rows = []
    for schedule in schedules:
        following = schedule.next_runs(now, 1) if schedule.enabled else []
        due = render.relative(following[0], now) if following else "never" if schedule.enabled else "paused"
        shown = [schedule.name or schedule.id, due, expression(schedule)]
        rows.append([*shown, schedule.handler, schedule.user, ",".join(schedule.tags)])
    return render.table(columns, rows)


def expression(schedule: Schedule) -> str:
    """Show the five fields as a crontab would, and what it would not say."""
    line = " ".join(str(getattr(schedule, name)) for name in cron_language.FIELDS)
    both = schedule.either_day and "*" not in (schedule.day, schedule.weekday)
    return f"{line}{' (either day)' if both else ''}{'' if schedule.tz == 'UTC' else f' {schedule.tz}'}"


@click.command()
@ref
@as_json
@pass_session
def show(session: Session, ref: str, as_json: bool) -> None:
    """Show all of one schedule, also of one that cannot be read.

    --json prints its fields, description, next_runs (at most five) and faults; where there are faults: id, name, faults
    and the document as it is stored.
    """
    cron = session.cron
    document = schedule_document(cron, ref)
    try:
        schedule = schedule_documents.read(document)
    except InvalidInput as refused:
        faults = [str(fault) for fault in refused.faults]
        if as_json:
            render.print_json(documents.unreadable(document, faults))
        else:
            say(render.json_text(document))
            for fault in faults:
                render.note(fault, "error")
        return
    now = cron.now()
    if as_json:
        render.print_json(documents.schedule(schedule, now))
    else:
        say(f"{_shown(schedule, now)}\n\n{next_runs(schedule, now)}")


def _shown(schedule: Schedule, now: datetime) -> str:
    retries = f"{schedule.retries}, after {render.span(schedule.retry_delay_seconds)}, doubling"
    limit = schedule.timeout_seconds
    rows = [
        ("id", schedule.id),
        ("name", render.one_line(schedule.name or "")),
        ("when", schedule.describe()),
        ("fields", expression(schedule)),
        ("handler", schedule.handler),
        ("params", render.json_text(schedule.params, indent=None)),
        ("user", render.one_line(schedule.user)),
        ("tags", render.one_line(", ".join(schedule.tags))),
        ("overlap", schedule.overlap),
        ("catch up", schedule.catch_up),
        ("retries", retries if schedule.retries else "none"),
        ("time-out", render.span(limit) if limit is not None else "none"),
        ("on crash", schedule.on_crash),
        ("note", render.printable(schedule.note)),
        ("active from", _dated(schedule.active_from, now)),
        ("created", _dated(schedule.created_at, now)),
        ("updated", _dated(schedule.updated_at, now)),
    ]
    return render.pairs(rows)


def next_runs(schedule: Schedule, now: datetime, indent: str = "  ") -> str:
    """Show the next runs as a table, or why there are none."""
    if not schedule.enabled:
        return f"{indent}paused; 'cronlite resume {schedule.name or schedule.id}' lets it run"
    ticks = schedule.next_runs(now, documents.NEXT_RUNS)
    columns = [Column("next runs"), Column("UTC"), Column(""), Column("", 20)]
    return (
        render.table(columns, [tick_row(schedule, tick, now) for tick in ticks], indent)
        if ticks
        else f"{indent}no next run"
    )


def tick_row(schedule: Schedule, tick: datetime, now: datetime) -> list[str]:
    """Show a tick on the schedule's clock, in UTC unless that is its clock, from now, and what DST does to it."""
    zone = schedule.timetable.zone
    utc = "" if schedule.tz == "UTC" else render.utc_minute(tick)
    return [render.minute(tick, zone), utc, render.relative(tick, now), schedule.timetable.oddity(tick) or ""]


def _dated(instant: datetime | None, now: datetime) -> str:
    return f"{render.second(instant)}, {render.relative(instant, now)}" if instant else ""


@click.command()
@click.argument("refs", metavar="ID...", nargs=-1, required=True, type=Name(schedule_names))
@pass_session
def remove(session: Session, refs: Sequence[str]) -> None:
    """Delete schedules. Runs of them that are queued already still run."""
    each(refs, lambda ref: f"removed {session.cron.remove(schedule_id(session.cron, ref))}")


@click.command()
@refs
@click.option("--tag", metavar="TEXT", help="All that have this tag.")
@pass_session
def pause(session: Session, refs: Sequence[str], tag: str | None) -> None:
    """Keep schedules from running, until they are resumed."""
    each(_meant(session, refs, tag), lambda ref: f"paused {_name(session.cron.pause(schedule_id(session.cron, ref)))}")


@click.command()
@refs
@click.option("--tag", metavar="TEXT", help="All that have this tag.")
@pass_session
def resume(session: Session, refs: Sequence[str], tag: str | None) -> None:
    """Let paused schedules run again, from now on."""

    def resumed(ref: str) -> str:
        schedule = session.cron.resume(schedule_id(session.cron, ref))
        now = datetime.now(timezone.utc) - timedelta(seconds=1)
        following = [render.minute(tick, schedule.timetable.zone) for tick in schedule.next_runs(now, 1)]
        return f"resumed {_name(schedule)}, next run {following[0] if following else 'never'}"

    each(_meant(session, refs, tag), resumed)


def _meant(session: Session, refs: Sequence[str], tag: str | None) -> list[str]:
    if not refs and tag is None:
        raise click.UsageError("name schedules, or give --tag", click.get_current_context())
    tagged = [str(document["_id"]) for document in session.cron.store.schedules(tag=tag)] if tag is not None else []
    if tag is not None and not tagged:
        render.note(f"no schedule has the tag {tag!r}", "warning")
    return [*refs, *tagged]


def _name(schedule: Schedule) -> str:
    return render.one_line(schedule.name or schedule.id)
