"""Does a cron expression mean what crontab(5) says, and is every other one refused with a way out?"""

import re
import time
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from cronlite.errors import InvalidExpression
from cronlite.when import pattern as cron


def numbers(name: str, value: object) -> list[int]:
    return list(cron.parse_field(name, value).numbers)


def days_of(year: int, month: int, fields: dict[str, object]) -> list[int]:
    pattern = cron.Pattern.of(**fields)  # type: ignore[arg-type]
    first = date(year, month, 1)
    days = (first + timedelta(days=n) for n in range(31))
    return [day.day for day in days if day.month == month and pattern.matches_day(day)]


def refusal(name: str, value: object) -> str:
    with pytest.raises(InvalidExpression) as refused:
        cron.parse_field(name, value)
    (fault,) = refused.value.faults
    assert fault.field == name
    assert fault.value is value
    return str(fault)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("minute", "*", range(60)),
        ("minute", None, range(60)),
        ("minute", 5, [5]),
        ("minute", 5.0, [5]),
        ("minute", "5", [5]),
        ("minute", "05", [5]),
        ("minute", "0000000005", [5]),
        ("minute", " \t5\r\n", [5]),
        ("minute", "1,15", [1, 15]),
        ("minute", "5,5,5", [5]),
        ("minute", "10-12", [10, 11, 12]),
        ("minute", "5-5", [5]),
        ("minute", "*/20", [0, 20, 40]),
        ("minute", "*/59", [0, 59]),
        ("minute", "*/1", range(60)),
        ("minute", "1-10/4", [1, 5, 9]),
        ("minute", "50/5", [50, 55]),
        ("minute", "8-8/2", [8]),
        ("minute", "*,5", range(60)),
        ("minute", [1, "15", 30.0, "40-42"], [1, 15, 30, 40, 41, 42]),
        ("minute", (1, "*/30"), [0, 1, 30]),
        ("minute", list(range(60)), range(60)),
        ("hour", "22-23,0-2", [0, 1, 2, 22, 23]),
        ("hour", "20/2", [20, 22]),
        ("day", "28/2", [28, 30]),
        ("month", "jan-mar", [1, 2, 3]),
        ("month", "FEB,Dec", [2, 12]),
        ("month", "oct/2", [10, 12]),
        ("month", "*/5", [1, 6, 11]),
        ("weekday", 0, [0]),
        ("weekday", 7, [0]),
        ("weekday", "7", [0]),
        ("weekday", "0-7", range(7)),
        ("weekday", "5-7", [0, 5, 6]),
        ("weekday", "7-7", [0]),
        ("weekday", "*/2", [0, 2, 4, 6]),
        ("weekday", "1/2", [0, 1, 3, 5]),
        ("weekday", "Mon-FRI", [1, 2, 3, 4, 5]),
        ("weekday", "sun-tue", [0, 1, 2]),
        ("weekday", "fri-sun", [0, 5, 6]),
        ("weekday", "sun-sun", [0]),
        ("weekday", "sun-sat", range(7)),
    ],
)
def test_a_field_means_these_numbers(name: str, value: object, expected: Iterable[int]) -> None:
    assert numbers(name, value) == list(expected)


