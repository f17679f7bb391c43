"""Which stored schedule is a crontab's line, whatever it is called by now and wherever its file stands?

A schedule keeps its origin: the crontab's path (or whose it is), and a key made of what the line runs. So a schedule
that was renamed is found by both, and one whose crontab was moved by its key, once the old file is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cronlite.crontab.reading import IMPORTED, Entry
from cronlite.documents.schedules import Schedule
from cronlite.when import pattern as cron

# Version 0.1 kept no origin, but made it the name of each schedule whose line gave no other name.
_NAMED_BY_ORIGIN = re.compile(r"crontab:(.+):([0-9a-f]{12}(?:\.\d+)?)")


class Known:
    """The schedules of the shell handler that a store holds, to be looked up by the lines of one crontab."""

    def __init__(self, schedules: Iterable[Schedule], source: str, exists: Callable[[str], bool]) -> None:
        self._source, self._exists = source, exists
        self._schedules = list(schedules)
        self._by_origin = {(each["source"], each["key"]): s for s in self._schedules if (each := origin_of(s))}
        self._taken: set[str] = set()

    def take(self, schedule: Schedule) -> Schedule:
        """Note that a line stands for this schedule, so that no other line does."""
        self._taken.add(schedule.id)
        return schedule

    def imported_from(self, entry: Entry) -> Schedule | None:
        """Return the schedule that this line of this crontab became."""
        return self._free(self._by_origin.get((self._source, entry.key)))

    def moved_from(self, entry: Entry) -> Schedule | None:
        """Return the schedule that this line became when it stood in a file that is gone, or came by a pipe."""
        moved = (s for (source, key), s in self._by_origin.items() if key == entry.key and not self._exists(source))
        return next(filter(None, map(self._free, moved)), None)

    def like(self, entry: Entry) -> list[str]:
        """Name the schedules that run a line's command at its times, and that no line of this crontab stands for."""
        wanted = _when_and_what(entry.schedule)
        return [s.name or s.id for s in self._schedules if s.id not in self._taken and _when_and_what(s) == wanted]

    def left_over(self) -> list[str]:
        """Name the schedules that came from this crontab, and that no line of it stands for any more."""
        mine = (s for (source, _), s in self._by_origin.items() if source == self._source)
        return [s.name or s.id for s in mine if s.id not in self._taken]

    def origin(self, entry: Entry) -> dict[str, Any]:
        """Return the origin to keep with the schedule of a line."""
        return {"source": self._source, "line": entry.line, "key": entry.key}

    def followed(self, entry: Entry, existing: Schedule) -> dict[str, Any]:
        """Return the origin to keep with a stored schedule: this line, unless another file has it and still exists."""
        known = origin_of(existing)
        if known and known["source"] != self._source and self._exists(known["source"]):
            return dict(known)
        return self.origin(entry)

    def _free(self, schedule: Schedule | None) -> Schedule | None:
        return None if schedule is None or schedule.id in self._taken else schedule


def origin_of(schedule: Schedule) -> Mapping[str, Any] | None:
    """Return where a schedule was imported from, as far as that is known."""
    if schedule.origin:
        return schedule.origin
    named = _NAMED_BY_ORIGIN.fullmatch(schedule.name or "")
    return {"source": named[1], "line": 0, "key": named[2]} if named else None


def changes(entry: Entry, existing: Schedule) -> dict[str, Any]:
    """Return the fields that a line gives another meaning than the schedule has: `0/5` means `0-59/5`."""
    new = entry.schedule
    changed = {name: getattr(new, name) for name in IMPORTED if _meaning(new, name) != _meaning(existing, name)}
    if entry.named and existing.name != entry.name:
        changed["name"] = entry.name
    return changed


def _meaning(schedule: Schedule, name: str) -> object:
    pattern = schedule.timetable.pattern
    if name == "either_day":
        return pattern.either_day and pattern.day.restricted and pattern.weekday.restricted
    if name not in cron.FIELDS:
        return getattr(schedule, name)
    field: cron.Field = getattr(pattern, name)
    return schedule.every, field.values, field.specials, name in ("minute", "hour") and field.starts_with_star


def _when_and_what(schedule: Schedule) -> tuple[object, ...]:
    when = [_meaning(schedule, name) for name in (*cron.FIELDS, "either_day")]
    command = schedule.params.get("command")
    what = command[-1] if isinstance(command, (list, tuple)) and command else command
    return schedule.tz, when, what, schedule.params.get("stdin")
