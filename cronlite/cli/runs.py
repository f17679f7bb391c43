"""How are runs asked for, listed, read, repeated and called off from a command line?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import click

from cronlite.cli import documents, render
from cronlite.cli.parameters import Duration, Instant, Name, Params, Since, placed
from cronlite.cli.references import run_named, schedule_id
from cronlite.cli.render import Column
from cronlite.cli.schedules import as_json, ref
from cronlite.cli.session import Session, handler_names, pass_session, run_ids, schedule_names
from cronlite.cli.several import each
from cronlite.cli.streams import say
from cronlite.client.app import Cronlite
from cronlite.client.receipt import Handle
from cronlite.client.status import status
from cronlite.documents import runs
from cronlite.documents.runs import Run
from cronlite.errors import NotFound
from cronlite.store.contract import RunQuery

wait = click.option("--wait", is_flag=True, help="Wait for the end, print it, and exit with 1 unless it succeeded.")
run_refs = click.argument("refs", metavar="RUN...", nargs=-1, required=True, type=Name(run_ids))


@click.command()
@ref
@wait
@as_json
@pass_session
def trigger(session: Session, ref: str, wait: bool, as_json: bool) -> None:
    """Queue one run of a schedule now, beside those that it is due for.

    --json prints the run: all its fields.
    """
    _queued(session.cron, session.cron.trigger(schedule_id(session.cron, ref)), wait, as_json)


@click.command()
@click.argument("handler", type=Name(handler_names))
@click.option("--params", type=Params(), default="{}", metavar="JSON", help="JSON, @FILE, or - for stdin.")
@click.option("--at", type=Instant(), help="Not before this instant; without a zone, UTC.")
@click.option("--in", "later", type=Duration(), help="Not before so much time has passed.")
@click.option("--key", metavar="TEXT", help="At most one run with this key waits at a time; that one is returned.")
@click.option("--deadline", type=Duration(), help="If it has not started by then, it is missed.")
@click.option("--queue", metavar="NAME", help="Which workers it is for. [default: default]")
@click.option("--user", default="", metavar="TEXT", help="For whom it runs.")
@click.option("--retries", type=int, default=0, metavar="N", help="How many more attempts after a failure.")
@click.option("--retry-delay", type=Duration(), help="Before the first retry; it doubles. [default: 60s]")
@click.option("--timeout", type=Duration(), help="How long an attempt may take. [default: none]")
@click.option("--on-crash", type=click.Choice(["retry", "abandon"]), help="If its daemon dies. [default: retry]")
@wait
@as_json
@pass_session
def enqueue(
    session: Session,
    /,
    handler: str,
    at: datetime | None,
    later: timedelta | None,
    retry_delay: timedelta | None,
    timeout: timedelta | None,
    on_crash: str | None,
    queue: str | None,
    wait: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Queue one call of a handler, now or later.

    --json prints the run: all its fields.
    """
    if at is not None and later is not None:
        raise click.UsageError("--at and --in say the same thing; give one of them", click.get_current_context())
    if hint := session.handler_hint(handler):
        render.note(hint, "warning")
    given = {
        "run_at": placed(at) if at else later,
        "retry_delay_seconds": retry_delay.total_seconds() if retry_delay else None,
        "timeout_seconds": timeout.total_seconds() if timeout else None,
        "on_crash": on_crash,
        "queue": queue,
    }
    options |= {name: value for name, value in given.items() if value is not None}
    _queued(session.cron, session.cron.enqueue(handler, **options), wait, as_json)


def _queued(cron: Cronlite, handle: Handle, wait: bool, as_json: bool) -> None:
    run = handle.run
    if wait:
        if missing := _nobody_for(cron, run.handler):
            render.note(f"{missing}; waiting for one", "warning")
        run = handle.wait()
    if as_json:
        render.print_json(documents.run(run))
    elif wait:
        say(shown(run, cron.now()))
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


# what ran