def test_an_integer_of_another_kind_is_an_integer() -> None:
    class Int64(int):
        """As BSON has one."""

    assert numbers("minute", Int64(5)) == [5]


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("minute", 61, "61 is out of range; give 0-59"),
        ("minute", -1, "-1 is out of range; give 0-59"),
        ("minute", "-1", "'-1' is out of range; give 0-59"),
        ("minute", "1,60", "'1,60' is out of range at '60'; say '0'"),
        ("minute", [1, 60], "[1, 60] is out of range at 60; say '0'"),
        ("minute", "58-60", "'58-60' is out of range; say '58-59,0'"),
        ("hour", 25, "give 0-23"),
        ("day", 0, "give 1-31, L or LW"),
        ("day", "32", "give 1-31, L or LW"),
        ("month", 13, "give 1-12 or jan-dec"),
        ("weekday", 8, "give 0-7 or sun-sat"),
        ("weekday", "fri#6", "give 1-5 after '#'"),
        ("weekday", "fri#0", "give 1-5 after '#'"),
        ("hour", "22-2", "say '22-23,0-2'"),
        ("hour", "23-0", "say '23,0'"),
        ("hour", "22-3/2", "say '22,0,2'"),
        ("day", "28-3", "say '28-31,1-3'"),
        ("month", "nov-feb", "say 'nov,dec,jan,feb'"),
        ("weekday", "sat-mon", "say 'sat,sun,mon'"),
        ("weekday", "7-2", "say 'sun,mon,tue'"),
        ("weekday", "5-0", "say 'fri,sat,sun'"),
        ("weekday", "mnday", "did you mean 'mon'?"),
        ("weekday", "monday", "say 'mon'"),
        ("weekday", "mon-Friday", "say 'mon-fri'"),
        ("month", "sept", "say 'sep'"),
        ("minute", "mon", "give 0-59"),
        ("minute", "*/0", "give 1-59 after '/'"),
        ("minute", "*/60", "say '0'"),
        ("minute", "*/x", "give 1-59 after '/'"),
        ("hour", "0-23/24", "say '0'"),
        ("weekday", "*/8", "has a step beyond the week"),
        ("day", "?", "say '*'"),
        ("minute", "@reboot", "give it as 'cron', alone"),
        ("minute", "@daily", "give it as 'cron', alone"),
        ("minute", "1 5", "separate the parts by commas alone"),
        ("minute", "1,\t5", "separate the parts by commas alone"),
        ("minute", "1,\n5", "type it anew"),
        ("minute", "", "say '*' for any"),
        ("minute", " \t", "say '*' for any"),
        ("minute", "1,,2", "has an empty part"),
        ("minute", ",", "has an empty part"),
        ("minute", "5-", "cannot be read"),
        ("minute", "-", "cannot be read"),
        ("minute", "1-2-3", "cannot be read"),
        ("minute", "*/5/5", "cannot be read"),
        ("minute", "*-5", "cannot be read"),
        ("minute", "5*", "cannot be read"),
        ("minute", "5.5", "cannot be read"),
        ("minute", "+5", "cannot be read"),
        ("minute", "1e1", "is not a number or name"),
        ("minute", "0x10", "is not a number or name"),
        ("minute", "L", "is not a number or name"),
        ("month", "L", "is not a number or name"),
        ("day", "15W", "is the weekday nearest to a day"),
        ("day", "L-3", "is a day before the last"),
        ("day", "L/2", "is not a number or name"),
        ("day", "5L", "is a weekday"),
        ("weekday", "L", "is not a weekday"),
        ("weekday", "8L", "is out of range"),
        ("weekday", "fri#", "cannot be read"),
        ("weekday", "#2", "cannot be read"),
        ("weekday", "mon-fri#2", "has 'L' or '#' after a range"),
        ("minute", 5.5, "is neither a whole number nor an expression"),
        ("minute", float("nan"), "is neither a whole number nor an expression"),
        ("minute", float("inf"), "is out of range"),
        ("minute", 1e300, "is out of range"),
        ("minute", True, "is neither a whole number nor an expression"),
        ("minute", False, "is neither a whole number nor an expression"),
        ("minute", [True], "is neither a whole number nor an expression"),
        ("minute", {}, "is neither a whole number nor an expression"),
        ("minute", {5}, "is neither a whole number nor an expression"),
        ("minute", b"5", "is neither a whole number nor an expression"),
        ("minute", Decimal(5), "is neither a whole number nor an expression"),
        ("minute", re.compile("5"), "is neither a whole number nor an expression"),
        ("minute", datetime(2026, 1, 1), "is neither a whole number nor an expression"),
        ("minute", [], "give one to 256 plain values"),
        ("minute", [[1]], "give one to 256 plain values"),
        ("minute", [None], "give one to 256 plain values"),
        ("minute", [1] * 257, "give one to 256 plain values"),
        ("minute", ["1", ""], "say '*' for any"),
        ("minute", "\u0665", "type it anew"),
        ("minute", "\uff15", "type it anew"),
        ("minute", "5\u00a0", "type it anew"),
        ("minute", "\u0000", "type it anew"),
        ("minute", "5\u0000", "type it anew"),
        ("minute", "\x0b5", "type it anew"),
        ("minute", "1," * 128 + "1", "is longer than 256 characters"),
    ],
)
def test_what_is_not_an_expression_is_refused_with_a_way_out(name: str, value: object, remedy: str) -> None:
    told = refusal(name, value)
    assert told.startswith(f"{name}: ")
    assert remedy in told


