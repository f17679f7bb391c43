"""How does a crontab become schedules, and how do schedules become a crontab again?"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cronlite import crontab
from cronlite.cli import render
from cronlite.cli.parameters import Name, zone_names
from cronlite.cli.render import Column
from cronlite.cli.session import Session, pass_session
from cronlite.cli.streams import say
from cronlite.client.actors import actor_of
from cronlite.client.app import Cronlite
from cronlite.client.schedules import change, declare
from cronlite.crontab import IMPORTED, Entry, Known, Plan, Refusal, Remark
from cronlite.documents import schedules
from cronlite.documents.changes import Actor
from cronlite.documents.schedules import Schedule
from cronlite.errors import ConfigurationError, InvalidInput
from cronlite.handlers.shell import NAME as SHELL_HANDLER
from cronlite.store.contract import ScheduleQuery
from cronlite.when import clock
from cronlite.wording.text import printable

LARGEST_FILE = 16 * 1024 * 1024
LEFTOVERS_SHOWN = 5
USAGE = 2


@dataclass(frozen=True, slots=True)
class Step:
    """What importing a line does: `action` is "add", "change" or "keep"."""

    entry: Entry
    action: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    existing: Schedule | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the schedule will be called."""
        if self.existing is None or "name" in self.changes:
            return self.entry.name
        return self.existing.name or self.existing.id


@dataclass(frozen=True, slots=True)
class Import:
    """A crontab's plan, held against what the store has."""

    source: str
    tz: str
    plan: Plan
    steps: Sequence[Step]
    refusals: Sequence[Refusal]
    leftovers: Sequence[str]


