"""At which ticks is a pattern due on the clock of a zone, DST changes included?

The rule is that of Debian's cron (cron(8), "daylight saving time"): a pattern whose minute or hour starts with `*`
follows the clock. Any other names fixed times: those in a stretch that the clock skipped run once, at the first tick
after it; those in a stretch that it showed twice run the first time only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from cronlite.when.clock import LARGEST_CHANGE, MINUTE, floor_minute, utc, wall
from cronlite.when.interval import Interval
from cronlite.when.limits import FIELDS
from cronlite.when.pattern import Pattern

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
# The longest that a possible date keeps one waiting: 29 February on a given weekday, across the year 2100.
_LONGEST_WAIT_YEARS = 41


@dataclass(frozen=True, slots=True)
class Midnights(Pattern):
    """The midnights with which an interval of whole days ends: fixed times, to a clock that is put forward or back."""

    interval: Interval

    @classmethod
    def of_interval(cls, interval: Interval) -> Midnights:
        """Return those of an interval."""
        any_day = Pattern.of(minute=0, hour=0)
        return cls(**{name: getattr(any_day, name) for name in (*FIELDS, "either_day")}, interval=interval)

    def matches_day(self, day: date) -> bool:
        """Tell whether an interval ends with the midnight at which that day begins."""
        return self.interval.ends_on(day)


@dataclass(frozen=True, slots=True, eq=False)
class Timetable:
    """A pattern on the clock of a zone; many schedules share one."""

    pattern: Pattern
    zone: tzinfo

    @staticmethod
    def of_interval(interval: Interval, pattern: Pattern, zone: tzinfo) -> Timetable:
        """Return that of an interval: days end on the clock of the zone, all else in UTC, where `pattern` is open."""
        return Timetable(Midnights.of_interval(interval), zone) if interval.days else Multiples(pattern, zone, interval)

    @property
    def by_the_second(self) -> bool:
        """Tell whether it is due several times in each minute."""
        return False

    def due(self, tick: datetime) -> bool:
        """Tell whether the pattern is due at a tick."""
        return _due(self, tick)

    def instants(self, tick: datetime) -> Iterator[datetime]:
        """Yield the instants that belong to a tick at which it is due: the tick itself, or several of its minute."""
        yield tick

    def begun_at(self, instant: datetime) -> datetime:
        """Return the last instant up to a given one at which it might be due."""
        return floor_minute(instant)

    def next_ticks(self, after: datetime) -> Iterator[datetime]:
        """Yield the ticks that are due, strictly after an aware instant.

        They end with the year 9998, or when 41 years have none: a pattern may live in skipped minutes only.
        """
        after = utc(after)
        latest_year = after.year
        for day in self._utc_days(after.date()):
            if day.year - latest_year > _LONGEST_WAIT_YEARS:
                return
            for tick in self._ticks_of(datetime(day.year, day.month, day.day, tzinfo=timezone.utc), _DAY):
                if tick > after:
                    latest_year = day.year
                    yield tick

    def oddity(self, tick: datetime) -> str | None:
        """Say what a change of the zone's clock does to the pattern at a tick, if anything."""
        now, tied = wall(tick, self.zone), not self.pattern.follows_clock
        skipped = [f"{minute:%H:%M}" for minute in now.skipped if self.pattern.matches(minute)]
        if len(skipped) > 1:
            end = "runs once, at the first minute after" if tied else "not made up for"
            return f"{skipped[0]} to {skipped[-1]} are skipped that day: {end}"
        if skipped:
            end = "runs at the first minute after" if tied else "not made up for"
            return f"{skipped[0]} is skipped that day: {end}"
        if self.pattern.matches(now.minute) and (now.repeated or self._repeats(tick)):
            end = "runs the first time only" if tied else "runs both times"
            return f"the clock shows {now.minute:%H:%M} twice: {end}"
        return None

    def _utc_days(self, first: date) -> Iterator[date]:
        """Yield the days from `first` on which, in UTC, something may be due."""
        done = first.toordinal() - 1
        start = date.fromordinal(max(1, done))
        for year in range(start.year, MAXYEAR):
            for day in self.pattern.days(max(start, date(year, 1, 1))):
                # A day on the zone's clock reaches into its neighbours.
                for near in range(day.toordinal() - 1, day.toordinal() + 2):
                    if near > done:
                        done = near
                        yield date.fromordinal(near)

    def _ticks_of(self, start: datetime, span: timedelta) -> Iterator[datetime]:
        if start.year > MINYEAR and self._lead(start - LARGEST_CHANGE) == self._lead(start + span):
            yield from self._plain_ticks_of(start, span)
        elif span > _HOUR:
            for n in range(span // _HOUR):
                yield from self._ticks_of(start + n * _HOUR, _HOUR)
        else:
            yield from filter(self.due, (start + n * MINUTE for n in range(span // MINUTE)))

    def _plain_ticks_of(self, start: datetime, span: timedelta) -> Iterator[datetime]:
        """Yield the ticks of a stretch in which, and shortly before which, the offset does not change."""
        lead = self._lead(start)
        first_day = (start + lead).replace(hour=0, minute=0)
        for day in (first_day, first_day + _DAY):
            if self.pattern.matches_day(day):
                for hour in self.pattern.hours:
                    on_the_hour = day.replace(hour=hour) - lead
                    if start - _HOUR < on_the_hour < start + span:
                        ticks = (on_the_hour + minute * MINUTE for minute in self.pattern.minutes)
                        yield from (tick for tick in ticks if start <= tick < start + span)

    def _lead(self, tick: datetime) -> timedelta:
        """Return how far the zone's clock is ahead of UTC, in whole minutes."""
        return wall(tick, self.zone).minute - tick.replace(tzinfo=None)

    def _repeats(self, tick: datetime) -> bool:
        """Tell whether the clock will be put back and show the same minute again."""
        if tick.year == MAXYEAR:
            return False
        put_back = self._lead(tick) - self._lead(tick + LARGEST_CHANGE)
        again = wall(tick + max(put_back, MINUTE), self.zone)
        return again.repeated and again.minute == wall(tick, self.zone).minute


@dataclass(frozen=True, slots=True, eq=False)
class Multiples(Timetable):
    """The multiples in UTC of an interval below a day, which no clock that is put forward or back moves."""

    interval: Interval

    @property
    def by_the_second(self) -> bool:
        """Tell whether it is due several times in each minute."""
        return self.interval.below_a_minute

    def due(self, tick: datetime) -> bool:
        """Tell whether one of them is in the minute of a tick."""
        return self.interval.ends_in(tick)

    def instants(self, tick: datetime) -> Iterator[datetime]:
        """Yield those in the minute of a tick at which it is due."""
        length = min(self.length, MINUTE)
        yield from (tick + n * length for n in range(MINUTE // length))

    def begun_at(self, instant: datetime) -> datetime:
        """Return the last one up to an aware instant, or its minute where they are further apart than that."""
        return self.interval.begun_at(utc(instant)) if self.by_the_second else floor_minute(instant)

    def next_ticks(self, after: datetime) -> Iterator[datetime]:
        """Yield those strictly after an aware instant, up to the year 9998."""
        following = self.interval.begun_at(utc(after)) + self.length
        while following.year < MAXYEAR:
            yield following
            following += self.length

    def oddity(self, tick: datetime) -> None:
        """Say nothing: no clock changes anything about them."""

    @property
    def length(self) -> timedelta:
        """How far they are apart."""
        return timedelta(seconds=self.interval.seconds)


@lru_cache(maxsize=4096)  # which a timetable is found in by its identity
def _due(table: Timetable, tick: datetime) -> bool:
    now = wall(tick, table.zone)
    if table.pattern.follows_clock:
        return table.pattern.matches(now.minute)
    if not now.repeated and table.pattern.matches(now.minute):
        return True
    return any(map(table.pattern.matches, now.skipped))