def test_text_of_another_type_is_refused() -> None:
    class Code(str):
        """As BSON has one: JavaScript, which no query for text finds."""

    assert "is neither a whole number nor an expression" in refusal("minute", Code("5"))


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), "9" * 2_000_000, "\u0665" * 2_000_000, [1] * 2_000_000],
    ids=["integer", "negative", "text", "foreign text", "list"],
)
def test_a_monstrous_value_is_refused_quickly_and_shortly(value: object) -> None:
    started = time.perf_counter()
    assert len(refusal("minute", value)) < 200
    assert time.perf_counter() - started < 2


def test_no_value_passes_for_an_equal_one_of_another_type() -> None:
    assert numbers("minute", 1) == [1]
    assert "True" in refusal("minute", True)
    assert numbers("minute", [1]) == [1]
    assert "True" in refusal("minute", [True])


@pytest.mark.parametrize(
    ("fields", "year", "month", "days"),
    [
        ({"day": "L"}, 2026, 2, [28]),
        ({"day": "L"}, 2028, 2, [29]),
        ({"day": "l,1"}, 2026, 4, [1, 30]),
        ({"day": "LW"}, 2026, 1, [30]),  # the 31st is a Saturday
        ({"day": "LW"}, 2026, 5, [29]),  # the 31st is a Sunday
        ({"day": "lw"}, 2026, 6, [30]),  # the 30th is a Tuesday
        ({"weekday": "5L"}, 2026, 1, [30]),
        ({"weekday": "friL"}, 2026, 2, [27]),
        ({"weekday": "7L"}, 2026, 5, [31]),
        ({"weekday": "sunL"}, 2026, 5, [31]),
        ({"weekday": "fri#2"}, 2026, 5, [8]),
        ({"weekday": "5#5"}, 2026, 5, [29]),
        ({"weekday": "5#5"}, 2026, 6, []),
        ({"weekday": "0#1,7#2"}, 2026, 2, [1, 8]),
        ({"weekday": "mon,fri#1,friL"}, 2026, 1, [2, 5, 12, 19, 26, 30]),
        ({"weekday": ["mon#1", "tue#1"]}, 2026, 1, [5, 6]),
        ({"day": "1-7", "weekday": "mon"}, 2026, 1, [5]),
        ({"day": 13, "weekday": "fri"}, 2026, 1, []),
        ({"day": 13, "weekday": "fri"}, 2026, 2, [13]),
        ({"day": 13, "weekday": "fri", "either_day": True}, 2026, 2, [6, 13, 20, 27]),
        ({"day": 13, "either_day": True}, 2026, 2, [13]),
        ({"weekday": "fri", "either_day": True}, 2026, 2, [6, 13, 20, 27]),
        ({"day": "*/10", "weekday": "fri", "either_day": True}, 2026, 2, [1, 6, 11, 13, 20, 21, 27]),
        ({"day": 13, "month": 3, "weekday": "fri", "either_day": True}, 2026, 2, []),
    ],
)
def test_a_pattern_has_these_days(fields: dict[str, object], year: int, month: int, days: list[int]) -> None:
    assert days_of(year, month, fields) == days


def test_one_field_is_asked_about_one_wall_minute() -> None:
    friday = datetime(2026, 5, 8, 2, 30)
    assert cron.matches("minute", "*/15", friday)
    assert not cron.matches("minute", "*/20", friday)
    assert cron.matches("hour", 2, friday)
    assert cron.matches("day", "8", friday)
    assert cron.matches("month", ["apr", "may"], friday)
    assert cron.matches("weekday", "fri#2", friday)
    assert not cron.matches("weekday", "fri#1", friday)


