"""Do all stores keep the contract on schedules?"""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cronlite.daemon.due import due
from cronlite.documents import ids
from cronlite.errors import Conflict, InvalidInput
from cronlite.store.contract import Clause, ScheduleQuery, Store
from tests.store.conftest import Open
from tests.store.samples import (
    NOW,
    SECOND,
    TICK,
    a_foreign_schedule,
    a_schedule,
)

# schedules


def test_a_schedule_is_given_back_as_it_was_stored(store: Store) -> None:
    params = {"a": [1, 2.5, None, True, {"deep": ["é", "漢字", "👩‍🚀", ""]}], "": "empty key", "n": -(2**63)}
    document = a_schedule(name="Bücher 📚", params=params, minute="*/5", hour=3, tz="Europe/Berlin", tags=["x", "ü"])
    store.add_schedule(document)
    assert store.schedule(document["_id"]) == document


def test_instants_come_back_aware_in_utc_with_their_milliseconds(store: Store) -> None:
    document = a_schedule()
    store.add_schedule(document)
    created_at = (store.schedule(document["_id"]) or {})["created_at"]
    assert created_at == NOW
    assert created_at.utcoffset() == timedelta(0)
    assert created_at.microsecond == 250_000


def test_the_values_of_time_fields_keep_their_types(store: Store) -> None:
    documents = [a_schedule(minute=5), a_schedule(minute="1,5"), a_foreign_schedule(minute="5"), a_foreign_schedule()]
    for document in documents:
        store.add_schedule(document)
        stored = store.schedule(document["_id"])
        assert stored == document
        assert type(stored.get("minute")) is type(document.get("minute"))


def test_an_unknown_id_finds_no_schedule(store: Store) -> None:
    assert store.schedule(ids.new_id()) is None
    assert store.schedule("nightly") is None
    assert store.schedule("") is None


@pytest.mark.parametrize("id", ["nightly", "66A1B2C3D4E5F60718293A4B", "a'b\"c$d.e", "é" * 100])
def test_a_string_that_looks_like_no_object_id_is_an_id(store: Store, id: str) -> None:
    store.add_schedule(a_foreign_schedule(_id=id, handler="mine"))
    assert store.schedule(id) == {"_id": id, "handler": "mine"}
    assert [document["_id"] for document in store.schedules(ScheduleQuery())] == [id]


def test_the_same_id_twice_is_a_conflict(store: Store) -> None:
    document = a_schedule()
    store.add_schedule(document)
    with pytest.raises(Conflict, match="the _id '") as refused:
        store.add_schedule(document | {"handler": "other", "name": "other"})
    assert "name" not in str(refused.value)
    assert store.schedule(document["_id"]) == document


def test_the_same_name_twice_is_a_conflict(store: Store) -> None:
    store.add_schedule(a_schedule(name="nightly"))
    with pytest.raises(Conflict, match="the name 'nightly'") as refused:
        store.add_schedule(a_schedule(name="nightly"))
    assert "_id" not in str(refused.value)
    assert len(list(store.schedules(ScheduleQuery()))) == 1


def test_any_number_of_schedules_go_without_a_name(store: Store) -> None:
    for _ in range(3):
        store.add_schedule(a_schedule())
        store.add_schedule(a_foreign_schedule(name=None))
    assert len(list(store.schedules(ScheduleQuery()))) == 6


def test_a_change_sets_fields_and_removes_those_that_are_none(store: Store) -> None:
    document = a_schedule(name="nightly", note="a note", minute=5)
    store.add_schedule(document)
    later = NOW + SECOND
    changes = {"minute": "*/5", "name": None, "params": {"a": {"b": 1}}, "updated_at": later}
    assert store.change_schedule(document["_id"], changes, NOW)
    expected = document | {"minute": "*/5", "params": {"a": {"b": 1}}, "updated_at": later}
    del expected["name"]
    assert store.schedule(document["_id"]) == expected


def test_a_change_is_not_made_to_a_schedule_that_changed_meanwhile(store: Store) -> None:
    document = a_schedule()
    store.add_schedule(document)
    assert store.change_schedule(document["_id"], {"note": "first", "updated_at": NOW + SECOND}, NOW)
    assert not store.change_schedule(document["_id"], {"note": "second", "updated_at": NOW + SECOND}, NOW)
    assert not store.change_schedule(document["_id"], {"note": "second"}, None)
    assert (store.schedule(document["_id"]) or {})["note"] == "first"


def test_a_document_without_updated_at_can_be_changed(store: Store) -> None:
    document = a_foreign_schedule(handler="old")
    store.add_schedule(document)
    assert not store.change_schedule(document["_id"], {"handler": "new"}, NOW)
    assert store.change_schedule(document["_id"], {"handler": "new", "updated_at": NOW}, None)
    assert store.schedule(document["_id"]) == document | {"handler": "new", "updated_at": NOW}


