"""What did somebody mean who writes a whole line as another program has it, and which line of cron says that?

Known here: six and seven fields (with seconds or a year), Quartz, AWS, nicknames of other crons, intervals such as
`@every 5m`, a zone in the line, systemd's OnCalendar, and templates. Every text is of bounded length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from cronlite.errors import InvalidInput
from cronlite.when import clock, interval
from cronlite.when.foreign_fields import QUARTZ_WEEKDAYS, Meant, plain_names, shifted
from cronlite.when.foreign_fields import meant as meant_in_field
from cronlite.when.limits import FIELDS, LIMITS

NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FOREIGN_NICKNAMES = {
    **dict.fromkeys(("minutely", "minute", "every_minute", "everyminute", "1min"), "* * * * *"),
    **{word: NICKNAMES[f"@{word}ly"] for word in ("hour", "week", "month", "year")},
    **dict.fromkeys(("day", "nightly", "everyday", "every_day"), "0 0 * * *"),
    **dict.fromkeys(("every_hour", "everyhour"), "0 * * * *"),
    "noon": "0 12 * * *",
    **dict.fromkeys(("weekdays", "weekday", "workdays", "business_days"), "0 0 * * mon-fri"),
    **dict.fromkeys(("weekends", "weekend"), "0 0 * * sat,sun"),
    **{f"{name}day": f"0 0 * * {name[:3]}" for name in ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun")},
    "quarterly": "0 0 1 */3 *",
    **dict.fromkeys(("semiannually", "semi-annually", "halfyearly"), "0 0 1 1,7 *"),
}
_NO_LINE = "no line of cron does that"
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AMOUNT = re.compile(
    r"(\d{1,6}|an?|) ?(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:rs?|ours?)?|d(?:ays?)?|w(?:eeks?)?)(?![a-z]) ?"
)
_LETTERS = {"l", "w", "lw", *LIMITS["weekday"].names, *LIMITS["month"].names}
_TIME_OF_DAY = r"(\d\d?):(\d\d)(?::00)?"


def meant(line: str) -> Meant | None:
    """Look up a line that cron's grammar refuses; None where nothing is known of it."""
    words = line.split(" ")  # not at other blanks, which are part of a word to cron
    return next(filter(None, (rule(words) for rule in _RULES)), None)


def _template(words: list[str]) -> Meant | None:
    text = " ".join(words).lower()
    return meant_in_field("minute", text) if any(mark in text for mark in ("{", "${", "<%")) else None


def _interval(words: list[str]) -> Meant | None:
    """Read `@every 5m` of Go's cron, `rate(5 minutes)` of AWS, and `every 5 minutes`."""
    if seconds_of_freebsd := re.fullmatch(r"@(\d{1,6})", " ".join(words)):
        words = ["@every", f"{seconds_of_freebsd[1]}s"]
    matched = re.fullmatch(r"@?every:? ?(.+)|rate\((.+)\)", " ".join(words).lower())
    amounts = _AMOUNT.findall(matched[1] or matched[2]) if matched else []
    if not matched or not amounts or _AMOUNT.sub("", matched[1] or matched[2]):
        return None
    seconds = sum((int(number) if number.isdigit() else 1) * _UNITS[unit[0]] for number, unit in amounts)
    line = _line_of(seconds)
    return Meant("is an interval", line, "" if line else f"{_NO_LINE}, which goes by the clock{_interval_of(seconds)}")


def _interval_of(seconds: int) -> str:
    """Say how to write an interval, where there is one so long."""
    known = interval.of_seconds(seconds)
    return f"; say --every {known.text} (every='{known.text}')" if known else ""


def _line_of(seconds: int) -> str:
    """Return the cron line that is due every so many seconds; an empty text where no line is."""
    minutes, rest = divmod(seconds, 60)
    hours = minutes // 60
    if rest or not minutes:
        return ""
    if minutes < 60 and 60 % minutes == 0:
        return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
    if minutes % 60 == 0 and 24 % hours == 0:
        return {1: NICKNAMES["@hourly"], 24: NICKNAMES["@daily"]}.get(hours, f"0 */{hours} * * *")
    return NICKNAMES["@weekly"] if hours == 168 and minutes % 60 == 0 else ""


def _nickname(words: list[str]) -> Meant | None:
    """Read nicknames of other crons, and those of systemd, which have no @."""
    name = words[0].lower()
    if len(words) != 1:
        return None
    if f"@{name}" in NICKNAMES:
        return Meant("is no line", f"@{name}")
    if line := _FOREIGN_NICKNAMES.get(name.removeprefix("@")):
        return Meant("is no nickname of cron" if name.startswith("@") else "is no line", line)
    return None


def _zone_in_line(words: list[str]) -> Meant | None:
    """Read a zone before the five fields, as robfig/cron has it, or after them."""
    named = re.fullmatch(r"(?:CRON_)?TZ=(.*)", words[0], re.DOTALL)
    zone, rest = (named[1], words[1:]) if named else (words[-1], words[:-1])
    is_line = len(rest) == len(FIELDS) or (len(rest) == 1 and rest[0].startswith("@"))
    if not is_line or not (named or _is_zone(zone)):
        return None
    return Meant("holds a time zone", " ".join(rest), f"with the time zone {zone!r} as 'tz'")