def test_all_faults_of_a_pattern_are_told_at_once() -> None:
    with pytest.raises(InvalidExpression) as refused:
        cron.Pattern.of(minute=60, hour="22-2", day=1, month="jan", weekday="monday")
    assert [fault.field for fault in refused.value.faults] == ["minute", "hour", "weekday"]


@pytest.mark.parametrize(
    "fields",
    [
        {"day": 31, "month": 2},
        {"day": "30,31", "month": "feb"},
        {"day": 31, "month": "4,6,9,11"},
        {"day": 15, "weekday": "5L"},
        {"day": "1-7", "weekday": "fri#2"},
        {"day": 28, "month": 2, "weekday": "fri#5"},
        {"day": "LW", "weekday": "sat,sun"},
        {"day": "L", "weekday": "mon#4", "month": "3"},
    ],
)
def test_a_pattern_that_can_never_be_due_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidExpression, match="can never be due with month"):
        cron.Pattern.of(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"day": 29, "month": 2, "weekday": 1},
        {"month": 2, "weekday": "fri#5"},
        {"day": "L", "month": 2, "weekday": "sat#5"},
        {"day": 15, "weekday": "5L", "either_day": True},
        {"day": 31, "month": 2, "weekday": 1, "either_day": True},
        {"day": 22, "weekday": "thuL", "month": 2},
    ],
)
def test_a_pattern_that_is_due_in_some_year_is_accepted(fields: dict[str, object]) -> None:
    pattern = cron.Pattern.of(**fields)  # type: ignore[arg-type]
    in_a_cycle_of_the_calendar = (date(2000, 1, 1) + timedelta(days=n) for n in range(146_097))
    assert any(map(pattern.matches_day, in_a_cycle_of_the_calendar))


@pytest.mark.parametrize(
    ("line", "either_day"),
    [
        ("0 0 1 * 1", True),
        ("0 0 1,15 * 1-5", True),
        ("0 0 */2 * 1", False),
        ("0 0 1 * */2", False),
        ("0 0 *,1 * 1", False),
        ("0 0 1-31/2 * 1", True),
        ("0 0 * * 1", False),
        ("0 0 1 * *", False),
        ("0 0 L * fri#2", True),
    ],
)
def test_a_line_follows_the_day_rule_of_crontab(line: str, either_day: bool) -> None:
    assert cron.parse_line(line).either_day is either_day


