"""Which schedules are due at a tick: one query that returns too many, never too few, and one rule that decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from cronlite.documents import schedules
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import InvalidInput
from cronlite.store.contract import Clause, Store
from cronlite.when import clock, pattern

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
    usable = {field: [v for v in values if _is_readable(field, v)] for field, values in expressions.items()}
    found = []
    for minutes, zones in _readings(usable["tz"], tick).items():
        matching = {field: _matching(field, usable[field], minutes) for field in pattern.FIELDS}
        days_open = {field: values for field, values in matching.items() if field not in _DAY_FIELDS}
        found.append(Clause(zones=zones, either_day=False, values=matching))
        found.append(Clause(zones=zones, either_day=True, values=days_open))
    return found


def unreadable(expressions: Mapping[str, Iterable[Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the field and the stored value of what no schedule can be due by."""
    for field, values in expressions.items():
        for value in values:
            if value is not None and not _is_readable(field, value):
                yield field, value


def refusal(field: str, value: Any) -> InvalidInput | None:
    """Say why a stored value of a time field or of `tz` cannot be read, if it cannot."""
    try:
        clock.zone(value) if field == "tz" else pattern.parse_field(field, value)
    except InvalidInput as refused:
        return refused
    return None


def _is_readable(field: str, value: Any) -> bool:
    """Tell whether a value is a text or a number that a schedule can be due by."""
    # exactly str: BSON's Code is one by inheritance, but is neither hashable nor a text
    plain = type(value) is str or (isinstance(value, (int, float)) and not isinstance(value, bool))
    return plain and _was_read(field, value)


# Refused once, for a refusal with its suggestion takes a hundred times as long as a match.
@lru_cache(maxsize=1 << 16)
def _was_read(field: str, value: str | float) -> bool:
    return refusal(field, value) is None


def _readings(names: Iterable[str], tick: datetime) -> dict[tuple[datetime, ...], list[str | None]]:
    """Group the zones in use by the wall minutes that have to be looked at: the one now, and those just skipped."""
    groups: dict[tuple[datetime, ...], list[str | None]] = defaultdict(list)
    for name in dict.fromkeys([None, "UTC", *names]):
        wall = clock.wall(tick, clock.zone(name or "UTC"))
        readings = (wall.minute, *wall.skipped)
        groups[readings].append(name)
    return groups


def _matching(field: str, values: Iterable[Any], minutes: tuple[datetime, ...]) -> list[Any]:
    """List `*`, null, and the stored values that match one of these wall minutes."""
    plain: list[Any] = [None, "*"]
    return plain + [value for value in values if any(pattern.matches(field, value, wall) for wall in minutes)]
