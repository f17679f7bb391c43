"""How are schedules listed, shown, switched and removed from a command line?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import click

from cronlite.cli import bulk, documents, nobody, picking, render
from cronlite.cli.instants import Instant, Spoken, tell_clock
from cronlite.cli.parameters import Name
from cronlite.cli.picking import Filters, Picked
from cronlite.cli.references import schedule_document, schedule_id
from cronlite.cli.render import Column
from cronlite.cli.session import Session, pass_session, schedule_names
from cronlite.cli.streams import say
from cronlite.client.app import Cronlite
from cronlite.client.bulk import Outcome
from cronlite.documents import schedules as schedule_documents
from cronlite.documents.freezes import NOTHING, Frozen
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Schedule
from cronlite.errors import InvalidInput
from cronlite.store.grouping import batches
from cronlite.when.timetable import Timetable
from cronlite.wording import labels
from cronlite.wording.labels import expression as expression

if TYPE_CHECKING:
    from typing_extensions import Unpack

PAGE = 200  # rows of a table that are in memory at a time

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
ref = click.argument("ref", metavar="ID", type=Name(schedule_names))
refs = click.argument("refs", metavar="[ID]...", nargs=-1, type=Name(schedule_names))


@click.command("list")
@picking.picked
@click.option("--enabled/--disabled", default=None, help="Only those that may run, or only the paused ones.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many. [default: all]")
@as_json
@pass_session
def list_(
    session: Session, /, enabled: bool | None, limit: int | None, as_json: bool, **filters: Unpack[Filters]
) -> None:
    """List schedules: how the last run of each went, and when the next one is.

    --json prints a list of schedules: their fields, description, next_runs and faults (empty).
    """
    cron = session.cron
    now = cron.now()
    chosen = Picked(cron, **filters, by_name=True)
    fitting = (schedule for schedule in chosen if enabled is None or schedule.is_paused(now) is not enabled)
    first = next(fitting, None)
    some = chain([] if first is None else [first], fitting)
    page = islice(some, limit)
    frozen = Frozen(cron.freezes.in_force(now))
    if as_json:
        render.print_json_list(documents.schedule(schedule, now, frozen) for schedule in page)
    elif first is None:
        render.note("no schedule fits; 'cronlite list' shows all, and 'cronlite add --help' tells how to add one")
    for part in render.tables(_COLUMNS, _rows(cron, page, now, frozen)) if first is not None and not as_json else ():
        say(part)
    if limit is not None and next(some, None) is not None:
        render.note(f"{limit} are shown, and there are more")
    chosen.tell_broken()
    nobody.tell(cron)


_COLUMNS = [Column("schedule", 12, middle=True), Column("last"), Column(""), Column("next", 15, brief=True)]
_COLUMNS += [Column("does", 12), Column("when", 10), Column("user", 6), Column("tags", 6)]


def _rows(cron: Cronlite, schedules: Iterable[Schedule], now: datetime, frozen: Frozen) -> Iterator[list[list[str]]]:
    """Yield the rows of a table, by the page: the last runs of a page are one query."""
    for page in batches(schedules, PAGE):
        last = cron.store.last_runs([schedule.id for schedule in page])
        yield [_row(schedule, last.get(schedule.id), now, frozen) for schedule in page]


def _row(schedule: Schedule, last: Run | None, now: datetime, frozen: Frozen) -> list[str]:
    paused = labels.paused(schedule, now) or labels.frozen(schedule, now, frozen)
    following = None if paused else _next_run(schedule, now)
    due = render.when(following, now, schedule.timetable.zone) if following else "never"
    went = [labels.state(last), render.relative(labels.at(last), now)] if last else ["", ""]
    shown = [labels.called(schedule.name, schedule.id), *went, paused or due]
    shown += [labels.does(schedule.handler, schedule.params), expression(schedule)]
    return [*shown, schedule.user, ",".join(schedule.tags)]


def _next_run(schedule: Schedule, now: datetime) -> datetime | None:
    if schedule.active_from is not None and schedule.active_from > now:
        return next(iter(schedule.next_runs(now, 1)), None)
    tick = _next_tick(schedule.timetable, now)
    return tick if tick is not None and schedule.is_active(tick) else None


@lru_cache(maxsize=20_000)  # many schedules share a timetable, and to find its next tick takes the most of a row
def _next_tick(timetable: Timetable, now: datetime) -> datetime | None:
    return next(timetable.next_ticks(now), None)


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
    frozen = Frozen(cron.freezes.in_force(now))
    if as_json:
        render.print_json(documents.schedule(schedule, now, frozen))
    else:
        say(f"{_shown(schedule, now, frozen)}\n\n{next_runs(schedule, now)}")


def _shown(schedule: Schedule, now: datetime, frozen: Frozen) -> str:
    retries = f"{schedule.retries}, after {render.span(schedule.retry_delay_seconds)}, doubling"
    limit, deadline, late = schedule.timeout_seconds, schedule.deadline_seconds, schedule.late_after_seconds
    rows = [
        ("id", schedule.id),
        ("name", render.one_line(schedule.name or "")),
        ("state", render.one_line(labels.paused(schedule, now))),
        ("frozen", "; ".join(render.one_line(freeze.told()) for freeze in frozen.covering(now, schedule))),
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
        ("deadline", render.span(deadline) if deadline is not None else "none"),
        ("on crash", schedule.on_crash),
        ("late after", render.span(late) if late is not None else ""),
        ("pings", schedule.ping_url or ""),
        ("limit", schedule.limit or "none"),
        ("priority", str(schedule.priority)),
        ("note", render.printable(schedule.note)),
        ("active from", render.dated(schedule.active_from, now)),
        ("active until", render.dated(schedule.active_until, now) if schedule.active_until else "no end"),
        ("created", render.dated(schedule.created_at, now)),
        ("updated", render.dated(schedule.updated_at, now)),
    ]
    return render.pairs(rows)


def next_runs(schedule: Schedule, now: datetime, indent: str = "  ") -> str:
    """Show the next runs as a table, or why there are none."""
    if schedule.is_paused(now) and schedule.paused_until is None:
        return f"{indent}paused; 'cronlite resume {_name(schedule)}' lets it run"
    ticks = schedule.next_runs(now, documents.NEXT_RUNS)
    columns = [Column("next runs"), Column("UTC"), Column(""), Column("", 20)]
    return (
        render.table(columns, [tick_row(schedule, tick, now) for tick in ticks], indent)
        if ticks
        else f"{indent}no next run"
    )


def tick_row(schedule: Schedule, tick: datetime, now: datetime, frozen: Frozen = NOTHING) -> list[str]:
    """Show a tick on the schedule's clock, in UTC unless that is its clock, from now, and what is odd about it."""
    zone = schedule.timetable.zone
    utc = "" if schedule.tz == "UTC" else render.utc_minute(tick)
    return [render.minute(tick, zone), utc, render.relative(tick, now), odd(schedule, tick, frozen)]


