"""Each store lists what people look at, in their order, a page at a time."""

from datetime import datetime
from typing import Any

import pytest

from cronlite.documents import ids
from cronlite.documents.runs import AT_WORK
from cronlite.errors import StoreError
from cronlite.store.contract import RunQuery, ScheduleQuery, Store
from tests.store.samples import LANE, NOW, OTHER, SECOND, a_run, a_running, a_schedule, add


def queued(store: Store, at: datetime, schedule: str) -> str:
    run = a_run(f"{schedule}@{at:%d %H:%M:%S}", queued_at=at, schedule=schedule)
    add(store, run)
    return run.id


def test_the_last_run_of_each_schedule_is_at_hand(store: Store) -> None:
    schedules = [LANE, OTHER, ids.new_id()]
    for seconds in range(5):
        last = {schedule: queued(store, NOW + seconds * SECOND, schedule) for schedule in schedules[:2]}
    add(store, a_run(queued_at=NOW + 9 * SECOND))
    assert {id_: run.id for id_, run in store.last_runs(schedules).items()} == last
    assert store.last_runs([]) == {}


def test_a_query_has_an_end_and_names_several_schedules(store: Store) -> None:
    third = ids.new_id()
    found = [queued(store, NOW + n * SECOND, (LANE, OTHER, third)[n % 3]) for n in range(9)]
    query = RunQuery(since=NOW + SECOND, until=NOW + 5 * SECOND)
    assert [run.id for run in store.runs(query)] == found[4:0:-1]
    assert [run.id for run in store.runs(RunQuery(schedules=[LANE, third], limit=3))] == [found[8], found[6], found[5]]
    assert list(store.runs(RunQuery(schedules=[]))) == []
    assert {run.schedule for run in store.runs(RunQuery(schedule=LANE, schedules=[LANE, third]))} == {LANE}


def test_runs_are_counted_as_they_are_listed_up_to_the_limit(store: Store) -> None:
    add(store, *(a_run(user="ann") for _ in range(5)), a_running(LANE), a_run(state="failed", finished_at=NOW))
    assert store.count_listed(RunQuery()) == 7
    assert store.count_listed(RunQuery(limit=3)) == 3
    assert store.count_listed(RunQuery(user="ann", limit=100)) == 5
    assert store.count_listed(RunQuery(states=AT_WORK)) == 6
    assert store.count_listed(RunQuery(states=AT_WORK, limit=2)) == 2
    assert store.count_listed(RunQuery(states=["failed"], until=NOW)) == 0


@pytest.mark.parametrize("limit", [None, 3, 5])
def test_schedules_come_by_name_and_the_nameless_behind(store: Store, limit: int | None) -> None:
    for name in ("b", None, "c", "a", None):
        store.add_schedule(a_schedule(name=name, tags=["t"]))
    found = list(store.schedules(ScheduleQuery(by_name=True, tag="t", limit=limit)))
    assert [document.get("name") for document in found] == ["a", "b", "c", None, None][:limit]
    nameless = [document["_id"] for document in found if "name" not in document]
    assert nameless == sorted(nameless)


def test_a_list_begins_further_on_and_leaves_out_what_is_large(store: Store) -> None:
    found = [queued(store, NOW + n * SECOND, LANE) for n in range(6)][::-1]
    add(store, a_run("large", queued_at=NOW - SECOND, output="x" * 1_000, result=1))
    assert [run.id for run in store.runs(RunQuery(schedule=LANE, skip=2, limit=3))] == found[2:5]
    assert [run.id for run in store.runs(RunQuery(skip=5))] == [found[5], "large"]
    (large,) = store.runs(RunQuery(skip=6, brief=True))
    assert (large.result, large.output) == (1, None)


