"""Which schedules does a file, or a list in code, want? All that is wrong with it is told at once, with its lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cronlite.documents import checks, schedules, timing
from cronlite.documents.schedules import Schedule
from cronlite.documents.words import word_of_schedules
from cronlite.errors import Fault, InvalidInput, shown, suggestion
from cronlite.plans.lines import Parsed, Path, parse

# What cronlite itself keeps with a schedule, and what only people set.
_NOT_IN_FILES = ("id", "name", "owner", "origin", "created_at", "updated_at", "paused_until", "pause_reason")
FIELDS = tuple(name for name in schedules.FIELDS if name not in _NOT_IN_FILES)
_TOP = ("owner", "defaults", "schedules")
_OWN = ("cron", "was")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A schedule as it is wanted: what it is called, the fields that are said of it, and perhaps its former name."""

    schedule: Schedule
    fields: Mapping[str, Any]
    was: str | None = None
    line: int = 0

    @property
    def name(self) -> str:
        """What it is called."""
        return self.schedule.name or ""


@dataclass(frozen=True, slots=True)
class Wish:
    """All schedules that one owner wants, and nothing else of that owner."""

    owner: str
    schedules: Sequence[Wanted] = field(default_factory=tuple)


def read(data: bytes, name: str) -> Wish:
    """Read a file. Raises InvalidInput with all its faults, each with its line."""
    parsed = parse(data, name)
    table = parsed.table
    if not isinstance(table, Mapping):
        raise InvalidInput(Fault("the file", table, "is no table", 'begin it with owner = "…"'))
    faults = [
        Fault(_where(parsed, (str(key),)), table[key], "is no part of such a file", suggestion(str(key), _TOP))
        for key in table
        if key not in _TOP
    ]
    faults += _owner_faults(table.get("owner"), _where(parsed, ("owner",)))
    defaults, parts = _table(parsed, "defaults", faults), _table(parsed, "schedules", faults)
    faults += _unknown(defaults, parsed, ("defaults",), ("cron",))
    defaults = {key: value for key, value in defaults.items() if key in FIELDS or key == "cron"}
    wanted = []
    for key, fields in parts.items():
        path: Path = ("schedules", str(key))
        if not isinstance(fields, Mapping):
            faults.append(Fault(_where(parsed, path), fields, "is no table", "give the fields of a schedule"))
            continue
        try:
            wanted.append(_wanted(str(key), _over(defaults, fields), parsed, path))
        except InvalidInput as refused:
            faults += refused.faults
    faults += _twice(wanted)
    if faults:
        # What is wrong with the defaults is wrong with each schedule.
        raise InvalidInput(*{str(fault): fault for fault in faults}.values())
    return Wish(str(table["owner"]), wanted)


def of_list(owner: object, entries: object) -> Wish:
    """Read a list that stands in code: of each schedule its fields, its `name` and perhaps what it `was` called."""
    faults = list(_owner_faults(owner, "owner"))
    if not isinstance(entries, (list, tuple)):
        raise InvalidInput(*faults, Fault("schedules", entries, "is no list", "give a list of the fields of each"))
    wanted = []
    for number, entry in enumerate(entries):
        place = f"schedules[{number}]"
        if not isinstance(entry, Mapping):
            faults.append(Fault(place, entry, "is no mapping", "give the fields of a schedule"))
            continue
        if not isinstance(entry.get("name"), str):
            faults.append(Fault(f"{place}.name", entry.get("name"), "is missing, or no text", "name each schedule"))
            continue
        try:
            fields = {name: value for name, value in entry.items() if name != "name"}
            wanted.append(_wanted(entry["name"], fields, Parsed({}), (place,)))
        except InvalidInput as refused:
            faults += refused.faults
    faults += _twice(wanted)
    if faults:
        raise InvalidInput(*faults)
    return Wish(str(owner), wanted)