def odd(schedule: Schedule, tick: datetime, frozen: Frozen) -> str:
    """Say what DST does to a tick, and that a freeze will hold it back."""
    by = frozen.holding(tick, schedule)
    held = f"frozen{f': {by.reason}' if by.reason else ''}" if by else None
    return "; ".join(filter(None, (held, schedule.timetable.oddity(tick))))


@click.command()
@refs
@bulk.picks
@bulk.dry_run
@bulk.yes
@as_json
@pass_session
def remove(session: Session, /, refs: Sequence[str], **options: Any) -> None:
    """Delete schedules. Runs of them that are queued already still run; 'restore' brings schedules back.

    --json prints a list with id, name, done and error.
    """
    cron, actor = session.cron, session.actor

    def removed(ref: str) -> str:
        return f"removed {cron.remove(schedule_id(cron, ref), actor=actor)}"

    bulk.do(cron, bulk.asked(refs, options), "remove", removed, lambda ids: cron.many.remove(ids, actor=actor))


@click.command()
@refs
@bulk.picks
@click.option(
    "--until", type=Instant(spans=True), metavar="2h|INSTANT", help="It ends by itself then; no zone: local time."
)
@click.option("--reason", default="", metavar="TEXT", help="Why; lists show it.")
@bulk.dry_run
@bulk.yes
@as_json
@pass_session
def pause(session: Session, /, refs: Sequence[str], until: Spoken | None, reason: str, **options: Any) -> None:
    """Keep schedules from running, until they are resumed or the pause ends by itself.

    --json prints a list with id, name, done and error.
    """
    asked, cron, actor = bulk.asked(refs, options), session.cron, session.actor
    now = cron.now()
    end = until.coming(now) if until else None
    tell_clock(until=(until, end))

    def paused(ref: str) -> str:
        schedule = cron.pause(schedule_id(cron, ref), until=end, reason=reason, actor=actor)
        return f"paused {_name(schedule)}{f' until {render.utc_minute(end)}' if end else ''}"

    def all_paused(ids: Sequence[str]) -> Outcome:
        return cron.many.pause(ids, until=end, reason=reason, actor=actor)

    bulk.do(cron, asked, "pause", paused, all_paused)


@click.command()
@refs
@bulk.picks
@bulk.dry_run
@bulk.yes
@as_json
@pass_session
def resume(session: Session, /, refs: Sequence[str], **options: Any) -> None:
    """Let paused schedules run again, from now on.

    --json prints a list with id, name, done and error.
    """
    cron, actor = session.cron, session.actor

    def resumed(ref: str) -> str:
        schedule = cron.resume(schedule_id(cron, ref), actor=actor)
        now = cron.now() - timedelta(seconds=1)
        following = [render.minute(tick, schedule.timetable.zone) for tick in schedule.next_runs(now, 1)]
        return f"resumed {_name(schedule)}, next run {following[0] if following else 'never'}"

    bulk.do(cron, bulk.asked(refs, options), "resume", resumed, lambda ids: cron.many.resume(ids, actor=actor))


def _name(schedule: Schedule) -> str:
    return render.one_line(schedule.name or schedule.id)