@click.command("import-crontab")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), metavar="FILE|-")
@click.option("--system", is_flag=True, help="It has a user on each line, as /etc/crontab and /etc/cron.d/* have.")
@click.option("--user", metavar="TEXT", default="", help="Whose crontab it is: for whom its lines run.")
@click.option("--tz", type=Name(zone_names), metavar="ZONE", help="The zone without CRON_TZ. [default: this machine's]")
@click.option("--tag", "tags", multiple=True, metavar="TEXT", help="A tag for its schedules; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Show the whole plan, and store nothing.")
@click.option("--skip-refused", is_flag=True, help="Import the other lines all the same.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_session
def import_crontab(
    session: Session,
    file: str,
    system: bool,
    user: str,
    tz: str | None,
    tags: tuple[str, ...],
    dry_run: bool,
    skip_refused: bool,
    as_json: bool,
) -> None:
    """Store a crontab's lines as schedules that run the commands with the handler 'shell'.

    The same file again changes nothing; a line whose time, variables or comment changed changes its schedule; nothing
    is ever deleted. A schedule is known by its crontab (the file, or --user) and its command, also once it was renamed
    or the file moved, or by a comment '#cronlite: name NAME' right above the line. With a line refused,
    nothing is stored and the exit code is 2.

    --json prints source, tz, stored, lines (line, text and action: add, change or keep, with name, user, changes,
    description, next_run and params; or refuse, with reason and remedy), remarks (line, text) and leftovers (names).
    """
    system = system or is_system(file)
    if system and user:
        raise click.UsageError("a system crontab names its users itself; leave --user out", click.get_current_context())
    data = read_file(file)
    source, tz = user or _source(file), tz or machine_zone()
    clock.zone(tz)
    cron = session.cron
    plan = crontab.read(data, source=source, system=system, user=user, tz=tz, users=machine_users())
    held = _held(cron, plan, source, tz, tags)
    stored = not dry_run and (skip_refused or not held.refusals)
    if stored:
        _store(cron, held.steps, tags, actor_of(None, "import"))
    if as_json:
        render.print_json(_document(held, cron.now(), stored))
    else:
        _show(held, cron.now(), stored)
    if held.refusals and not skip_refused:
        raise click.exceptions.Exit(USAGE)


@click.command("export-crontab")
@click.option("--tag", metavar="TEXT", help="Only those with this tag.")
@click.option("--user", metavar="TEXT", help="Only those of this user.")
@click.option("--system", is_flag=True, help="Write a user on each line, as /etc/crontab has it.")
@pass_session
def export_crontab(session: Session, tag: str | None, user: str | None, system: bool) -> None:
    """Write schedules as a crontab: those of the handler 'shell', and in comments what no crontab can say.

    'import-crontab' finds the same schedules again by the comments '#cronlite: name NAME'.
    """
    readable, broken = schedules.readable(session.cron.store.schedules(ScheduleQuery(tag=tag, user=user)))
    written = crontab.export(readable, system=system)
    if sys.stdout.isatty():
        say(printable(written), end="")
    else:
        click.echo(written, nl=False)  # as it is: to be a crontab
    if broken:
        render.note(f"{len(broken)} cannot be read ({', '.join(broken[:3])}); 'cronlite doctor' tells why", "warning")


def machine_zone(etc: Path = Path("/etc")) -> str:
    """Name the zone of this machine's clock, which is the one that its cron goes by. Raises ConfigurationError."""
    localtime, named = etc / "localtime", etc / "timezone"
    _, separator, zone = str(localtime.resolve()).partition("/zoneinfo/")
    if not separator and named.is_file():
        zone = named.read_text(errors="replace").strip()
    elif not separator and not localtime.exists():
        zone = "UTC"
    try:
        name = clock.zone(zone).key
    except InvalidInput:
        raise ConfigurationError("this machine does not say in which time zone it is; give --tz") from None
    return "UTC" if name == "Etc/UTC" else name


def read_file(name: str, what: str = "crontab") -> bytes:
    """Read a file, or stdin (`-`), which is to be a `what`. Raises ConfigurationError."""
    try:
        with click.open_file(name, "rb") as file:
            data: bytes = file.read(LARGEST_FILE + 1)
    except OSError as refused:
        raise ConfigurationError(f"{name} cannot be read: {refused.strerror or refused}") from None
    if len(data) > LARGEST_FILE:
        raise ConfigurationError(f"{name} holds more than {LARGEST_FILE} bytes: that is no {what}")
    return data


def is_system(name: str, etc: Path = Path("/etc")) -> bool:
    """Tell whether a file is one of the system's own crontabs, by whatever path it is named."""
    file, folder = Path(name).resolve(), (etc / "cron.d").resolve()
    linked = (each.resolve() for each in folder.iterdir()) if folder.is_dir() else ()
    return file == (etc / "crontab").resolve() or file.parent == folder or file in linked


def machine_users() -> frozenset[str]:
    """Name the accounts that a line of a system crontab may begin its command with: this machine's, and usual ones."""
    try:
        import pwd  # not on Windows
    except ImportError:
        return crontab.USUAL_USERS
    return crontab.USUAL_USERS | {account.pw_name for account in pwd.getpwall()}


def _source(name: str) -> str:
    # Not so a pipe's path (`import-crontab <(crontab -l)`): it is another one each time.
    return str(Path(name).resolve()) if Path(name).is_file() else "stdin"


def _held(cron: Cronlite, plan: Plan, source: str, tz: str, tags: Sequence[str]) -> Import:
    """Hold a plan against the store: what is new, what changes, and what cannot be because of what is there."""
    known = Known(cron.schedules(handler=SHELL_HANDLER), source, lambda path: Path(path).is_file())
    there = {entry.line: _there(cron, entry, known) for entry in plan.entries}
    steps, refusals = [], list(plan.refusals)
    for entry in plan.entries:
        existing = there[entry.line]
        if isinstance(existing, Refusal):
            refusals.append(existing)
        elif existing or (existing := _moved(plan, entry, known)):
            steps.append(_step(entry, existing, known, tags))
        else:
            plan.remarks += [
                Remark(entry.line, f"same time and command as {name!r}, beside which it would run")
                for name in known.like(entry)[:3]
            ]
            steps.append(Step(entry, "add", origin=known.origin(entry)))
    plan.remarks.sort(key=lambda each: each.line)
    return Import(source, tz, plan, steps, sorted(refusals, key=lambda each: each.line), known.left_over())


def _there(cron: Cronlite, entry: Entry, known: Known) -> Schedule | Refusal | None:
    """Return the schedule that a line is already, by its name or its origin, or why it cannot be that one."""
    document = next(cron.store.schedules(ScheduleQuery(name=entry.name)), None)
    if document is None:
        imported = known.imported_from(entry)
        return known.take(imported) if imported else None
    try:
        existing = schedules.read(document)
    except InvalidInput as refused:
        reason = f"its schedule {entry.name!r} is there and cannot be read: {refused}"
        return Refusal(entry.line, entry.text, reason, "mend that one: 'cronlite doctor'")
    if existing.handler != SHELL_HANDLER:
        reason = f"the name {entry.name!r} is that of a schedule with the handler {existing.handler!r}"
        return Refusal(entry.line, entry.text, reason, "choose another name")
    if existing.user != entry.schedule.user:
        reason = f"the name {entry.name!r} is that of another user's schedule"
        return Refusal(entry.line, entry.text, reason, "choose another name")
    return known.take(existing)


def _moved(plan: Plan, entry: Entry, known: Known) -> Schedule | None:
    moved = known.moved_from(entry)
    if moved is None:
        return None
    remark = f"is {moved.name or moved.id!r}, imported before from a file that is gone: taken for the same line"
    plan.remarks.append(Remark(entry.line, remark))
    return known.take(moved)


def _step(entry: Entry, existing: Schedule, known: Known, tags: Sequence[str]) -> Step:
    changes = crontab.changes(entry, existing)
    if missing := [tag for tag in tags if tag not in existing.tags]:
        changes["tags"] = [*existing.tags, *missing]
    return Step(entry, "change" if changes else "keep", changes, existing, known.followed(entry, existing))


def _store(cron: Cronlite, steps: Sequence[Step], tags: Sequence[str], actor: Actor) -> None:
    for complaint in cron.store.prepare():
        render.note(complaint, "warning")
    for step in steps:
        new = step.entry.schedule
        if step.existing is None:
            imported = {name: getattr(new, name) for name in IMPORTED}
            declare(cron._opened, {**imported, "name": new.name, "tags": list(tags), "origin": step.origin}, actor)
        elif step.changes or step.existing.origin != step.origin:
            document = cron.document(step.existing.id)
            change(cron._opened, document, {**step.changes, "origin": step.origin}, actor, of_user=new.user)


def _document(held: Import, now: datetime, stored: bool) -> dict[str, Any]:
    lines = [_line_document(step, now) for step in held.steps]
    lines += [
        {
            "line": refused.line,
            "action": "refuse",
            "text": refused.text,
            "reason": refused.reason,
            "remedy": refused.remedy,
        }
        for refused in held.refusals
    ]
    return {
        "source": held.source,
        "tz": held.tz,
        "stored": stored,
        "lines": sorted(lines, key=lambda line: line["line"]),
        "remarks": [{"line": remark.line, "text": remark.text} for remark in held.plan.remarks],
        "leftovers": held.leftovers,
    }


def _line_document(step: Step, now: datetime) -> dict[str, Any]:
    new = step.entry.schedule
    return {
        "line": step.entry.line,
        "action": step.action,
        "text": step.entry.text,
        "name": step.name,
        "user": new.user,
        "changes": sorted(step.changes),
        "description": new.describe(),
        "next_run": next(iter(new.next_runs(now, 1)), None),
        "params": new.params,
    }


def _show(held: Import, now: datetime, stored: bool) -> None:
    if held.steps:
        columns = [Column("line", right=True), Column("becomes", True), Column("next run"), Column("when", True)]
        columns += [Column("user", True), Column("command", True), Column("schedule", True)]
        say(render.table(columns, [_row(step, now) for step in held.steps]))
    for remark in held.plan.remarks:
        say(f"line {remark.line}: {render.one_line(remark.text)}")
    for refusal in held.refusals:
        say(f"line {refusal.line} is refused: {render.one_line(refusal.text)}")
        say(f"    {render.one_line(refusal.reason)}; {render.one_line(refusal.remedy)}")
    counted = Counter(step.action for step in held.steps)
    summary = (
        f"{counted['add']} new, {counted['change']} changed, {counted['keep']} unchanged, {len(held.refusals)} refused"
    )
    say(f"{summary}; times are on the clock of {held.tz} where no line says another")
    _note(held, counted["add"], stored)


def _note(held: Import, added: int, stored: bool) -> None:
    if not stored and held.refusals:
        render.note("nothing was stored: mend the refused lines, or leave them out with --skip-refused")
    elif not stored:
        render.note("nothing was stored")
    elif added:
        render.note("the commands run as the daemon's user, under 'cronlite run --allow-shell' only; no mail is sent")
        render.note("a command still at work when it is due again is skipped, where cron starts another beside it")
    if held.leftovers:
        shown = ", ".join(map(render.one_line, held.leftovers[:LEFTOVERS_SHOWN]))
        more = f" and {len(held.leftovers) - LEFTOVERS_SHOWN} more" if len(held.leftovers) > LEFTOVERS_SHOWN else ""
        problem = f"no longer in this crontab, and still scheduled: {shown}{more}"
        render.note(f"{problem}; 'cronlite remove ID' deletes one", "warning")


def _row(step: Step, now: datetime) -> list[str]:
    new = step.entry.schedule
    following = next(iter(new.next_runs(now, 1)), None)
    becomes = {"add": "new", "change": f"changed: {', '.join(step.changes)}", "keep": "unchanged"}[step.action]
    command = f"{new.params['command'][-1]}{' < text' if 'stdin' in new.params else ''}"
    due = render.relative(following, now) if following else "never"
    return [str(step.entry.line), becomes, due, new.describe(), new.user, command, step.name]
