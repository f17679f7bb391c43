"""What is a schedule called in a list, what does it do, and how did a run of it end: in a few words each?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cronlite.documents import runs
from cronlite.documents.freezes import Frozen
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Schedule
from cronlite.handlers.shell import NAME as SHELL
from cronlite.when import pattern
from cronlite.wording.instants import clock_time, span
from cronlite.wording.values import json_text

# What import-crontab calls a line: its crontab, and the digits that tell its lines apart.
_LINE_OF_A_CRONTAB = re.compile(r"crontab:.+:([0-9a-f]{8,}(?:\.\d+)?)", re.DOTALL)


def called(name: str | None, id_: str) -> str:
    """Return a schedule's name, or its id; of a name that import-crontab made, the digits, which the commands take."""
    made = _LINE_OF_A_CRONTAB.fullmatch(name) if name else None
    return made[1] if made else name or id_


def paused(schedule: Schedule, now: datetime) -> str:
    """Say that a schedule is paused now, until when and why, as far as that was said; nothing where it is not."""
    if not schedule.is_paused(now):
        return ""
    end = schedule.paused_until
    until = f" until {clock_time(end, now, schedule.timetable.zone)}" if end else ""
    return f"paused{until}{f': {schedule.pause_reason}' if schedule.pause_reason else ''}"


def expression(schedule: Schedule) -> str:
    """Show the five fields as a crontab would, and what it would not say; or the interval."""
    zone = "" if schedule.tz == "UTC" else f" {schedule.tz}"
    if schedule.every is not None:
        return f"every {schedule.every}{zone}"
    line = " ".join(str(getattr(schedule, name)) for name in pattern.FIELDS)
    both = schedule.either_day and "*" not in (schedule.day, schedule.weekday)
    return f"{line}{' (either day)' if both else ''}{zone}"


def frozen(schedule: Schedule, now: datetime, freezes: Frozen) -> str:
    """Say that a schedule is frozen now, until when and why, as far as that was said; nothing where it is not."""
    by = freezes.holding(now, schedule)
    if by is None:
        return ""
    until = f" until {clock_time(by.until_at, now, schedule.timetable.zone)}" if by.until_at else ""
    return f"frozen{until}{f': {by.reason}' if by.reason else ''}"


def does(handler: str, params: Mapping[str, Any]) -> str:
    """Say what is called: the handler, or the command line where that is the shell's."""
    command = params.get("command")
    if handler != SHELL or not isinstance(command, (list, tuple)) or not all(isinstance(word, str) for word in command):
        return handler
    return command[2] if len(command) == 3 and command[1] == "-c" else shlex.join(command)


def state(run: Run) -> str:
    """Return a run's state, or `waiting` where it is queued behind an earlier run of its schedule."""
    return "waiting" if run.state == runs.QUEUED and run.run_at is None else run.state


def at(run: Run) -> datetime:
    """Return when a run came into the state that it is in: when it ended, started, or was queued."""
    return run.finished_at or run.started_at or run.queued_at


def took(run: Run) -> str:
    """Say how long the last attempt of a finished run took."""
    if not (run.started_at and run.finished_at):
        return ""
    return span((run.finished_at - run.started_at).total_seconds())


def outcome(run: Run) -> str:
    """Say the one thing about a run that matters most."""
    if run.reason:
        return run.reason
    if is_held(run):
        return f"waits for the end of freeze {run.freeze}"
    if run.error:
        return failure(run.error)
    return "" if run.result is None else json_text(run.result, indent=None)


def is_held(run: Run) -> bool:
    """Tell whether a run is queued but waits for the end of a freeze."""
    return run.state == runs.QUEUED and run.freeze is not None and run.run_at is not None and run.run_at > run.queued_at


def failure(error: Mapping[str, Any]) -> str:
    """Say what an error was: its message, and before it its class where that tells something."""
    module, _, kind = str(error.get("type", "")).rpartition(".")
    message = str(error.get("message", ""))
    # The names of cronlite's own classes tell nobody more than their messages do.
    ours = module.split(".")[0] == "cronlite" or kind in ("TimedOut", "ProcessDied", "Crashed", "CutOff")
    return message if message and ours else f"{kind}: {message}".strip(": ")
