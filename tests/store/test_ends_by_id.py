"""Ends of runs are found by their ids, and MongoDB tries no other ways first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from pymongo import MongoClient

from cronlite.documents.runs import Run
from cronlite.store import open_store
from tests.store.samples import NOW, SECOND, a_running

RUNNING, AT_ONCE = 1_800, 90
Ended = list[tuple[Run, dict[str, object]]]


def alike(runs: Sequence[Run]) -> Ended:
    return [(run, {"state": "succeeded", "finished_at": NOW}) for run in runs]


def different(runs: Sequence[Run]) -> Ended:
    return [(run, {"state": "succeeded", "finished_at": NOW + n * SECOND}) for n, run in enumerate(runs)]


@pytest.mark.mongod
@pytest.mark.parametrize(("end", "operations"), [(alike, 1), (different, 3)])
def test_a_batch_of_ends_is_few_operations_that_are_not_planned_and_read_no_other_runs(
    mongo_uri: str, end: Callable[[Sequence[Run]], Ended], operations: int
) -> None:
    store = open_store(mongo_uri)
    store.prepare()
    running = [a_running(f"lane-{number}") for number in range(RUNNING)]
    store.add_runs(running)
    with MongoClient[dict[str, object]](mongo_uri) as client:
        database = client.get_default_database()
        database.command("profile", 2)
        for first in range(0, RUNNING, AT_ONCE):
            assert not store.change_runs(end(running[first : first + AT_ONCE]))
        database.command("profile", 0)
        updates = list(database["system.profile"].find({"op": "update"}))
    store.close()
    assert len(updates) == RUNNING / AT_ONCE * operations
    assert {one["docsExamined"] for one in updates} == {AT_ONCE / operations}
    assert not any(one.get("fromMultiPlanner") for one in updates)
