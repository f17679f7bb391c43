"""What ran: how are runs listed and read from a command line?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from cronlite.cli import documents, nobody, picking, render
from cronlite.cli.instants import Instant, Spoken, tell_clock
from cronlite.cli.parameters import Name
from cronlite.cli.picking import Picked
from cronlite.cli.references import last_run, run_named, schedule_id
from cronlite.cli.render import Column
from cronlite.cli.schedules import PAGE, as_json
from cronlite.cli.session import Session, handler_names, pass_session, run_ids, schedule_names
from cronlite.cli.streams import say
from cronlite.client.app import Cronlite
from cronlite.client.failing import BAD
from cronlite.client.following import LOOK_SECONDS, Follower
from cronlite.client.limits import waits_for
from cronlite.documents import runs
from cronlite.documents.limits import DEFAULT_PRIORITY
from cronlite.documents.runs import Run
from cronlite.errors import NotFound, StoreError
from cronlite.store.contract import RunQuery
from cronlite.store.grouping import batches
from cronlite.wording import labels

COUNTED = 10_000  # of the runs that a list leaves out

since = click.option(
    "--since", type=Instant(spans=True), metavar="2h|INSTANT", help="Only those queued since; no zone: local time."
)


@click.command("runs")
@click.option("--schedule", type=Name(schedule_names), metavar="ID", help="Only those of this schedule.")
@picking.tag
@picking.match
@click.option("--user", metavar="TEXT", help="Only those of this user.")
@click.option("--handler", type=Name(handler_names), metavar="NAME", help="Only those of this handler.")
@click.option(
    "--state", "states", multiple=True, metavar="STATE", type=click.Choice(runs.STATES), help="Only such; repeatable."
)
@click.option("--failed", is_flag=True, help="Only those that failed, timed out or were abandoned.")
@since
@click.option("--until", type=Instant(spans=True), metavar="2h|INSTANT", help="Only those queued before that.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="At most so many.")
@as_json
@pass_session
def runs_(session: Session, /, as_json: bool, limit: int, **filters: Any) -> None:
    """List runs, the last queued first.

    --json prints a list of runs: all their fields.
    """
    cron = session.cron
    now = cron.now()
    query = the_query(cron, now, **filters)
    shown = _Counted(cron.store.runs(replace(query, limit=limit)))
    if as_json:
        render.print_json_list(documents.run(run) for run in shown)
    else:
        for part in render.tables(_COLUMNS, _rows(cron, shown, now)):
            say(part)
        if not shown.count:
            render.note("no run fits")
    if shown.count == limit and (remark := _how_many(cron, query, limit)):
        render.note(remark)
    nobody.tell(cron)


def the_query(
    cron: Cronlite,
    now: datetime,
    *,
    schedule: str | None = None,
    tag: str | None = None,
    match: str | None = None,
    user: str | None = None,
    handler: str | None = None,
    states: Sequence[str] = (),
    failed: bool = False,
    since: Spoken | None = None,
    until: Spoken | None = None,
) -> RunQuery:
    """Return the query that the options of a list of runs ask for."""
    if schedule is not None:
        with suppress(NotFound):  # it may have been removed, and then its whole id still finds its runs
            schedule = schedule_id(cron, schedule)
    of = None if tag is None and match is None else [str(each["_id"]) for each in Picked(cron, tag, match).documents()]
    begin = since.past(now) if since else None
    # `--since 22:00 --until 06:00` is one night.
    clock_only = until is not None and until.day is None and until.span is None
    end = None if until is None else until.coming(begin) if begin and clock_only else until.past(now)
    tell_clock(since=(since, begin), until=(until, end))
    wanted = {*states, *(BAD if failed else ())} or None
    return RunQuery(schedule=schedule, schedules=of, user=user, handler=handler, states=wanted, since=begin, until=end)


class _Counted:
    """Yields runs, and counts them."""

    def __init__(self, found: Iterable[Run]) -> None:
        self._found, self.count = found, 0

    def __iter__(self) -> Iterator[Run]:
        for run in self._found:
            self.count += 1
            yield run


def _how_many(cron: Cronlite, query: RunQuery, limit: int) -> str:
    """Say how many runs there are, where not all are shown; counting has an end, too."""
    with suppress(StoreError):  # it may take too long, and what was asked for is shown
        count = cron.store.count_listed(replace(query, limit=limit + COUNTED))
        more = f"{'more than ' if count == limit + COUNTED else ''}{count}"
        return f"{limit} of {more} are shown; --limit shows more" if count > limit else ""
    return f"{limit} are shown, and there may be more"


_COLUMNS = [Column("run", 18, middle=True), Column("state"), Column("due", brief=True), Column("outcome", 12)]
_COLUMNS += [Column("does", 12), Column("took", right=True), Column("user", 6)]


def _rows(cron: Cronlite, listed: Iterable[Run], now: datetime) -> Iterator[list[list[str]]]:
    names: dict[str, str] = {}
    for page in batches(listed, PAGE):
        waits = waits_for(cron.store, page, now)
        names |= _names(cron, {run.schedule for run in page if run.schedule} - names.keys())
        yield [
            [
                _called(run.id, run.schedule, names),
                "waiting" if run.id in waits else labels.state(run),
                render.when(run.due_at, now),
                waits.get(run.id) or labels.outcome(run),
                labels.does(run.handler, run.params),
                labels.took(run),
                run.user,
            ]
            for run in page
        ]


def _names(cron: Cronlite, ids: Iterable[str]) -> dict[str, str]:
    """Look up what some schedules are called now."""
    stored = (cron.store.schedule(id_) for id_ in ids)
    return {each["_id"]: each["name"] for each in stored if each and isinstance(each.get("name"), str)}


def called(cron: Cronlite, run: Run) -> str:
    """Return what lists call a run."""
    return _called(run.id, run.schedule, _names(cron, [run.schedule] if run.schedule else []))


def _called(id_: str, schedule: str | None, names: Mapping[str, str]) -> str:
    """Show a run's id with its schedule's name in the place of the id, or before it; the commands take both."""
    if schedule is None or schedule not in names or not id_:
        return id_
    name = labels.called(names[schedule], schedule)
    return f"{name}@{id_.removeprefix(f'{schedule}@')}"


@click.command()
@click.argument("ref", metavar="RUN", type=Name(run_ids))
@click.option("--follow", is_flag=True, help="Go on with what it prints, until it has ended.")
@as_json
@pass_session
def log(session: Session, ref: str, as_json: bool, follow: bool) -> None:
    """Show a run: attempts, output, error.

    RUN is a run's id or a unique beginning of it, NAME@MINUTE as 'cronlite runs' shows it, or a schedule's id or name
    for its last run. With --follow, what it prints comes as it is printed, and the rest when it has ended.
    --json prints the run: all its fields.
    """
    run = _run_of(session.cron, ref)
    if follow:
        run = _followed(session.cron, run, silently=as_json)
    if as_json:
        render.print_json(documents.run(run))
    else:
        say(shown(session.cron, run, without_output=follow))


def _followed(cron: Cronlite, run: Run, *, silently: bool) -> Run:
    """Print what a run prints until it has ended; return it as it is then."""
    follower, line_ended = Follower(cron, run.id), True
    if run.state in runs.AT_WORK:
        render.note(f"run {called(cron, run)} is {run.state}; what it prints follows")
    while True:
        run, printed = follower.look()
        if printed and not silently:
            say(render.printable(printed), end="")
            line_ended = printed.endswith("\n")
        if run.state in runs.FINAL:
            if not line_ended:
                say()
            return run
        time.sleep(LOOK_SECONDS)


def _run_of(cron: Cronlite, ref: str) -> Run:
    if (run := cron.store.run(ref)) is not None:
        return run
    try:
        schedule = schedule_id(cron, ref)
    except NotFound:
        return run_named(cron, ref)
    last = last_run(cron, schedule)
    if last is None:
        raise NotFound(f"schedule {ref!r} has no run yet; 'cronlite next {schedule}' shows when it will")
    return last


def shown(cron: Cronlite, run: Run, *, without_output: bool = False) -> str:
    """Show all of a run: attempts, times, result, error and output."""
    now = cron.now()
    names = _names(cron, [run.schedule] if run.schedule else [])
    called = names.get(run.schedule or "", "")
    attempts = [str(run.attempt or "none yet")]
    if run.retries:
        attempts.append(f"{run.failures} failed of at most {run.retries + 1}")
    if run.crashes:
        attempts.append(f"{run.crashes} cut off by a dead daemon")
    rows = [
        ("run", render.one_line(_called(run.id, run.schedule, names))),
        ("id", render.one_line(run.id) if called else ""),
        ("state", labels.state(run)),
        ("reason", render.one_line(run.reason or "")),
        ("handler", run.handler),
        ("params", render.json_text(run.params, indent=None)),
        ("user", render.one_line(run.user)),
        ("schedule", render.one_line(f"{called} ({run.schedule})" if called else run.schedule or "")),
        ("backfill", render.one_line(run.backfill or "")),
        ("freeze", render.one_line(run.freeze or "")),
        ("queue", "" if run.queue == runs.DEFAULT_QUEUE else run.queue),
        ("limit", run.limit or ""),
        ("priority", "" if run.priority == DEFAULT_PRIORITY else str(run.priority)),
        ("key", render.one_line(run.key or "")),
        ("retry of", render.one_line(_called(run.retry_of or "", run.schedule, names))),
        ("due", render.dated(run.due_at, now)),
        ("deadline", render.dated(run.deadline_at, now)),
        ("queued", render.dated(run.queued_at, now)),
        ("sent", render.dated(run.sent_at, now)),
        ("started", render.dated(run.started_at, now)),
        ("ended", render.dated(run.finished_at, now)),
        ("took", labels.took(run)),
        ("next try", "" if labels.is_held(run) or run.state != runs.QUEUED else render.dated(run.run_at, now)),
        ("waits", labels.outcome(run) if labels.is_held(run) else ""),
        ("attempts", ", ".join(attempts)),
        ("daemon", run.daemon or ""),
        ("result", "" if run.result is None else render.json_text(run.result, indent=None)),
    ]
    parts = [render.pairs(rows, ""), *_earlier(run, now)]
    if not (run.state == runs.QUEUED and run.attempts):  # else they are those of the last attempt
        # While an attempt is at work, the run's own fields are of the one before it.
        error, output = (None, run.live_output) if run.state == runs.RUNNING else (run.error, run.output)
        parts += _told(error, None if without_output else output)
    return "\n".join(parts)


def _earlier(run: Run, now: datetime) -> Iterator[str]:
    """Show each attempt but the one that the run's own fields tell of."""
    for attempt in run.attempts:
        if attempt.number < run.attempt or run.state == runs.QUEUED:
            how = render.one_line(attempt.state.replace("_", " "))
            yield f"attempt {attempt.number}: {how} {render.dated(attempt.ended_at, now)}".rstrip()
            daemon = render.one_line(attempt.daemon or "")
            yield render.pairs([("daemon", daemon), ("started", render.dated(attempt.started_at, now))])
            yield from _told(attempt.error, attempt.output)


def _told(error: Mapping[str, str] | None, output: str | None) -> Iterator[str]:
    if error:
        yield f"error\n{_block(error.get('traceback') or labels.failure(error))}"
    if output:
        yield f"output\n{_block(output)}"


def _block(text: str) -> str:
    return "\n".join(f"  {line}" for line in render.printable(str(text)).rstrip("\n").split("\n"))
