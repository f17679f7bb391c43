"""Which minutes does a cron line mean, which lines are refused, and how is one said in plain English?

Nothing here knows a time zone: `wall` is what a clock shows, a naive datetime.
"""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from functools import lru_cache
from itertools import groupby, pairwise

from cronlite.errors import Fault, InvalidExpression
from cronlite.when import foreign_lines
from cronlite.when.fields import Field, parse_field
from cronlite.when.foreign_lines import NICKNAMES
from cronlite.when.limits import FIELDS, MONTHS, WEEKDAYS

__all__ = ["FIELDS", "NICKNAMES", "Field", "Pattern", "describe", "matches", "parse_field", "parse_line"]

_LONGEST_LINE = 1024
_FIVE = f"five fields ({' '.join(FIELDS)})"
# The Gregorian calendar has fourteen kinds of year: a year is a leap year or not, and begins on one of seven weekdays.
_KINDS_OF_YEAR = tuple({(isleap(year), date(year, 1, 1).weekday()): year for year in range(2000, 2028)}.values())


@dataclass(frozen=True, slots=True)
class Pattern:
    """A whole cron line. With `either_day`, day or weekday is enough when both are restricted (crontab(5))."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    either_day: bool = field(default=False, kw_only=True)

    @classmethod
    def of(
        cls,
        minute: object = "*",
        hour: object = "*",
        day: object = "*",
        month: object = "*",
        weekday: object = "*",
        *,
        either_day: bool = False,
    ) -> Pattern:
        """Parse five fields; raise InvalidExpression with all their faults, or because they can never be due."""
        parsed: list[Field] = []
        faults: list[Fault] = []
        for name, value in zip(FIELDS, (minute, hour, day, month, weekday), strict=True):
            try:
                parsed.append(parse_field(name, value))
            except InvalidExpression as refused:
                faults.extend(refused.faults)
        if faults:
            raise InvalidExpression(*faults)
        pattern = cls(*parsed, either_day=either_day)
        if not _ever_due(pattern):
            raise InvalidExpression(_never_due(pattern))
        return pattern

    @property
    def minutes(self) -> tuple[int, ...]:
        return self.minute.numbers

    @property
    def hours(self) -> tuple[int, ...]:
        return self.hour.numbers

    @property
    def follows_clock(self) -> bool:
        """Whether Debian's cron takes it for a wildcard job: a DST change neither moves nor makes up for its runs."""
        return self.minute.starts_with_star or self.hour.starts_with_star

    def matches(self, wall: datetime) -> bool:
        """Tell whether a wall minute fits all of the line."""
        return self.minute.matches(wall) and self.hour.matches(wall) and self.matches_day(wall)

    def matches_day(self, day: date) -> bool:
        """Tell whether the line has any run on that day."""
        if not self.month.matches(day):
            return False
        if self.either_day and self.day.restricted and self.weekday.restricted:
            return self.day.matches(day) or self.weekday.matches(day)
        return self.day.matches(day) and self.weekday.matches(day)

    def days(self, first: date) -> Iterator[date]:
        """Yield the days that match, from `first` to the end of its year."""
        for month in self.month.numbers:
            if month >= first.month:
                start = first.day if month == first.month else 1
                in_month = (date(first.year, month, n) for n in range(start, monthrange(first.year, month)[1] + 1))
                yield from filter(self.matches_day, in_month)

    def expressions(self) -> dict[str, int | str]:
        """Return the five fields as they are stored: whole numbers as int, all else in its one spelling."""
        texts = {name: getattr(self, name).text for name in FIELDS}
        return {name: int(text) if text.isdigit() else text for name, text in texts.items()}


def matches(name: str, value: object, wall: datetime) -> bool:
    """Tell whether the expression `value` of the field `name` fits a wall minute; raise InvalidExpression."""
    return parse_field(name, value).matches(wall)


def parse_line(line: str) -> Pattern:
    """Parse a crontab(5) line without its command, the day rule included; raise InvalidExpression."""
    # Not split(), which would separate fields at other control characters and at non-ASCII blanks as well.
    words = re.findall(r"[^ \t\r\n]+", line) if isinstance(line, str) and len(line) <= _LONGEST_LINE else []
    if not words:
        raise _line_fault(line, "is not a line", f"give {_FIVE} in up to {_LONGEST_LINE} characters")
    try:
        return _read_line(line, words)
    except InvalidExpression as refused:
        raise _advised(line, words, refused) from None


def _read_line(line: str, words: list[str]) -> Pattern:
    if words[0].startswith("@"):
        words = _nickname(line, words)
    if len(words) != len(FIELDS):
        problem = f"has {len(words)} field{'s' * (len(words) > 1)}"
        raise _line_fault(line, problem, f"give {_FIVE}: no seconds, no year, no command")
    either_day = not words[2].startswith("*") and not words[4].startswith("*")
    return Pattern.of(*words, either_day=either_day)


def _advised(line: str, words: list[str], refused: InvalidExpression) -> InvalidExpression:
    """Explain a line of another program, if it is one; otherwise return the general refusal."""
    known = foreign_lines.meant(" ".join(words))
    if known is None:
        return refused
    if known.say:
        try:
            _read_line(known.say, known.say.split())
        except InvalidExpression as again:  # the suggested line has a fault of its own
            return InvalidExpression(Fault("cron", line, known.problem, f"give {_FIVE}"), *again.faults)
    return _line_fault(line, known.problem, known.advice)


def _nickname(line: str, words: list[str]) -> list[str]:
    name = words[0].lower()
    if name == "@reboot":
        raise _line_fault(line, "is not a time", "call the handler where the application starts")
    if name not in NICKNAMES:
        raise _line_fault(line, "is not a nickname", _nickname_meant(name))
    if len(words) > 1:
        raise _line_fault(line, "has something after the nickname", f"say '{name}' alone, without a command")
    return NICKNAMES[name].split()


