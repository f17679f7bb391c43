"""How do the fields of a schedule say when it is due, and which of them exclude each other?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cronlite.errors import Fault, InvalidInput
from cronlite.when import clock, interval
from cronlite.when import pattern as cron
from cronlite.when.timetable import Timetable

Spelling = int | str

TIME_FIELDS = (*cron.FIELDS, "every", "either_day", "tz")


def read(fields: Mapping[str, Any]) -> tuple[Timetable, dict[str, Spelling]]:
    """Return when a schedule with these fields is due, and those that have another canonical form.

    Raises InvalidInput with all their faults at once.
    """
    faults: list[Fault] = []
    try:
        spelled = {name: fields[name] for name in cron.FIELDS}
        pattern = cron.Pattern.of(**spelled, either_day=fields["either_day"] is True)
    except InvalidInput as refused:
        faults.extend(refused.faults)
    try:
        every = _interval(fields)
    except InvalidInput as refused:
        faults.extend(refused.faults)
    try:
        zone = clock.zone(fields["tz"])
    except InvalidInput as refused:
        faults.extend(refused.faults)
    if faults:
        raise InvalidInput(*faults)
    canonical = pattern.expressions().items()
    respelled = {
        name: value
        for name, value in canonical
        if value != spelled[name] or type(value) is not type(spelled[name])  # 5.0 equals 5
    }
    if every is None:
        return Timetable(pattern, zone), respelled
    return Timetable.of_interval(every, pattern, zone), respelled | {"every": every.text}


def from_line(line: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Read a cron line into the time fields; it goes with none of them. Raises InvalidInput."""
    pattern = cron.parse_line(line)
    for name in cron.FIELDS:
        if fields.get(name) not in (None, "*"):
            remedy = "give either the line or the fields"
            raise InvalidInput(Fault(name, fields[name], "goes with no cron line", remedy))
    if fields.get("every") is not None:
        raise InvalidInput(Fault("every", fields["every"], "goes with no cron line", "give either of them"))
    return {**pattern.expressions(), "either_day": pattern.either_day}


def completed(every: object, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Complete changes of a schedule with those that follow from them; `every` is its interval until now, if any.

    An interval replaces the five fields, and any of these replaces an interval. `enabled` replaces all that was said of
    a pause, and an end of a pause makes one. Raises InvalidInput.
    """
    if changes.get("paused_until") is not None:
        changes = {"enabled": False, **changes}
        if changes["enabled"] is not False:
            problem = "goes with a pause, and enabled is not false"
            raise InvalidInput(Fault("paused_until", changes["paused_until"], problem, "leave enabled out"))
    elif "enabled" in changes:
        changes = {"paused_until": None, "pause_reason": "", **changes}
    if changes.get("every") is not None:
        return {**dict.fromkeys(cron.FIELDS, "*"), "either_day": False, **changes}
    if every is not None and "every" not in changes and any(name in changes for name in cron.FIELDS):
        return {"every": None, **changes}
    return dict(changes)


def _interval(fields: Mapping[str, Any]) -> interval.Interval | None:
    """Read `every`, which goes with nothing else that says when. Raises InvalidInput."""
    if fields["every"] is None:
        return None
    every = interval.parse(fields["every"])
    faults = [
        Fault(name, fields[name], "goes with no every", "give either the interval or the fields")
        for name in cron.FIELDS
        if fields[name] not in ("*", None)
    ]
    if fields["either_day"] is True:
        faults.append(Fault("either_day", True, "goes with no every", "leave it out"))
    if every.below_a_minute and fields["overlap"] == "wait":
        problem = "is not for intervals below a minute: what waits would fall behind further and further"
        faults.append(Fault("overlap", "wait", problem, "say 'skip' or 'allow'"))
    if every.below_a_minute and fields["catch_up"] == "all":
        problem = "is not for intervals below a minute: a gap would end in a burst of thousands"
        faults.append(Fault("catch_up", "all", problem, "say 'skip' or 'latest'"))
    if faults:
        raise InvalidInput(*faults)
    return every
