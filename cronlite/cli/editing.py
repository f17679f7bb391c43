"""How is a schedule written and changed from a command line?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any, TypeVar

import click

from cronlite.cli import bulk, documents, render
from cronlite.cli.instants import Instant, Spoken
from cronlite.cli.parameters import NO_DURATION, Duration, Name, Params, zone_names
from cronlite.cli.references import schedule_document, schedule_id
from cronlite.cli.schedules import as_json, next_runs
from cronlite.cli.session import Session, handler_names, limit_names, pass_session, schedule_names
from cronlite.cli.streams import say
from cronlite.documents import checks, schedules, timing
from cronlite.documents.schedules import Schedule
from cronlite.when import clock
from cronlite.when import pattern as cron_language


class _End(Instant):
    """An instant, or `none`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == NO_DURATION else super().convert(value, param, ctx)


C = TypeVar("C", bound=Callable[..., Any])

_FIELD_HELP = {
    "minute": "0-59, a list '0,30', a step '*/5', a range '10-20/2'.",
    "hour": "0-23, in the same ways.",
    "day": "1-31, L (the last) or LW (the last Monday to Friday).",
    "month": "1-12 or jan-dec.",
    "weekday": "0-7 or sun-sat, 5L (the last Friday), fri#2 (the second).",
}
_FIELDS = [
    click.option("--cron", metavar="LINE", help="All five fields, as in crontab(5): '30 2 * * mon-fri', @daily."),
    click.option(
        "--every", metavar="10s|90m|2h|1d", help="An interval, in place of the five fields; '' takes it away."
    ),
    *(click.option(f"--{name}", metavar="EXPR", help=text) for name, text in _FIELD_HELP.items()),
    click.option(
        "--tz", type=Name(zone_names), metavar="ZONE", help="The clock to go by: an IANA name. [default: UTC]"
    ),
    click.option("--handler", type=Name(handler_names), metavar="NAME", help="The registered function to call."),
    click.option("--queue", metavar="NAME", help="Which workers it is for. [default: default]"),
    click.option("--params", type=Params(), metavar="JSON", help="What it is given: JSON, @FILE, or - for stdin."),
    click.option("--user", metavar="TEXT", help="For whom it runs."),
    click.option("--name", metavar="TEXT", help="A unique name; '' takes it away."),
    click.option("--tag", "tags", multiple=True, metavar="TEXT", help="A tag; may be repeated, '' means none."),
    click.option("--note", metavar="TEXT", help="A note for people."),
    click.option(
        "--overlap",
        type=click.Choice(["skip", "wait", "allow"]),
        help="If the last run is still at work. [default: skip]",
    ),
    click.option(
        "--catch-up",
        type=click.Choice(["skip", "latest", "all"]),
        help="What of minutes with no daemon. [default: skip]",
    ),
    click.option("--retries", type=int, metavar="N", help="How many more attempts after a failure. [default: 0]"),
    click.option("--retry-delay", type=Duration(), help="Before the first retry; it doubles. [default: 60s]"),
    click.option("--timeout", type=Duration(none=True), help="How long an attempt may take. [default: none]"),
    click.option(
        "--deadline", type=Duration(none=True), help="How long after it is due a run may start. [default: none]"
    ),
    click.option(
        "--late-after", type=Duration(none=True), help="How long after it is due it is overdue. [default: the daemon's]"
    ),
    click.option(
        "--ping-url", metavar="URL", help="Called at start, success and failure, as by Healthchecks; '' takes it away."
    ),
    click.option("--active-from", type=Instant(), help="Never due before; no zone: on its own clock. [default: now]"),
    click.option("--active-until", type=_End(), help="Never due after, or none. [default: none]"),
    click.option(
        "--on-crash", type=click.Choice(["retry", "abandon"]), help="If its daemon dies at work. [default: retry]"
    ),
    click.option("--limit", type=Name(limit_names), metavar="NAME", help="The limit its runs count under; '' is none."),
    click.option("--priority", type=int, metavar="0-9", help="Higher ones come first in the queue. [default: 5]"),
    click.option("--dry-run", is_flag=True, help="Show what would be stored, and store nothing."),
]


def _with_fields(command: C) -> C:
    for option in reversed(_FIELDS):
        command = option(command)
    return command


