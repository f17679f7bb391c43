"""Which lines of a crontab are refused, whatever else they say, and what is to be written instead?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cronlite.errors import InvalidInput, shown, visible
from cronlite.when import foreign_lines
from cronlite.when import pattern as cron

# MAX_ARG_STRLEN of Linux: the longest single argument, and so the longest command or variable, that a process can get.
_LONGEST_LINE = 131_071
# No command looks like this: such a word shows that the line has more than five fields, or fields of another kind.
_SIXTH_FIELD = re.compile(
    r"[*?][\d*/,?-]*|\d+([,/-]\d+)*|(sun|mon|tue|wed|thu|fri|sat)([,-](sun|mon|tue|wed|thu|fri|sat))+"
)
_FLAGS = re.compile(r"-[nqs]+")


class Refused(Exception):
    """Why a line is refused; whoever catches it adds which line it is."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason, self.remedy = visible(reason), visible(remedy)  # both may repeat what somebody wrote

    @classmethod
    def all(cls, faults: Iterable[Refused]) -> Refused:
        """Make one of several, so that the first fault hides no other."""
        listed = list(faults)
        remedies = dict.fromkeys(fault.remedy for fault in listed if fault.remedy)
        return cls("; ".join(dict.fromkeys(fault.reason for fault in listed)), "; ".join(remedies))


def time_faults(when: str) -> list[Refused]:
    """List what is wrong with the five fields or the nickname."""
    try:
        cron.parse_line(when)
    except InvalidInput as refused:
        return [as_refused(refused)]
    return []


def refuse_sixth_field(when: str, rest: str) -> None:
    """Refuse what would run a field or a flag as a command: seconds, a year, an id of anacron."""
    first = rest.split(maxsplit=1)[0] if rest.strip() else ""
    if _FLAGS.fullmatch(first):
        raise Refused(f"begins its command with {first!r}, a flag of BSD's crons", "remove the flag")
    if not _SIXTH_FIELD.fullmatch(first.lower()):
        return
    if when.startswith("@"):
        raise Refused(f"has {first!r} before the command, as anacron's files have a delay", "remove it, or that file")
    known = foreign_lines.meant(f"{when} {first}")
    remedy = known.advice if known else "give five fields: minute, hour, day, month, weekday"
    raise Refused(f"has more than five fields: the command would begin with {first!r}", remedy)


def refuse_other_crons(when: str) -> None:
    """Refuse what other crons read as no time, or as a random one."""
    if when.lower() == "@reboot":
        raise Refused("@reboot is no time", "have the service manager run it, or the application as it starts")
    if when.startswith("-"):
        raise Refused("begins with '-', by which some crons keep a line out of their log", "remove the '-'")
    if "~" in when:
        raise Refused("has a random time ('~'), which would differ from daemon to daemon", "choose a time")


def require_storable(text: str) -> None:
    """Refuse a line that no command or variable can be."""
    if len(text.encode("utf-8", "surrogateescape")) > _LONGEST_LINE:
        raise Refused(f"is longer than {_LONGEST_LINE} bytes, which no command can be", "move it to a script")
    if "\0" in text:
        raise Refused("holds a NUL byte", "remove it")
    if re.search("[\ud800-\udfff]", text):
        raise Refused("is not UTF-8", "convert the file, perhaps with 'iconv -f latin1 -t utf-8'")


def as_refused(refused: InvalidInput) -> Refused:
    """Turn refused input into the refusal of a crontab's line."""
    reasons = [f"{fault.field} {shown(fault.value)} {fault.problem}" for fault in refused.faults]
    remedies = dict.fromkeys(fault.remedy for fault in refused.faults if fault.remedy)
    return Refused("; ".join(reasons), "; ".join(remedies))
