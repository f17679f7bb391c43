"""How are runs asked for, repeated and called off from a command line?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import click

from cronlite.cli import bulk, documents, picking, render
from cronlite.cli.backfills import cancel_all
from cronlite.cli.instants import Instant, Spoken, tell_clock
from cronlite.cli.many import queue_lines
from cronlite.cli.parameters import Duration, Name, Params
from cronlite.cli.references import last_run, run_named, schedule_id
from cronlite.cli.runs import called, shown, since, the_query
from cronlite.cli.schedules import as_json, refs
from cronlite.cli.session import Session, handler_names, limit_names, pass_session, run_ids
from cronlite.cli.several import each
from cronlite.cli.streams import say
from cronlite.client.app import Cronlite
from cronlite.client.failing import BAD, not_put_right
from cronlite.client.receipt import Handle
from cronlite.client.status import status
from cronlite.documents import runs
from cronlite.documents.runs import Run
from cronlite.errors import NotFound
from cronlite.wording import labels

wait = click.option("--wait", is_flag=True, help="Wait for the end, print it, and exit with 1 unless it succeeded.")


@click.command()
@refs
@bulk.picks
@click.option("--params", type=Params(), metavar="JSON", help="In place of the schedule's own: JSON, @FILE, or -.")
@bulk.dry_run
@bulk.yes
@wait
@as_json
@pass_session
def trigger(
    session: Session, /, refs: Sequence[str], params: dict[str, Any] | None, wait: bool, **options: Any
) -> None:
    """Queue one run of a schedule now, or of each of many, beside those that they are due for.

    --json prints the run: all its fields; of many a list with id, name, done, error and run.
    """
    cron, asked = session.cron, bulk.asked(refs, options)
    if len(refs) == 1 and not asked.picks and not asked.dry_run:
        _queued(cron, cron.trigger(schedule_id(cron, refs[0]), params), wait, asked.as_json)
        return
    if wait or params is not None:
        raise click.UsageError("--wait and --params are for one schedule", click.get_current_context())
    bulk.together(cron, asked, "trigger", cron.many.trigger)


@click.command()
@click.argument("handler", type=Name(handler_names), required=False)
@click.option("--params", type=Params(), default="{}", metavar="JSON", help="JSON, @FILE, or - for stdin.")
@click.option("--many", metavar="FILE", help="A call a line, in JSON; - for stdin. The rest is for lines without it.")
@click.option("--at", type=Instant(), help="Not before this instant; no zone: local time.")
@click.option("--in", "later", type=Duration(), help="Not before so much time has passed.")
@click.option("--key", metavar="TEXT", help="At most one run with this key waits at a time; that one is returned.")
@click.option("--deadline", type=Duration(), help="If it has not started by then, it is missed.")
@click.option("--queue", metavar="NAME", help="Which workers it is for. [default: default]")
@click.option("--limit", type=Name(limit_names), metavar="NAME", help="The limit it counts under. [default: none]")
@click.option("--priority", type=int, metavar="0-9", help="Higher ones come first in the queue. [default: 5]")
@click.option("--user", default="", metavar="TEXT", help="For whom it runs.")
@click.option("--retries", type=int, default=0, metavar="N", help="How many more attempts after a failure.")
@click.option("--retry-delay", type=Duration(), help="Before the first retry; it doubles. [default: 60s]")
@click.option("--timeout", type=Duration(), help="How long an attempt may take. [default: none]")
@click.option("--on-crash", type=click.Choice(["retry", "abandon"]), help="If its daemon dies. [default: retry]")
@click.option("--dry-run", is_flag=True, help="With --many: say which lines would be refused, and queue nothing.")
@wait
@as_json
@pass_session
def enqueue(
    session: Session,
    /,
    handler: str | None,
    many: str | None,
    dry_run: bool,
    at: Spoken | None,
    later: timedelta | None,
    retry_delay: timedelta | None,
    timeout: timedelta | None,
    on_crash: str | None,
    queue: str | None,
    limit: str | None,
    priority: int | None,
    wait: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Queue one call of a handler, now or later; or, with --many, those of a file.

    A line is what Python's enqueue takes: {"handler": "extract", "params": {"n": 1}, "key": "k", "run_at": "…Z"}.
    --json prints the run: all its fields; with --many: queued (how many), runs (their ids), refused (line, reason).
    """
    _refuse_mixed(handler, many, wait or bool(options["key"]), dry_run)
    if at is not None and later is not None:
        raise click.UsageError("--at and --in say the same thing; give one of them", click.get_current_context())
    hints = (handler and session.handler_hint(handler), session.cron.limits.doubt(limit or None))
    for hint in filter(None, hints):
        render.note(hint, "warning")
    start = at.coming(session.cron.now()) if at else None
    tell_clock(at=(at, start))
    named = {
        "run_at": start or later,
        "retry_delay_seconds": retry_delay.total_seconds() if retry_delay else None,
        "timeout_seconds": timeout.total_seconds() if timeout else None,
        "on_crash": on_crash,
        "queue": queue,
        "limit": limit or None,
        "priority": priority,
    }
    options |= {name: value for name, value in named.items() if value is not None}
    if many:
        defaults = {**options, **({"handler": handler} if handler else {})}
        queue_lines(session.cron, many, defaults, dry_run=dry_run, as_json=as_json)
    elif handler:
        _queued(session.cron, session.cron.enqueue(handler, **options), wait, as_json)


