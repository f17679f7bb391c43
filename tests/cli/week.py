"""An operator's week, typed: `python -m tests.cli.week` prints its transcript.

Deployed by a file, edited by hand, frozen for maintenance, a limit for a slow third party, undone and backfilled after
the bug was found, removed by mistake and restored; the history of all of it at the end. The daemon is a rehearsed one,
whose clock is cranked from one morning to the next.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

from cronlite import Cronlite
from cronlite.cli import cli
from cronlite.handlers.registry import Registry
from cronlite.testing import Rehearsal
from tests.cli.conftest import runner

MONDAY = datetime(2026, 11, 30, 8, tzinfo=timezone.utc)
APPLICATION = "week_application"
FILE = """\
owner = "billing"

[defaults]
tz = "UTC"

[schedules.invoices]
cron = "30 2 * * *"
handler = "invoice"
tags = ["nightly"]

[schedules.reports]
cron = "15 */6 * * *"
handler = "report"
tags = ["nightly", "warehouse"]

[schedules.rates]
cron = "0 9 * * *"
handler = "fetch"
limit = "bank"
"""

Say = Callable[[str], None]


class Week:
    """The store, its daemon and its clock; and a command line for each who types."""

    def __init__(self, rehearsal: Rehearsal, folder: Path, say: Say) -> None:
        self.rehearsal, self.folder, self._say = rehearsal, folder, say

    def day(self, text: str) -> None:
        """Begin a paragraph of the transcript."""
        self._say(f"\n# {self.rehearsal.now:%A %H:%M}: {text}")

    def until(self, day: int, hour: int, minute: int = 0) -> None:
        """Let the daemon tick until an hour of a day of the week, from Monday, 0, on."""
        there = MONDAY.replace(hour=hour, minute=minute) + timedelta(days=day)
        self.rehearsal.advance(seconds=(there - self.rehearsal.now).total_seconds(), raising=False)

    def types(self, who: str, line: str, code: int = 0) -> str:
        """Type a command as somebody, and show what it answers."""
        result = runner().invoke(cli, ["-A", APPLICATION, *shlex.split(line)], env={"CRONLITE_ACTOR": who})
        assert result.exit_code == code, (line, result.output, result.exception)
        told = result.stdout.rstrip("\n")
        notes = [note for note in result.stderr.splitlines() if "no daemon is alive" not in note]
        ended = [] if code == 0 else [f"(exit code {code})"]
        self._say("\n".join(filter(None, [f"{who}$ cronlite {line}", told, *notes, *ended])))
        return told

    def write(self, text: str) -> str:
        """Write the file of schedules, and return its path as it is typed."""
        (self.folder / "schedules.toml").write_text(text)
        return "schedules.toml"


def _done(result: dict[str, int], _: object) -> dict[str, int]:
    return result


def application() -> Cronlite:
    """Make the application of the week: three handlers, one of which calls a slow third party."""
    registry = Registry()
    for name, result in (("invoice", {"sent": 12}), ("report", {"rows": 900}), ("fetch", {"rates": 31})):
        registry.handler(name)(partial(_done, result))
    return Cronlite("memory:", registry=registry)


@contextmanager
def week(say: Say) -> Iterator[Week]:
    """Set the scene: an application that `-A` names, a folder to work in, and a Monday morning."""
    with tempfile.TemporaryDirectory() as folder, Rehearsal(MONDAY) as rehearsal, _in(folder):
        module: Any = types.ModuleType(APPLICATION)
        module.cron = rehearsal.use(application())
        sys.modules[APPLICATION] = module
        try:
            yield Week(rehearsal, Path(folder), say)
        finally:
            del sys.modules[APPLICATION]


@contextmanager
def _in(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def monday(week: Week) -> None:
    week.day("the schedules are deployed from git")
    file = week.write(FILE)
    week.types("deploy", f"plan --check {file}")
    week.types("deploy", f"plan {file}", code=4)
    week.types("deploy", f"apply {file} --prune")
    week.types("deploy", f"plan {file}")
    week.types("ann", "limit bank 3")


def tuesday(week: Week) -> None:
    week.until(1, 10)
    week.day("somebody edits by hand, and means Mondays for another schedule")
    week.types("bob", "edit invoices --weekday mon --note 'only on Mondays'")
    week.types("ann", "runs --schedule invoices")


def wednesday(week: Week) -> None:
    week.until(2, 11)
    week.day("the warehouse gets new disks, from noon to six")
    week.types("ann", "freeze --tag warehouse --from 12:00Z --until 18:30Z --reason 'new disks' --then run")
    week.until(2, 13)
    week.day("a report that was due at 12:15 did not come")
    week.types("carl", "why reports --at 12:15Z")
    week.until(2, 19)
    week.day("it was made up for once")
    week.types("ann", "runs --schedule reports --since 12:00Z")


def thursday(week: Week) -> None:
    week.until(3, 8, 30)
    week.day("the bank is slow today: nothing of it is to start, but nothing is to be lost")
    week.types("ann", "limit bank 0")
    week.until(3, 10)
    week.types("ann", "limits")
    week.types("carl", "why rates --at 09:00Z")
    week.types("ann", "limit bank 1")
    week.until(3, 10, 5)
    week.types("ann", "runs --schedule rates --since 09:00Z")


def friday(week: Week) -> None:
    week.until(4, 9)
    week.day("no invoices since Tuesday. Why, and who?")
    week.types("carl", "why invoices --at 2026-12-03T02:30Z")
    week.types("carl", "history invoices")
    week.types("carl", "plan schedules.toml", code=4)
    week.types("carl", "undo invoices --dry-run")
    week.types("carl", "undo invoices")
    week.types("carl", "plan schedules.toml")
    week.day("the nights that are missing are made up for")
    week.types("carl", "backfill invoices --from 2026-12-01T03:00Z --dry-run")
    week.types("carl", "backfill invoices --from 2026-12-01T03:00Z")
    week.until(4, 9, 10)
    week.types("carl", "runs --schedule invoices")


def saturday(week: Week) -> None:
    week.until(5, 9)
    week.day("one tidies up too much")
    week.types("bob", "remove --match 'r*' --dry-run")
    week.types("bob", "remove --match 'r*' --yes")
    week.types("bob", "removed")
    week.types("bob", "restore reports rates")
    week.types("bob", "pause --tag nightly --until 1h --reason 'no work on the weekend' --yes")


def sunday(week: Week) -> None:
    week.until(6, 9)
    week.day("the next version of the file: one has a new name, one is gone")
    text = FILE.replace("[schedules.invoices]", '[schedules.bills]\nwas = "invoices"').partition("[schedules.rates]")[0]
    file = week.write(text)
    week.types("deploy", f"plan {file} --prune", code=4)
    week.types("deploy", f"apply {file} --prune")
    week.types("deploy", f"plan {file} --prune")
    week.day("what happened this week")
    week.types("ann", "history")
    week.types("ann", "freezes --ended")
    week.types("ann", "removed")


DAYS = (monday, tuesday, wednesday, thursday, friday, saturday, sunday)


def main(say: Say, environment: Mapping[str, str] | None = None) -> None:
    """Print the transcript."""
    os.environ.update(environment or {"TZ": "UTC", "COLUMNS": "110"})
    with week(say) as this_week:
        for day in DAYS:
            day(this_week)


if __name__ == "__main__":
    main(print)
