"""How are limits shown and set from a command line?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from cronlite.cli import render
from cronlite.cli.parameters import Name
from cronlite.cli.render import Column
from cronlite.cli.schedules import as_json
from cronlite.cli.session import Session, limit_names, pass_session
from cronlite.cli.streams import say
from cronlite.client.limits import COUNTED, LimitInUse
from cronlite.documents import limits
from cronlite.errors import NotFound

_COLUMNS = [
    Column("limit", 12),
    Column("most", right=True),
    Column("at work", right=True),
    Column("waiting", right=True),
    Column("set"),
    Column("by", 6),
]


@click.command("limits")
@as_json
@pass_session
def limits_(session: Session, as_json: bool) -> None:
    """List limits: how many runs are at work, and how many wait.

    --json prints a list with name, most (null where it is not set), at_work, waiting, changed_at and changed_by.
    """
    cron = session.cron
    listed = cron.limits.list()
    if as_json:
        render.print_json_list(map(_json, listed))
        return
    if not listed:
        render.note("no limit is set; 'cronlite limit NAME 3' sets one")
        return
    say(_table(listed, cron.now()))


@click.command("limit")
@click.argument("name", type=Name(limit_names))
@click.argument("most", metavar="[N]", type=int, required=False)
@click.option("--remove", is_flag=True, help="Delete it, so that the name restricts nothing any more.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@as_json
@pass_session
def limit(session: Session, /, name: str, most: int | None, remove: bool, dry_run: bool, as_json: bool) -> None:
    """Let at most N runs that name it be at work at once, over all daemons and workers; without N, show the limit.

    It counts from the next claim on. What is at work goes on, also when N is lowered; 0 lets none start.
    --json prints it as 'limits' does, what --remove deleted as it was.
    """
    cron = session.cron
    if remove and most is not None:
        raise click.UsageError("give either N or --remove", click.get_current_context())
    before = _found(cron.limits.get, name) if most is not None or remove else cron.limits.get(name)
    done = ""
    if remove:
        if before is None or dry_run:
            before = cron.limits.get(name)  # which tells of one that is not there
        else:
            cron.limits.remove(name)
        done = f"{'would remove' if dry_run else 'removed'} the limit {name}: it restricts nothing any more"
    elif most is not None:
        limits.new(name, most, cron.now())  # a dry run refuses the same
        if not dry_run:
            cron.limits.set(name, most, actor=session.actor)
        was = f"; it was {before.most}" if before else ""
        done = f"{'would set' if dry_run else 'set'} the limit {name} to {most}{was}"
    after = before if remove or dry_run else cron.limits.get(name)
    if as_json:
        render.print_json(_json(after) if after else {"name": name, "most": None, "at_work": 0, "waiting": 0})
    else:
        say(done or _table([after] if after else [], cron.now()))


def _found(get: Any, name: str) -> LimitInUse | None:
    try:
        limit: LimitInUse = get(name)
    except NotFound:
        return None
    return limit


def _table(listed: Sequence[LimitInUse], now: Any) -> str:
    return render.table(
        _COLUMNS,
        [
            [
                limit.name,
                "not set" if limit.most is None else str(limit.most),
                str(limit.at_work),
                f"{limit.waiting}{'+' if limit.waiting >= COUNTED else ''}",
                render.relative(limit.changed_at, now),
                render.one_line(limit.changed_by or ""),
            ]
            for limit in listed
        ],
    )


def _json(limit: LimitInUse) -> dict[str, Any]:
    return asdict(limit)
