"""Which schedules are due at a tick: queries that return too many, never too few, and one rule that decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from cronlite.documents import schedules
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import InvalidInput
from cronlite.store.contract import MAX_TEXTS, Clause, Store, Uncommon
from cronlite.when import bits, clock, pattern

# Texts of one field that are listed once for each zone, the shortest first, so that nobody's long ones displace
# what others commonly write.
COMMON_TEXTS = 1_000
COMMON_CHARACTERS = 16_000
# Of one query. MongoDB takes 16 MB.
MOST_TEXTS = 20_000
MOST_CHARACTERS = 3_000_000
# Of the values that cannot be read, those that are worth a line.
REPORTED = 10
_DAY_FIELDS = ("day", "weekday")
Readings = tuple[datetime, ...]


def due(
    store: Store,
    tick: datetime,
    set_aside: Callable[[Document, InvalidInput], None] | None = None,
    expressions: Expressions | None = None,
) -> Iterator[Schedule]:
    """Stream the schedules that are due at a tick; documents that cannot be read go to `set_aside`.

    `expressions` are those of the store, for a caller that has just asked for them.
    """
    if expressions is None:
        expressions = Expressions()
        expressions.update(store.expressions())
    for document in store.candidates(expressions.clauses(tick), expressions.uncommon(tick)):
        try:
            schedule = schedules.read(document)
        except InvalidInput as fault:
            if set_aside:
                set_aside(document, fault)
        else:
            if schedule.is_due(tick):
                yield schedule


class Expressions:
    """The texts in a store's time fields, and what they mean, kept from one tick to the next.

    Each is parsed once for as long as it is stored. What is kept is bounded, because a store lists at most MAX_TEXTS.
    """

    def __init__(self) -> None:
        self._fields = {name: _Texts(name) for name in pattern.FIELDS}
        self._zones: list[str] = []
        self._unreadable: list[tuple[str, Any]] = []

    def update(self, stored: Mapping[str, Iterable[Any]]) -> None:
        """Take over what a store lists."""
        self._unreadable = []
        for name, values in stored.items():
            texts: list[str] = []
            others: list[Any] = []
            for value in values:
                # exactly str: BSON's Code is one by inheritance, but no query for text finds it
                (texts if type(value) is str else others).append(value)
            unreadable = self._take_zones(texts) if name == "tz" else self._fields[name].take(texts)
            faulty = (value for value in others if value is not None and refusal(name, value))
            self._unreadable += [(name, value) for value in islice([*unreadable, *islice(faulty, REPORTED)], REPORTED)]

    def unreadable(self) -> list[tuple[str, Any]]:
        """List the field and the stored value of some of those that no schedule can be due by."""
        return self._unreadable

    def clauses(self, tick: datetime) -> list[Clause]:
        """Turn the texts that are common into the alternatives of the due query at a tick.

        Zones that read alike share a clause, and a schedule with `either_day` is not narrowed by its days at all.
        """
        alternatives = []
        for readings, zones in self._readings(tick).items():
            fitting = {name: texts.common_at(readings) for name, texts in self._fields.items()}
            days_open = {name: values for name, values in fitting.items() if name not in _DAY_FIELDS}
            alternatives.append(Clause(zones=zones, either_day=False, values=fitting))
            alternatives.append(Clause(zones=zones, either_day=True, values=days_open))
        return alternatives

    def uncommon(self, tick: datetime) -> list[Uncommon]:
        """Turn all other texts into further alternatives, each for the schedules of all zones.

        A schedule is found by the first of its fields whose text is uncommon: those before it are restricted to common
        texts. With `either_day`, it is found by its days among the clauses.
        """
        readings = tuple({reading for group in self._readings(tick) for reading in group})
        restricted = {name: texts.common_at(readings) for name, texts in self._fields.items() if not texts.has_uncommon}
        alternatives: list[Uncommon] = []
        for name, texts in self._fields.items():
            if texts.has_uncommon:
                alternatives += texts.uncommon_at(readings, restricted)
                restricted[name] = texts.common_at(readings)
        return alternatives

    def _take_zones(self, texts: list[str]) -> Iterable[str]:
        if len(texts) < MAX_TEXTS:
            self._zones = clock.zones_among(texts)
        else:  # not all are listed; and there are only so many zones
            self._zones = clock.zones()
        known = set(self._zones)
        return (text for text in texts if text not in known)

    def _readings(self, tick: datetime) -> dict[Readings, list[str | None]]:
        """Group the zones in use by the wall minutes that have to be looked at: the one now, and those just skipped."""
        groups: dict[Readings, list[str | None]] = defaultdict(list)
        for name in dict.fromkeys([None, "UTC", *self._zones]):
            wall = clock.wall(tick, clock.zone(name or "UTC"))
            readings = (wall.minute, *wall.skipped)
            groups[readings].append(name)
        return groups


class _Texts:
    """The texts of one field, each with its bits."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._texts: list[str] = []
        self._bits: dict[str, int] = {}
        self._common: list[str] = []
        self._uncommon: list[str] = []
        self._after: str | None = None
        self._unreadable: list[str] = []

    @property
    def has_uncommon(self) -> bool:
        return bool(self._uncommon) or self._after is not None

    def take(self, texts: list[str]) -> list[str]:
        """Take over the texts that are stored now; return some of those that cannot be read."""
        if texts != self._texts:
            known, read = self._bits, partial(bits.of_text, self._field)
            self._bits = {text: known.get(text) or read(text) for text in texts}
            self._texts = texts
            readable = [text for text in texts if self._bits[text]]
            self._common, self._uncommon = _parted(readable)
            self._after = texts[-1] if len(texts) >= MAX_TEXTS else None
            self._unreadable = list(islice((text for text in texts if not self._bits[text]), REPORTED))
        return self._unreadable

    def common_at(self, readings: Readings) -> list[Any]:
        """List null, `*`, the numbers and the common texts that fit one of some wall minutes."""
        wanted = self._wanted(readings)
        numbers = bits.numbers(wanted)
        if self._field == "weekday" and 0 in numbers:
            numbers.append(7)
        return [None, "*", *numbers, *(text for text in self._common if self._bits[text] & wanted)]

    def uncommon_at(self, readings: Readings, restricted: Mapping[str, Sequence[Any]]) -> Iterator[Uncommon]:
        """Yield alternatives for all other texts that fit one of some wall minutes."""
        wanted, known = self._wanted(readings), self._bits
        days = {name: values for name, values in restricted.items() if name in _DAY_FIELDS}
        others = {name: values for name, values in restricted.items() if name not in _DAY_FIELDS}
        for part in _parts([text for text in self._uncommon if known[text] & wanted]):
            yield Uncommon(field=self._field, texts=part, values=others, days=days)
        if self._after is not None:
            yield Uncommon(field=self._field, after=self._after, values=others, days=days)

    def _wanted(self, readings: Readings) -> int:
        wanted = 0
        for minute in readings:
            wanted |= bits.of_wall(self._field, minute)
        return wanted


def refusal(field: str, value: Any) -> InvalidInput | None:
    """Say why a stored value of a time field or of `tz` cannot be read, if it cannot."""
    try:
        clock.zone(value) if field == "tz" else pattern.parse_field(field, value)
    except InvalidInput as refused:
        return refused
    return None


def _parted(texts: list[str]) -> tuple[list[str], list[str]]:
    """Part the shortest texts from those that are one too many."""
    if len(texts) <= COMMON_TEXTS and sum(map(len, texts)) <= COMMON_CHARACTERS:
        return texts, []
    shortest, characters, count = sorted(texts, key=len), 0, 0
    for text in shortest[:COMMON_TEXTS]:
        characters += len(text)
        if characters > COMMON_CHARACTERS:
            break
        count += 1
    return shortest[:count], shortest[count:]


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Cut texts, the shortest first, into lists that fit into one query."""
    part: list[str] = []
    room = MOST_CHARACTERS
    for text in texts:
        if part and (len(text) > room or len(part) >= MOST_TEXTS):
            yield part
            part, room = [], MOST_CHARACTERS
        part.append(text)
        room -= len(text)
    if part:
        yield part