def _refuse_mixed(handler: str | None, many: str | None, of_one: bool, dry_run: bool) -> None:
    context = click.get_current_context()
    if not many and not handler:
        raise click.UsageError("name the HANDLER to call, or give --many FILE", context)
    if many and of_one:
        raise click.UsageError("--wait and --key are for one call, not for --many", context)
    if dry_run and not many:
        raise click.UsageError("--dry-run goes with --many", context)


def _queued(cron: Cronlite, handle: Handle, wait: bool, as_json: bool) -> None:
    run = handle.run
    if wait:
        if missing := _nobody_for(cron, run.handler):
            render.note(f"{missing}; waiting for one", "warning")
        run = handle.wait()
    if as_json:
        render.print_json(documents.run(run))
    elif wait:
        say(shown(cron, run))
    else:
        say(f"queued {run.id}{_waits_for(run, cron.now())}")
    if wait and run.state != runs.SUCCEEDED:
        raise click.exceptions.Exit(1)


def _nobody_for(cron: Cronlite, handler: str) -> str | None:
    seen = status(cron.store)
    if not seen.alive:
        return "no daemon is alive"
    return None if handler in seen.handlers else f"no daemon alive has the handler {handler!r}"


def _waits_for(run: Run, now: datetime) -> str:
    if run.run_at is None:
        return ", after the earlier runs of its schedule"
    return f", to start {render.relative(run.run_at, now)}" if run.run_at > now else ""


@click.command()
@click.argument("refs", metavar="[RUN|NAME]...", nargs=-1, type=Name(run_ids))
@click.option("--failed", is_flag=True, help="All that failed and were not put right since; with --since.")
@since
@picking.tag
@picking.match
@click.option("--user", metavar="TEXT", help="With --failed: only those of this user.")
@click.option("--handler", type=Name(handler_names), metavar="NAME", help="With --failed: only those of this handler.")
@click.option("--wait", is_flag=True, help="Wait for their end, and exit with 1 unless all of them succeeded.")
@pass_session
def retry(session: Session, /, refs: Sequence[str], failed: bool, wait: bool, **filters: Any) -> None:
    """Queue finished runs once more.

    Of a schedule, by its name or id, that is the last run that failed. --failed takes, of each schedule whose last run
    failed, that run; and each failed run on demand that was not retried yet.
    """
    cron = session.cron
    if failed == bool(refs) or (refs and any(filters.values())):
        remedy = "name runs or schedules, or give --failed with --since, --tag, --match, --user or --handler"
        raise click.UsageError(remedy, click.get_current_context())
    if failed and filters["since"] is None:
        raise click.UsageError("say since when: --failed --since 22:00", click.get_current_context())
    asked = {ref: partial(_failed_of, cron, ref) for ref in refs}
    if failed:
        asked = {
            run.id: partial(_itself, run) for run in not_put_right(cron.store, the_query(cron, cron.now(), **filters))
        }
        if not asked:
            render.note("nothing that fits has failed and was not put right since")
    handles: list[Handle] = []

    def again(ref: str) -> str:
        handles.append(cron.retry(asked[ref]().id))
        return f"queued {handles[-1].id}, a retry of {ref}"

    refused = False
    try:
        each(list(asked), again)
    except click.exceptions.Exit:  # some were told already; the others are waited for all the same
        refused = True
    ended = [handle.wait() for handle in handles] if wait else []
    for run in ended:
        say(f"{called(cron, run)} {run.state}{f': {outcome}' if (outcome := labels.outcome(run)) else ''}")
    if refused or any(run.state != runs.SUCCEEDED for run in ended):
        raise click.exceptions.Exit(1)


def _itself(run: Run) -> Run:
    return run


def _failed_of(cron: Cronlite, ref: str) -> Run:
    """Return the run that is meant to be retried: of a schedule, the last that failed."""
    if cron.store.run(ref) is None:
        try:
            schedule = schedule_id(cron, ref)
        except NotFound:
            return run_named(cron, ref)
        if (last := last_run(cron, schedule, BAD)) is None:
            raise NotFound(f"no run of schedule {ref!r} has failed; 'cronlite trigger {schedule}' runs it now")
        return last
    return run_named(cron, ref)


@click.command()
@click.argument("refs", metavar="[RUN]...", nargs=-1, type=Name(run_ids))
@click.option("--backfill", metavar="BACKFILL", help="All queued runs of one: the id that backfill printed.")
@pass_session
def cancel(session: Session, refs: Sequence[str], backfill: str | None) -> None:
    """Close queued runs before they start. What runs already cannot be called off."""
    if bool(refs) == (backfill is not None):
        raise click.UsageError("name runs, or give --backfill", click.get_current_context())
    if backfill is not None:
        say(cancel_all(session.cron, backfill))
        return
    each(refs, lambda ref: f"cancelled {session.cron.cancel(run_named(session.cron, ref).id).id}")
