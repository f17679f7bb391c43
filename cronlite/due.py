"""Which schedules are due at a tick: one query that returns too many, never too few, and one rule that decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from cronlite import clock, cron, schedules
from cronlite.errors import InvalidInput
from cronlite.schedules import Document, Schedule
from cronlite.store.contract import Clause, Store

_DAY_FIELDS = ("day", "weekday")


def due(
    store: Store,
    tick: datetime,
    set_aside: Callable[[Document, InvalidInput], None] | None = None,
    expressions: Mapping[str, Iterable[Any]] | None = None,
) -> Iterator[Schedule]:
    """Stream the schedules that are due at a tick; documents that cannot be read go to `set_aside`.

    `expressions` are those of the store, for a caller that has just asked for them.
    """
    for document in store.candidates(clauses(expressions or store.expressions(), tick)):
        try:
            schedule = schedules.read(document)
        except InvalidInput as fault:
            if set_aside:
                set_aside(document, fault)
        else:
            if schedule.is_due(tick):
                yield schedule


def clauses(expressions: Mapping[str, Iterable[Any]], tick: datetime) -> list[Clause]:
    """Turn the distinct stored values of each field into the alternatives of the due query at a tick.

    Zones that read alike share a clause, and a schedule with `either_day` is not narrowed by its days at all.
    """
    found = []
    for minutes, zones in _readings(expressions["tz"], tick).items():
        matching = {field: _matching(field, expressions[field], minutes) for field in cron.FIELDS}
        days_open = {field: values for field, values in matching.items() if field not in _DAY_FIELDS}
        found.append(Clause(zones=zones, either_day=False, values=matching))
        found.append(Clause(zones=zones, either_day=True, values=days_open))
    return found


def unreadable(expressions: Mapping[str, Iterable[Any]]) -> dict[str, InvalidInput]:
    """Find the stored values that no schedule can be due by; the key names field and value."""
    faults = {}
    for field, values in expressions.items():
        for value in values:
            try:
                _read(field, value)
            except InvalidInput as fault:
                faults[f"{field}={value!r}"] = fault
    return faults


def _read(field: str, value: object) -> None:
    if value is not None:
        clock.zone(value) if field == "tz" else cron.parse_field(field, value)  # type: ignore[arg-type]


def _readings(names: Iterable[Any], tick: datetime) -> dict[tuple[datetime, ...], list[str | None]]:
    """Group the zones in use by the wall minutes that have to be looked at: the one now, and those just skipped."""
    # exactly str: BSON's Code is one by inheritance, but is neither hashable nor a name
    groups: dict[tuple[datetime, ...], list[str | None]] = defaultdict(list)
    for name in dict.fromkeys([None, "UTC", *(name for name in names if type(name) is str)]):
        try:
            wall = clock.wall(tick, clock.zone(name or "UTC"))
        except InvalidInput:
            continue
        groups[(wall.minute, *wall.skipped)].append(name)
    return groups


def _matching(field: str, values: Iterable[Any], minutes: tuple[datetime, ...]) -> list[Any]:
    """List `*`, null, and the stored values that match one of these wall minutes."""
    stored = [value for value in values if type(value) is str or _is_number(value)]
    plain: list[Any] = [None, "*"]
    return plain + [value for value in dict.fromkeys(stored) if any(_matches(field, value, wall) for wall in minutes)]


def _matches(field: str, value: Any, wall: datetime) -> bool:
    try:
        return cron.matches(field, value, wall)
    except InvalidInput:
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
