"""What do type checkers and editors see of the public surface?"""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

import cronlite
from cronlite.client import default, runs
from cronlite.daemon.options import DaemonOptions, Options
from cronlite.documents import options, schedules
from tests.client.typed import right_calls

FOLDER = Path(__file__).parent / "typed"
CALLS = (FOLDER / "wrong_calls.py").read_text().splitlines()
WRONG = [number for number, line in enumerate(CALLS, start=1) if line.endswith("# wrong")]


def mypy(path: Path, cache: Path) -> list[int]:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(cache), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return sorted({int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line})


def pyright(path: Path, _: Path) -> list[int]:
    command = shutil.which("pyright")
    if command is None:
        pytest.skip("pyright is not installed")
    words = [command, "--pythonpath", sys.executable, "--outputjson", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return sorted({one["range"]["start"]["line"] + 1 for one in found if one["severity"] == "error"})


Checker = Callable[[Path, Path], list[int]]


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_each_wrong_call_is_reported_and_nothing_else(checker: Checker, tmp_path: Path) -> None:
    assert checker(FOLDER / "wrong_calls.py", tmp_path) == WRONG
    assert checker(FOLDER / "right_calls.py", tmp_path) == []


def test_what_a_type_checker_takes_works() -> None:
    right_calls.all_is_well()


@pytest.mark.parametrize("name", ["schedule", "enqueue", "enqueue_many", "current_schedules"])
def test_the_functions_of_the_package_have_the_signatures_of_the_methods(name: str) -> None:
    of_method = list(inspect.signature(getattr(cronlite.Cronlite, name)).parameters.values())[1:]
    function = getattr(default, name)
    assert list(inspect.signature(function).parameters.values()) == of_method
    assert function.__doc__ == getattr(cronlite.Cronlite, name).__doc__


def test_the_typed_options_of_a_daemon_are_those_that_there_are() -> None:
    assert set(get_type_hints(DaemonOptions)) == {one.name for one in fields(Options)}


def test_the_typed_options_are_the_fields_that_there_are() -> None:
    known = set(schedules.FIELDS)
    own = {"id", "owner", "origin", "created_at", "updated_at"}
    assert set(get_type_hints(options.ScheduleFields)) == known | {"cron"}
    assert set(get_type_hints(options.ScheduleChanges)) == known - own | {"cron"}
    pausing = {"paused_until", "pause_reason"}
    named = {*pausing, "user", "params", "name", "minute", "hour", "day", "month", "weekday"}
    assert set(get_type_hints(options.ScheduleOptions)) == known - own - named
    assert set(get_type_hints(options.RunOptions)) == set(runs.POLICIES)
    beside_the_code = known - own - named - {"handler", "either_day", "active_from"}
    assert set(get_type_hints(options.Declaration)) == beside_the_code | {"cron", "user", "params"}
