"""Is somebody who writes times as another program has them told what to write here, and never something else?"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from datetime import date
from functools import partial

import pytest

from cronlite.errors import Fault, InvalidExpression
from cronlite.when import pattern as cron

SAY = re.compile(r"say '([^']+)'|did you mean '([^']+)'")
AS_FIELD = re.compile(r"give it as (\w+) '([^']+)'")


def field_told(name: str, value: object) -> str:
    with pytest.raises(InvalidExpression) as refused:
        cron.parse_field(name, value)
    return str(refused.value)


def line_told(line: str) -> str:
    with pytest.raises(InvalidExpression) as refused:
        cron.parse_line(line)
    return str(refused.value)


FIELDS = [
    # Celery and plain English
    ("weekday", "weekday", "say 'mon-fri'"),
    ("weekday", "weekdays", "say 'mon-fri'"),
    ("weekday", "business days", "say 'mon-fri'"),
    ("weekday", "weekend", "say 'sat,sun'"),
    ("weekday", "monday", "say 'mon'"),
    ("weekday", "Mondays", "say 'mon'"),
    ("weekday", "monday-friday", "say 'mon-fri'"),
    ("weekday", "mon-Friday", "say 'mon-fri'"),
    ("weekday", "tues", "say 'tue'"),
    ("weekday", "thurs", "say 'thu'"),
    ("weekday", "weds", "say 'wed'"),
    ("weekday", "mo-fr", "say 'mon-fri'"),
    ("weekday", "sunday,tuesday", "at 'sunday'; say 'sun'"),
    ("weekday", "friday-monday", "say 'fri,sat,sun,mon'"),
    ("weekday", "any", "say '*'"),
    ("weekday", "daily", "say '*'"),
    ("weekday", "mon|wed", "say 'mon,wed'"),
    ("weekday", "mnday", "did you mean 'mon'?"),
    ("weekday", "mon-fridey", "did you mean 'mon-fri'?"),
    ("weekday", "son", "give 0-7 or sun-sat"),
    ("month", "January", "say 'jan'"),
    ("month", "sept", "say 'sep'"),
    ("month", "january-march", "say 'jan-mar'"),
    ("month", "febuary", "did you mean 'feb'?"),
    ("month", "marzo", "give 1-12 or jan-dec"),
    ("hour", "2pm", "give minute '0' and hour '14'"),
    ("hour", "12am", "give minute '0' and hour '0'"),
    ("hour", "12pm", "give minute '0' and hour '12'"),
    ("hour", "02:30", "give minute '30' and hour '2'"),
    ("minute", "14:05:00", "give minute '5' and hour '14'"),
    ("minute", "1;31", "say '1,31'"),
    ("minute", "/5", "say '*/5'"),
    # APScheduler
    ("day", "last", "say 'L'"),
    ("day", "-1", "say 'L'"),
    ("day", "1st fri", "give it as weekday 'fri#1'"),
    ("day", "3rd wed", "give it as weekday 'wed#3'"),
    ("day", "last sun", "give it as weekday 'sunL'"),
    ("day", "first monday", "give it as weekday 'mon#1'"),
    ("day", "1st", "say '1'"),
    ("day", "22nd", "say '22'"),
    ("weekday", "last sun", "say 'sunL'"),
    ("weekday", "last Friday", "say 'friL'"),
    ("weekday", "1st fri", "say 'fri#1'"),
    # Quartz
    ("day", "?", "say '*'; Quartz counts weekdays from 1 for Sunday"),
    ("weekday", "?", "say '*'; Quartz counts weekdays from 1 for Sunday"),
    ("month", "?", "say '*'"),
    ("day", "15W", "give '15' itself, or let the handler look at the date"),
    ("day", "L-3", "give 25-28, on one of which it is"),
    ("day", "last weekday", "say 'LW'"),
    ("day", "WL", "say 'LW'"),
    ("day", "fri", "give it as weekday 'fri'"),
    ("day", "monday-friday", "give it as weekday 'mon-fri'"),
    ("day", "fri#2", "give it as weekday 'fri#2'"),
    ("day", "5L", "give it as weekday '5L'"),
    ("weekday", "L", "say 'satL' for the last Saturday"),
    ("weekday", "LW", "give it as day 'LW'"),
    ("weekday", "MON-FRIL", "say 'monL,tueL,wedL,thuL,friL'"),
    ("weekday", "1-5L", "say 'monL,tueL,wedL,thuL,friL'"),
    ("weekday", "mon-fri#2", "say 'mon#2,tue#2,wed#2,thu#2,fri#2'"),
    ("weekday", "mon#-1", "say 'monL'"),
    ("weekday", "tue#L", "say 'tueL'"),
    ("weekday", "fridayL", "say 'friL'"),
    ("weekday", "friday#2", "say 'fri#2'"),
    # Jenkins, OpenBSD, systemd, templates
    ("minute", "H", "choose a number of your own"),
    ("minute", "H/15", "say '*/15'"),
    ("minute", "H(0-29)/10", "say '0-29/10'"),
    ("minute", "H(0-29)", "choose a number of your own"),
    ("minute", "~", "choose a number"),
    ("minute", "0~30", "choose a number"),
    ("weekday", "Mon..Fri", "say 'mon-fri'"),
    ("hour", "9..17", "say '9-17'"),
    ("minute", "{{ minute }}", "fill it in before it is stored"),
    ("minute", "${MINUTE}", "fill it in before it is stored"),
    # beyond the field
    ("hour", "24", "say '0'; hours are 0-23, midnight is 0"),
    ("hour", 24, "say '0'; hours are 0-23, midnight is 0"),
    ("hour", "0-24", "say '*'"),
    ("hour", "0-24/2", "say '*/2'"),
    ("hour", "8-24", "say '8-23,0'"),
    ("minute", "60", "say '0'"),
    ("minute", "0-60/5", "say '*/5'"),
    ("minute", "*/60", "say '0'"),
    ("minute", "5/60", "say '5'"),
    ("minute", "*/90", "the lines '0 */3 * * *' and '30 1-23/3 * * *'"),
    ("minute", "*/120", "give minute '0' and hour '*/2'"),
    ("minute", "*/1440", "give minute '0' and hour '0'"),
    ("minute", "*/61", "in each of which cron counts anew"),
    ("hour", "*/24", "say '0'"),
    ("hour", "0-23/24", "say '0'"),
    ("hour", "*/48", "give 1-23 after '/', or the hours that are meant"),
    ("weekday", "*/8", "in each of which cron counts anew"),
]


@pytest.mark.parametrize(("name", "value", "told"), FIELDS)
def test_a_field_from_elsewhere_is_told_what_to_write(name: str, value: object, told: str) -> None:
    assert told in field_told(name, value)


LINES = [
    # Go's robfig/cron, AWS, plain intervals
    ("@every 5m", "say '*/5 * * * *'"),
    ("@every 5m0s", "say '*/5 * * * *'"),
    ("@every 1h", "say '0 * * * *'"),
    ("@every 24h", "say '0 0 * * *'"),
    ("@every 7m", "no line of cron does that"),
    ("@every 90m", "no line of cron does that"),
    ("@every 1h30m", "no line of cron does that"),
    ("@every 10s", "no line of cron does that"),
    ("every 5 minutes", "say '*/5 * * * *'"),
    ("every minute", "say '* * * * *'"),
    ("Every 2 hours", "say '0 */2 * * *'"),
    ("rate(5 minutes)", "say '*/5 * * * *'"),
    ("rate(1 day)", "say '0 0 * * *'"),
    ("rate(7 days)", "say '0 0 * * 0'"),
    ("cron(0 10 * * ? *)", "say '0 10 * * *'"),
    ("cron(0 18 ? * 2-6 *)", "say '0 18 * * 1-5'"),
    ("cron(0 18 ? * MON-FRI *)", "say '0 18 * * MON-FRI'"),
    ("CRON_TZ=Europe/Berlin 0 2 * * *", "say '0 2 * * *'; with the time zone 'Europe/Berlin' as 'tz'"),
    ("TZ=UTC @daily", "say '@daily'; with the time zone 'UTC' as 'tz'"),
    ("0 2 * * * Europe/Berlin", "say '0 2 * * *'; with the time zone 'Europe/Berlin' as 'tz'"),
    # Quartz, Spring, node-cron
    ("0 0 12 ? * 2-6", "say '0 12 * * 1-5'"),
    ("0 12 ? * 2-6", "say '0 12 * * 1-5'; Quartz counts"),
    ("0 12 ? * MON-FRI", "say '0 12 * * MON-FRI'"),
    ("0 0 12 * * ?", "say '0 12 * * *'"),
    ("0 15 10 ? * 6#3", "say '15 10 * * 5#3'"),
    ("0 15 10 ? * 6L", "say '15 10 * * 5L'"),
    ("0 15 10 ? * 1/2", "say '15 10 * * 0/2'"),
    ("0 15 10 L * ?", "say '15 10 L * *'"),
    ("0 15 10 15W * ?", "give '15' itself"),
    ("0 15 10 ? * 6L 2027", "there is no year here"),
    ("0 0 2 * * * *", "say '0 2 * * *'"),
    ("0 0 2 * * *", "say '0 2 * * *'"),
    ("0 0 2 * * 1-5", "say '0 2 * * 1-5'; there are no seconds, no year and no command here; if it is Quartz's"),
    ("30 0 2 * * *", "it begins with the minute"),
    ("*/10 * * * * *", "there are no seconds here"),
    ("0 0 1 1 * 2026", "there is no year here"),
    ("0 0 25 * * *", "hour: '25' is out of range"),
    # nicknames
    ("@minutely", "say '* * * * *'"),
    ("@weekdays", "say '0 0 * * mon-fri'"),
    ("@weekends", "say '0 0 * * sat,sun'"),
    ("@quarterly", "say '0 0 1 */3 *'"),
    ("@noon", "say '0 12 * * *'"),
    ("@hour", "say '0 * * * *'"),
    ("@sunday", "say '0 0 * * sun'"),
    ("@every_minute", "say '* * * * *'"),
    ("@dayly", "did you mean '@daily'?"),
    ("@bihourly", "give one of @annually"),
    ("@biweekly", "give one of @annually"),
    ("@semimonthly", "give one of @annually"),
    ("@biyearly", "give one of @annually"),
    # systemd
    ("daily", "say '@daily'"),
    ("minutely", "say '* * * * *'"),
    ("semiannually", "say '0 0 1 1,7 *'"),
    ("Mon..Fri 10:00", "say '0 10 * * mon-fri'"),
    ("Mon *-*-* 00:00:00", "say '0 0 * * mon'"),
    ("*-*-* 02:30:00", "say '30 2 * * *'"),
    ("*-*-01 04:00", "say '0 4 1 * *'"),
    ("*:0/15", "say '*/15 * * * *'"),
    ("02:30", "say '30 2 * * *'"),
    ("Sat *-*-1..7 18:00", "give minute '0', hour '18', day '1-7', month '*', weekday 'sat' one by one"),
    ("every day at 9:00", "say '0 9 * * *'"),
    # templates, commands, nothing known
    ("{{ cron }}", "fill it in before it is stored"),
    ("{{ minute }} 2 * * *", "fill it in before it is stored"),
    ("${SCHEDULE}", "fill it in before it is stored"),
    ("0 2 * * * backup.sh", "no command"),
    ("0 2 * * * backup", "no command"),
    ("2026-01-01 00:00", "give five fields"),
]


@pytest.mark.parametrize(("line", "told"), LINES)
def test_a_line_from_elsewhere_is_told_what_to_write(line: str, told: str) -> None:
    assert told in line_told(line)


def test_what_is_to_be_said_instead_is_never_refused_itself() -> None:
    for name, value, _ in FIELDS:
        told = field_told(name, value)
        for said in SAY.findall(told):
            cron.parse_field(name, "".join(said))
        for of, said_of in AS_FIELD.findall(told):
            cron.parse_field(of, said_of)
    for line, _ in LINES:
        for said in SAY.findall(line_told(line)):
            cron.parse_line("".join(said))


def runs_a_year(line: str) -> int:
    pattern = cron.parse_line(line)
    return len(pattern.minutes) * len(pattern.hours) * len(list(pattern.days(date(2026, 1, 1))))


def test_a_slip_of_the_finger_is_never_answered_with_another_interval(seed: random.Random) -> None:
    for _ in range(300):
        nickname = seed.choice(sorted(cron.NICKNAMES))
        place = seed.randrange(1, len(nickname))
        letter = seed.choice("abcdefghijklmnopqrstuvwxyz")
        slip = seed.choice(
            [
                nickname[:place] + nickname[place + 1 :],
                nickname[:place] + letter + nickname[place:],
                nickname[:place] + letter + nickname[place + 1 :],
            ]
        )
        if slip in cron.NICKNAMES:
            continue
        told = line_told(slip)
        if guess := re.search(r"did you mean '([^']+)'", told):
            assert runs_a_year(guess[1]) == runs_a_year(nickname), (slip, told)


PARTS = [
    "*",
    "?",
    "L",
    "W",
    "H",
    "#",
    "-",
    "/",
    ",",
    "..",
    "~",
    " ",
    "1",
    "24",
    "60",
    "mon",
    "friday",
    "last",
    "1st",
    "@",
]
PARTS += [
    "\x85",
    "\u2028",
    "every",
    "5m",
    "rate(",
    ")",
    "cron(",
    "TZ=",
    "UTC",
    ":",
    "{{",
    "}}",
    "%",
    "daily",
    "secs",
    "s ",
    "\t",
    "é",
]


def test_whatever_is_written_is_read_or_refused_with_a_remedy(seed: random.Random) -> None:
    for _ in range(600):
        text = "".join(seed.choices(PARTS, k=seed.randrange(1, 12)))
        readers: list[Callable[[str], object]] = [partial(cron.parse_field, name) for name in cron.FIELDS]
        for read in [*readers, cron.parse_line]:
            assert not without_remedy(read, text), text


def without_remedy(read: Callable[[str], object], text: str) -> list[Fault]:
    try:
        read(text)
    except InvalidExpression as refused:
        return [fault for fault in refused.faults if not fault.remedy]
    return []


@pytest.mark.parametrize("part", ["secs", "s ", "1m", "a-", "a,", "mon#", "1..", "?;", "*/", "{a", "last ", "h(1-1)"])
def test_nothing_that_repeats_takes_long(part: str) -> None:
    started = time.process_time()
    for start in ("", "@every ", "rate(", "cron("):
        with pytest.raises(InvalidExpression):
            cron.parse_line(start + part * (1_000 // len(part)) + "!")
    for name in cron.FIELDS:
        with pytest.raises(InvalidExpression):
            cron.parse_field(name, part * (240 // len(part)) + "!")
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("line", "interval"),
    [("@every 10s", "10s"), ("every 90 minutes", "90m"), ("*/10 * * * * *", "10s"), ("* * * * * *", "1s")],
)
def test_what_no_line_says_is_said_as_an_interval(line: str, interval: str) -> None:
    with pytest.raises(InvalidExpression, match=f"say --every {interval}"):
        cron.parse_line(line)