def _over(defaults: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Lay what is said of one schedule over what is said of all: whatever says when takes the place of that."""
    when = ("cron", "every", *timing.TIME_FIELDS[:5])
    if any(name in fields for name in when):
        defaults = {name: value for name, value in defaults.items() if name not in when}
    return {**defaults, **fields}


def _wanted(name: str, table: Mapping[str, Any], parsed: Parsed, path: Path) -> Wanted:
    """Make one of the schedules. Raises InvalidInput with all that is wrong with it."""
    faults = list(_unknown(table, parsed, path, _OWN))
    fields = {key: value for key, value in table.items() if key in FIELDS or key == "cron"}
    try:
        if "params" in fields:
            fields["params"] = _params(fields["params"])
    except InvalidInput as refused:
        faults += _placed(refused, parsed, path)
        del fields["params"]
    if (was := table.get("was")) is not None and (complaint := checks.line(200)(was)):
        faults.append(Fault(_where(parsed, (*path, "was")), was, *complaint))
    try:
        if (line := fields.pop("cron", None)) is not None:
            fields |= timing.from_line(line, fields)
    except InvalidInput as refused:
        faults += _placed(refused, parsed, path)
    try:
        schedule = Schedule(**{**fields, "name": name, "id": _NO_ID})
    except InvalidInput as refused:
        faults += _placed(refused, parsed, path)
    if not any(key in table for key in ("cron", "every", *timing.TIME_FIELDS[:5])):
        remedy = "say when it is due: cron = '30 2 * * *', or every = '90m'"
        faults.append(Fault(_where(parsed, path), name, "is never said to be due", remedy))
    if faults:
        raise InvalidInput(*faults)
    return Wanted(schedule, fields, was, parsed.line(path))


_NO_ID = "wanted"


def _params(value: object) -> dict[str, Any]:
    """Read params: a table, or JSON in a text, which has a null."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as refused:
            remedy = "give a table, or JSON such as '{\"a\": null}'"
            raise InvalidInput(Fault("params", value, f"is no JSON: {refused}", remedy)) from None
    return checks.check_params(value)


def _placed(refused: InvalidInput, parsed: Parsed, path: Path) -> Iterator[Fault]:
    """Yield the faults of one schedule with where they stand."""
    for fault in refused.faults:
        own = fault.field.partition(".")[0].partition("[")[0]
        if (*path, own) not in parsed.lines and (*path, "cron") in parsed.lines and own in timing.TIME_FIELDS:
            own = "cron"  # a field of its line
        of_all = (*path, own) not in parsed.lines and ("defaults", own) in parsed.lines
        place = _where(parsed, ("defaults", own) if of_all else (*path, own))
        yield Fault(
            place if own == fault.field else f"{place} ({fault.field})", fault.value, fault.problem, fault.remedy
        )


def _unknown(fields: Mapping[str, Any], parsed: Parsed, path: Path, also: Sequence[str]) -> Iterator[Fault]:
    for key, value in fields.items():
        if key in FIELDS or key in also:
            continue
        place = _where(parsed, (*path, str(key)))
        if key in _NOT_IN_FILES:
            yield Fault(place, value, "cannot be set here", "leave it out")
        else:
            yield Fault(place, value, "is no field of a schedule", word_of_schedules(str(key), (*FIELDS, *also)))


def _table(parsed: Parsed, name: str, faults: list[Fault]) -> Mapping[str, Any]:
    table = parsed.table.get(name)
    if table is None:
        return {}
    if not isinstance(table, Mapping):
        faults.append(Fault(_where(parsed, (name,)), table, "is no table", f"write [{name}.NAME], a table for each"))
        return {}
    return table


def _owner_faults(owner: object, place: str) -> Iterator[Fault]:
    remedy = "name whom the schedules belong to, such as the application: only those are changed and removed"
    if owner is None:
        yield Fault(place, None, "is missing", remedy)
    elif complaint := checks.line(200)(owner):
        yield Fault(place, owner, *complaint)
    elif owner == schedules.CODE:
        yield Fault(place, owner, "is kept for what stands beside handlers in the code", "choose another")


def _twice(wanted: Sequence[Wanted]) -> Iterator[Fault]:
    """Yield what two of the schedules cannot both be."""
    seen: dict[str, Wanted] = {}
    for each in wanted:
        if each.name in seen:
            yield Fault(_at(each), each.name, "is the name of two schedules", "choose another")
        seen[each.name] = each
    former: dict[str, Wanted] = {}
    for each in wanted:
        if each.was is not None and each.was in former:
            yield Fault(
                _at(each), each.was, f"is also what {shown(former[each.was].name)} was", "it can become one only"
            )
        if each.was is not None:
            former[each.was] = each


def _at(wanted: Wanted) -> str:
    return f"line {wanted.line}: {wanted.name}" if wanted.line else wanted.name


def _where(parsed: Parsed, path: Path) -> str:
    line = parsed.line(path)
    place = ".".join(part for part in path if part != "schedules")
    return f"line {line}: {place}" if line else place