@click.command()
@_with_fields
@click.option("--disabled", is_flag=True, help="Store it paused.")
@as_json
@pass_session
def add(session: Session, /, disabled: bool, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Store a schedule, and show when it will run.

    A field that is not named is *, as in cron: --hour 2 alone is sixty runs. Fields given one by one must all match.
    """
    fields = _changes(options, options["tz"] or "UTC") | ({"enabled": False} if disabled else {})
    now = datetime.now(timezone.utc)  # a dry run needs no store, whose clock counts otherwise
    new = _drafted(fields, now)
    _warn(session, fields, new)
    if not dry_run:
        store = session.cron.store
        for complaint in store.prepare():
            render.note(complaint, "warning")
        now = session.cron.now()
        new = _drafted(fields, now)
        session.cron.add(new, actor=session.actor)
    _present(new, now, "would add" if dry_run else "added", as_json)


@click.command()
@click.argument("ref", metavar="[ID]", required=False, type=Name(schedule_names))
@_with_fields
@partial(bulk.picks, prefix="of-")
@bulk.yes
@as_json
@pass_session
def edit(session: Session, /, ref: str | None, as_json: bool, **options: Any) -> None:
    """Change fields of a schedule, or of many; the others stay. --tag replaces all tags.

    If a time field changes, minutes before now no longer count. 'pause' and 'resume' switch it off and on. Many are
    picked by --of-tag, --of-user, --match or --all; of these, --json prints a list with id, name, done and error.
    """
    asked = bulk.asked([ref] if ref is not None else [], {**options, "as_json": as_json})
    dry_run: bool = options.pop("dry_run")
    options = {name: value for name, value in options.items() if name not in bulk.ARGUMENTS}
    if not _named(options):
        raise click.UsageError("nothing to change; name at least one field", click.get_current_context())
    if ref is None or asked.picks:
        fields = _changes(options, options["tz"] or "UTC")
        bulk.together(session.cron, asked, "change", partial(session.cron.many.update, actor=session.actor, **fields))
        return
    fields = _changes(options, options["tz"] or str(schedule_document(session.cron, ref).get("tz") or "UTC"))
    if dry_run:
        document = schedule_document(session.cron, ref)
        changed = schedules.read(document | timing.completed(document.get("every"), fields))
    else:
        changed = session.cron.update(schedule_id(session.cron, ref), actor=session.actor, **fields)
    _warn(session, fields, changed)
    _present(changed, session.cron.now(), "would change" if dry_run else "changed", as_json)


def _changes(options: Mapping[str, Any], tz: str) -> dict[str, Any]:
    """Return the fields that were named, as a schedule has them; None takes a field back to its default.

    Instants without a zone are on the clock of `tz`.
    """
    fields = _named(options)
    line = fields.pop("cron", None)
    if line is not None:
        fields = _from_line(line, fields)
    if (delay := fields.pop("retry_delay", None)) is not None:
        fields["retry_delay_seconds"] = delay.total_seconds()
    for name in ("timeout", "deadline", "late_after"):
        if (limit := fields.pop(name, None)) is not None:
            fields[f"{name}_seconds"] = None if limit == NO_DURATION else limit.total_seconds()
    for name in ("active_from", "active_until"):
        if name in fields:
            fields[name] = None if fields[name] == NO_DURATION else _instant(fields[name], tz)
    if "params" in fields:
        fields["params"] = checks.check_params(fields["params"])
    for name in ("name", "every", "ping_url", "limit"):
        if name in fields:
            fields[name] = fields[name] or None
    if "tags" in fields:
        fields["tags"] = [tag for tag in fields["tags"] if tag]
    return fields


def _named(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were typed."""
    return {name: value for name, value in options.items() if value is not None and value != ()}


def _instant(typed: Spoken, tz: str) -> datetime:
    return clock.whole_milliseconds(typed.coming(datetime.now(timezone.utc), clock.zone(tz)))


def _from_line(line: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    named = [name for name in (*cron_language.FIELDS, "every") if name in fields]
    if named:
        raise click.UsageError(f"--cron says all five fields; leave --{named[0]} out", click.get_current_context())
    pattern = cron_language.parse_line(line)
    return {**fields, **pattern.expressions(), "either_day": pattern.either_day}


def _drafted(fields: Mapping[str, Any], now: datetime) -> Schedule:
    return schedules.new(now=clock.whole_milliseconds(now), **fields)


def _warn(session: Session, fields: Mapping[str, Any], schedule: Schedule) -> None:
    coarser = [name for name in cron_language.FIELDS[1:] if getattr(schedule, name) != "*"]
    if schedule.minute == "*" and "minute" not in fields and any(name in fields for name in coarser):
        named = " and ".join(f"{name}={getattr(schedule, name)}" for name in coarser)
        render.note(f"{named} without a minute is sixty runs an hour; --minute 0 makes it one", "warning")
    if "handler" in fields and (hint := session.handler_hint(schedule.handler)):
        render.note(hint, "warning")
    if "limit" in fields and (doubt := session.cron.limits.doubt(schedule.limit)):
        render.note(doubt, "warning")


def _present(schedule: Schedule, now: datetime, what: str, as_json: bool) -> None:
    if as_json:
        render.print_json(documents.schedule(schedule, now))
        return
    named = f"  {render.one_line(schedule.name)}" if schedule.name else ""
    say(f"{what} {schedule.id}{named}: {schedule.describe()}")
    say(next_runs(schedule, now))