def test_the_last_runs_of_each_schedule_are_outlined(store: Store) -> None:
    if store.address == "mongomock:":
        pytest.skip("mongomock knows no $unionWith")
    wanted = {id_: [queued(store, NOW + n * SECOND, id_) for n in range(5)][:-4:-1] for id_ in (LANE, OTHER, "named")}
    store.add_runs([a_run(queued_at=NOW + 9 * SECOND)])
    seen = store.last_outlines([*wanted, ids.new_id()], 3)
    assert {id_: [outline.id for outline in outlines] for id_, outlines in seen.items()} == wanted
    assert {outline.state for outline in seen[LANE]} == {"queued"}
    assert store.last_outlines([], 3) == {}
    add(store, a_run("failed", schedule=LANE, state="failed", finished_at=NOW, queued_at=NOW - SECOND))
    assert [outline.id for outline in store.last_outlines([LANE], 3, ["failed", "succeeded"])[LANE]] == ["failed"]


def test_retries_are_found_by_what_they_repeat(store: Store) -> None:
    add(store, a_run("first"), a_run("again", retry_of="first"), a_run("other", retry_of="gone"))
    assert [run.id for run in store.runs(RunQuery(retry_of=["first", "nobody"]))] == ["again"]
    assert list(store.runs(RunQuery(retry_of=[]))) == []


@pytest.mark.parametrize("by_name", [True, False])
def test_schedules_are_listed_a_page_at_a_time(store: Store, by_name: bool) -> None:
    for name in ("b", None, "c", "a", None, "d", None):
        store.add_schedule(a_schedule(name=name))
    store.add_schedule(a_schedule() | {"_id": "between"})
    every = [document["_id"] for document in store.schedules(ScheduleQuery(by_name=by_name))]
    assert len(every) == 8
    paged: list[str] = []
    after = None
    while page := list(store.schedules(ScheduleQuery(by_name=by_name, limit=2, after=after))):
        paged += [document["_id"] for document in page]
        after = (page[-1].get("name"), page[-1]["_id"])
    assert paged == every


def test_schedules_are_found_by_a_part_of_their_name_or_else_the_beginning_of_their_id(store: Store) -> None:
    nightly, other, nameless = a_schedule(name="Sales Nightly (.*)"), a_schedule(name="weekly"), a_schedule()
    for document in (nightly, other, nameless):
        store.add_schedule(document)

    def found(search: str) -> set[str]:
        return {document["_id"] for document in store.schedules(ScheduleQuery(search=search, by_name=True))}

    assert found("night") == found("SALES N") == found("(.*)") == {nightly["_id"]}
    assert found("ly") == {nightly["_id"], other["_id"]}
    assert nameless["_id"] in found(nameless["_id"][:20])
    assert found(".*") == {nightly["_id"]}
    assert found("%") == found("$name") == found("sal.s") == found("(?i)") == found("\\\\Q") == found("[s]") == set()
    assert [document["_id"] for document in store.schedules(ScheduleQuery(search="WEEK"))] == [other["_id"]]


def test_schedules_are_found_by_their_state_their_ids_and_their_tag(store: Store) -> None:
    paused, running = a_schedule(enabled=False, tags=['a "b" c', "é"]), a_schedule(tags=["ab"])
    for document in (paused, running):
        store.add_schedule(document)

    def found(**asked: Any) -> list[str]:
        return [document["_id"] for document in store.schedules(ScheduleQuery(**asked))]

    assert found(enabled=False) == [paused["_id"]]
    assert found(enabled=True) == [running["_id"]]
    assert found(ids=[running["_id"], "nobody"]) == [running["_id"]]
    assert found(ids=[]) == []
    assert found(tag='a "b" c') == found(tag="é") == [paused["_id"]]
    assert found(tag="b") == []


def test_what_takes_longer_than_it_may_is_given_up(store: Store) -> None:
    if store.address == "mongomock:":
        pytest.skip("mongomock knows no time limits")
    add(store, *(a_run(queued_at=NOW) for _ in range(2_000)))
    with pytest.raises(StoreError), store.within(0):
        list(store.runs(RunQuery()))
    assert len(list(store.runs(RunQuery()))) == 2_000
    with store.within(60), pytest.raises(StoreError), store.within(0):
        list(store.runs(RunQuery()))