def test_a_change_to_a_taken_name_is_a_conflict(store: Store) -> None:
    document = a_schedule()
    store.add_schedule(a_schedule(name="nightly"))
    store.add_schedule(document)
    with pytest.raises(Conflict, match="nightly"):
        store.change_schedule(document["_id"], {"name": "nightly"}, NOW)


def test_a_change_of_an_unknown_schedule_is_not_made(store: Store) -> None:
    assert not store.change_schedule(ids.new_id(), {"note": "x"}, None)
    assert list(store.schedules(ScheduleQuery())) == []


def test_a_removed_schedule_is_gone_and_its_name_free(store: Store) -> None:
    document = a_schedule(name="nightly")
    store.add_schedule(document)
    assert store.remove_schedule(document["_id"])
    assert not store.remove_schedule(document["_id"])
    assert store.schedule(document["_id"]) is None
    store.add_schedule(a_schedule(name="nightly"))


def test_schedules_are_streamed_by_id(store: Store) -> None:
    documents = [a_schedule() for _ in range(5)]
    for document in reversed(documents):
        store.add_schedule(document)
    assert list(store.schedules(ScheduleQuery())) == documents
    assert list(store.schedules(ScheduleQuery(limit=2))) == documents[:2]
    assert list(store.schedules(ScheduleQuery(limit=0))) == []


def test_schedules_are_found_by_name_user_handler_and_tag(store: Store) -> None:
    one = a_schedule(name="one", user="ann", handler="extract", tags=["x", "y"])
    two = a_schedule(name="two", user="bob", handler="extract", tags=["y"])
    for document in (one, two, a_schedule()):
        store.add_schedule(document)
    assert list(store.schedules(ScheduleQuery(name="two"))) == [two]
    assert list(store.schedules(ScheduleQuery(user="ann"))) == [one]
    assert list(store.schedules(ScheduleQuery(handler="extract"))) == [one, two]
    assert list(store.schedules(ScheduleQuery(tag="x"))) == [one]
    assert list(store.schedules(ScheduleQuery(tag="y", user="bob"))) == [two]
    assert list(store.schedules(ScheduleQuery(tag="y", user="eve"))) == []


@pytest.mark.parametrize("text", [".*", "$ne", "' OR 1=1 --", "%", "_", '{"$gt": ""}', "a\\"])
def test_a_text_searched_for_means_only_itself(store: Store, text: str) -> None:
    mine = a_schedule(user=text, tags=[text], name=text)
    store.add_schedule(mine)
    store.add_schedule(a_schedule(user="ann", tags=["b"], name="c"))
    for query in (ScheduleQuery(user=text), ScheduleQuery(tag=text), ScheduleQuery(name=text)):
        assert list(store.schedules(query)) == [mine]
    assert list(store.schedules(ScheduleQuery(prefix=text))) == []


def test_schedules_are_found_by_the_first_characters_of_their_id(store: Store) -> None:
    wanted = ["66a1b2c3d4e5f60718293a4b", "66a1b2c3d4e5f60718293a4c"]
    for id in (*wanted, "66a1b2c4d4e5f60718293a4b", "66a", "66b", "nightly", "nichtly"):
        store.add_schedule(a_foreign_schedule(_id=id))

    def found(prefix: str) -> set[str]:
        return {document["_id"] for document in store.schedules(ScheduleQuery(prefix=prefix))}

    assert found("66a1b2c3") == set(wanted)
    assert found("66a1b2c3d4e5f60718293a4b") == {wanted[0]}
    assert found("66a") == {*wanted, "66a1b2c4d4e5f60718293a4b", "66a"}
    assert found("ni") == {"nightly", "nichtly"}
    assert found("nig") == {"nightly"}
    assert found("x") == set()


def test_a_thousand_schedules_are_streamed_whole(open_rival: Open) -> None:
    store = open_rival()
    for number in range(1_050):
        store.add_schedule(a_foreign_schedule(_id=f"s{number:04}"))
    listed = [document["_id"] for document in store.schedules(ScheduleQuery())]
    assert listed == [f"s{number:04}" for number in range(1_050)]


# which are due


