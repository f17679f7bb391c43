"""Which instant does somebody mean?"""

from collections.abc import Callable
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from click import BadParameter

from cronlite.cli.instants import Instant, Spoken
from cronlite.errors import InvalidInput

NOW = datetime(2026, 11, 21, 8, 15, 30, tzinfo=timezone.utc)
BERLIN = ZoneInfo("Europe/Berlin")


def spoken(text: str) -> Spoken:
    return Instant(spans=True).convert(text, None, None)


@pytest.mark.parametrize(("text", "past", "coming"), [
    ("22:00", "20 22:00:00", "21 22:00:00"),
    ("6:00", "21 06:00:00", "22 06:00:00"),
    ("08:15:30", "21 08:15:30", "21 08:15:30"),
    ("08:16", "20 08:16:00", "21 08:16:00"),
    ("yesterday", "20 00:00:00", "20 00:00:00"),
    ("today", "21 00:00:00", "21 00:00:00"),
    ("today 22:00", "21 22:00:00", "21 22:00:00"),
    ("tomorrow 08:00", "22 08:00:00", "22 08:00:00"),
    ("Tomorrow 08:00Z", "22 08:00:00", "22 08:00:00"),
    ("22:00+05:00", "20 17:00:00", "21 17:00:00"),
    ("22:00 Europe/Berlin", "20 21:00:00", "21 21:00:00"),
    ("yesterday America/New_York", "20 05:00:00", "20 05:00:00"),
    ("2026-07-03 02:30 Europe/Berlin", "03 00:30:00", "03 00:30:00"),
    ("2026-11-03 02:30", "03 02:30:00", "03 02:30:00"),
    ("2026-11-03T02:30+01", "03 01:30:00", "03 01:30:00"),
    ("2026-11-03", "03 00:00:00", "03 00:00:00"),
    ("2h", "21 06:15:30", "21 10:15:30"),
    ("1h30m", "21 06:45:30", "21 09:45:30"),
    ("90", "21 08:14:00", "21 08:17:00"),
    ("now", "21 08:15:30", "21 08:15:30"),
])  # fmt: skip
def test_what_is_typed_is_read_by_the_time_that_it_is(text: str, past: str, coming: str) -> None:
    assert f"{spoken(text).past(NOW):%d %H:%M:%S}" == past
    assert f"{spoken(text).coming(NOW):%d %H:%M:%S}" == coming


@pytest.mark.parametrize(("text", "now", "past", "coming"), [
    ("09:00", NOW, "21 08:00", "22 08:00"),  # it is 09:15 in Berlin
    ("today", NOW, "20 23:00", "20 23:00"),
    ("today", NOW.replace(hour=23, minute=30), "21 23:00", "21 23:00"),  # there it is the 22nd
    ("02:30", datetime(2026, 10, 25, 12, tzinfo=timezone.utc), "25 00:30", "26 01:30"),  # twice; the first time
    ("09:00Z", NOW, "20 09:00", "21 09:00"),
])  # fmt: skip
def test_a_clock_elsewhere_counts_unless_a_zone_is_typed(text: str, now: datetime, past: str, coming: str) -> None:
    assert f"{spoken(text).past(now, BERLIN):%d %H:%M}" == past
    assert f"{spoken(text).coming(now, BERLIN):%d %H:%M}" == coming


@pytest.mark.parametrize("text", [
    "", " ", "24:00", "25:00", "8:5", "12:60", "yesterdays", "yesterday22:00", "at 8:00", "-5m", "T08:00", "5 min",
    "2026-02-30", "2026-13-01", "2026-11-03 ", "22:00  UTC", "22:00 ", "\u0668:\u0660\u0660",
])  # fmt: skip
def test_what_is_no_instant_is_told_what_is(text: str) -> None:
    with pytest.raises(BadParameter, match="tomorrow 08:00"):
        spoken(text)


@pytest.mark.parametrize(("typed", "wanted"), [("22:00 Mars", "Mars"), ("today Europe/Berln", "'Europe/Berlin'")])
def test_a_zone_that_is_none_is_told_so(typed: str, wanted: str) -> None:
    with pytest.raises(BadParameter, match=wanted):
        spoken(typed)


@pytest.mark.parametrize(("typed", "past"), [
    ("22:00", "20 21:00"), ("today", "20 23:00"), ("2026-07-01 12:00", "01 10:00"), ("22:00Z", "20 22:00"),
])  # fmt: skip
def test_where_no_clock_is_meant_it_is_that_of_the_machine(
    clock_of: Callable[[str], None], typed: str, past: str
) -> None:
    clock_of("Europe/Berlin")
    assert f"{spoken(typed).past(NOW):%d %H:%M}" == past


@pytest.mark.parametrize("typed", ["0001-01-01", "9999-12-31 23:59"])
def test_an_instant_that_the_machines_clock_cannot_show_is_out_of_range(
    clock_of: Callable[[str], None], typed: str
) -> None:
    clock_of("Asia/Tokyo" if typed.startswith("0") else "America/New_York")
    with pytest.raises(InvalidInput, match="out of range"):
        spoken(typed).past(NOW)


def test_a_length_of_time_is_no_instant_where_none_is_meant() -> None:
    with pytest.raises(BadParameter, match="is no instant"):
        Instant().convert("8", None, None)
