"""What does a file want, what is wrong with it and on which line, and is it the same after it was written?"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cronlite import InvalidInput
from cronlite.documents import schedules
from cronlite.documents.schedules import Schedule
from cronlite.plans import reading, writing
from cronlite.plans.reading import of_list

NOW = datetime(2026, 11, 29, tzinfo=timezone.utc)

GOOD = """
owner = "billing"

[defaults]
tz = "Europe/Berlin"
retries = 2

[schedules.invoices]
cron = "30 2 * * mon-fri"
handler = "invoice"
params = {dataset = "sales", deep = {a = [1, 2.5, true]}}

[schedules."a name with. dots"]
every = "90m"
was = "dotted"
retries = 0
params = '{"a": null}'
"""
SAME_IN_YAML = """
owner: billing
defaults:
  tz: Europe/Berlin
  retries: 2
schedules:
  invoices:
    cron: 30 2 * * mon-fri
    handler: invoice
    params: {dataset: sales, deep: {a: [1, 2.5, true]}}
  a name with. dots:
    every: 90m
    was: dotted
    retries: 0
    params: {a: null}
"""


@pytest.mark.parametrize(("text", "name"), [(GOOD, "x.toml"), (SAME_IN_YAML, "x.yaml"), (GOOD, "-")])
def test_a_file_is_an_owner_defaults_and_a_table_for_each_schedule(text: str, name: str) -> None:
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    wish = reading.read(text.encode(), name)
    invoices, dotted = wish.schedules
    assert (wish.owner, invoices.name, dotted.name, dotted.was) == (
        "billing",
        "invoices",
        "a name with. dots",
        "dotted",
    )
    schedule = invoices.schedule
    assert (schedule.minute, schedule.hour, schedule.weekday, schedule.tz) == (30, 2, "mon-fri", "Europe/Berlin")
    assert (schedule.retries, schedule.handler) == (2, "invoice")
    assert schedule.params == {"dataset": "sales", "deep": {"a": [1, 2.5, True]}}
    assert (dotted.schedule.every, dotted.schedule.retries, dotted.schedule.params) == ("90m", 0, {"a": None})
    assert text.splitlines()[invoices.line - 1].strip(" :") in ("[schedules.invoices]", "invoices")


BAD = '''
ownr = "billing"
[defaults]
zone = "UTC"
[schedules.one]
cron = "61 2 * * *"
retires = 3
retries = -1
[schedules.two]
note = """
[schedules.two]
hour = 3
"""
hour = 25
minute = 0
params = {"$where" = 1}
owner = "me"
[schedules.three]
handler = "x y"
[schedules]
four = 5
[schedules.five]
cron = "5 4 * * *"
hour = 2
was = "old"
[schedules.six]
every = "7x"
was = "old"
[schedules.seven]
minute = 1
was = "old"
[schedules.eight]
minute = 1
was = "old"
'''


def test_all_faults_are_told_at_once_each_with_its_line() -> None:
    with pytest.raises(InvalidInput) as refused:
        reading.read(BAD.encode(), "x.toml")
    told = [(fault.field, fault.problem) for fault in refused.value.faults]
    places = [place for place, _ in told]
    for place in [
        "line 2: ownr",
        "owner",
        "line 4: defaults.zone",
        "line 6: one.cron (minute)",
        "line 7: one.retires",
        "line 8: one.retries",
        "line 14: two.hour",
        "line 16: two.params",
        "line 17: two.owner",
        "line 19: three.handler",
        "line 18: three",
        "line 21: four",
        "line 24: five.hour",
        "line 27: six.every",
        "line 32: eight",
    ]:
        assert place in places, (place, places)
    assert [place for place in places if "zone" in place] == ["line 4: defaults.zone"]
    remedies = {fault.field: fault.remedy for fault in refused.value.faults}
    assert "did you mean 'owner'" in remedies["line 2: ownr"]
    assert remedies["line 4: defaults.zone"] == "say tz"


@pytest.mark.parametrize(
    ("text", "name", "place", "told"),
    [
        ("owner = \n", "x.toml", "line 1", "is no TOML"),
        ('owner = "a"\n[schedules.a]\ncron = "@daily"\n[schedules.a]\n', "x.toml", "line 4", "is no TOML"),
        ("owner: [\n", "x.yml", "line 2", "is no YAML"),
        ("owner: a\nowner: b\n", "x.yaml", "line 2", "is there twice"),
        ("a: &a [x]\nb: *a\n", "x.yaml", "line 2", "is an alias"),
        ("- a\n", "x.yaml", "the file", "is no table"),
        ('owner = "code"\n', "x.toml", "line 1: owner", "is kept for"),
        ("owner: !!python/object/apply:os.system [id]\n", "x.yaml", "line 1", "is no YAML"),
    ],
)
def test_what_is_no_such_file_at_all(text: str, name: str, place: str, told: str) -> None:
    if name.endswith(("yaml", "yml")):
        pytest.importorskip("yaml")
    with pytest.raises(InvalidInput) as refused:
        reading.read(text.encode(), name)
    assert next((fault.field, told in fault.problem) for fault in refused.value.faults) == (place, True)
    with pytest.raises(InvalidInput, match="UTF-8"):
        reading.read(b"owner = '\xff'", name)


@pytest.mark.parametrize(
    "fields",
    [
        {"minute": 30, "hour": 2},
        {"minute": "1,15", "day": "L", "month": "1-6"},
        {"day": 5, "weekday": 1, "either_day": True},
        {"day": 5, "weekday": 1},
        {"every": "90m", "tz": "UTC"},
        {
            "minute": 5,
            "params": {"a": None, "b": [{"c": "d\x7f\n\t\"'\\ é 漢 👩"}], "": 1, "x y": {"é": 1.5, "big": 2**53}},
        },
        {"minute": 5, "tags": ["a", "ü"], "note": "several\nlines '''", "timeout_seconds": 0.5, "on_crash": "abandon"},
        {
            "minute": 5,
            "enabled": False,
            "active_until": NOW + timedelta(days=1),
            "active_from": NOW + timedelta(hours=1),
        },
        {"minute": 5, "user": "eve", "queue": "q", "overlap": "wait", "catch_up": "all", "retries": 3},
    ],
)
@pytest.mark.parametrize("name", ["x.toml", "x.yaml"])
def test_what_was_written_is_read_as_the_same(fields: dict[str, Any], name: str) -> None:
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    given = schedules.new(now=NOW, name='it\'s a [name] = "x" # é', **fields)
    written = writing.write("billing 'n' sons", [given], name, NOW)
    wish = reading.read(written.encode(), name)
    (again,) = wish.schedules
    own = {"id", "created_at", "updated_at", "active_from", "timetable"}
    assert wish.owner == "billing 'n' sons"
    same = {field: getattr(given, field) for field in schedules.FIELDS if field not in own}
    assert {field: getattr(again.schedule, field) for field in same} == same, written


def test_a_list_in_code_is_read_likewise() -> None:
    (one,) = of_list("billing", [{"name": "a", "cron": "@daily", "params": {"a": 1}, "was": "b"}]).schedules
    assert (one.name, one.was, one.schedule.hour, one.fields["params"]) == ("a", "b", 0, {"a": 1})
    with pytest.raises(InvalidInput) as refused:
        of_list("", [{"cron": "@daily"}, 5, {"name": "x", "hour": 99}, {"name": "y", "cron": "@daily", "retires": 1}])
    places = [fault.field for fault in refused.value.faults]
    assert places == ["owner", "schedules[0].name", "schedules[1]", "schedules[2].hour", "schedules[3].retires"]
    with pytest.raises(InvalidInput, match="is no list"):
        of_list("billing", {"name": "x"})


def test_defaults_that_say_when_give_way_to_what_a_schedule_says() -> None:
    text = 'owner = "o"\n[defaults]\ncron = "5 4 * * *"\n[schedules.a]\n[schedules.b]\nevery = "2h"\n'
    a, b = reading.read(text.encode(), "x.toml").schedules
    assert (a.schedule.minute, a.schedule.hour, b.schedule.every, b.schedule.hour) == (5, 4, "2h", "*")
    assert isinstance(a.schedule, Schedule)