def test_expressions_lists_what_each_field_holds(store: Store) -> None:
    for document in (
        a_schedule(minute=5, tz="Europe/Berlin"),
        a_schedule(minute=5, hour="*/2"),
        a_foreign_schedule(minute="5", weekday="fri#2"),
        a_foreign_schedule(minute="7-9", day=None),
    ):
        store.add_schedule(document)
    found = store.expressions()
    assert set(found) == {"tz", "every", "minute", "hour", "day", "month", "weekday"}
    assert {value for value in found["tz"] if value is not None} == {"UTC", "Europe/Berlin"}
    assert {value for value in found["weekday"] if value is not None} == {"*", "fri#2"}
    minutes = [value for value in found["minute"] if value is not None]
    assert {(type(value), value) for value in minutes} >= {(int, 5), (str, "5"), (str, "7-9")}
    assert len(minutes) == len({(type(value), value) for value in minutes})


def test_an_empty_store_has_no_expressions_and_no_candidates(store: Store) -> None:
    assert set(store.expressions()) == {"tz", "every", "minute", "hour", "day", "month", "weekday"}
    clause = Clause(zones=[None, "UTC"], either_day=False, values={"minute": [None, "*"]})
    assert list(store.candidates([clause])) == []
    assert list(store.candidates([])) == []


def found_by(store: Store, *clauses: Clause) -> list[str]:
    return [document["_id"] for document in store.candidates(clauses)]


def test_candidates_fit_one_of_the_clauses_and_come_once(store: Store) -> None:
    documents: dict[str, dict[str, Any]] = {
        "five": {"minute": 5},
        "five-as-text": {"minute": "5"},
        "berlin": {"minute": 5, "tz": "Europe/Berlin"},
        "either": {"minute": 6, "either_day": True},
        "paused": {"minute": 5, "enabled": False},
        "seven": {"minute": 7},
    }
    for id, given in documents.items():
        store.add_schedule(a_foreign_schedule(_id=id, **given))
    five = Clause(zones=[None, "UTC"], either_day=False, values={"minute": [5, "5"]})
    berlin = Clause(zones=["Europe/Berlin"], either_day=False, values={"minute": [5, 7]})
    either = Clause(zones=[None], either_day=True, values={})
    assert sorted(found_by(store, five)) == ["five", "five-as-text"]
    assert sorted(found_by(store, five, five, berlin)) == ["berlin", "five", "five-as-text"]
    assert found_by(store, either) == ["either"]


def test_a_missing_field_and_null_are_alike_to_the_due_query(store: Store) -> None:
    nulls = dict.fromkeys(("tz", "every", "minute", "hour", "day", "month", "weekday", "enabled", "either_day"))
    store.add_schedule(a_foreign_schedule(_id="missing"))
    store.add_schedule(a_foreign_schedule(_id="nulls", **nulls))
    assert sorted(schedule.id for schedule in due(store, TICK)) == ["missing", "nulls"]


def test_documents_from_elsewhere_are_due_as_they_say(store: Store) -> None:
    documents: dict[str, dict[str, Any]] = {
        "text": {"minute": "30"},
        "float": {"minute": 30.0},
        "list": {"minute": "29,30-31"},
        "saturday": {"weekday": 6},
        "another minute": {"minute": 31},
        "another list": {"minute": "29,31"},
        "sunday": {"weekday": 7},
    }
    for id, given in documents.items():
        store.add_schedule(a_foreign_schedule(_id=id, **given))
    assert sorted(schedule.id for schedule in due(store, TICK)) == ["float", "list", "saturday", "text"]


@pytest.mark.parametrize("nonsense", [60, -1, 5.5, True, "banana", "", "5\n", "\u0665"])
def test_a_document_that_does_not_parse_stops_no_other(store: Store, nonsense: Any) -> None:
    broken = a_foreign_schedule(minute=nonsense)
    store.add_schedule(broken)
    store.add_schedule(a_foreign_schedule(_id="whole"))
    set_aside: list[str] = []

    def remember(document: dict[str, Any], fault: InvalidInput) -> None:
        set_aside.append(document["_id"])

    assert [schedule.id for schedule in due(store, TICK, remember)] == ["whole"]
    assert set_aside in ([], [broken["_id"]])
    assert store.schedule(broken["_id"]) == broken
    assert broken in list(store.schedules(ScheduleQuery()))


# the rest


def test_preparing_again_finds_all_in_order(open_another: Open) -> None:
    assert open_another().prepare() == []
    assert open_another().prepare() == []


def test_the_clock_of_the_store_goes_forward(store: Store) -> None:
    first, second = store.now(), store.now()
    assert first <= second
    assert abs(second - datetime.now(timezone.utc)) < 60 * SECOND
    assert second.microsecond % 1000 == 0


def test_two_stores_on_the_same_data_see_each_other(open_another: Open) -> None:
    one, other = open_another(), open_another()
    document = a_schedule()
    one.add_schedule(document)
    assert other.schedule(document["_id"]) == document
