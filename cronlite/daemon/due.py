"""Which schedules are due at a tick: queries that return too many, never too few, and one rule that decides."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import Any

from cronlite.documents import schedules
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import InvalidInput
from cronlite.store.contract import MAX_TEXTS, Clause, Store, Uncommon
from cronlite.when import bits, clock, interval, pattern
from cronlite.when.interval import Interval

# Texts of one field that are listed once for each zone, the shortest first, so that nobody's long ones displace
# what others commonly write.
COMMON_TEXTS = 1_000
COMMON_CHARACTERS = 8_000
# Of one query. MongoDB takes 16 MB.
MOST_TEXTS = 20_000
MOST_CHARACTERS = 3_000_000
MOST_REPEATED = 4  # times that uncommon texts are listed at a tick, for zones that read differently
# Of the values that cannot be read, those that are worth a line.
REPORTED = 10
_DAY_FIELDS = ("day", "weekday")
Readings = tuple[datetime, ...]
Groups = dict[Readings, list[str | None]]


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
    for document in store.candidates(expressions.clauses(tick), expressions.uncommon(tick), tick):
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
        self._intervals = _Intervals()
        self._zones: list[str] = []
        self._unreadable: list[tuple[str, Any]] = []

    def update(self, stored: Mapping[str, Iterable[Any]]) -> None:
        """Take over what a store lists."""
        self._unreadable = []
        for name, values in stored.items():
            # exactly str: BSON's Code is one by inheritance, but no query for text finds it
            texts = [value for value in values if type(value) is str]
            others = (value for value in values if type(value) is not str and value is not None)
            unreadable = self._takers[name](texts)
            faulty = chain(unreadable, (value for value in islice(others, REPORTED) if refusal(name, value)))
            self._unreadable += [(name, value) for value in islice(faulty, REPORTED)]

    def unreadable(self) -> list[tuple[str, Any]]:
        """List the field and the stored value of some of those that no schedule can be due by."""
        return self._unreadable

    def clauses(self, tick: datetime) -> list[Clause]:
        """Turn the texts that are common into the alternatives of the due query at a tick."""
        groups = self._readings(tick)
        return [*self._clauses(groups, list(self._fields)), *self._intervals.clauses(tick, groups)]

    def uncommon(self, tick: datetime) -> list[Uncommon]:
        """Turn all other texts into further alternatives.

        A schedule is found by the first of its fields whose text is uncommon: those before it are restricted to common
        texts, and those after it only where all are common. (With `either_day`, it is found by its days among the
        clauses.)
        """
        groups = self._readings(tick)
        restricting = [name for name, texts in self._fields.items() if not texts.has_uncommon]
        alternatives: list[Uncommon] = []
        for name, texts in self._fields.items():
            if texts.has_uncommon:
                for wanted, alike in texts.read_alike(groups).items():
                    alternatives += texts.uncommon_at(wanted, self._clauses(alike, restricting))
                restricting.append(name)
        return alternatives

    def _clauses(self, groups: Groups, restricting: Sequence[str]) -> list[Clause]:
        """Make a clause for the zones that read alike, in which some fields are restricted.

        A schedule with `either_day` is not narrowed by its days at all.
        """
        alternatives = []
        for readings, zones in groups.items():
            fitting = {name: self._fields[name].common_at(readings) for name in restricting}
            fitting["every"] = [None]
            days_open = {name: values for name, values in fitting.items() if name not in _DAY_FIELDS}
            alternatives.append(Clause(zones=zones, either_day=False, values=fitting))
            alternatives.append(Clause(zones=zones, either_day=True, values=days_open))
        return alternatives

    @property
    def _takers(self) -> dict[str, Callable[[list[str]], Iterable[str]]]:
        """What takes the texts of each field over, and returns some of those that cannot be read."""
        of_fields = {name: texts.take for name, texts in self._fields.items()}
        return {"tz": self._take_zones, "every": self._intervals.take, **of_fields}

    def _take_zones(self, texts: list[str]) -> Iterable[str]:
        if len(texts) < MAX_TEXTS:
            self._zones = clock.zones_among(texts)
        else:  # not all are listed; and there are only so many zones
            self._zones = clock.zones()
        known = set(self._zones)
        return (text for text in texts if text not in known)

    def _readings(self, tick: datetime) -> Groups:
        """Group the zones in use by the wall minutes that have to be looked at: the one now, and those just skipped."""
        groups: Groups = defaultdict(list)
        for name in dict.fromkeys([None, "UTC", *self._zones]):
            wall = clock.wall(tick, clock.zone(name or "UTC"))
            readings = (wall.minute, *wall.skipped)
            groups[readings].append(name)
        return groups


class _Intervals:
    """The texts of `every`, which are few: all that can be read are some thousand."""

    def __init__(self) -> None:
        self._known: list[tuple[str, Interval]] = []

    def take(self, texts: list[str]) -> Iterable[str]:
        """Take over the texts that are stored now; return those that cannot be read."""
        listed = texts if len(texts) < MAX_TEXTS else interval.spellings()
        self._known = [(text, known) for text in listed if (known := interval.of_text(text))]
        return (text for text in texts if interval.of_text(text) is None)

    def clauses(self, tick: datetime, groups: Groups) -> Iterator[Clause]:
        """Yield the alternatives for the intervals that end in the minute of a tick, or with a midnight of a zone."""
        if texts := [text for text, known in self._known if not known.days and known.ends_in(tick)]:
            yield from _of_texts(texts, None)
        whole_days = [(text, known) for text, known in self._known if known.days]
        for readings, zones in groups.items() if whole_days else ():
            days = [minute.date() for minute in readings if minute.hour == minute.minute == 0]
            if texts := [text for text, known in whole_days if any(map(known.ends_on, days))]:
                yield from _of_texts(texts, zones)


def _of_texts(texts: list[str], zones: list[str | None] | None) -> Iterator[Clause]:
    """Yield the clauses for some texts of `every`; documents from elsewhere may have an `either_day` beside it."""
    for either_day in (False, True):
        yield Clause(zones=zones, either_day=either_day, values={"every": texts})


class _Texts:
    """The texts of one field, each with its bits."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._texts: list[str] = []
        self._bits: dict[str, int] = {}
        self._common: list[tuple[str, int]] = []
        self._uncommon: list[tuple[str, int]] = []
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
            longest = _longest_common(texts)
            # In the order in which they are in memory: all are looked at, and whatever is elsewhere takes much longer.
            readable = [(text, its_bits) for text, its_bits in self._bits.items() if its_bits]
            self._common = [each for each in readable if len(each[0]) <= longest]
            self._uncommon = [each for each in readable if len(each[0]) > longest]
            self._after = texts[-1] if len(texts) >= MAX_TEXTS else None
            self._unreadable = list(islice((text for text in texts if not self._bits[text]), REPORTED))
        return self._unreadable

    def common_at(self, readings: Readings) -> list[Any]:
        """List null, `*`, the numbers and the common texts that fit one of some wall minutes."""
        wanted = self._wanted(readings)
        return [
            None,
            "*",
            *bits.numbers(self._field, wanted),
            *(text for text, its_bits in self._common if its_bits & wanted),
        ]

    def read_alike(self, groups: Groups) -> dict[int, Groups]:
        """Group the zones by what they read in this field; where that would repeat the texts too often, all are one."""
        alike: dict[int, Groups] = defaultdict(dict)
        for readings, zones in groups.items():
            alike[self._wanted(readings)][readings] = zones
        if len(alike) > MOST_REPEATED:
            return {self._wanted(chain.from_iterable(groups)): groups}
        return alike

    def uncommon_at(self, wanted: int, clauses: Sequence[Clause]) -> Iterator[Uncommon]:
        """Yield alternatives for the other texts that have some bits in common with what is wanted."""
        for part in _parts([text for text, its_bits in self._uncommon if its_bits & wanted]):
            yield Uncommon(field=self._field, texts=part, clauses=clauses)
        if self._after is not None:
            yield Uncommon(field=self._field, after=self._after, clauses=clauses)

    def _wanted(self, readings: Iterable[datetime]) -> int:
        wanted = 0
        for minute in readings:
            wanted |= bits.of_wall(self._field, minute)
        return wanted


def refusal(field: str, value: Any) -> InvalidInput | None:
    """Say why a stored value of a time field, of `every` or of `tz` cannot be read, if it cannot."""
    try:
        if field == "every":
            interval.parse(value)
        else:
            clock.zone(value) if field == "tz" else pattern.parse_field(field, value)
    except InvalidInput as refused:
        return refused
    return None


def _longest_common(texts: Iterable[str]) -> int:
    """Say up to which length texts are so few that they are common."""
    longest = count = characters = 0
    for length, more in sorted(Counter(map(len, texts)).items()):
        count, characters = count + more, characters + more * length
        if count > COMMON_TEXTS or characters > COMMON_CHARACTERS:
            break
        longest = length
    return longest


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut texts into lists that fit into one query."""
    if texts:
        size = max(1, min(MOST_TEXTS, MOST_CHARACTERS // max(map(len, texts))))
        yield from (texts[place : place + size] for place in range(0, len(texts), size))
