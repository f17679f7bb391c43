"""Which schedules does somebody mean who changes many at once, and is that what they want?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from cronlite.cli import render
from cronlite.cli.picking import Picked
from cronlite.cli.references import schedule_document
from cronlite.cli.several import each
from cronlite.cli.streams import say
from cronlite.client.app import Cronlite
from cronlite.client.bulk import Outcome
from cronlite.documents import schedules
from cronlite.wording.numbers import counted

C = TypeVar("C", bound=Callable[..., Any])
_NAMED = 3

dry_run = click.option("--dry-run", is_flag=True, help="Show which would be changed, and change nothing.")
yes = click.option("--yes", is_flag=True, help="Do not ask; needed where nobody is at a terminal.")


@dataclass(frozen=True, slots=True)
class Asked:
    """The schedules that somebody named one by one, and how they picked others."""

    refs: Sequence[str]
    tag: str | None = None
    match: str | None = None
    user: str | None = None
    everything: bool = False
    dry_run: bool = False
    yes: bool = False
    as_json: bool = False

    @property
    def picks(self) -> bool:
        """Tell whether any are picked."""
        return self.everything or any(pick is not None for pick in (self.tag, self.match, self.user))


def picks(command: C, *, prefix: str = "") -> C:
    """Give a command the options that pick many schedules, as the argument `asked` beside its `refs`."""
    options = [
        click.option(f"--{prefix}tag", "pick_tag", metavar="TEXT", help="All with this tag."),
        click.option("--match", "pick_match", metavar="GLOB", help="All whose name or id fits, such as 'nightly-*'."),
        click.option(f"--{prefix}user", "pick_user", metavar="TEXT", help="All of this user."),
        click.option("--all", "everything", is_flag=True, help="All that there are."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_NAMED_BY = ("tag", "match", "user")
_FLAGS = ("everything", "dry_run", "yes", "as_json")
ARGUMENTS = (*_FLAGS, *(f"pick_{name}" for name in _NAMED_BY))


def asked(refs: Sequence[str], options: Mapping[str, Any]) -> Asked:
    """Read in a command's options which schedules are meant. Raises UsageError where none is."""
    named = {name: options[f"pick_{name}"] for name in _NAMED_BY}
    flags = {name: options[name] for name in _FLAGS if name in options}
    choice = Asked(refs, **named, **flags)
    if choice.everything and (refs or any(pick is not None for pick in named.values())):
        raise click.UsageError("--all means all; leave the others out", click.get_current_context())
    if not refs and not choice.picks:
        remedy = "name schedules, or give --tag, --match, --user or --all"
        raise click.UsageError(remedy, click.get_current_context())
    return choice


def do(
    cron: Cronlite,
    asked: Asked,
    verb: str,
    act: Callable[[str], str],
    many: Callable[[Sequence[str]], Outcome],
) -> None:
    """Do something to those that are named, one by one, or to all that are meant together, after a question.

    `one` does it and says what came of it; `verb` is what it is called: "pause". What fails makes the exit code 1.
    """
    if asked.picks or asked.as_json or asked.dry_run:
        together(cron, asked, verb, many)
    else:
        each(asked.refs, act)


def together(cron: Cronlite, asked: Asked, verb: str, many: Callable[[Sequence[str]], Outcome]) -> None:
    """Do something to all that are meant, after a question."""
    labels = {
        str(document["_id"]): schedules.label(document)
        for document in (schedule_document(cron, ref) for ref in asked.refs)
    }
    if asked.picks:
        picked = Picked(cron, tag=asked.tag, match=asked.match, user=asked.user).documents()
        labels |= {str(document["_id"]): schedules.label(document) for document in picked}
    if asked.dry_run:
        _tell(labels, Outcome(done=list(labels)), f"would {verb}", asked)
        return
    if asked.picks and labels and not asked.yes:
        _ask(verb, labels)
    outcome = many(list(labels)) if labels else Outcome()
    _tell(labels, outcome, _past(verb), asked)
    if outcome.failed:
        raise click.exceptions.Exit(1)


def _ask(verb: str, labels: Mapping[str, str]) -> None:
    """Ask whether to go on. Raises UsageError where nobody can answer."""
    names = list(map(render.one_line, labels.values()))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    question = f"{verb} {counted(len(names), 'schedule')}: {', '.join(names[:_NAMED])}{more}"
    if not sys.stdin.isatty():
        problem = f"would {question}; say --yes where nobody is at a terminal, or --dry-run"
        raise click.UsageError(problem, click.get_current_context())
    if not click.confirm(f"{question}?", err=True):
        render.note("nothing was changed")
        raise click.exceptions.Exit(1)


def _tell(labels: Mapping[str, str], outcome: Outcome, past: str, asked: Asked) -> None:
    if asked.as_json:
        render.print_json_list(_document(id, labels[id], outcome) for id in labels)
    else:
        for id_ in outcome.done:
            run = f": run {outcome.runs[id_]}" if id_ in outcome.runs else ""
            say(f"{past} {render.one_line(labels[id_])}{run}")
    for id_, refused in outcome.failed.items():
        render.note(f"{labels[id_]}: {refused}", "error")
    unchanged = len(labels) - len(outcome.done) - len(outcome.failed)
    parts = [f"{past} {counted(len(outcome.done), 'schedule')}"]
    parts += [f"{unchanged} were so already"] if unchanged else []
    parts += [f"{len(outcome.failed)} failed"] if outcome.failed else []
    render.note(", ".join(parts) if labels else "no schedule fits")


def _document(id: str, name: str, outcome: Outcome) -> dict[str, Any]:
    refused = outcome.failed.get(id)
    document = {"id": id, "name": name, "done": id in outcome.done, "error": str(refused) if refused else None}
    return {**document, **({"run": outcome.runs[id]} if id in outcome.runs else {})}


def _past(verb: str) -> str:
    return f"{verb}d" if verb.endswith("e") else "ran" if verb == "run" else f"{verb}ed"