@pytest.mark.parametrize(
    ("nickname", "line"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        (" @monthly\n", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_a_nickname_stands_for_its_line(nickname: str, line: str) -> None:
    assert cron.parse_line(nickname) == cron.parse_line(line)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("@reboot", "cron: '@reboot' is not a time; call the handler where the application starts"),
        ("@dayly", "did you mean '@daily'?"),
        ("@daily /bin/true", "say '@daily' alone"),
        ("* * * *", "has 4 fields; give five fields (minute hour day month weekday)"),
        ("0 0 2 * * *", "has 6 fields; say '0 2 * * *'; there are no seconds"),
        ("0 2 * * * backup.sh", "no command"),
        ("*", "has 1 field;"),
        ("", "is not a line"),
        (None, "is not a line"),
        ("* " * 1000, "is not a line"),
        ("61 25 * * *", "minute: '61' is out of range; give 0-59; hour: '25' is out of range; give 0-23"),
        ("0 0 31 2 *", "can never be due"),
        ("0\u00a00 * * *", "has 4 fields"),
        ("0 0 * *\x1c*", "has 4 fields"),
        ("0 0 * * \u0665", "ASCII"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused(line: str, told: str) -> None:
    with pytest.raises(InvalidExpression) as refused:
        cron.parse_line(line)
    assert told in str(refused.value)


def test_expressions_are_stored_in_one_spelling() -> None:
    pattern = cron.Pattern.of("05", " */2 ", "l,15", ["JAN", 7.0], "FRIL,Sat#2")
    assert pattern.expressions() == {
        "minute": 5,
        "hour": "*/2",
        "day": "L,15",
        "month": "jan,7",
        "weekday": "friL,sat#2",
    }
    assert cron.Pattern.of(**pattern.expressions()) == pattern  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "follows_clock"),
    [
        ("30 2 * * *", False),
        ("*/5 2 * * *", True),
        ("0 * * * *", True),
        ("0 0-23 * * *", False),
        ("0,*/5 2 * * *", False),
    ],
)
def test_a_star_at_the_start_of_minute_or_hour_follows_the_clock(line: str, follows_clock: bool) -> None:
    assert cron.parse_line(line).follows_clock is follows_clock


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("*/30 * * * *", "every 30 minutes"),
        ("*/7 * * * *", "every 7th minute from 0 to 56 of every hour"),
        ("1/2 * * * *", "every 2nd minute from 1 to 59 of every hour"),
        ("0 * * * *", "at minute 0 of every hour"),
        ("5,10-12 * * * *", "at minutes 5 and 10 to 12 of every hour"),
        ("30 2 * * *", "at 02:30 every day"),
        ("0 9,17 * * 1-5", "at 09:00 and 17:00 on Monday to Friday"),
        ("* 2 * * *", "every minute from 02:00 to 02:59 every day"),
        ("*/15 9-17 * * 1-5", "every 15 minutes from 09:00 to 17:45 on Monday to Friday"),
        ("*/10 1,3 * * *", "every 10 minutes of hours 1 and 3 every day"),
        ("0 9-17 * * *", "every hour from 09:00 to 17:00 every day"),
        ("0 */2 * * *", "every 2 hours from 00:00 to 22:00 every day"),
        ("0 */5 * * *", "every 5 hours from 00:00 to 20:00 every day"),
        ("0 */6 * * *", "at 00:00, 06:00, 12:00 and 18:00 every day"),
        ("5,20 1,3,5 * * *", "at minutes 5 and 20 of hours 1, 3 and 5 every day"),
        ("30 2 L * *", "at 02:30 on the last day of the month"),
        ("30 2 LW * *", "at 02:30 on the last weekday (Monday to Friday) of the month"),
        ("0 0 1,15,L * *", "at 00:00 on days 1 and 15 and the last day of the month"),
        ("0 0 */2 * *", "at 00:00 on every 2nd day from 1 to 31"),
        ("0 0 * * fri#2", "at 00:00 on the 2nd Friday"),
        ("0 0 * * 5L,mon", "at 00:00 on Monday and the last Friday"),
        ("0 0 * * 5-7", "at 00:00 on Friday to Sunday"),
        ("0 0 * * 0-2", "at 00:00 on Monday, Tuesday and Sunday"),
        ("0 0 1 * mon", "at 00:00 on day 1 or on Monday"),
        ("0 0 1 jan,jul mon", "at 00:00 in January and July, on day 1 or on Monday"),
        ("0 0 */2 * mon,wed", "at 00:00 on every 2nd day from 1 to 31, if it is Monday or Wednesday"),
        ("0 0 1-31 * mon", "at 00:00 every day"),
        ("0 0 */1 * mon", "at 00:00 on Monday"),
        ("0 0 * 1-3 *", "at 00:00 every day in January to March"),
        ("* * * 2 *", "every minute in February"),
        ("@yearly", "at 00:00 on day 1 in January"),
        ("0 0-23 * * *", "at minute 0 of every hour, once where the clock repeats an hour"),
        ("5,35 0/1 * * 1", "at minutes 5 and 35 of every hour on Monday, once where the clock repeats an hour"),
        ("0-59 0-23 * * *", "every minute, once where the clock repeats an hour"),
        ("*/5 0-23 * * *", "every 5 minutes"),
        ("0-59/5 * * * *", "every 5 minutes"),
        ("@weekly", "at 00:00 on Sunday"),
    ],
)
def test_a_pattern_is_said_in_plain_english(line: str, told: str) -> None:
    assert cron.describe(cron.parse_line(line)) == told


def test_both_days_are_said_to_be_needed_where_they_are() -> None:
    pattern = cron.Pattern.of(0, 0, 13, weekday="fri")
    assert cron.describe(pattern) == "at 00:00 on day 13, if it is Friday"
