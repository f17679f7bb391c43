"""How much will run in the time ahead, minute by minute, however many schedules there are?

Schedules that are due alike are counted as one kind, and of each kind the hours and minutes of a day are added up, so
that neither the number of schedules nor that of their runs matters much.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any, NamedTuple

from cronlite.documents import schedules, timing
from cronlite.documents.schedules import Schedule
from cronlite.store.contract import Store
from cronlite.when import clock
from cronlite.when.clock import LARGEST_CHANGE, MINUTE
from cronlite.when.timetable import Multiples, Timetable

MOST_BOUNDED = 5_000
"""How many schedules that begin later, or end, are taken into account."""
_HOUR = timedelta(hours=1)
_TIMED = (*timing.TIME_FIELDS,)
Counts = list[list[int]]


class Kind(NamedTuple):
    """Schedules that are due alike, and one that stands for them."""

    example: Schedule
    schedules: int

    def runs(self, tick: datetime) -> int:
        """Count their runs of a minute, were all of them active."""
        return self.schedules * sum(1 for _ in self.example.timetable.instants(tick)) if self.due(tick) else 0

    def due(self, tick: datetime) -> bool:
        """Tell whether they are due at a minute."""
        return self.example.timetable.due(tick)


@dataclass(frozen=True)
class Ahead:
    """The runs of each minute from `first` on, and the kinds of schedules that make them.

    `is_whole` says whether all schedules that begin later or end were taken into account.
    """

    first: datetime
    runs: Sequence[int]
    kinds: Sequence[Kind]
    is_whole: bool = True

    def worst(self, count: int) -> list[tuple[datetime, int]]:
        """List the minutes with the most runs, the worst first, and of equal ones the earliest."""
        places = sorted(range(len(self.runs)), key=lambda place: (-self.runs[place], place))[:count]
        return [(self.tick(place), self.runs[place]) for place in places if self.runs[place]]

    def makers(self, tick: datetime, count: int) -> list[Kind]:
        """List the kinds that make the most runs of a minute."""
        due = [kind for kind in self.kinds if kind.schedules > 0 and kind.due(tick)]
        return sorted(due, key=lambda kind: -kind.runs(tick))[:count]

    def tick(self, place: int) -> datetime:
        """Return the minute at a place of `runs`."""
        return self.first + place * MINUTE

    @cached_property
    def by_hour(self) -> list[Sequence[int]]:
        """Cut the minutes into stretches of sixty."""
        return [self.runs[place : place + 60] for place in range(0, len(self.runs), 60)]


def look_ahead(store: Store, first: datetime, minutes: int) -> Ahead:
    """Count what is due in so many minutes from a tick on. Raises StoreTooSlow."""
    bounded = store.not_always_active(first, MOST_BOUNDED)
    kinds = [kind for fields, count in store.timings() if (kind := _kind(fields, count))]
    limited = [schedule for document in bounded if (schedule := schedules.read_or_none(document))]
    last = first + (minutes - 1) * MINUTE
    idle = [schedule for schedule in limited if schedule.enabled and not _is_ever_active(schedule, first, last)]
    runs = spread([(kind.example.timetable, kind.schedules) for kind in [*kinds, *_less(idle)]], first, minutes)
    for schedule in limited:
        if schedule not in idle:
            for tick, count in _corrections(schedule, first, last):
                runs[(tick - first) // MINUTE] += count
    return Ahead(first, runs, kinds, is_whole=len(bounded) < MOST_BOUNDED)


def spread(tables: Iterable[tuple[Timetable, int]], first: datetime, minutes: int) -> list[int]:
    """Add up the runs of each minute that some timetables make, each of them so many times."""
    runs = [0] * minutes
    by_zone: dict[tzinfo, list[tuple[Timetable, int]]] = defaultdict(list)
    for table, count in tables:
        if isinstance(table, Multiples):
            for tick in _ticks(table, first, minutes):
                runs[(tick - first) // MINUTE] += count * sum(1 for _ in table.instants(tick))
        else:
            by_zone[table.zone].append((table, count))
    for zone, of_zone in by_zone.items():
        zoned = _Zone(zone, of_zone)
        for place in range(0, minutes, 60):
            for offset, count in enumerate(zoned.hour(first + place * MINUTE, min(60, minutes - place))):
                runs[place + offset] += count
    return runs


class _Hour(Counter[tuple[int, ...]]):
    """How many runs have the same minutes in an hour."""

    def minutes(self) -> list[int]:
        """Count them by the minute."""
        counts = [0] * 60
        for minutes, count in self.items():
            for minute in minutes:
                counts[minute] += count
        return counts


class _Zone:
    """The timetables on one zone's clock, added up for each day of it: by hour and minute."""

    def __init__(self, zone: tzinfo, tables: Sequence[tuple[Timetable, int]]) -> None:
        self._zone, self._tables = zone, tables
        self._days: dict[date, tuple[Counts, Counts]] = {}

    def hour(self, start: datetime, minutes: int) -> list[int]:
        """Count the runs of up to sixty minutes from a tick on."""
        lead = self._lead(start)
        if lead != self._lead(start - LARGEST_CHANGE) or lead != self._lead(start + _HOUR):
            return [self._changing(start + n * MINUTE) for n in range(minutes)]
        shown = start.replace(tzinfo=None) + lead
        following, fixed = self._both(shown)
        counted = [a + b for a, b in zip(following, fixed, strict=True)][shown.minute :]
        if shown.minute:
            after = self._both(shown + _HOUR)
            counted += [a + b for a, b in zip(*after, strict=True)]
        return counted[:minutes]

    def _changing(self, tick: datetime) -> int:
        """Count the runs of one minute around a change of the clock."""
        now = clock.wall(tick, self._zone)
        if now.skipped:
            return sum(count for table, count in self._tables if table.due(tick))
        following, fixed = self._both(now.minute)
        return following[now.minute.minute] + (0 if now.repeated else fixed[now.minute.minute])

    def _both(self, shown: datetime) -> tuple[list[int], list[int]]:
        """Return the runs of a wall hour, by minute: of what follows the clock, and of what has fixed times."""
        day = shown.date()
        if day not in self._days:
            self._days[day] = self._added_up(day)
        following, fixed = self._days[day]
        return following[shown.hour], fixed[shown.hour]

    def _added_up(self, day: date) -> tuple[Counts, Counts]:
        following, fixed = [_Hour() for _ in range(24)], [_Hour() for _ in range(24)]
        for table, count in self._tables:
            pattern = table.pattern
            if pattern.matches_day(day):
                hours, minutes = following if pattern.follows_clock else fixed, pattern.minutes
                for hour in pattern.hours:
                    hours[hour][minutes] += count
        return [hour.minutes() for hour in following], [hour.minutes() for hour in fixed]

    def _lead(self, tick: datetime) -> timedelta:
        return clock.wall(tick, self._zone).minute - clock.floor_minute(tick).replace(tzinfo=None)


