"""How are freezes begun, listed and ended from a command line?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import click

from cronlite.cli import documents, picking, render
from cronlite.cli.instants import Instant, Spoken, tell_clock
from cronlite.cli.parameters import Name
from cronlite.cli.picking import Picked
from cronlite.cli.render import Column
from cronlite.cli.schedules import as_json
from cronlite.cli.session import Session, freeze_ids, pass_session
from cronlite.cli.several import each
from cronlite.cli.streams import say
from cronlite.client.app import Cronlite
from cronlite.documents.freezes import Freeze
from cronlite.errors import Conflict, NotFound, shown

COUNTED = 10_000

_SPAN = "2h|INSTANT"


@click.command()
@picking.tag
@picking.user
@picking.handler
@click.option("--queue", metavar="NAME", help="Only those of this queue.")
@click.option("--all", "everything", is_flag=True, help="All schedules.")
@click.option("--from", "start", type=Instant(spans=True), metavar=_SPAN, help="From then on. [default: now]")
@click.option(
    "--until", type=Instant(spans=True), metavar=_SPAN, help="Before then; 2h: from now. [default: until it is thawed]"
)
@click.option("--reason", default="", metavar="TEXT", help="Why; lists show it.")
@click.option(
    "--then",
    type=click.Choice(["skip", "run"]),
    default="skip",
    show_default=True,
    help="When it ends: nothing, or one run of each for the last time that was held back.",
)
@click.option("--hold", is_flag=True, help="Queued runs wait for its end as well.")
@click.option("--dry-run", is_flag=True, help="Show what would be frozen, and freeze nothing.")
@as_json
@pass_session
def freeze(
    session: Session,
    /,
    start: Spoken | None,
    until: Spoken | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run none of some schedules, for a stretch of time: what comes due is recorded as skipped, with the reason.

    Those are frozen that have all of what is named. Runs at work go on, and queued ones start, unless --hold is given.
    Instants without a zone are local time; a length of time such as 2h counts from now, for --from and for --until.
    --json prints the freeze, and in schedules how many it picks now.
    """
    cron = session.cron
    now = cron.now()
    begin = start.coming(now) if start else None
    end = until.ending(begin or now, now) if until else None
    tell_clock(**{"from": (start, begin), "until": (until, end)})
    frozen = cron.freezes.add(**options, start=begin, until=end, dry_run=dry_run, actor=session.actor)
    count = _count(cron, frozen)
    if as_json:
        render.print_json({**documents.freeze(frozen), "schedules": count})
        return
    many = f"more than {COUNTED}" if count > COUNTED else str(count)
    named = "would freeze" if dry_run else f"frozen {frozen.id}:"
    say(f"{named} {render.one_line(frozen.picks())} ({many} now), {_span(frozen, cron.now())}")
    if not count:
        render.note("it picks no schedule that there is now", "warning")


def _count(cron: Cronlite, frozen: Freeze) -> int:
    chosen = Picked(cron, tag=frozen.tag, user=frozen.user, handler=frozen.handler)
    return sum(1 for _ in islice((schedule for schedule in chosen if frozen.fits(schedule)), COUNTED + 1))


def _span(frozen: Freeze, now: datetime) -> str:
    end = render.when(frozen.until_at, now) if frozen.until_at else "it is thawed"
    begin = "now" if frozen.from_at <= now else render.when(frozen.from_at, now)
    return f"from {begin} until {end}"


@click.command("freezes")
@click.option("--ended", is_flag=True, help="Also those that have ended, for 30 days.")
@as_json
@pass_session
def freezes_(session: Session, ended: bool, as_json: bool) -> None:
    """List the freezes in force and to come.

    --json prints a list of freezes: id, from_at, until_at, tag, user, handler, queue, reason, afterwards (skip or run),
    hold, actor, way, created_at, thawed_by, done_at, expires_at.
    """
    listed, now = session.cron.freezes.list(ended=ended), session.cron.now()
    if as_json:
        render.print_json([documents.freeze(each) for each in listed])
    elif listed:
        columns = [Column("freeze"), Column("state", brief=True), Column("picks", 8), Column("until", brief=True)]
        columns += [Column("then"), Column("by", 6), Column("reason", 8)]
        say(render.table(columns, [_row(each, now) for each in listed]))
    else:
        render.note("nothing is frozen")


def _row(frozen: Freeze, now: datetime) -> list[str]:
    if frozen.covers(now):
        state = "in force"
    else:
        state = "ended" if frozen.has_ended(now) else render.when(frozen.from_at, now)
    until = render.when(frozen.until_at, now) if frozen.until_at else "thawed"
    then = "run once" if frozen.afterwards == "run" else "skip"
    return [
        frozen.id,
        state,
        frozen.picks(),
        until,
        f"{then}{', hold' if frozen.hold else ''}",
        frozen.actor,
        frozen.reason,
    ]


@click.command()
@click.argument("refs", metavar="FREEZE...", nargs=-1, required=True, type=Name(freeze_ids))
@pass_session
def thaw(session: Session, refs: Sequence[str]) -> None:
    """End freezes now; what one is to make up for is run at the next minute.

    FREEZE is the id of one, or a unique beginning of it.
    """
    cron = session.cron
    each(refs, lambda ref: f"thawed {cron.freezes.thaw(_named(cron, ref).id, actor=session.actor).id}")


def _named(cron: Cronlite, ref: str) -> Freeze:
    begun = [each for each in cron.freezes.list(ended=True) if ref and each.id.startswith(ref)]
    exact = [each for each in begun if each.id == ref]
    if len(begun) > 1 and not exact:
        raise Conflict(f"several freezes begin with {shown(ref)}: give more of the id")
    if not begun:
        raise NotFound(f"no freeze has the id {shown(ref)}; 'cronlite freezes' lists them")
    return (exact or begun)[0]
