"""Which crontab says what given schedules do, and what of them can none say?

Each line is read back before it is written: what would come back as something else becomes a comment, with the reason.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any

from cronlite.crontab.reading import DEFAULT_SHELL, MARK, SPACES, START_AND_STEP, read
from cronlite.crontab.refusals import Refused
from cronlite.documents.schedules import Schedule
from cronlite.errors import CONTROL, visible
from cronlite.handlers.shell import NAME as SHELL_HANDLER
from cronlite.when import pattern as cron

_HIGHEST = {"minute": 59, "hour": 23, "day": 31, "month": 12, "weekday": 7}
_POLICIES = ("overlap", "catch_up", "retries", "retry_delay_seconds", "timeout_seconds", "deadline_seconds", "on_crash")
_IN_COMMENTS = (*_POLICIES, "active_until", "late_after_seconds", "ping_url", "tags")
_HEADER = (
    f"{MARK} comments like this one say what no crontab can; import-crontab finds a schedule again by its name in one",
    f"{MARK} cronie goes by CRON_TZ; to Debian's cron it means nothing, and every time is on the machine's own clock",
)
_DEFAULTS = {each.name: each.default for each in fields(Schedule)}


def export(schedules: Iterable[Schedule], *, system: bool = False) -> str:
    """Write schedules as a crontab, with a user on each line if `system`; in comments, what no crontab can say."""
    writer = _Writer(system)
    writer.lines += _HEADER
    # A crontab cannot unset a variable, so the schedules with the fewest variables come first.
    for schedule in sorted(schedules, key=lambda each: len(_env(each.params))):
        writer.write(schedule)
    return "".join(f"{line}\n" for line in writer.lines)


class _Writer:
    def __init__(self, system: bool) -> None:
        self._system = system
        self._settings: dict[str, str] = {}
        self._now = datetime.now(timezone.utc)
        self.lines: list[str] = []

    def write(self, schedule: Schedule) -> None:
        """Add the lines of one schedule: the variables that are new, its comments, and when and what it runs."""
        comments = list(_comments(schedule, self._system))
        try:
            line = self._line(schedule)
            settings = _settings(schedule)
            if missing := sorted(self._settings.keys() - settings.keys()):
                raise Refused(f"{', '.join(missing)} of the lines above cannot be unset: export it apart")
            _require_same(schedule, [*_assignments(settings), line], self._system)
        except Refused as refused:
            comment = f"{MARK} cannot be said here ({refused.reason}): {_summary(schedule)}"
            self.lines += ["", *comments, _one_line(comment)]
            return
        new = {name: value for name, value in settings.items() if self._settings.get(name) != value}
        self._settings = settings
        self.lines += [*([""] if new or comments else []), *_assignments(new), *comments]
        self.lines.append(line if not schedule.is_paused(self._now) else f"{MARK} paused: {line}")

    def _line(self, schedule: Schedule) -> str:
        if schedule.handler != SHELL_HANDLER:
            raise Refused("its handler is not shell")
        if self._system and not schedule.user:
            raise Refused("it has no user, which a system crontab names")
        user = [schedule.user] if self._system else []
        return " ".join([_when(schedule), *user, _what(schedule.params)])


def _require_same(schedule: Schedule, lines: Iterable[str], system: bool) -> None:
    """Read the lines as a crontab, and raise Refused unless they mean this schedule."""
    written = list(lines)
    if any("\n" in line or CONTROL.search(line) for line in written):
        raise Refused("it holds a line break or another control character")
    plan = read("\n".join(written).encode(errors="replace"), source="", system=system, user=schedule.user)
    for refusal in plan.refusals:
        raise Refused(refusal.reason)
    if [_meaning(entry.schedule) for entry in plan.entries] != [_meaning(schedule)]:
        raise Refused("crontab has no words for its params")


def _meaning(schedule: Schedule) -> tuple[object, ...]:
    pattern = schedule.timetable.pattern
    matching = [getattr(pattern, name).values for name in cron.FIELDS]
    params = {name: value for name, value in schedule.params.items() if value}
    params["command"] = _as_shell(params)
    return schedule.user, params, schedule.tz, _either_day(pattern), pattern.follows_clock, matching


def _either_day(pattern: cron.Pattern) -> bool:
    return pattern.either_day and pattern.day.restricted and pattern.weekday.restricted


def _when(schedule: Schedule) -> str:
    if schedule.every is not None:
        raise Refused(f"crontab has no intervals, such as every {schedule.every}")
    pattern, words = schedule.timetable.pattern, []
    for name in cron.FIELDS:
        expression: cron.Field = getattr(pattern, name)
        if expression.specials:
            raise Refused(f"crontab has no {name} {expression.text}")
        # Of 5/15 some crons read the 5 alone, so its end is written as well. To cron sun is 0, which ends no range.
        with_end = rf"\1-{_HIGHEST[name]}/\2"
        words.append(START_AND_STEP.sub(with_end, expression.text).replace("-sun", "-7"))
    line = " ".join(words)
    if _either_day(cron.parse_line(line)) != _either_day(pattern):
        raise Refused("either day is enough" if pattern.either_day else "day and weekday must both match")
    return line


def _what(params: Mapping[str, Any]) -> str:
    command, stdin = _as_shell(params)[2].replace("%", r"\%"), params.get("stdin") or ""
    if not isinstance(stdin, str):
        raise Refused("its stdin is not text")
    # A reader ends the last line itself, unless that line is empty.
    lines = stdin if stdin.endswith("\n\n") or stdin == "\n" else stdin.removesuffix("\n")
    return f"{command}%{lines.replace('%', chr(92) + '%').replace(chr(10), '%')}" if stdin else command


def _as_shell(params: Mapping[str, Any]) -> list[str]:
    command = params.get("command")
    if not isinstance(command, (list, tuple)) or not command or not all(isinstance(word, str) for word in command):
        raise Refused("its command is not a list of texts")
    return list(command) if len(command) == 3 and command[1] == "-c" else [DEFAULT_SHELL, "-c", shlex.join(command)]


def _env(params: Mapping[str, Any]) -> dict[str, str]:
    env = params.get("env")
    return {str(name): str(value) for name, value in env.items()} if isinstance(env, Mapping) else {}


def _settings(schedule: Schedule) -> dict[str, str]:
    env, shell = _env(schedule.params), _as_shell(schedule.params)[0]
    if env.get("SHELL", DEFAULT_SHELL) != shell:
        raise Refused("its command is not that of its SHELL")
    return {"CRON_TZ": schedule.tz} | env


def _assignments(settings: Mapping[str, str]) -> list[str]:
    return [f"{name}={_quoted(value)}" for name, value in settings.items()]


def _quoted(value: str) -> str:
    if value and value == value.strip(SPACES) and value[0] not in "'\"":
        return value
    quote = "'" if '"' in value else '"'
    return f"{quote}{value}{quote}"


def _comments(schedule: Schedule, system: bool) -> Iterator[str]:
    return map(_one_line, _said_in_comments(schedule, system))


def _said_in_comments(schedule: Schedule, system: bool) -> Iterator[str]:
    if schedule.name:
        yield f"{MARK} name {schedule.name}"
    if schedule.user and not system:
        yield f"{MARK} user {schedule.user}"
    for name in _IN_COMMENTS:
        if (value := getattr(schedule, name)) != _DEFAULTS[name]:
            yield f"{MARK} {name} {', '.join(value) if name == 'tags' else value}"
    for line in schedule.note.split("\n") if schedule.note else ():
        yield f"# {line}".rstrip(SPACES)


def _summary(schedule: Schedule) -> str:
    return f"{schedule.describe()}: {schedule.handler} {dict(schedule.params)!r}"[:500]


def _one_line(text: str) -> str:
    # A document may hold anything, whoever wrote it: what follows a line break would become a line that cron runs.
    return visible(text).replace("\n", "\\n")
