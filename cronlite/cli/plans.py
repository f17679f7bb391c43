"""How are schedules kept in a file: planned, applied, exported, from a command line?"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cronlite.cli import picking, render
from cronlite.cli.crontab import read_file
from cronlite.cli.picking import Filters, Picked
from cronlite.cli.render import Column
from cronlite.cli.schedules import as_json
from cronlite.cli.session import Session, pass_session
from cronlite.cli.streams import say
from cronlite.client import plans
from cronlite.client.actors import actor_of
from cronlite.documents import schedules
from cronlite.documents.changes import Actor
from cronlite.errors import ConfigurationError, InvalidInput
from cronlite.plans import reading, writing
from cronlite.plans.comparing import Plan, Step
from cronlite.plans.reading import Wish
from cronlite.wording.text import printable
from cronlite.wording.values import json_text

if TYPE_CHECKING:
    from typing_extensions import Unpack

FAILED, USAGE, TO_DO = 1, 2, 4
_BECOMES = {"add": "new", "change": "changed", "keep": "unchanged", "remove": "removed"}

file = click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), metavar="FILE|-")
prune = click.option("--prune", is_flag=True, help="Remove what the file's owner had before and it wants no more.")
adopt = click.option(
    "--adopt", is_flag=True, help="Take schedules over that are another owner's, or were made by hand."
)


@click.command()
@file
@click.option("--check", is_flag=True, help="Only look for what is wrong with the file; no store is needed.")
@prune
@adopt
@as_json
@pass_session
def plan(session: Session, file: str, check: bool, prune: bool, adopt: bool, as_json: bool) -> None:
    """Show what 'apply' would do with a file of schedules. Nothing is stored.

    The exit code is 0 where there is nothing to do, 4 where there is, 1 where something is refused, 2 where the file is
    wrong: all its faults are told at once, with their lines.

    --json prints owner, steps (name, action: add, change, keep or remove, line, and of each field that changes its
    values before and after), refusals (name, line, reason, remedy) and leftovers (names).
    """
    wish = _wish(file)
    if check:
        if as_json:
            render.print_json({"owner": wish.owner, "schedules": [schedule.name for schedule in wish.schedules]})
        else:
            say(f"{len(wish.schedules)} schedules of {wish.owner!r}, and nothing wrong with them")
        return
    planned = plans.plan(session.cron._opened, wish, adopt=adopt, prune=prune)
    _tell(planned, as_json)
    if planned.refusals:
        raise click.exceptions.Exit(FAILED)
    if planned.to_do:
        raise click.exceptions.Exit(TO_DO)


@click.command()
@file
@prune
@adopt
@click.option("--dry-run", is_flag=True, help="Show what would be done, and store nothing.")
@as_json
@pass_session
def apply(session: Session, file: str, prune: bool, adopt: bool, dry_run: bool, as_json: bool) -> None:
    """Make the schedules that a file wants: those that are missing, and changes to those that are there.

    Only schedules of the file's owner are changed; with --prune, those of them that it wants no more are removed. A
    pause stays, unless the file says enabled. The same file again changes nothing. Where something is refused, nothing
    is stored, and the exit code is 1.

    --json prints what 'plan' prints.
    """
    wish, opened = _wish(file), session.cron._opened
    if dry_run:
        planned = plans.plan(opened, wish, adopt=adopt, prune=prune)
    else:
        planned = plans.apply(opened, wish, _actor(file), adopt=adopt, prune=prune)
    _tell(planned, as_json)
    if planned.refusals:
        render.note("nothing was stored", "error")
        raise click.exceptions.Exit(FAILED)
    if dry_run:
        render.note("nothing was stored")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), metavar="FILE|-")
@click.option("--owner", metavar="TEXT", help="Only schedules of this owner. [default: all but those in the code]")
@click.option("--as", "new_owner", metavar="TEXT", help="Whose they are in the file. [default: as now, or FILE's name]")
@picking.picked
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@pass_session
def export(
    session: Session, /, file: str, owner: str | None, new_owner: str | None, force: bool, **filters: Unpack[Filters]
) -> None:
    """Write schedules as a file for 'apply': TOML, or YAML where its name ends in .yaml.

    'plan' of that file finds nothing to do, once 'apply --adopt' has made them its owner's.
    """
    cron = session.cron
    picked = Picked(cron, **filters, by_name=True)
    chosen = [
        schedule
        for schedule in picked
        if (schedule.owner == owner if owner is not None else schedule.owner != schedules.CODE)
    ]
    named = [schedule for schedule in chosen if schedule.name is not None]
    owners = {schedule.owner for schedule in named}
    common = next(iter(owners)) if len(owners) == 1 else None
    text = writing.write(new_owner or common or Path(file).stem.strip("- ") or "cronlite", named, file, cron.now())
    if file != "-":
        _write(file, text, force)
        say(f"wrote {len(named)} schedules to {file}")
    elif sys.stdout.isatty():
        say(printable(text), end="")
    else:
        click.echo(text, nl=False)
    if nameless := [schedule.id for schedule in chosen if schedule.name is None]:
        problem = f"{len(nameless)} have no name and are left out ({', '.join(nameless[:3])})"
        render.note(f"{problem}; 'cronlite edit ID --name NAME' gives one", "warning")
    picked.tell_broken()


def _wish(file: str) -> Wish:
    """Read a file; tell all that is wrong with it, each on a line of its own, and leave with the code for that."""
    data = read_file(file, "file of schedules")
    try:
        return reading.read(data, file)
    except InvalidInput as refused:
        for fault in refused.faults:
            render.note(f"{file}: {fault}", "error")
        raise click.exceptions.Exit(USAGE) from None


def _actor(file: str) -> Actor:
    """Name the file, and who applies it."""
    who = actor_of(None, "file").name
    return Actor.called(f"{Path(file).name if file != '-' else 'stdin'}, by {who}", "file")


def _write(file: str, text: str, force: bool) -> None:
    try:
        with Path(file).open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise click.UsageError(f"{file} is there; --force writes over it", click.get_current_context()) from None
    except OSError as refused:
        raise ConfigurationError(f"{file} cannot be written: {refused.strerror or refused}") from None


def _tell(planned: Plan, as_json: bool) -> None:
    if as_json:
        render.print_json(_document(planned))
        return
    rows = [_row(step) for step in planned.to_do]
    if rows:
        say(render.table([Column("becomes"), Column("schedule", 12, middle=True), Column("what", 20)], rows))
    for refusal in planned.refusals:
        at = f" (line {refusal.line})" if refusal.line else ""
        say(f"{render.one_line(refusal.name)}{at} is refused: {render.one_line(refusal.reason)}; {refusal.remedy}")
    counted = planned.counted()
    parts = [f"{counted[action]} {word}" for action, word in _BECOMES.items() if action != "remove" or counted[action]]
    say(", ".join([*parts, *([f"{len(planned.refusals)} refused"] if planned.refusals else [])]))
    if planned.leftovers:
        some = ", ".join(map(render.one_line, planned.leftovers[:5]))
        more = f" and {len(planned.leftovers) - 5} more" if len(planned.leftovers) > 5 else ""
        render.note(f"{planned.owner}'s, and not in the file: {some}{more}; --prune removes them", "warning")


def _row(step: Step) -> list[str]:
    becomes = "renamed" if step.is_renamed else _BECOMES[step.action]
    if step.action == "add" and step.wanted is not None:
        return [becomes, step.name, step.wanted.schedule.describe()]
    changes = [f"{name} {_value(old)} → {_value(new)}" for name, (old, new) in _changes(step).items()]
    return [becomes, step.name, "; ".join(changes)]


def _value(value: Any) -> str:
    return "none" if value is None else json_text(value, indent=None)


def _changes(step: Step) -> Mapping[str, tuple[Any, Any]]:
    """Return the fields of a change, each with its values before and after."""
    if step.action != "change":
        return {}
    document = step.document or {}
    return {name: (document.get(name), value) for name, value in step.fields.items()}


def _document(planned: Plan) -> dict[str, Any]:
    return {
        "owner": planned.owner,
        "steps": list(map(_step_document, planned.steps)),
        "refusals": [
            {"name": refusal.name, "line": refusal.line or None, "reason": refusal.reason, "remedy": refusal.remedy}
            for refusal in planned.refusals
        ],
        "leftovers": planned.leftovers,
    }


def _step_document(step: Step) -> dict[str, Any]:
    line = step.wanted.line if step.wanted else None
    return {"name": step.name, "action": step.action, "line": line or None, "changes": _changes(step)}
