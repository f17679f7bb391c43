"""When will schedules run, and why did one run at a minute or not?"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from cronlite.cli import documents, nobody, picking, render
from cronlite.cli.instants import Instant, Spoken, tell_clock
from cronlite.cli.parameters import Name
from cronlite.cli.picking import Filters, Picked
from cronlite.cli.references import schedule_document
from cronlite.cli.render import Column
from cronlite.cli.schedules import as_json, odd, ref, tick_row
from cronlite.cli.session import Session, pass_session, schedule_names
from cronlite.cli.streams import say
from cronlite.client import why as reasons
from cronlite.client.app import Cronlite
from cronlite.client.why import Answer
from cronlite.documents import schedules
from cronlite.documents.freezes import Frozen
from cronlite.documents.schedules import Schedule
from cronlite.errors import InvalidInput
from cronlite.when import clock
from cronlite.when.timetable import Timetable
from cronlite.wording import labels

if TYPE_CHECKING:
    from typing_extensions import Unpack

DEFAULT_COUNT = 10
LISTED = 10_000  # where an end was named, and no number
TIMETABLES = 10_000
_MICROSECOND = timedelta(microseconds=1)

Coming = tuple[datetime, Schedule]
"""A tick, and a schedule that is due at it."""


@click.command("next")
@click.argument("ref", metavar="[ID]", required=False, type=Name(schedule_names))
@click.option("-n", "--count", type=click.IntRange(1, 10_000), help="At most so many. [default: 10; with --until all]")
@click.option(
    "--from",
    "start",
    type=Instant(spans=True),
    default="now",
    help="Runs at or after this instant; no zone: ID's clock, or local time.",
)
@click.option(
    "--until", type=Instant(spans=True), metavar="8h|INSTANT", help="Runs before this instant; 8h: from --from on."
)
@picking.picked
@as_json
@pass_session
def next_(
    session: Session,
    /,
    ref: str | None,
    count: int | None,
    start: Spoken,
    until: Spoken | None,
    as_json: bool,
    **filters: Unpack[Filters],
) -> None:
    """Show upcoming runs in the order of time, DST oddities marked.

    Without an ID, those of all schedules that are not paused, on one clock.
    --json prints a list of: schedule (its id), name, handler, at, local, tz, oddity, frozen.
    """
    cron = session.cron
    now = cron.now()
    chosen = _the_one(cron, ref, now, filters) if ref is not None else Picked(cron, **filters)
    zone = chosen[0].timetable.zone if isinstance(chosen, list) else None
    begin = start.coming(now, zone)
    end = until.coming(begin, zone) if until else None
    if zone is None:
        tell_clock(**{"from": (start, begin), "until": (until, end)})
    limit = count or (LISTED if until else DEFAULT_COUNT)
    coming = (
        schedule for schedule in chosen if ref is not None or not schedule.is_paused(now) or schedule.paused_until
    )
    ticks = nearest(coming, begin, end, limit)
    frozen = Frozen(cron.store.freezes(begin))
    if as_json:
        render.print_json_list(documents.upcoming(schedule, tick, frozen) for tick, schedule in ticks)
    elif ticks:
        say((_alone if ref is not None else _beside_each_other)(ticks, now, frozen))
    else:
        render.note("nothing is due then" if until else "nothing is due from then on")
    if isinstance(chosen, Picked):
        chosen.tell_broken()
    nobody.tell(cron)


def _the_one(cron: Cronlite, ref: str, now: datetime, filters: Filters) -> list[Schedule]:
    if any(filters.values()):
        raise click.UsageError("give either an ID or options that pick schedules", click.get_current_context())
    schedule = schedules.read(schedule_document(cron, ref))
    if paused := labels.paused(schedule, now):
        render.note(f"it is {paused}" if schedule.paused_until else f"it is {paused}; it would run at", "warning")
    return [schedule]


def _alone(ticks: Sequence[Coming], now: datetime, frozen: Frozen) -> str:
    columns = [Column("at"), Column("UTC"), Column(""), Column("note", 20)]
    return render.table(columns, [tick_row(schedule, tick, now, frozen) for tick, schedule in ticks])


def _beside_each_other(ticks: Sequence[Coming], now: datetime, frozen: Frozen) -> str:
    """Show ticks of several schedules on one clock, as on their own they would not be in order."""
    columns = [Column("at"), Column(""), Column("schedule", 16, middle=True), Column("its clock")]
    columns += [Column("does", 12), Column("note", 20)]
    rows = []
    for tick, schedule in ticks:
        zone = schedule.timetable.zone
        local = "" if schedule.tz == "UTC" else f"{tick.astimezone(zone):%a %H:%M %Z}"
        row = [render.utc_minute(tick), render.relative(tick, now), labels.called(schedule.name, schedule.id), local]
        rows.append([*row, labels.does(schedule.handler, schedule.params), odd(schedule, tick, frozen)])
    return render.table(columns, rows)


def nearest(chosen: Iterable[Schedule], start: datetime, end: datetime | None, count: int) -> list[Coming]:
    """Return the first ticks of schedules from `start` on and before `end`, at most `count`, in the order of time.

    However many schedules there are, only those ticks are in memory, and of a schedule with nothing that near one tick
    is looked for.
    """
    kept: list[tuple[float, int, datetime, Schedule]] = []  # a heap with the latest on top
    soonest: dict[Timetable, datetime] = {}  # many schedules share one
    for number, schedule in enumerate(chosen):
        table, active = schedule.timetable, max(filter(None, (start, schedule.active_from, schedule.paused_until)))
        if len(kept) == count and soonest.get(table, start) >= kept[0][2]:
            continue
        for tick in schedule.ticks(start - _MICROSECOND):
            if active <= start and len(soonest) < TIMETABLES:
                soonest.setdefault(table, tick)
            if end is not None and tick >= end:
                break
            entry = (-tick.timestamp(), -number, tick, schedule)
            if len(kept) < count:
                heapq.heappush(kept, entry)
            elif entry[:2] > kept[0][:2]:
                heapq.heapreplace(kept, entry)
            else:
                break
    return [(tick, schedule) for _, _, tick, schedule in sorted(kept, key=lambda entry: entry[:2], reverse=True)]


@click.command()
@ref
@click.option(
    "--at", type=Instant(spans=True), required=True, help="The minute; without a zone, on the schedule's clock."
)
@as_json
@pass_session
def why(session: Session, ref: str, at: Spoken, as_json: bool) -> None:
    """Say why a schedule ran at a minute, or did not.

    --json prints schedule (its id), at, verdict, reasons and run. The verdict is the run's state where there is one, or
    else not_due, not_active, paused, not_yet, gap (no daemon ticked), no_daemon, in_hand, changed_since, unreadable or
    unknown.
    """
    cron = session.cron
    document = schedule_document(cron, ref)
    now = cron.now()
    try:
        schedule = schedules.read(document)
    except InvalidInput as refused:
        tick = clock.floor_minute(at.past(now))
        answer = Answer("unreadable", (f"it is set aside, and never due: {refused}",))
        named = when = ""
    else:
        tick = schedule.timetable.begun_at(at.past(now, schedule.timetable.zone))
        answer = reasons.why(cron.store, schedule, tick)
        named, when = schedule.name or "", render.minute(tick, schedule.timetable.zone)
    if as_json:
        render.print_json(documents.answer(answer, str(document["_id"]), tick))
        return
    clock_says = f" ({when})" if when and not when.endswith("UTC") else ""
    subject = render.one_line(named or str(document["_id"]))
    say(f"{subject} at {render.utc_minute(tick)}{clock_says}: {render.coloured(_spoken(answer.verdict))}")
    for reason in answer.reasons:
        say(f"  {render.one_line(reason)}")


def _spoken(verdict: str) -> str:
    return verdict.replace("_", " ") if verdict != "timed_out" else verdict
