"""Who changed schedules, and how is that taken back, from a command line?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import click

from cronlite.cli import documents, render
from cronlite.cli.parameters import Name
from cronlite.cli.references import schedule_id
from cronlite.cli.render import Column
from cronlite.cli.schedules import as_json, next_runs
from cronlite.cli.session import Session, pass_session, removed_names, schedule_names
from cronlite.cli.several import each
from cronlite.cli.streams import say
from cronlite.client.app import Cronlite
from cronlite.documents.changes import Change
from cronlite.documents.schedules import Schedule
from cronlite.errors import NotFound
from cronlite.wording import changes as words
from cronlite.wording import labels

dry_run = click.option("--dry-run", is_flag=True, help="Show what would become of it, and change nothing.")
count = click.option("-n", "--count", type=click.IntRange(1, 10_000), default=50, help="At most so many. [default: 50]")


@click.command("history")
@click.argument("ref", metavar="[ID]", required=False, type=Name(schedule_names))
@count
@as_json
@pass_session
def history_(session: Session, ref: str | None, count: int, as_json: bool) -> None:
    """Show who changed a schedule, or all: when, and what. The last change comes first.

    ID may also be that of a schedule that was removed. What was not changed through cronlite is by somebody else.
    --json prints a list of: id, schedule, name, kind (added, changed, removed or restored), at, actor and way (null for
    somebody else), before and after (the fields), and certain.
    """
    cron = session.cron
    changes = cron.history.latest(count) if ref is None else cron.history.of(_meant(cron, ref), count)
    _tell(cron, changes, as_json, one=ref is not None)
    if not changes:
        render.note("no change is known: it was stored by another program, or before cronlite kept a history")


@click.command()
@click.argument("ref", metavar="ID", type=Name(schedule_names))
@click.option("--to", metavar="CHANGE", help="Back to what this change left, as 'history' names it.")
@dry_run
@as_json
@pass_session
def undo(session: Session, ref: str, to: str | None, dry_run: bool, as_json: bool) -> None:
    """Take the last change of a schedule back, or all since another one; a removal, too.

    It counts from now on: no minute that is past becomes due. To undo is a change, and can be undone.
    --json prints the schedule.
    """
    cron = session.cron
    id_ = _meant(cron, ref)
    if dry_run:
        _present(cron, cron.history.undone(id_, to), "would be", as_json)
    else:
        _present(cron, cron.history.undo(id_, to, actor=session.actor), "is again", as_json)


@click.command()
@count
@as_json
@pass_session
def removed(session: Session, count: int, as_json: bool) -> None:
    """List schedules that were removed and can be restored, the last removed first.

    --json prints a list as 'history' does.
    """
    changes = session.cron.history.removed(count)
    _tell(session.cron, changes, as_json, one=False)
    if not changes:
        render.note("no schedule was removed that is gone")


@click.command()
@click.argument("refs", metavar="ID...", nargs=-1, required=True, type=Name(removed_names))
@dry_run
@pass_session
def restore(session: Session, refs: Sequence[str], dry_run: bool) -> None:
    """Store schedules again that were removed, as they were, under their ids and names; they count from now on."""
    history = session.cron.history

    def restored(ref: str) -> str:
        if dry_run:
            return f"would restore {_name(history.undone(ref))}"
        return f"restored {_name(history.restore(ref, actor=session.actor))}"

    each(refs, restored)


def _meant(cron: Cronlite, ref: str) -> str:
    """Return the id of the schedule that is meant, or what was typed where it may be one that is gone."""
    try:
        return schedule_id(cron, ref)
    except NotFound as refused:
        if not cron.history.knows(ref):
            raise refused
        return ref


def _tell(cron: Cronlite, changes: Iterable[Change], as_json: bool, *, one: bool) -> None:
    if as_json:
        render.print_json_list(map(documents.change, changes))
        return
    now = cron.now()
    columns = [Column("at"), Column(""), *([] if one else [Column("schedule", 12, middle=True)])]
    columns += [Column("by", 12), Column("what", 20)]
    if rows := [_row(change, now, one) for change in changes]:
        say(render.table(columns, rows))


def _row(change: Change, now: datetime, one: bool) -> list[str]:
    at = change.id.rpartition("@")[2] or f"before {render.second(change.at)}"
    called = [] if one else [labels.called(change.name, change.schedule)]
    return [at, render.relative(change.at, now), *called, words.by(change), words.what(change)]


def _present(cron: Cronlite, schedule: Schedule, what: str, as_json: bool) -> None:
    now = cron.now()
    if as_json:
        render.print_json(documents.schedule(schedule, now))
        return
    say(f"{_name(schedule)} {what}: {schedule.describe()}")
    say(next_runs(schedule, now))


def _name(schedule: Schedule) -> str:
    return render.one_line(schedule.name or schedule.id)
