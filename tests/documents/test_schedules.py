"""Schedules and their documents: what is accepted, what is refused, and how foreign ones are read."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cronlite.documents import ids, schedules
from cronlite.documents.schedules import Schedule
from cronlite.errors import InvalidInput

NOW = datetime(2026, 11, 21, 2, 29, 30, tzinfo=timezone.utc)


def tick(hour: int, minute: int) -> datetime:
    return datetime(2026, 11, 21, hour, minute, tzinfo=timezone.utc)


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as refused:
        schedules.read({"_id": "s", "params": {}} | document)
    return str(refused.value)


def test_a_bare_document_has_every_default() -> None:
    bare = schedules.read({"_id": "s", "params": {"a": 1}, "minute": 30})
    assert bare == Schedule(id="s", params={"a": 1}, minute=30)
    assert (bare.handler, bare.hour, bare.tz, bare.enabled, bare.overlap) == ("default", "*", "UTC", True, "skip")


def test_null_is_the_same_as_missing() -> None:
    nothing = {name: None for name in schedules.FIELDS if name not in ("id", "params")}
    assert schedules.read({"_id": "s", "params": {}} | nothing) == Schedule(id="s")


@pytest.mark.parametrize("minute", [5, 5.0, "5", " 5 ", [5], "05", ["5"]])
def test_one_minute_has_many_spellings(minute: object) -> None:
    read = schedules.read({"_id": "s", "params": {}, "minute": minute})
    assert read.matches(tick(3, 5))
    assert not read.matches(tick(3, 6))


def test_an_array_is_any_of_its_values() -> None:
    read = schedules.read({"_id": "s", "params": {}, "minute": [0, "15-20", "45"]})
    assert [minute for minute in range(60) if read.matches(tick(3, minute))] == [0, 15, 16, 17, 18, 19, 20, 45]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"minute": 60}, "minute: 60 .* 0-59"),
        ({"minute": -1}, "minute: -1"),
        ({"minute": 5.5}, "minute: 5.5"),
        ({"minute": True}, "minute: True"),
        ({"hour": {}}, "hour: {}"),
        ({"tz": "Mars/Olympus"}, "tz: 'Mars/Olympus'"),
        ({"tz": ["UTC"]}, "tz: "),
        ({"enabled": "yes"}, "enabled: 'yes' is not a boolean"),
        ({"active_from": "tomorrow"}, "active_from: 'tomorrow'"),
        ({"overlap": "alow"}, "overlap: 'alow' is not allowed; give skip, wait or allow"),
        ({"retries": 1.5}, "retries: 1.5 is not a whole number"),
        ({"retries": True}, "retries: True"),
        ({"timeout_seconds": 0}, "timeout_seconds: 0 is out of range"),
        ({"handler": "os.system('x')"}, "handler: .* is no handler name"),
        ({"params": [1]}, "params: .* is not an object"),
        ({"tags": "nightly"}, "tags: "),
        ({"name": "6560a1b2c3d4e5f601234567"}, "name: .* looks like an id"),
        ({"minutes": 5}, "minutes: 5 is no field of a schedule; did you mean 'minute'"),
        ({"_id": 5}, "_id: 5 is no id"),
        ({"month": 2, "day": 31}, "never|31"),
        ({"note": "a\0b"}, "note: .*control"),
    ],
)
def test_what_does_not_parse_sets_the_document_aside(document: dict[str, Any], complaint: str) -> None:
    assert re.search(complaint, refusal(document)), refusal(document)


def test_all_faults_of_a_document_are_named_at_once() -> None:
    told = refusal({"minute": 60, "hour": "x", "tz": "Nowhere", "retries": -1, "overlap": 3})
    assert all(f"{name}: " in told for name in ("minute", "hour", "tz", "retries", "overlap"))


def test_a_field_with_an_underscore_is_its_writers_own_business() -> None:
    assert schedules.read({"_id": "s", "params": {}, "__v": 3}) == Schedule(id="s")


def test_a_foreign_document_is_active_from_its_objectids_time() -> None:
    id_ = ids.new_id()
    read = schedules.read({"_id": id_, "params": {}})
    made = ids.made_at(id_)
    assert made is not None
    assert read.active_from == made
    assert not read.is_due(made - timedelta(minutes=1))
    assert read.is_due(made + timedelta(minutes=1))


def test_a_schedule_is_not_due_before_it_is_active_nor_when_it_is_disabled() -> None:
    made = schedules.new(now=NOW)
    assert not made.is_due(tick(2, 29))
    assert made.is_due(tick(2, 30))
    assert not made.changed(enabled=False).is_due(tick(2, 30))


def test_a_document_reads_back_as_the_schedule_it_was() -> None:
    made = schedules.new(now=NOW, user="alice", params={"a": [1]}, minute="*/5", tags=["x"], retries=2)
    assert schedules.read(made.document()) == made


def test_changing_a_field_validates_the_whole() -> None:
    made = schedules.new(now=NOW, month=2)
    with pytest.raises(InvalidInput):
        made.changed(day=31)
    with pytest.raises(InvalidInput, match="did you mean 'params'"):
        made.changed(param={})  # type: ignore[call-arg]


def test_next_runs_start_when_the_schedule_is_active() -> None:
    made = schedules.new(now=NOW, minute=30, hour=2)
    assert made.next_runs(after=datetime(2020, 1, 1, tzinfo=timezone.utc), count=2) == [
        tick(2, 30),
        tick(2, 30) + timedelta(days=1),
    ]


def test_it_describes_itself_with_its_zone() -> None:
    assert Schedule(minute=30, hour=2, tz="Europe/Berlin").describe() == "at 02:30 every day (Europe/Berlin)"


def test_ids_of_one_process_sort_in_the_order_in_which_they_were_made() -> None:
    made = [ids.new_id() for _ in range(1_000)]
    assert sorted(made) == made
    assert len(set(made)) == 1_000
    assert all(ids.is_object_id(id_) for id_ in made)
