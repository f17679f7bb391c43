"""What does `manage.py cronlite` do: the command line of cronlite, on the store and the handlers of the project."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cronlite.cli import cli
from cronlite.contrib.django.project import current


class Command(BaseCommand):
    """`manage.py cronlite …`: everything behind the name is for cronlite's own command line."""

    help = "Cron for applications: schedules, runs, and the daemon. See 'manage.py cronlite --help'."

    def run_from_argv(self, argv: list[str]) -> None:
        """Hand the arguments over, but those that manage.py has taken already."""
        taken = CommandParser(add_help=False, allow_abbrev=False)
        taken.add_argument("--settings")
        taken.add_argument("--pythonpath")
        _, typed = taken.parse_known_args(argv[2:])
        _run(typed, f"{argv[0]} {argv[1]}")

    def add_arguments(self, parser: CommandParser) -> None:
        """Take everything, for `call_command`."""
        parser.add_argument("args", nargs=argparse.REMAINDER)

    def handle(self, *args: str, **_: Any) -> None:
        """Do what `call_command` asks for; CommandError carries the exit code of what failed."""
        try:
            _run(list(args), "cronlite")
        except SystemExit as ended:
            if ended.code:
                raise CommandError("cronlite failed, as said above", returncode=int(ended.code)) from None


def _run(typed: list[str], name: str) -> None:
    cron = current()
    # The settings count before the environment here, as they do in the web processes; an option behind them, more.
    arguments = ["--uri", cron.uri, "-A", "cronlite.contrib.django:cron", *typed]
    cli.main(arguments, prog_name=name, default_map={"run": dict(_of_run(cron.options))})


def _of_run(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the daemon's options as those of `run`, which has none for the others."""
    for name in ("seats", "drain_seconds", "grace_seconds"):
        if name in options:
            yield name, options[name]
    if (seconds := options.get("catch_up_window_seconds")) is not None:
        yield "catch_up_window", timedelta(seconds=seconds)
