"""Each store lists what people look at, in their order, a page at a time."""

from datetime import datetime

import pytest

from cronlite.documents import ids
from cronlite.documents.runs import AT_WORK
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
