"""Somebody writes into the history, or leaves a schedule in a state that no change can be told of.

Nothing of it is obeyed, ends a command, or keeps a schedule from being changed or removed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from cronlite import Cronlite, CronliteError, InvalidInput
from cronlite.cli import cli
from tests.cli.conftest import runner

OBEYED = "\x1b[2J\x1b]0;owned\x07\u202egnp"
NOW = datetime(2026, 11, 29, tzinfo=timezone.utc)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path / 'x.db'}"


@pytest.fixture
def cron(uri: str) -> Iterator[Cronlite]:
    with Cronlite(uri) as cron:
        cron.schedule("u", minute=5, name="n", actor="ann")
        cron.update("n", note="x", actor="bob")
        yield cron


def forge(uri: str, **fields: Any) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:"))) as file:
        names = ", ".join(f"{name} = ?" for name in fields)
        file.execute(f"UPDATE changes SET {names} WHERE actor = 'bob'", list(fields.values()))
        file.commit()


NONSENSE: list[dict[str, Any]] = [
    {"kind": "obeyed"},
    {"at": "yesterday"},
    {"at": 2**62},
    {"actor": ""},
    {"actor": "a\nb"},
    {"way": "root"},
    {"before": "{"},
    {"before": "[1]"},
    {"before": "[" * 100_000},
    {"after": '"text"'},
    {"found": "[]"},
    {"found": '{"a": 1}'},
    {"schedule": b"\xff"},
    {"left_at": "x"},
    {"actor": None},
]


@pytest.mark.parametrize("fields", NONSENSE, ids=lambda fields: str(fields)[:30])
def test_nonsense_in_the_history_ends_no_command(uri: str, cron: Cronlite, fields: dict[str, Any]) -> None:
    forge(uri, **fields)
    for words in (["history", "n"], ["history"], ["removed"], ["history", "n", "--json"]):
        result = runner().invoke(cli, ["--uri", uri, *words])
        assert (result.exit_code, result.exception) == (0, None), (words, result.stderr)
    assert cron.history.of("n")[-1].actor is not None
    cron.update("n", note="y", actor="carl")
    assert cron.history.of("n")[0].actor is not None
    cron.remove("n")
    assert cron.history.restore("n").name == "n"


@pytest.mark.parametrize(
    "before",
    [
        {"$where": "1"},
        {"minute": 99},
        {"params": {"$set": 1}},
        {"owner": 5, "_id": "other"},
        {"handler": "os.system"},
        {"note": {"$left_out": "x"}},
        {"user": {"$ne": 1}},
        {"note": "x" * 20_000},
    ],
    ids=lambda before: str(before)[:30],
)
def test_what_is_taken_back_is_checked_like_all_else(uri: str, cron: Cronlite, before: dict[str, Any]) -> None:
    forge(uri, before=json.dumps(before), after=json.dumps({"note": "x"}))
    stored = cron.document("n")
    try:
        cron.history.undo("n")
    except CronliteError:
        assert cron.document("n") == stored
    else:
        assert cron.get("n").handler == before.get("handler", "default")  # a name, and no more
    assert cron.document("n")["_id"] == stored["_id"]


def test_no_text_of_the_history_is_obeyed_by_a_terminal(uri: str, cron: Cronlite) -> None:
    forge(uri, before=json.dumps({OBEYED: OBEYED}), after=json.dumps({OBEYED: [OBEYED]}), name=OBEYED)
    with pytest.raises(InvalidInput):
        cron.pause("n", actor=OBEYED)
    result = runner().invoke(cli, ["--uri", uri, "pause", "n"], env={"CRONLITE_ACTOR": OBEYED})
    assert result.exit_code == 0
    for words in (["history"], ["history", "n"], ["history", "n", "--json"], ["undo", "n", "--to", OBEYED]):
        result = runner().invoke(cli, ["--uri", uri, *words])
        assert not set("\x1b\x07\u202e") & set(result.stdout + result.stderr), words


@pytest.mark.mongod
@pytest.mark.parametrize(
    "updated", [5, "yesterday", {"$gt": 0}, [1], None, True, datetime.max.replace(tzinfo=timezone.utc)], ids=str
)
def test_a_schedule_with_any_instant_of_its_last_change_can_be_changed_and_removed(
    mongo_uri: str, updated: Any
) -> None:
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        schedules = client.get_default_database()["schedules"]
        for id_ in ("one", "two", "three"):
            schedules.insert_one({"_id": id_, "name": id_, "params": {}, "minute": 5, "updated_at": updated})
    with Cronlite(mongo_uri) as cron:
        assert cron.update("one", note="x", actor="ann").note == "x"
        assert cron.remove("two", actor="ann") == "two"
        assert cron.many.update(["three"], note="x", actor="ann").done == ["three"]
        assert [change.kind for change in cron.history.of("one")] == ["changed"]
        assert [change.schedule for change in cron.history.removed()] == ["two"]
        assert cron.history.undo("one").note == ""


def test_a_change_says_who_by_the_stores_clock_and_not_by_the_callers(cron: Cronlite) -> None:
    at = cron.history.of("n")[0].at
    assert abs(at - cron.now()) < timedelta(minutes=5)
