"""Which schedules does a crontab mean, which of its lines are refused, and what should one know about the others?"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cronlite.crontab.refusals import (
    Refused,
    as_refused,
    refuse_other_crons,
    refuse_sixth_field,
    require_storable,
    time_faults,
)
from cronlite.documents.schedules import Schedule
from cronlite.errors import CONTROL, InvalidInput, shown
from cronlite.handlers.shell import NAME as SHELL_HANDLER
from cronlite.when import clock
from cronlite.when import pattern as cron

# The fields that a crontab sets. A second import leaves all others alone, because only cronlite has them.
IMPORTED = ("user", "handler", "params", *cron.FIELDS, "either_day", "tz", "note")

# How a crontab's comment speaks to cronlite: `#cronlite: name nightly` names the schedule of the next line.
MARK = "#cronlite:"
DEFAULT_SHELL = "/bin/sh"
START_AND_STEP = re.compile(r"(?:^|(?<=,))([a-z0-9]+)/([0-9]+)")
# What isspace(3) takes for a blank, and cron strips from a variable's value.
SPACES = " \t\n\r\v\f"

_LONGEST_NOTE = 10_000
_LONGEST_SOURCE = 150
_ENVIRONMENT = re.compile(r"""(?:"([^"=]*)"|'([^'=]*)'|([^\s="'][^\s=]*))\s*=\s*(.*)""", re.DOTALL | re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?")
# Titles of the columns, such as the last line of the explanations with which `crontab -e` begins a new crontab.
_TITLES = (
    " m min mins minute minutes h hr hrs hour hours d day days dom mday of the mon month months moy w dow wday weekday"
    " weekdays week user username user-name who name command commands cmd script what to be executed run task "
)
_FIRST_TITLES = ("m", "min", "mins", "minute", "minutes")
_BARE_PERCENT = re.compile(r"(?:\\.|[^\\%])*%", re.DOTALL)
# Usual accounts in system crontabs; those that share their names with commands stand in _COMMANDS.
_USERS = (
    "root www-data nobody daemon postgres mysql nginx apache httpd http jenkins redis mongodb rabbitmq munin logcheck"
)
USUAL_USERS = frozenset([*_USERS.split(), "amavis", "smmsp", "debian-exim", "deploy", "ubuntu", "ec2-user", "vagrant"])
_COMMANDS = "backup games git irc list lp mail man news proxy sync sys tor uucp bin at"
_ALSO_COMMANDS = frozenset(_COMMANDS.split())

