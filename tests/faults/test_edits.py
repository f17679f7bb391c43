"""What people do to the documents that daemons work on: schedules edited and deleted, runs turned into nonsense."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from cronlite.store.contract import Store
from tests.faults import report
from tests.faults.checker import MINUTE
from tests.faults.conftest import MONGOD_QUICKLY, quickly
from tests.faults.evidence import Document
from tests.faults.fleet import Fleet
from tests.waiting import wait_until

EDITS: dict[str, Callable[[Store, str], object]] = {
    "moved": lambda store, id_: change(store, id_, month=(datetime.now(timezone.utc).month + 5) % 12 + 1),
    "disabled": lambda store, id_: change(store, id_, enabled=False),
    "deleted": lambda store, id_: store.remove_schedule(id_),
    "given to another handler": lambda store, id_: change(store, id_, handler="nobody"),
    "given other params": lambda store, id_: change(store, id_, params={"action": "raise", "kind": "value"}),
}


def change(store: Store, id_: str, **fields: Any) -> None:
    document = store.schedule(id_)
    assert document is not None
    assert store.change_schedule(id_, fields, document["updated_at"])


@MONGOD_QUICKLY
@pytest.mark.parametrize("edit", quickly(EDITS, "deleted"))
def test_a_schedule_edited_between_query_and_claim(any_fleet: Fleet, edit: str) -> None:
    fleet = any_fleet
    fleet.schedule(3)
    (edited,) = fleet.schedule()
    node = fleet.start("hold after candidates 3")
    node.wait_held("after", "candidates", 3)
    (held,) = (tick["_id"] for tick in fleet.evidence().ticks if "done_at" not in tick)
    with fleet.store() as store:
        EDITS[edit](store, edited)
    node.let_go("after", "candidates", 3)
    last = fleet.wait_minutes_from_now(2, except_for=[edited])
    fleet.wait_for_run(f"{edited}@{held:%Y-%m-%dT%H:%MZ}", lambda run: run["state"] == "succeeded")
    fleet.stop_all()
    runs = [run for run in fleet.evidence().runs.values() if run["schedule"] == edited]
    later = [run for run in runs if run["due_at"] > held]
    if edit in ("moved", "disabled", "deleted"):
        assert later == []
    elif edit == "given to another handler":
        assert {run["state"] for run in later} == {"queued"}
    else:
        assert {run["state"] for run in later} <= {"failed", "queued"}
    fleet.verify(f"a schedule {edit} between query and claim", "once", last, except_for=[edited])


@pytest.mark.parametrize("edit", quickly(EDITS, "moved"))
def test_a_schedule_edited_while_it_runs(fleet: Fleet, edit: str) -> None:
    fleet.schedule(2)
    file = fleet.folder / "go"
    waiting = {"action": "wait for", "file": str(file)}
    (edited,) = fleet.schedule(params=waiting, overlap="wait", minute=fleet.first.minute)
    fleet.start()
    run_id = f"{edited}@{fleet.first:%Y-%m-%dT%H:%MZ}"
    fleet.wait_for_run(run_id, lambda run: run["state"] == "running")
    with fleet.store() as store:
        EDITS[edit](store, edited)
    file.touch()
    fleet.wait_for_run(run_id, lambda run: run["state"] == "succeeded")
    last = fleet.wait_minutes_from_now(1, except_for=[edited])
    fleet.stop_all()
    fleet.verify(f"a schedule {edit} while it runs", "once", last, except_for=[edited])


NONSENSE: dict[str, Any] = {
    "state": ["bogus", 5, None],
    "attempt": ["x", -1, 5.5, None, 2**40],
    "crashes": ["x", {}],
    "failures": [[], -3],
    "params": [7, "x", None],
    "handler": [5, "", "no such", "$where"],
    "due_at": ["yesterday", 5, None],
    "queued_at": ["yesterday", None],
    "run_at": ["soon", 0, None],
    "daemon": [5, {"ne": 1}],  # before 5.0, MongoDB itself refuses to store a $ne
    "lane": [5, ["a", "b"]],
    "retries": ["many"],
    "timeout_seconds": ["long", -5],
    "on_crash": ["explode"],
    "overlap": [7],
    "user": [5],
    "key": [5],
    "schedule": [{}],
}
BROKEN = [(field, value) for field, values in NONSENSE.items() for value in values]


def runs_of(client: MongoClient[Document]) -> Collection[Document]:
    return client.get_default_database()["runs"]


@pytest.mark.parametrize("state", quickly(["queued", "running", "succeeded"], "running"))
def test_runs_edited_into_nonsense_stop_nothing(fleet: Fleet, state: str) -> None:
    fleet.schedule(3)
    file = fleet.folder / "go"
    waiting = {"action": "wait for", "file": str(file)} if state == "running" else {}
    edited = fleet.schedule(len(BROKEN), params=waiting, overlap="wait", minute=fleet.first.minute)
    # a queued run is one that no daemon can claim yet
    node = fleet.start(seats=200, handlers=["test"])
    ids = [f"{id_}@{fleet.first:%Y-%m-%dT%H:%MZ}" for id_ in edited]
    for id_ in ids:
        fleet.wait_for_run(id_, lambda run: run["state"] == ("succeeded" if state == "queued" else state))
    fleet.watcher.rest()  # what is final is changed here, by hand
    with MongoClient[Document](fleet.uri) as client:
        runs = runs_of(client)
        if state == "queued":
            # as if put there by hand
            for id_, (field, value) in zip(ids, BROKEN, strict=True):
                document = runs.find_one({"_id": id_})
                assert document is not None
                dropped = ("finished_at", "expires_at", "result", "daemon", "started_at", "claim", "lane")
                new = {name: value for name, value in document.items() if name not in dropped}
                new |= {"_id": f"by hand {id_}", "state": "queued", "attempt": 0, field: value}
                runs.insert_one(new)
        else:
            for id_, (field, value) in zip(ids, BROKEN, strict=True):
                runs.update_one({"_id": id_}, {"$set": {field: value}})
    file.touch()
    last = fleet.wait_minutes_from_now(3, except_for=edited)
    assert node.ended is None
    fleet.stop_all()

    def name(id_: str) -> str:
        return f"by hand {id_}" if state == "queued" else id_

    verdict = fleet.check(last, except_for=edited, logs_are_whole=False)
    others = [line for line in verdict.violations if not any(id_ in line for id_ in ids)]
    report.add(f"{state} runs edited into nonsense", f"{len(BROKEN)} ways", f"ok: {len(others)} others harmed")
    assert not others, others
    found = fleet.evidence().runs
    ends = {(field, str(value)): found[name(id_)].get("state") for id_, (field, value) in zip(ids, BROKEN, strict=True)}
    unreadable = {end for (field, _), end in ends.items() if field in ("attempt", "daemon")}
    assert unreadable == {"succeeded" if state == "succeeded" else "abandoned"}, ends
    assert all(str(end) == value for (field, value), end in ends.items() if field == "state"), ends


@pytest.mark.slow
def test_a_nonsensical_running_run_of_a_dead_daemon_does_not_block_its_lane(fleet: Fleet) -> None:
    fleet.schedule(overlap="skip", params={"action": "sleep", "seconds": 0.01})
    victim = fleet.start("hold before change_runs 1")
    victim.wait_held("before", "change_runs")
    found = next(run for run in fleet.evidence().runs.values() if run["state"] == "running")
    victim.kill()
    with MongoClient[Document](fleet.uri) as client:
        runs_of(client).update_one({"_id": found["_id"]}, {"$set": {"params": 7}})
    fleet.start()
    fleet.wait_for_run(found["_id"], lambda run: run["state"] == "abandoned")
    later = fleet.now() + 2 * MINUTE
    wait_until(
        lambda: any(run["state"] == "succeeded" and run["due_at"] > later for run in fleet.evidence().runs.values()),
        limit_seconds=60,
        what="the schedule runs again",
        instead=fleet._what_is_there,
    )
    fleet.stop_all()
    report.add("a nonsensical run of a dead daemon, with a lane", "once", "ok: abandoned, its lane is free")


def test_nonsense_among_ticks_and_daemons_stops_nothing(fleet: Fleet) -> None:
    fleet.schedule(3)
    base = fleet.first - 3 * MINUTE
    with MongoClient[Document](fleet.uri) as client:
        database = client.get_default_database()
        database["ticks"].insert_many(
            [
                {"_id": "yesterday"},
                {"_id": 5, "done_at": None},
                {"_id": base},
                {"_id": base + MINUTE, "daemon": 5, "claimed_at": "x", "from_at": "a", "to_at": 7, "done_at": None},
                {"_id": base + MINUTE / 3, "daemon": "nobody", "claimed_at": base, "due": "many", "done_at": "never"},
            ]
        )
        database["daemons"].insert_many(
            [{"_id": 5}, {"_id": "ghost"}, {"_id": "odd", "beat": "x", "pid": "y", "handlers": 7, "seen_at": "never"}]
        )
    fleet.start()
    last = fleet.wait_minutes(4)
    fleet.stop_all()
    fleet.verify("ticks and daemons edited into nonsense", "8 documents", last)
