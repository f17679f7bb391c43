"""When will schedules run, and why did one run at a minute or not?"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice

import click

from cronlite.cli import documents, render
from cronlite.cli.parameters import Instant, Name, placed
from cronlite.cli.references import schedule_document
from cronlite.cli.render import Column
from cronlite.cli.schedules import as_json, ref, tick_row
from cronlite.cli.session import Session, pass_session, schedule_names
from cronlite.cli.streams import say
from cronlite.client import why as reasons
from cronlite.client.why import Answer
from cronlite.documents import schedules
from cronlite.documents.schedules import Schedule
from cronlite.errors import InvalidInput
from cronlite.when import clock

_MICROSECOND = timedelta(microseconds=1)


@click.command("next")
@click.argument("ref", metavar="[ID]", required=False, type=Name(schedule_names))
@click.option("-n", "--count", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many.")
@click.option(
    "--from", "start", type=Instant(), default="now", help="Runs at or after this instant; no zone: ID's, or UTC."
)
@as_json
@pass_session
def next_(session: Session, ref: str | None, count: int, start: datetime, as_json: bool) -> None:
    """Show upcoming runs, DST oddities marked.

    Without an ID, those of all schedules that are not paused.
    --json prints a list of: schedule (its id), name, handler, at, local, tz, oddity.
    """
    cron = session.cron
    if ref is not None:
        chosen = [schedules.read(schedule_document(cron, ref))]
        if not chosen[0].enabled:
            render.note("it is paused: it would run at", "warning")
    else:
        chosen = [schedule for schedule in schedules.readable(cron.store.schedules())[0] if schedule.enabled]
    after = placed(start, chosen[0].timetable.zone if ref is not None else timezone.utc)
    found = list(islice(_merged(chosen, after), count))
    now = cron.now()
    if as_json:
        render.print_json([documents.upcoming(schedule, tick) for tick, schedule in found])
    elif found:
        columns = [Column("at"), Column("UTC"), Column(""), Column("note", 20)]
        rows = [tick_row(schedule, tick, now) for tick, schedule in found]
        if ref is None:
            columns.insert(3, Column("schedule", 16))
            rows = [
                [*row[:3], schedule.name or schedule.id, row[3]] for row, (_, schedule) in zip(rows, found, strict=True)
            ]
        say(render.table(columns, rows))
    else:
        render.note("nothing is due from then on")


def _merged(chosen: Iterable[Schedule], start: datetime) -> Iterator[tuple[datetime, Schedule]]:
    """Yield the ticks of all schedules in their order."""
    streams = []
    for number, schedule in enumerate(chosen):
        active_from = schedule.active_from or start
        ticks = schedule.timetable.next_ticks(max(start, active_from) - _MICROSECOND)
        if (first := next(ticks, None)) is not None:
            streams.append((first, number, schedule, ticks))
    heapq.heapify(streams)
    while streams:
        tick, number, schedule, ticks = streams[0]
        yield tick, schedule
        if (following := next(ticks, None)) is not None:
            heapq.heapreplace(streams, (following, number, schedule, ticks))
        else:
            heapq.heappop(streams)


@click.command()
@ref
@click.option("--at", type=Instant(), required=True, help="The minute; without a zone, on the schedule's clock.")
@as_json
@pass_session
def why(session: Session, ref: str, at: datetime, as_json: bool) -> None:
    """Say why a schedule ran at a minute, or did not.

    --json prints schedule (its id), at, verdict, reasons and run. The verdict is the run's state where there is one, or
    else not_due, not_active, paused, not_yet, gap (no daemon ticked), no_daemon, in_hand, changed_since, unreadable or
    unknown.
    """
    cron = session.cron
    document = schedule_document(cron, ref)
    try:
        schedule = schedules.read(document)
    except InvalidInput as refused:
        tick = clock.floor_minute(placed(at))
        answer = Answer("unreadable", (f"it is set aside, and never due: {refused}",))
        named = when = ""
    else:
        tick = clock.floor_minute(placed(at, schedule.timetable.zone))
        answer = reasons.why(cron.store, schedule, tick)
        named, when = schedule.name or "", render.minute(tick, schedule.timetable.zone)
    if as_json:
        render.print_json(documents.answer(answer, str(document["_id"]), tick))
        return
    clock_says = f" ({when})" if when and not when.endswith("UTC") else ""
    told = render.one_line(named or str(document["_id"]))
    say(f"{told} at {render.utc_minute(tick)}{clock_says}: {render.coloured(_spoken(answer.verdict))}")
    for reason in answer.reasons:
        say(f"  {render.one_line(reason)}")


def _spoken(verdict: str) -> str:
    return verdict.replace("_", " ") if verdict != "timed_out" else verdict
