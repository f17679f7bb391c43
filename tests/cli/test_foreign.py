"""What does the command line make of documents that others wrote into MongoDB?"""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from bson import Code, DatetimeMS, Decimal128, ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection

from cronlite.client.app import Cronlite
from cronlite.documents.daemons import DaemonRecord
from tests.cli.conftest import Typed

YEAR_10000 = DatetimeMS(253_402_300_800_000)
BROKEN: dict[str, dict[str, Any]] = {
    "banana": {"minute": "banana"},
    "year": {"active_from": YEAR_10000},
    "zone": {"tz": "Mars/Base"},
    "array": {"minute": [1, 61]},
    "regex": {"hour": re.compile("2")},
    "code": {"hour": Code("2")},
    "field": {"miunte": 5},
    "params": {"params": "text"},
    "float": {"minute": 5.5},
    "object": {"day": {"$gt": 1}},
}


@pytest.fixture
def typed(mongo_uri: str) -> Typed:
    return Typed(mongo_uri)


@pytest.fixture
def documents(mongo_uri: str) -> Iterator[Collection[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        yield client.get_default_database()["schedules"]


def test_foreign_values_are_shown(typed: Typed, documents: Collection[dict[str, Any]]) -> None:
    odd = {"id": ObjectId(), "at": datetime(2026, 1, 1), "price": Decimal128("1.50"), "far": YEAR_10000}
    documents.insert_one({"name": "n", "params": odd, "minute": 5.0, "hour": None})
    told = typed.json("show", "n")
    assert told["minute"] == 5
    assert told["hour"] == "*"
    assert told["params"]["id"] == str(odd["id"])
    assert told["params"]["at"] == "2026-01-01T00:00:00.000Z"
    assert told["params"]["price"] == "1.50"
    assert str(odd["id"]) in typed("show", "n").stdout
    assert "n " in typed("list").stdout


def test_the_doctor_names_each_broken_document_with_its_remedy(
    typed: Typed, documents: Collection[dict[str, Any]], mongo_uri: str
) -> None:
    with Cronlite(mongo_uri) as cron:
        cron.store.prepare()
        daemon = DaemonRecord(
            id="d", host="h", pid=1, version="1", started_at=datetime.now(timezone.utc), handlers=["good"]
        )
        cron.store.join(daemon)
    documents.insert_many([{"_id": name, "params": {}, **fields} for name, fields in BROKEN.items()])
    documents.insert_many([{"_id": 5, "params": {}}, {"_id": "lost", "params": {}, "handler": "nobody"}])
    documents.insert_many([{"params": {}, "minute": n % 60, "handler": "good"} for n in range(100)])
    found = {one["subject"]: one for one in json.loads(typed("doctor", "--json", code=1).stdout)}
    assert set(found) == {*(f"schedule {name}" for name in [*BROKEN, "5"]), "handler nobody"}
    assert all(one["remedy"] for one in found.values())
    assert "cronlite edit banana" in found["schedule banana"]["remedy"]
    assert "shell" in found["schedule 5"]["remedy"]
    assert len(typed.json("list")) == 101
    assert "11 cannot be read" in typed("list").stderr
    for name in BROKEN:
        shown = typed("show", name)
        assert shown.stderr.startswith("cronlite: error: "), shown
        assert typed.json("show", name)["faults"]
        assert typed.json("why", name, "--at", "now")["verdict"] == "unreadable"
        typed("remove", name)


def test_an_index_that_cannot_be_built_is_said_with_its_remedy(
    typed: Typed, documents: Collection[dict[str, Any]]
) -> None:
    documents.insert_one({"_id": "two", "params": {}, "minute": [1, 2], "hour": [1, 2]})
    assert "arrays in two fields" in typed("add", "--name", "n").stderr
    found = json.loads(typed("doctor", "--json", code=1).stdout)
    assert any("arrays in two fields" in one["problem"] for one in found if one["subject"] == "indexes"), found


def test_everyday_commands_work_on_a_server(typed: Typed) -> None:
    typed("add", "--name", "n", "--minute", "5", "--tag", "a")
    typed("edit", "n", "--hour", "3")
    typed("pause", "--tag", "a", "--yes")
    typed("resume", "n")
    id_ = typed.json("trigger", "n")["id"]
    assert typed.json("runs", "--schedule", "n")[0]["id"] == id_
    typed("cancel", id_)
    typed("retry", id_)
    assert typed.json("status", code=1)["queue"] == [{"state": "queued", "handler": "default", "runs": 1}]
    assert typed.json("next", "n", "-n", "2")[0]["name"] == "n"
    assert "'n'" in typed("add", "--name", "n", code=1).stderr
    typed("remove", "n")
