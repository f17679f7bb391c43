"""What did somebody mean who writes one field as another program has it, and how is that said here?

Celery, APScheduler, Quartz, AWS, Jenkins, systemd and plain English are looked up before any guess by likeness is made:
a wrong guess would silently run something at another time. Every text is lower-case ASCII of bounded length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cronlite.when.limits import LIMITS

QUARTZ_WEEKDAYS: Final = "Quartz counts weekdays from 1 for Sunday, so that its 2-6 is 1-5 here"


@dataclass(frozen=True, slots=True)
class Meant:
    """What is wrong with a spelling that another program has, and what to write here.

    `say` is the expression to give instead, `of` the field in which to give it (if it is another), and `remedy` what
    else to do.
    """

    problem: str
    say: str = ""
    remedy: str = ""
    of: str = ""

    @property
    def advice(self) -> str:
        """The remedy in one clause."""
        spelled = f"give it as {self.of} {self.say!r}" if self.of else f"say {self.say!r}"
        return "; ".join(filter(None, (spelled if self.say else "", self.remedy)))


@lru_cache(maxsize=1024)
def meant(name: str, text: str) -> Meant | None:
    """Look up the expression `text` of the field `name`, or one item of it; None where nothing is known of it."""
    return next(filter(None, (rule(name, text) for rule in _RULES)), None)


def plain_names(text: str) -> str:
    """Shorten the names of weekdays and months, such as `monday`, `tues` or `we`, to the three letters of cron."""
    return re.sub(r"[a-z]+", lambda word: _SHORT.get(word[0], word[0]), text)


def shifted(weekdays: str) -> str:
    """Turn Quartz's numbers of weekdays, 1 for Sunday, into cron's."""
    return re.sub(r"(?<![/#\d])[1-7](?!\d)", lambda number: str(int(number[0]) - 1), weekdays)


_WEEKDAY_NAMES, _MONTH_NAMES = LIMITS["weekday"].names, LIMITS["month"].names
_SHORT = {
    title.lower()[:length]: title.lower()[:3]
    for field in ("weekday", "month")
    for title in LIMITS[field].titles
    for length in range(3, len(title) + 1)
}
_SHORT |= {f"{title.lower()}s": title.lower()[:3] for title in LIMITS["weekday"].titles} | {"weds": "wed"}
_SHORT |= {"mo": "mon", "tu": "tue", "we": "wed", "th": "thu", "fr": "fri", "sa": "sat", "su": "sun"}
_SHORT |= {"di": "tue", "mi": "wed", "do": "thu", "so": "sun"}  # German
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_ORDINAL = "|".join((*_ORDINALS, "[1-5](?:st|nd|rd|th)"))
_WORKING_DAYS = {"weekday", "weekdays", "workday", "workdays", "workweek", "business", "business days", "work days"}


def _template(_: str, text: str) -> Meant | None:
    if re.search(r"\{\{|\$\{|\{%|<%|\{[a-z_]\w*\}|%\(|\$[a-z_]", text):
        return Meant("is a template, which nothing fills in here", remedy="fill it in before it is stored")
    return None


def _any(name: str, text: str) -> Meant | None:
    if text == "?":
        about_days = name in ("day", "weekday")
        return Meant("is Quartz's mark for any", "*", QUARTZ_WEEKDAYS if about_days else "")
    if text in ("any", "all", "every", "each", "everyday", "every day", "daily", "x", "none", "null"):
        return Meant("is no expression", "*")
    return None


def _random(name: str, text: str) -> Meant | None:
    hashed = re.fullmatch(r"h(?:\((\d+-\d+)\))?(?:/(\d+))?", text)
    if hashed and hashed[2] and 1 <= int(hashed[2]) <= LIMITS[name].high:
        return Meant("is Jenkins's number by hash, which is not known here", f"{hashed[1] or '*'}/{hashed[2]}")
    if hashed:
        return Meant("is Jenkins's number by hash, which is not known here", remedy="choose a number of your own")
    if "~" in text:
        return Meant("is a random number, which comes in a later version", remedy="choose a number")
    return None


def _separators(_: str, text: str) -> Meant | None:
    if re.fullmatch(r"\w+\.\.\w+(?:/\d+)?", text):
        return Meant("is a range as systemd has it", plain_names(text.replace("..", "-")))
    if re.fullmatch(r"[\w*/-]+(?: ?[;|+&] ?[\w*/-]+)+", text):
        return Meant("cannot be read", plain_names(re.sub(r" ?[;|+&] ?", ",", text)))
    if step := re.fullmatch(r"/(\d+)", text):
        return Meant("has a step of nothing", f"*/{step[1]}")
    return None


def _names(name: str, text: str) -> Meant | None:
    if name in ("day", "weekday") and text in (*_WORKING_DAYS, "weekend", "weekends"):
        days = "mon-fri" if text in _WORKING_DAYS else "sat,sun"
        return Meant("is no name of a weekday", days, of="" if name == "weekday" else "weekday")
    known = {"weekday": _WEEKDAY_NAMES, "month": _MONTH_NAMES}.get(name, [])
    plain = plain_names(text)
    words = re.findall(r"[a-z]+", plain)
    if known and plain != text and re.fullmatch(r"[\w/,-]+", text) and all(word in known for word in words):
        return Meant("has a name that is not of three letters", plain)
    return None


def _weekday_of_month(name: str, text: str) -> Meant | None:
    """Read what restricts a weekday to one of the month, in either of the two fields for days."""
    if name not in ("day", "weekday"):
        return None
    of = "weekday" if name == "day" else ""
    problem = "is a weekday" if of else "cannot be read"
    if last := re.fullmatch(r"([a-z0-9]+)#(?:-1|l|last)|last ?([a-z]+)|([a-z]+) last", text):
        weekday = plain_names(last[1] or last[2] or last[3])
        return Meant(problem, f"{weekday}L", of=of) if weekday in (*_WEEKDAY_NAMES, *"01234567") else None
    if nth := re.fullmatch(rf"({_ORDINAL}) ?([a-z]+)|([a-z]+) ?({_ORDINAL})", text):
        weekday, word = plain_names(nth[2] or nth[3]), nth[1] or nth[4]
        number = _ORDINALS.index(word) + 1 if word in _ORDINALS else int(word[0])
        return Meant(problem, f"{weekday}#{number}", of=of) if weekday in _WEEKDAY_NAMES else None
    if ended := re.fullmatch(r"([a-z]{4,}?)(l|#\d)", text):
        weekday = plain_names(ended[1])
        if weekday in _WEEKDAY_NAMES:
            return Meant("has a name that is not of three letters", f"{weekday}{ended[2].upper()}", of=of)
    if several := re.fullmatch(r"([a-z]+|\d)-([a-z]+|\d)(l|#\d)", text):
        return _each_of(plain_names(several[1]), plain_names(several[2]), several[3].upper(), of)
    if of and re.fullmatch(rf"(?:[0-7]|{'|'.join(_WEEKDAY_NAMES)})(?:l|#\d)", text):
        return Meant(problem, text.replace("l", "L"), of=of)
    return None


def _each_of(first: str, last: str, ending: str, of: str) -> Meant | None:
    low, high = (_WEEKDAY_NAMES.index(word) if word in _WEEKDAY_NAMES else word for word in (first, last))
    if not str(low).isdigit() or not str(high).isdigit():
        return None
    numbers = range(int(low), int(high) + 1)
    weekdays = ",".join(f"{_WEEKDAY_NAMES[number % 7]}{ending}" for number in numbers if number <= 7)
    return Meant("has 'L' or '#' after a range, where it goes with one weekday", weekdays, of=of) if weekdays else None


def _day(name: str, text: str) -> Meant | None:
    if name != "day":
        return None
    if text in ("last", "last day", "lastday", "-1", "end", "eom"):
        return Meant("is no day", "L")
    if text in ("wl", "last weekday", "lastweekday", "last workday", "last business day"):
        return Meant("is no day", "LW")
    if before := re.fullmatch(r"l-(\d\d?)", text):
        return _before_the_last(int(before[1]))
    if nearest := re.fullmatch(r"(\d\d?)w", text):
        remedy = f"give {nearest[1]!r} itself, or let the handler look at the date"
        return Meant("is the weekday nearest to a day, which is not known here but as 'LW'", remedy=remedy)
    if ordinal := re.fullmatch(r"(\d\d?)(?:st|nd|rd|th)|first", text):
        return Meant("is no day", ordinal[1] or "1")
    if plain_names(text) in _WEEKDAY_NAMES or re.fullmatch(r"[a-z]+(?:[-,][a-z]+)+", text):
        weekdays = plain_names(text)
        if all(word in _WEEKDAY_NAMES for word in re.findall(r"[a-z]+", weekdays)):
            return Meant("is a weekday", weekdays, of="weekday")
    return None


def _before_the_last(days: int) -> Meant | None:
    if not 1 <= days <= 27:
        return None
    remedy = f"give {28 - days}-{31 - days}, on one of which it is, and let the handler look at the date"
    return Meant("is a day before the last, which is not known here", remedy=remedy)


def _weekday(name: str, text: str) -> Meant | None:
    if name == "weekday" and text in ("l", "last"):
        remedy = "say 'satL' for the last Saturday of the month; the last day of the month is day 'L'"
        return Meant("is not a weekday", remedy=remedy)
    return Meant("is a day", text.upper(), of="day") if name == "weekday" and text == "lw" else None


def _clock(name: str, text: str) -> Meant | None:
    time = re.fullmatch(r"(\d\d?)(?::(\d\d)(?::00)?)? ?(am|pm)?", text)
    if name not in ("minute", "hour") or not time or not (time[2] or time[3]):
        return None
    hour, minute = int(time[1]), int(time[2] or 0)
    if time[3] and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + 12 * (time[3] == "pm") if time[3] else hour
    if hour > 23 or minute > 59:
        return None
    return Meant("is a time of day", remedy=f"give minute '{minute}' and hour '{hour}'")


def _one_too_many(name: str, text: str) -> Meant | None:
    """Read hour 24 and minute 60, which people write for the end of a day or an hour."""
    end = {"minute": 60, "hour": 24}.get(name, 0)
    matched = re.fullmatch(rf"(?:(\d\d?)-)?0*{end}(/\d+)?", text)
    if not end or not matched:
        return None
    limits = "hours are 0-23, midnight is 0" if name == "hour" else "minutes are 0-59"
    if matched[1] is None:
        return Meant("is out of range", "" if matched[2] else "0", limits)
    start, step = int(matched[1]), matched[2] or ""
    if start <= 1 and (start == 0 or not step):
        return Meant("is out of range", f"*{step}", limits)
    return Meant("is out of range", "" if step or start > end - 1 else f"{start}-{end - 1},0", limits)


def _step(name: str, text: str) -> Meant | None:
    """Explain a step larger than its field: cron counts anew in each hour, day, month or year."""
    matched = re.fullmatch(r"(\*|\d\d?)(?:-\d\d?)?/0*(\d{1,5})", text)
    high = LIMITS[name].high
    if not matched or int(matched[2]) <= high:
        return None
    start, step = "0" if matched[1] == "*" else matched[1], int(matched[2])
    if name in ("minute", "hour") and step == high + 1 and int(start) <= high:
        return Meant(f"has a step of the whole {_WHOLE[name]}, which leaves one", start)
    if name == "minute" and step % 60 == 0 and 24 % (step // 60) == 0 and start == "0":
        hours = f"*/{step // 60}" if step < 1440 else "0"
        return Meant("has a step beyond the hour", remedy=f"give minute '0' and hour '{hours}'")
    if name == "minute" and start == "0" and step == 90:
        remedy = "make two schedules, with the lines '0 */3 * * *' and '30 1-23/3 * * *'"
        return Meant("has a step beyond the hour", remedy=remedy)
    remedy = f"give 1-{high} after '/', or the {name}s that are meant"
    return Meant(f"has a step beyond the {_WHOLE[name]}, in each of which cron counts anew", remedy=remedy)


_WHOLE = {"minute": "hour", "hour": "day", "day": "month", "month": "year", "weekday": "week"}
_RULES: tuple[Callable[[str, str], Meant | None], ...] = (
    _template,
    _any,
    _random,
    _separators,
    _weekday_of_month,
    _day,
    _weekday,
    _names,
    _clock,
    _one_too_many,
    _step,
)