_NO_MAIL = "brings no mail here: 'cronlite log RUN' shows what a run printed"
_REMARKS = {
    "MAILTO": _NO_MAIL,
    "MAILFROM": _NO_MAIL,
    "CRON_TZ": "is the clock for the lines below",
    "TZ": "is the clock for the lines below as well as for their commands; to Debian's cron it is only the latter",
    "SHELL": "runs the commands below",
    "HOME": "is the folder in which the commands below run",
    "RANDOM_DELAY": "delays nothing here",
    "LOGNAME": "is cron's own to set, and left out",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line that becomes a schedule, of which only the name and the fields in IMPORTED count."""

    line: int
    text: str
    schedule: Schedule
    key: str
    """A digest of its command, stdin and user: it stays the same when the line is moved or gets another time."""
    named: bool
    """Whether its name comes from a comment above it."""

    @property
    def name(self) -> str:
        return self.schedule.name or ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that becomes no schedule: what is wrong with it, and what to do."""

    line: int
    text: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Remark:
    """What to know about a line that is taken."""

    line: int
    text: str


@dataclass(slots=True)
class Plan:
    """What a crontab becomes."""

    entries: list[Entry] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


def read(
    data: bytes,
    *,
    source: str,
    system: bool = False,
    user: str = "",
    tz: str = "UTC",
    users: Collection[str] = USUAL_USERS,
) -> Plan:
    """Read a whole crontab, with a user on each line if it is a `system` one; all its faults are in the plan.

    `source` says whose or which crontab it is, and becomes part of the names; `user` is for whom the lines of a user's
    crontab run; `tz` is the zone of those lines that no CRON_TZ or TZ above them gives one. `users` are accounts: a
    command of a user's crontab that begins with one is remarked on.
    """
    reader = _Reader(source, system, user, tz, users)
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        reader.read(number, line.removesuffix(b"\r").decode("utf-8", "surrogateescape"))
    return reader.plan


class _Reader:
    """Goes through a crontab: a variable holds for all lines after it, a comment for the very next one."""

    def __init__(self, source: str, system: bool, user: str, tz: str, users: Collection[str]) -> None:
        source = re.sub(r"\s", " ", CONTROL.sub("\ufffd", source))
        self._source = source if len(source) <= _LONGEST_SOURCE else f"…{source[1 - _LONGEST_SOURCE :]}"
        self._system, self._user, self._tz = system, user, tz
        self._users = frozenset(users) - _ALSO_COMMANDS
        self._env: dict[str, str] = {}
        self._zones: dict[str, str] = {}
        self._missing: dict[str, int] = {}
        self._comments: list[str] = []
        self._given_name: str | None = None
        self._alike: Counter[str] = Counter()
        self._lines_by_name: dict[str, int] = {}
        self.plan = Plan()

    def read(self, number: int, line: str) -> None:
        text = line.lstrip(" \t")
        if text.startswith("#"):
            self._keep_comment(text)
            return
        try:
            if assignment := _ENVIRONMENT.fullmatch(text):
                self._assign(number, text, assignment)
            elif text.strip(SPACES):
                self.plan.entries.append(self._entry(number, text))
        except Refused as refused:
            shortened = text if len(text) <= 200 else f"{text[:199]}…"
            refusal = Refusal(number, CONTROL.sub("\ufffd", shortened), refused.reason, refused.remedy)
            self.plan.refusals.append(refusal)
        self._comments, self._given_name = [], None

    def _keep_comment(self, text: str) -> None:
        if text.startswith(MARK):
            word, _, rest = text.removeprefix(MARK).strip().partition(" ")
            self._given_name = rest if word == "name" else self._given_name
        elif _are_titles(text):
            self._comments = []
        else:
            self._comments.append(CONTROL.sub("\ufffd", text[1:].rstrip(SPACES).removeprefix(" ")))

    def _assign(self, number: int, text: str, assignment: re.Match[str]) -> None:
        name = assignment[1] or assignment[2] or assignment[3] or ""
        try:
            value = _value(name, text, assignment[4])
        except Refused:
            self._missing[name] = number
            raise
        self._missing.pop(name, None)
        if name in ("CRON_TZ", "TZ"):
            self._zones[name] = value
        # CRON_TZ is for cron alone, and LOGNAME "may not be changed" (crontab(5)).
        if name not in ("CRON_TZ", "LOGNAME"):
            self._env[name] = value
        if name in _REMARKS and value:
            self._remark(number, f"{name} {_REMARKS[name]}")
        if "$" in value:
            self._remark(number, f"{name} is taken as it stands: to cron, a $ in it means nothing either")

    def _entry(self, number: int, text: str) -> Entry:
        require_storable(text)
        when, user, written = self._columns(text)
        faults = [
            Refused(f"needs {name} of line {line}, which is refused", f"mend line {line}")
            for name, line in self._missing.items()
        ]
        command, stdin = translated(written)
        if not command.strip(SPACES):
            faults.append(Refused("has an empty command, which the % ends", "write \\% for a percent sign"))
        key = self._key(user, command, stdin)
        fields: dict[str, Any] = {
            "name": self._given_name or f"crontab:{self._source}:{key}",
            "user": user,
            "handler": SHELL_HANDLER,
            "params": _params(command, stdin, self._env),
            "tz": self._zones.get("CRON_TZ") or self._zones.get("TZ") or self._tz,
            "note": _note(self._comments),
        }
        schedule = _schedule(when, fields, faults)
        first = self._lines_by_name.setdefault(fields["name"], number)
        if first != number:
            faults.append(Refused(f"has the same name as line {first}", f"remove the comment '{MARK} name …' above it"))
        if faults or schedule is None:
            raise Refused.all(faults)
        self._remark_on(number, when, command, written)
        return Entry(number, text, schedule, key, bool(self._given_name))

    def _remark_on(self, number: int, when: str, command: str, written: str) -> None:
        if START_AND_STEP.search(when.lower().replace(" ", ",")):
            self._remark(number, "a step after one number goes up to the highest, as in 5-59/15; some crons ignore it")
        if _BARE_PERCENT.match(written):
            self._remark(number, "the command ends at the %, and the rest is its input; write \\% for a percent sign")
        first, *rest = re.split(r"[ \t]+", command, maxsplit=1)
        if not self._system and rest and first.lower() in self._users:
            self._remark(number, f"begins with {first!r}, a user: if this is a system crontab, import it with --system")

    def _columns(self, text: str) -> tuple[str, str, str]:
        """Split a line into when, for whom, and what."""
        count = 1 + text.lower().startswith("@every ") if text.startswith("@") else len(cron.FIELDS)
        words = re.split(r"[ \t]+", text, maxsplit=count + self._system)
        when = " ".join(words[:count])
        refuse_other_crons(when)
        refuse_sixth_field(when, " ".join(words[count:]))
        if len(words) <= count + self._system or not words[-1].strip(SPACES):
            wrong = time_faults(when)
            missing = Refused(f"has no {'user or no ' * self._system}command", "give it after the time")
            raise Refused.all([*wrong, *([] if wrong and len(words) < count else [missing])])
        user = words[count] if self._system else self._user
        if self._system and not _USER.fullmatch(user):
            raise Refused.all([*time_faults(when), Refused(f"{shown(user)} is no user", _NAME_ONE)])
        return when, user, words[-1]

    def _key(self, user: str, command: str, stdin: str) -> str:
        # Made of what runs, not of when: a line whose time, variables or comments were edited is still the same
        # schedule, and importing it changes that one instead of adding another that would run beside it.
        digest = hashlib.sha256("\0".join((user, command, stdin)).encode(errors="surrogatepass")).hexdigest()[:12]
        self._alike[digest] += 1
        ordinal = f".{self._alike[digest]}" if self._alike[digest] > 1 else ""
        return f"{digest}{ordinal}"

    def _remark(self, number: int, text: str) -> None:
        self.plan.remarks.append(Remark(number, text))


_NAME_ONE = "name one before the command, or import it as a user's crontab"


def _schedule(when: str, fields: Mapping[str, Any], faults: list[Refused]) -> Schedule | None:
    """Make the schedule of a line, or add all that is wrong with it to `faults`."""
    faults += (wrong := time_faults(when))
    pattern = None if wrong else cron.parse_line(when)
    times = {**pattern.expressions(), "either_day": pattern.either_day} if pattern else {}
    try:
        return Schedule(**{**fields, **times})
    except InvalidInput as refused:
        faults.append(as_refused(refused))
        return None


def _are_titles(comment: str) -> bool:
    """Tell whether a comment names the columns, in words or below a row of stars."""
    words = re.findall(r"[a-z-]+|\*", comment.lower())
    titles = [word for word in words if word != "*"]
    begins = words[:1] == ["*"] if words.count("*") >= 5 else words[:1] != [] and words[0] in _FIRST_TITLES
    return begins and len(words) >= 5 and all(f" {word} " in _TITLES for word in titles)


def _value(name: str, text: str, written: str) -> str:
    require_storable(text)
    if not _VARIABLE.fullmatch(name):
        raise Refused(f"{shown(name)} is no name of a variable", "give letters, digits and _ before the '='")
    value = _unquoted(written)
    if name == "SHELL" and not value:
        raise Refused("SHELL is empty", f"give a path such as {DEFAULT_SHELL}")
    if name in ("CRON_TZ", "TZ"):
        if len(value.split()) > len(cron.FIELDS):
            raise Refused(f"{name} stands in the line itself", f"give {name} a line of its own, above this one")
        try:
            clock.zone(value)
        except InvalidInput as refused:
            raise as_refused(refused) from None
    return value


def _unquoted(written: str) -> str:
    """Read a variable's value; an empty one needs no quotes, which is cronie's rule and not that of Debian's cron."""
    value = written.rstrip(SPACES)
    if not value.startswith(("'", '"')):
        return value
    inner, closing, rest = value[1:].partition(value[0])
    if not closing:
        raise Refused(f"has no closing {value[0]}", "close the quotes, or use the other kind around the value")
    if rest:
        raise Refused(
            f"has {shown(rest.lstrip())} after the closing quote", "put the whole value into one pair of quotes"
        )
    return inner


def translated(written: str) -> tuple[str, str]:
    r"""Split a line's last column into the command and its stdin, as ISC cron's do_command.c does.

    In the command, `\%` is a `%`, any other pair that begins with a backslash stays, and the first bare `%` is the end.
    In stdin, a bare `%` is a line break, a `%` after a backslash is itself, and the last line gets its end.
    """
    pieces = re.findall(r"\\.|[^\\%]+|\\\Z|%.*", written, re.DOTALL)
    after = pieces.pop()[1:] if pieces[-1].startswith("%") else ""
    command = "".join("%" if piece == r"\%" else piece for piece in pieces)
    stdin = re.sub(r"(?<!\\)%", "\n", after).replace(r"\%", "%")
    # Where do_command.c looks for the last character, it passes over backslashes at the end.
    unfinished = stdin.rstrip("\\")[-1:] not in ("", "\n")
    return command, f"{stdin}\n" if unfinished else stdin


def _params(command: str, stdin: str, env: Mapping[str, str]) -> dict[str, Any]:
    optional = {"env": dict(env), "cwd": env.get("HOME"), "stdin": stdin}
    params = {"command": [env.get("SHELL", DEFAULT_SHELL), "-c", command]}
    return params | {name: value for name, value in optional.items() if value}


def _note(comments: Iterable[str]) -> str:
    note = "\n".join(comments)
    return note if len(note) <= _LONGEST_NOTE else f"{note[: _LONGEST_NOTE - 1]}…"