def _nickname_meant(name: str) -> str:
    """Suggest a nickname for a typing error, but never one of another interval: `@bihourly` is not `@hourly`."""
    close = get_close_matches(name, NICKNAMES, n=1, cutoff=0.8)
    if close and not any(known[1:] in name for known in NICKNAMES):
        return f"did you mean {close[0]!r}?"
    return f"give one of {', '.join(sorted(NICKNAMES))}, or {_FIVE}"


def _line_fault(line: object, problem: str, remedy: str) -> InvalidExpression:
    return InvalidExpression(Fault("cron", line, problem, remedy))


@lru_cache(maxsize=4096)
def _ever_due(pattern: Pattern) -> bool:
    return any(True for year in _KINDS_OF_YEAR for _ in pattern.days(date(year, 1, 1)))


def _never_due(pattern: Pattern) -> Fault:
    month, weekday = pattern.month.text, pattern.weekday.text
    problem = f"can never be due with month {month!r} and weekday {weekday!r}"
    if pattern.weekday.restricted:
        return Fault("day", pattern.day.text, problem, "both must match; with either_day one is enough")
    return Fault("day", pattern.day.text, problem, "give a day that one of these months has")


def describe(pattern: Pattern) -> str:
    """Say in plain English when a pattern is due, such as "at 02:30 on the last day of the month"."""
    times, days = _times(pattern.minutes, pattern.hours), _days(pattern)
    if days.startswith("every day") and len(pattern.hours) == 24:
        days = days.removeprefix("every day").strip()
    # All hours, but none of them by a star: Debian's rule takes those for fixed times, and runs them only once when the
    # clock is put back.
    once = ", once where the clock repeats an hour" if len(pattern.hours) == 24 and not pattern.follows_clock else ""
    return f"{times} {days}".strip() + once


def _times(minutes: Sequence[int], hours: Sequence[int]) -> str:
    if len(minutes) * len(hours) <= 4:
        return f"at {_listed([_clock(hour, minute) for hour in hours for minute in minutes])}"
    step = _step(hours)
    span = f"from {_clock(hours[0], minutes[0])} to {_clock(hours[-1], minutes[-1])}"
    if len(minutes) == 1 and len(hours) < 24 and step:
        return f"every {'hour' if step == 1 else f'{step} hours'} {span}"
    step = _step(minutes)
    if step and minutes[0] == 0 and minutes[-1] + step == 60:
        often = "every minute" if step == 1 else f"every {step} minutes"
        if len(hours) == hours[-1] - hours[0] + 1:
            return often if len(hours) == 24 else f"{often} {span}"
    else:
        often = _counted("minute", minutes)
        often = often if often.startswith("every") else f"at {often}"
    return f"{often} of {'every hour' if len(hours) == 24 else _counted('hour', hours)}"


def _days(pattern: Pattern) -> str:
    day, weekday = pattern.day, pattern.weekday
    either = pattern.either_day and day.restricted and weekday.restricted
    any_day, any_weekday = len(day.numbers) == 31, len(weekday.numbers) == 7
    months = " in " + _listed(_spans(pattern.month.numbers, lambda n: MONTHS[n - 1]))
    months = "" if len(pattern.month.numbers) == 12 else months
    if (any_day and any_weekday) or (either and (any_day or any_weekday)):
        return f"every day{months}"
    if any_weekday:
        return f"on {_listed(_month_days(day))}{months}"
    if any_day:
        return f"on {_listed(_weekdays(weekday))}{months}"
    # The months come first here: after two conditions they would seem to belong to the second one only.
    months = f"{months.strip()}, " if months else ""
    if either:
        return f"{months}on {_listed(_month_days(day))} or on {_listed(_weekdays(weekday))}"
    return f"{months}on {_listed(_month_days(day))}, if it is {_listed(_weekdays(weekday), 'or')}"


def _month_days(day: Field) -> list[str]:
    titles = {"L": "the last day of the month", "LW": "the last weekday (Monday to Friday) of the month"}
    numbers = [_counted("day", day.numbers)] if day.numbers else []
    return numbers + [titles[special] for special in sorted(day.specials)]


def _weekdays(weekday: Field) -> list[str]:
    from_monday = sorted((number - 1) % 7 for number in weekday.numbers)
    texts = _spans(from_monday, lambda n: WEEKDAYS[(n + 1) % 7])
    for special in sorted(weekday.specials):
        nth = "last" if special.endswith("L") else _ordinal(int(special[2:]))
        texts.append(f"the {nth} {WEEKDAYS[int(special[0])]}")
    return texts


def _counted(unit: str, numbers: Sequence[int]) -> str:
    step = _step(numbers)
    if len(numbers) > 3 and step > 1:
        return f"every {_ordinal(step)} {unit} from {numbers[0]} to {numbers[-1]}"
    return f"{unit}{'s' * (len(numbers) > 1)} {_listed(_spans(numbers, str))}"


def _step(numbers: Sequence[int]) -> int:
    """Return the distance between neighbours if it is the same for all, or else 0."""
    steps = {after - before for before, after in pairwise(numbers)}
    return steps.pop() if len(steps) == 1 else 0


def _spans(numbers: Iterable[int], title: Callable[[int], str]) -> list[str]:
    texts: list[str] = []
    for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [title(number) for _, number in group]
        texts += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else run
    return texts


def _listed(words: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _clock(hour: int, minute: int) -> str:
    return f"{hour:02}:{minute:02}"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 != 1 else "th"
    return f"{number}{ending}"
