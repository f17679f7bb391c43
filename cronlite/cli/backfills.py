"""How are runs asked for of minutes in the past, watched, and called off, from a command line?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from cronlite.cli import nobody, render
from cronlite.cli.instants import Instant, Spoken
from cronlite.cli.references import schedule_document
from cronlite.cli.schedules import as_json, ref
from cronlite.cli.session import Session, pass_session
from cronlite.cli.streams import say
from cronlite.client.app import Cronlite
from cronlite.client.backfills import MOST, Backfill
from cronlite.documents import runs, schedules
from cronlite.errors import NotFound, shown
from cronlite.when import clock


@click.command()
@ref
@click.option(
    "--from", "start", type=Instant(spans=True), required=True, metavar="7d|INSTANT", help="The first minute meant."
)
@click.option(
    "--to", "end", type=Instant(spans=True), metavar="2h|INSTANT", help="Minutes before that. [default: until now]"
)
@click.option("--parallel", type=click.IntRange(1, 1_000), default=1, show_default=True, help="At a time.")
@click.option("--dry-run", is_flag=True, help="Show what would be queued, and queue nothing.")
@click.option("--yes", is_flag=True, help=f"Also more than {MOST:,} runs.")
@click.option("--wait", is_flag=True, help="Wait for the end, and exit with 1 unless all of them succeeded.")
@as_json
@pass_session
def backfill(
    session: Session,
    /,
    ref: str,
    start: Spoken,
    end: Spoken | None,
    parallel: int,
    dry_run: bool,
    yes: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Queue runs for minutes of the past that have none, by the fields of today.

    They run in order, one at a time, and never beside another run of the schedule; with --parallel so many at a time.
    To repeat the command changes nothing, and goes on where one was cut off. Instants without a zone are on the
    schedule's clock. 'cronlite cancel --backfill' calls the whole of it off.
    --json prints id, schedule, start, end, asked, left_out (runs by state), unknown_before and runs (by state).
    """
    cron = session.cron
    now = cron.now()
    schedule = schedules.read(schedule_document(cron, ref))
    zone = schedule.timetable.zone
    begin, until = clock.floor_minute(start.past(now, zone)), end.past(now, zone) if end else None
    most = None if yes else MOST
    asked = cron.backfill(schedule.id, begin, until, parallel=parallel, dry_run=dry_run, most=most)
    if asked.unknown_before:
        known = render.utc_minute(asked.unknown_before)
        render.note(f"runs from before {known} are not kept: which of those minutes ran is unknown", "warning")
    if not (as_json or wait):
        say(_said(asked, dry_run))
        if not dry_run and asked.asked:
            nobody.tell(cron)
    progress = _waited(cron, asked) if wait and not dry_run else asked.progress()
    if as_json:
        render.print_json(_document(asked, progress))
    elif wait:
        say(f"{asked.id}: {_counted(progress)}")
    if wait and set(progress) - {runs.SUCCEEDED}:
        raise click.exceptions.Exit(1)


def _said(asked: Backfill, dry_run: bool) -> str:
    start, end = (render.utc_minute(instant) if instant else "" for instant in (asked.start, asked.end))
    what = f"would queue {asked.asked} runs" if dry_run else f"queued {asked.asked} runs as {asked.id}"
    left = f"; left out: {_counted(asked.left_out)}" if asked.left_out else ""
    return f"{what}, {start} to {end}{left}"


def _counted(by_state: Mapping[str, int]) -> str:
    known = [(state, by_state[state]) for state in runs.STATES if by_state.get(state)]
    return ", ".join(f"{number} {state}" for state, number in known) or "no runs"


def _waited(cron: Cronlite, asked: Backfill) -> dict[str, int]:
    nobody.tell(cron)
    return asked.wait(lambda progress: render.note(f"{asked.id}: {_counted(progress)}"))


def _document(asked: Backfill, progress: Mapping[str, int]) -> dict[str, Any]:
    names = ("id", "schedule", "start", "end", "asked", "left_out", "unknown_before")
    return {**{name: getattr(asked, name) for name in names}, "runs": progress}


def cancel_all(cron: Cronlite, id_: str) -> str:
    """Call a backfill off, and say what came of that. Raises NotFound."""
    asked = Backfill(cron.store, id_)
    before = asked.progress()
    if not before:
        raise NotFound(f"no run has the backfill {shown(id_)}; 'cronlite runs --json' shows which runs have one")
    return f"cancelled {asked.cancel(cron.now())} runs of {id_}: {_counted(asked.progress())}"