def _is_zone(name: str) -> bool:
    try:
        return bool(clock.zone(name))
    except InvalidInput:
        return False


def _more_fields(words: list[str]) -> Meant | None:
    """Read six and seven fields: with seconds before the five, or a year after them, or both."""
    aws = re.fullmatch(r"cron\((.*)\)", " ".join(words), re.IGNORECASE | re.DOTALL)
    words = aws[1].split() if aws else words
    if len(words) not in (6, 7) or not all(map(_is_field, words)):
        return None
    questions = {number for number, word in enumerate(words) if word == "?"}
    with_year = len(words) == 7 or re.fullmatch(r"\d{4}([,/-]\d+)*", words[-1]) or aws or questions & {2, 4}
    second = words[0] if len(words) == 7 or not with_year else "0"
    five = words[1:6] if len(words) == 7 or not with_year else words[:5]
    of_quartz = bool(questions or aws or len(words) == 7)
    if with_year and words[-1] not in ("*", "?"):
        remedy = "there is no year here; what is to run once is queued with enqueue and 'run_at'"
        return Meant(f"has {len(words)} fields", remedy=remedy)
    notes = list(_notes(five, second, of_quartz))
    if not second.isdigit():
        return Meant(
            f"has {len(words)} fields", remedy=f"there are no seconds here, and {_NO_LINE}{_each(second, five)}"
        )
    return Meant(f"has {len(words)} fields", _as_cron(five, of_quartz), "; ".join(notes))


def _each(second: str, five: list[str]) -> str:
    """Say how to write what is due in every minute, each so many seconds."""
    step = re.fullmatch(r"(?:\*|0)/(\d{1,2})|(\*)", second)
    if not step or any(word not in ("*", "?") for word in five):
        return ""
    return _interval_of(int(step[1] or 1))


def _notes(five: list[str], second: str, of_quartz: bool) -> Iterator[str]:
    yield "there are no seconds, no year and no command here"
    if second.isdigit() and int(second):
        yield "it begins with the minute"
    if re.search(r"\d", five[4].partition("#")[0]):
        yield QUARTZ_WEEKDAYS if of_quartz else "if it is Quartz's: there 1 is Sunday, here it is Monday"


def _as_cron(five: list[str], of_quartz: bool) -> str:
    plain = ["*" if word == "?" else word for word in five]
    return " ".join([*plain[:4], shifted(plain[4]) if of_quartz else plain[4]])


def _is_field(word: str) -> bool:
    letters = re.findall(r"[a-z]+", word.lower())
    return bool(re.fullmatch(r"[\w*/,?#-]+", word, re.ASCII)) and all(
        plain_names(each) in _LETTERS or each.removesuffix("l") in _LETTERS for each in letters
    )


def _question_mark(words: list[str]) -> Meant | None:
    if len(words) != len(FIELDS) or "?" not in words:
        return None
    remedy = QUARTZ_WEEKDAYS if re.search(r"\d", words[4].partition("#")[0]) else ""
    return Meant("has Quartz's mark for any", _as_cron(words, True), remedy)


def _on_calendar(words: list[str]) -> Meant | None:
    """Read systemd.time(7)'s calendar events, and `daily at 02:30`."""
    if daily := re.fullmatch(rf"(?:daily|every ?day)(?: at)? {_TIME_OF_DAY}", " ".join(words).lower()):
        return Meant("is no line", f"{int(daily[2])} {int(daily[1])} * * *")
    parts = [word.lower() for word in words]
    weekday = plain_names(parts.pop(0)).replace("..", "-") if parts and re.match(r"[a-z]{3}", parts[0]) else "*"
    date = _date(parts.pop(0)) if parts and re.fullmatch(r"[\d*,./]+(-[\d*,./]+){1,2}", parts[0]) else ("*", "*")
    time = _time(parts.pop(0)) if parts and ":" in parts[0] else ("0", "0")
    if parts or not date or not time or not re.search(r":|\.\.|-.*-", " ".join(words)):
        return None
    (month, day), (hour, minute) = date, time
    if "*" not in (day, weekday):
        fields = f"minute {minute!r}, hour {hour!r}, day {day!r}, month {month!r}, weekday {weekday!r}"
        return Meant("is systemd's", remedy=f"give {fields} one by one, so that both day and weekday must match")
    return Meant("is systemd's", f"{minute} {hour} {day} {month} {weekday}")


def _date(text: str) -> tuple[str, str] | None:
    *year, month, day = text.split("-")
    return (_systemd(month), _systemd(day)) if year in ([], ["*"]) else None


def _time(text: str) -> tuple[str, str] | None:
    hour, minute, *second = text.split(":")
    return (_systemd(hour), _systemd(minute)) if second in ([], ["0"], ["00"]) else None


def _systemd(text: str) -> str:
    plain = re.sub(r"\d+", lambda number: str(int(number[0])), text.replace("..", "-"))
    return re.sub(r"^0/", "*/", plain)


_RULES: tuple[Callable[[list[str]], Meant | None], ...] = (
    _template,
    _interval,
    _nickname,
    _zone_in_line,
    _more_fields,
    _question_mark,
    _on_calendar,
)