def _kind(fields: Mapping[str, Any], count: int) -> Kind | None:
    example = schedules.read_or_none({"_id": "kind", **fields})
    return Kind(example, count) if example else None


def _is_ever_active(schedule: Schedule, first: datetime, last: datetime) -> bool:
    begins, ends = schedule.active_from, schedule.active_until
    return (begins is None or begins <= last + MINUTE) and (ends is None or ends >= first)


def _less(idle: Iterable[Schedule]) -> Iterator[Kind]:
    """Take schedules away that were counted with their kinds."""
    by_time: dict[tuple[Any, ...], list[Schedule]] = defaultdict(list)
    for schedule in idle:
        by_time[tuple(getattr(schedule, name) for name in _TIMED)].append(schedule)
    for alike in by_time.values():
        yield Kind(alike[0], -len(alike))


def _corrections(schedule: Schedule, first: datetime, last: datetime) -> Iterator[tuple[datetime, int]]:
    """Yield what the bounds of a schedule, or the end of its pause, change in the runs counted for a minute."""
    for tick in _ticks(schedule.timetable, first, (last - first) // MINUTE + 1):
        counted = sum(1 for _ in schedule.timetable.instants(tick)) if schedule.enabled else 0
        made = sum(1 for _ in schedule.instants(tick)) if schedule.is_due(tick) else 0
        if made != counted:
            yield tick, made - counted


def _ticks(table: Timetable, first: datetime, minutes: int) -> Iterator[datetime]:
    if table.by_the_second:
        yield from (first + n * MINUTE for n in range(minutes))
        return
    for tick in table.next_ticks(first - MINUTE / 2):
        if tick >= first + minutes * MINUTE:
            return
        yield tick