@click.command("runs")
@click.option("--schedule", type=Name(schedule_names), metavar="ID", help="Only those of this schedule.")
@click.option("--user", metavar="TEXT", help="Only those of this user.")
@click.option("--handler", type=Name(handler_names), metavar="NAME", help="Only those of this handler.")
@click.option(
    "--state", "states", multiple=True, metavar="STATE", type=click.Choice(runs.STATES), help="Only such; repeatable."
)
@click.option("--since", type=Since(), metavar="2h|INSTANT", help="Only those queued since; without a zone, UTC.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="At most so many.")
@as_json
@pass_session
def runs_(session: Session, /, states: Sequence[str], since: datetime | None, as_json: bool, **filters: Any) -> None:
    """List runs, the last queued first.

    --json prints a list of runs: all their fields.
    """
    cron = session.cron
    if filters["schedule"] is not None:
        with suppress(NotFound):  # it may have been removed, and then its whole id still finds its runs
            filters["schedule"] = schedule_id(cron, filters["schedule"])
    found = cron.runs(state=states or None, since=placed(since) if since else None, **filters)
    if as_json:
        render.print_json([documents.run(run) for run in found])
    elif found:
        say(_listed(found, _names(cron, found), cron.now()))
    else:
        render.note("no run fits")


def _names(cron: Cronlite, found: Sequence[Run]) -> dict[str, str]:
    """Look up what the schedules of some runs are called now."""
    documents = (cron.store.schedule(id_) for id_ in {run.schedule for run in found if run.schedule})
    return {one["_id"]: one["name"] for one in documents if one and isinstance(one.get("name"), str)}


def _listed(found: Sequence[Run], names: Mapping[str, str], now: datetime) -> str:
    columns = [Column("run"), Column("state"), Column("due"), Column("took", right=True)]
    columns += [Column("handler", 10), Column("user", 6), Column("outcome", 8)]
    rows = []
    for run in found:
        row = [_short(run, names), _state(run), render.relative(run.due_at, now), _took(run)]
        rows.append([*row, run.handler, run.user, _told(run)])
    return render.table(columns, rows)


def _short(run: Run, names: Mapping[str, str]) -> str:
    """Show a run's id with its schedule's name in the place of the id; the commands take both."""
    schedule, at, minute = run.id.rpartition("@")
    return f"{names[schedule]}{at}{minute}" if schedule in names else run.id


def _state(run: Run) -> str:
    return "waiting" if run.state == runs.QUEUED and run.run_at is None else run.state


def _took(run: Run) -> str:
    if not (run.started_at and run.finished_at):
        return ""
    return render.span((run.finished_at - run.started_at).total_seconds())


def _told(run: Run) -> str:
    """Say the one thing about a run that matters most."""
    if run.reason:
        return run.reason
    if run.error:
        return f"{run.error.get('type', '')}: {run.error.get('message', '')}"
    return "" if run.result is None else render.json_text(run.result, indent=None)


@click.command()
@click.argument("ref", metavar="RUN", type=Name(run_ids))
@as_json
@pass_session
def log(session: Session, ref: str, as_json: bool) -> None:
    """Show a run: attempts, output, error.

    RUN is a run's id or a unique beginning of it, NAME@MINUTE as 'cronlite runs' shows it, or a schedule's id or name
    for its last run.
    --json prints the run: all its fields.
    """
    run = _run_of(session.cron, ref)
    if as_json:
        render.print_json(documents.run(run))
    else:
        say(shown(run, session.cron.now()))


def _run_of(cron: Cronlite, ref: str) -> Run:
    if (run := cron.store.run(ref)) is not None:
        return run
    try:
        schedule = schedule_id(cron, ref)
    except NotFound:
        return run_named(cron, ref)
    last = next(iter(cron.store.runs(RunQuery(schedule=schedule, limit=1))), None)
    if last is None:
        raise NotFound(f"schedule {ref!r} has no run yet; 'cronlite why' and 'cronlite next' tell more")
    return last


def shown(run: Run, now: datetime) -> str:
    """Show all of a run: attempts, times, result, error and output."""
    attempts = [str(run.attempt or "none yet")]
    if run.retries:
        attempts.append(f"{run.failures} failed of at most {run.retries + 1}")
    if run.crashes:
        attempts.append(f"{run.crashes} cut off by a dead daemon")
    rows = [
        ("run", render.one_line(run.id)),
        ("state", _state(run)),
        ("reason", render.one_line(run.reason or "")),
        ("handler", run.handler),
        ("params", render.json_text(run.params, indent=None)),
        ("user", render.one_line(run.user)),
        ("schedule", render.one_line(run.schedule or "")),
        ("queue", "" if run.queue == runs.DEFAULT_QUEUE else run.queue),
        ("key", render.one_line(run.key or "")),
        ("retry of", render.one_line(run.retry_of or "")),
        ("due", _dated(run.due_at, now)),
        ("deadline", _dated(run.deadline_at, now)),
        ("queued", _dated(run.queued_at, now)),
        ("sent", _dated(run.sent_at, now)),
        ("started", _dated(run.started_at, now)),
        ("ended", _dated(run.finished_at, now)),
        ("took", _took(run)),
        ("next try", _dated(run.run_at, now) if run.state == runs.QUEUED else ""),
        ("attempts", ", ".join(attempts)),
        ("daemon", run.daemon or ""),
        ("result", "" if run.result is None else render.json_text(run.result, indent=None)),
    ]
    parts = [render.pairs(rows, "")]
    if run.error:
        trace = run.error.get("traceback") or f"{run.error.get('type', '')}: {run.error.get('message', '')}"
        parts.append(f"error\n{_block(trace)}")
    if run.output:
        parts.append(f"output\n{_block(run.output)}")
    return "\n".join(parts)


def _block(text: str) -> str:
    return "\n".join(f"  {line}" for line in render.printable(str(text)).rstrip("\n").split("\n"))


def _dated(instant: datetime | None, now: datetime) -> str:
    return f"{render.second(instant)}, {render.relative(instant, now)}" if instant else ""


@click.command()
@run_refs
@pass_session
def retry(session: Session, refs: Sequence[str]) -> None:
    """Queue finished runs once more."""
    each(refs, lambda ref: f"queued {session.cron.retry(run_named(session.cron, ref).id).id}, a retry of {ref}")


@click.command()
@run_refs
@pass_session
def cancel(session: Session, refs: Sequence[str]) -> None:
    """Close queued runs before they start. What runs already cannot be called off."""
    each(refs, lambda ref: f"cancelled {session.cron.cancel(run_named(session.cron, ref).id).id}")
