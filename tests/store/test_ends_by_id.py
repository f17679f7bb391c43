"""Ends of runs are found by their ids, and MongoDB tries no other ways first."""

from __future__ import annotations

import pytest
from pymongo import MongoClient

from cronlite.store import open_store
from tests.store.samples import NOW, a_running

RUNNING, AT_ONCE = 2_000, 100


@pytest.mark.mongod
def test_a_batch_of_ends_is_not_planned_and_reads_no_other_runs(mongo_uri: str) -> None:
    store = open_store(mongo_uri)
    store.prepare()
    running = [a_running(f"lane-{number}") for number in range(RUNNING)]
    store.add_runs(running)
    with MongoClient[dict[str, object]](mongo_uri) as client:
        database = client.get_default_database()
        database.command("profile", 2)
        for first in range(0, RUNNING, AT_ONCE):
            ended = [(run, {"state": "succeeded", "finished_at": NOW}) for run in running[first : first + AT_ONCE]]
            assert not store.change_runs(ended)
        database.command("profile", 0)
        updates = list(database["system.profile"].find({"op": "update"}))
    store.close()
    assert len(updates) == RUNNING / AT_ONCE
    assert {one["docsExamined"] for one in updates} == {AT_ONCE}
    assert not any(one.get("fromMultiPlanner") for one in updates)
