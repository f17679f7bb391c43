"""Who changed a schedule, and how is that taken back, where others write to it as well, or a process dies at it?"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cronlite import Conflict, Cronlite, InvalidInput, NotFound, Schedule
from cronlite.documents.changes import Actor, Change
from cronlite.handlers.registry import Registry
from cronlite.store import open_store
from cronlite.store.contract import ChangeQuery
from cronlite.testing import Rehearsal
from cronlite.when.clock import MILLISECOND
from tests.store.overheard import Commands, overhear

ANN, BOB = Actor("ann", "cli"), Actor("bob@example.org", "web")


@pytest.fixture
def nightly(cron: Cronlite) -> Schedule:
    return cron.schedule("u", {"keep": 7}, minute=30, hour=2, name="nightly", actor=ANN)


def told(changes: list[Change]) -> list[tuple[str, str | None]]:
    return [(change.kind, change.actor.name if change.actor else None) for change in changes]


def by_hand(cron: Cronlite, id: str, **fields: Any) -> None:
    """Write as another program does: `updated_at` stays as it was."""
    document = cron.store.schedule(id)
    assert document is not None
    assert cron.store.change_schedule(id, fields, document["updated_at"])


def test_every_write_leaves_who_when_and_what(cron: Cronlite, nightly: Schedule) -> None:
    cron.update("nightly", hour=3, retries=2, actor=BOB)
    cron.pause("nightly", actor="ops")
    cron.resume(nightly.id, actor=ANN)
    cron.remove("nightly", actor=BOB)
    changes = cron.history.of(nightly.id)
    removed, resumed, paused, edited, added = changes
    assert told(changes) == [
        ("removed", "bob@example.org"),
        ("changed", "ann"),
        ("changed", "ops"),
        ("changed", "bob@example.org"),
        ("added", "ann"),
    ]
    assert (added.before, edited.actor, paused.actor) == (None, BOB, Actor("ops", "api"))
    assert (added.after or {})["params"] == {"keep": 7}
    assert (edited.before, edited.after) == (
        {"hour": 2, "retries": 0, "active_from": nightly.active_from},
        {"hour": 3, "retries": 2, "active_from": edited.at},
    )
    assert ((paused.before or {})["enabled"], (resumed.after or {})["enabled"]) == (True, True)
    assert ((removed.before or {})["hour"], removed.after, removed.name) == (3, None, "nightly")
    assert [change.at for change in changes] == sorted((change.at for change in changes), reverse=True)
    assert all(change.certain for change in changes)
    assert cron.history.latest() == changes
    assert cron.history.of("nightly", limit=2) == changes[:2]


def test_the_actor_is_the_environments_or_who_this_process_runs_as(
    cron: Cronlite, nightly: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "carla")
    cron.pause(nightly.id)
    monkeypatch.setenv("CRONLITE_ACTOR", "deploy\x1b[2J 42\n")
    cron.resume(nightly.id)
    by_environment, by_login, _ = [change.actor for change in cron.history.of(nightly.id)]
    assert by_environment == Actor("deploy [2J 42", "api")
    assert by_login is not None
    assert by_login.name.startswith("carla@")


@pytest.mark.parametrize("actor", ["", "a\nb", "x" * 201, " a", 7, {"$ne": 1}])
def test_an_actor_is_a_line_of_text(cron: Cronlite, nightly: Schedule, actor: Any) -> None:
    with pytest.raises(InvalidInput, match="actor"):
        cron.pause(nightly.id, actor=actor)
    assert cron.get(nightly.id).enabled


def test_what_declares_the_same_again_leaves_no_change(cron: Cronlite, nightly: Schedule) -> None:
    cron.schedule("u", {"keep": 7}, minute=30, hour=2, name="nightly", actor=BOB)
    assert told(cron.history.of(nightly.id)) == [("added", "ann")]


def test_a_daemons_declarations_are_in_the_history(cron: Cronlite, uri: str) -> None:
    registry = Registry()
    registry.handler("report", cron="@daily")(lambda params: params)
    with Cronlite(uri, registry=registry) as app:
        app.declare_handlers()
    (added,) = cron.history.of("report")
    assert (added.kind, added.actor and added.actor.way) == ("added", "api")


# what somebody else writes


def test_what_somebody_else_changes_is_nobodys(cron: Cronlite, nightly: Schedule) -> None:
    by_hand(cron, nightly.id, hour=5)
    other, added = cron.history.of(nightly.id)
    assert (other.actor, other.id, other.before, other.after) == (None, "", {"hour": 2}, {"hour": 5})
    assert added.actor == ANN
    cron.pause(nightly.id, actor=BOB)
    assert told(cron.history.of(nightly.id)) == [("changed", "bob@example.org"), ("changed", None), ("added", "ann")]
    by_hand(cron, nightly.id, note="x")
    assert [change.after for change in cron.history.of(nightly.id) if change.actor is None][:1] == [{"note": "x"}]


def test_what_somebody_else_has_changed_twice_cannot_be_known(cron: Cronlite, nightly: Schedule) -> None:
    by_hand(cron, nightly.id, hour=5)
    cron.pause(nightly.id)
    paused = cron.history.of(nightly.id)[0].id
    by_hand(cron, nightly.id, hour=6)
    later, _, earlier, _ = cron.history.of(nightly.id)
    assert (later.before, later.after) == ({}, {"hour": 6})
    assert (earlier.before, earlier.after) == ({"hour": 2}, {})
    with pytest.raises(Conflict, match="of hour it is not known"):
        cron.history.undo(nightly.id, to=paused)
    assert cron.get(nightly.id).hour == 6


def test_what_somebody_else_removes_or_adds_is_nobodys(cron: Cronlite, nightly: Schedule) -> None:
    document = cron.store.schedule(nightly.id)
    assert document is not None
    assert cron.store.remove_schedule(nightly.id)
    gone, added = cron.history.of(nightly.id)
    assert ((gone.kind, gone.actor), added.actor) == (("removed", None), ANN)
    assert (gone.before or {})["hour"] == 2
    cron.store.add_schedule(document)
    assert told(cron.history.of(nightly.id)) == [("added", "ann")]  # as if it had never been gone
    cron.remove(nightly.id, actor=BOB)
    cron.store.add_schedule({**document, "hour": 9})
    assert told(cron.history.of(nightly.id)) == [("added", None), ("removed", "bob@example.org"), ("added", "ann")]


def test_a_schedule_of_somebody_elses_has_a_history_from_its_first_change_on(cron: Cronlite) -> None:
    cron.store.add_schedule({"_id": "foreign", "params": {}, "minute": "5"})
    assert cron.history.of("foreign") == []
    cron.update("foreign", hour=3, actor=ANN)
    (change,) = cron.history.of("foreign")
    assert (change.kind, change.after and change.after["hour"], change.before and change.before["hour"]) == (
        "changed",
        3,
        None,
    )
    cron.history.undo("foreign")
    assert (cron.store.schedule("foreign") or {}).get("hour") in (None, "*")


def test_a_writer_of_a_version_without_a_history_casts_no_doubt_on_what_was_before(
    cron: Cronlite, nightly: Schedule
) -> None:
    cron.update(nightly.id, hour=3, actor=BOB)
    document = cron.store.schedule(nightly.id)
    assert document is not None
    later = document["updated_at"] + MILLISECOND
    assert cron.store.change_schedule(nightly.id, {"note": "x", "updated_at": later}, document["updated_at"])
    changes = cron.history.of(nightly.id)
    assert told(changes) == [("changed", None), ("changed", "bob@example.org"), ("added", "ann")]
    assert all(change.certain for change in changes)
    assert cron.history.undo(nightly.id).hour == 2


# taking back


def test_undo_takes_the_last_change_back_and_is_one_itself(cron: Cronlite, nightly: Schedule) -> None:
    cron.update(nightly.id, hour=3, note="why", actor=BOB)
    undone = cron.history.undo("nightly", actor=ANN)
    assert (undone.hour, undone.note) == (2, "")
    assert told(cron.history.of(nightly.id))[0] == ("changed", "ann")
    assert undone.active_from is not None
    assert nightly.active_from is not None
    assert undone.active_from > nightly.active_from  # no minute that is past becomes due
    assert cron.history.undo("nightly").hour == 3


def test_undo_goes_back_to_what_a_change_left(cron: Cronlite, nightly: Schedule) -> None:
    cron.update(nightly.id, hour=3)
    cron.update(nightly.id, note="a", tags=["x"])
    by_hand(cron, nightly.id, retries=9)
    cron.pause(nightly.id)
    third, *_ = [change for change in cron.history.of(nightly.id) if change.after and "note" in change.after]
    first = cron.history.of(nightly.id)[-1]
    back = cron.history.undo(nightly.id, to=third.id)
    assert (back.enabled, back.note, back.hour, back.retries) == (True, "a", 3, 0)
    back = cron.history.undo(nightly.id, to=first.id.rpartition("@")[2])
    assert (back.enabled, back.note, back.hour, back.tags, back.params) == (True, "", 2, (), {"keep": 7})
    with pytest.raises(NotFound, match="as that change left it"):
        cron.history.undo(nightly.id, to=first.id)
    with pytest.raises(NotFound, match="no change 'yesterday'"):
        cron.history.undo(nightly.id, to="yesterday")


def test_a_pause_that_is_taken_back_makes_up_for_nothing(cron: Cronlite, nightly: Schedule) -> None:
    cron.pause(nightly.id)
    paused_at = cron.history.of(nightly.id)[0].at
    resumed = cron.history.undo(nightly.id)
    assert resumed.enabled
    assert resumed.active_from is not None
    assert resumed.active_from >= paused_at


def test_undo_does_not_overwrite_what_somebody_else_has_changed(cron: Cronlite, nightly: Schedule) -> None:
    cron.update(nightly.id, hour=3, actor=BOB)
    by_hand(cron, nightly.id, hour=4)
    with pytest.raises(Conflict, match="somebody else has changed hour"):
        cron.history.undo(nightly.id)
    assert cron.get(nightly.id).hour == 4
    with pytest.raises(NotFound, match="no schedule has or had"):
        cron.history.undo("nobody")


def test_what_was_only_added_has_nothing_to_take_back(cron: Cronlite, nightly: Schedule) -> None:
    with pytest.raises(NotFound, match="'remove' deletes it"):
        cron.history.undo(nightly.id)


def test_what_was_removed_is_listed_and_restored(cron: Cronlite, nightly: Schedule) -> None:
    other = cron.schedule("u", minute=5, name="other")
    cron.remove("nightly", actor=BOB)
    cron.remove("other")
    assert [change.name for change in cron.history.removed()] == ["other", "nightly"]
    assert [change.name for change in cron.history.removed(1)] == ["other"]
    restored = cron.history.restore("nightly", actor=ANN)
    assert (restored.id, restored.name, restored.hour, restored.params) == (nightly.id, "nightly", 2, {"keep": 7})
    assert restored.created_at == nightly.created_at
    assert restored.active_from is not None
    assert nightly.active_from is not None
    assert restored.active_from > nightly.active_from
    assert cron.get("nightly") == restored
    assert told(cron.history.of(nightly.id))[:2] == [("restored", "ann"), ("removed", "bob@example.org")]
    assert [change.name for change in cron.history.removed()] == ["other"]
    assert cron.history.undo(other.id).id == other.id
    with pytest.raises(Conflict, match="is there"):
        cron.history.restore("nightly")
    with pytest.raises(NotFound):
        cron.history.restore("nobody")


def test_any_number_that_were_removed_at_once_are_listed(cron: Cronlite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cronlite.client.history._PAGE", 4)
    made = cron.declare([{"name": f"s{number}", "minute": number} for number in range(10)], owner="o")
    cron.many.remove([schedule.id for schedule in made])
    assert sorted(change.name or "" for change in cron.history.removed()) == [f"s{number}" for number in range(10)]
    assert len(cron.history.removed(6)) == 6


def test_a_name_that_is_taken_meanwhile_keeps_a_schedule_from_being_restored(cron: Cronlite, nightly: Schedule) -> None:
    cron.remove("nightly")
    cron.schedule("u", minute=5, name="nightly")
    with pytest.raises(Conflict, match="name 'nightly'"):
        cron.history.restore(nightly.id)
    assert [change.schedule for change in cron.history.removed()] == [nightly.id]
    assert told(cron.history.of(nightly.id))[0][0] == "removed"


def test_what_is_too_large_is_left_out_and_not_brought_back_wrongly(
    cron: Cronlite, nightly: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cronlite.documents.changes.LARGEST_VALUE", 50)
    cron.update(nightly.id, params={"text": "x" * 100})
    cron.update(nightly.id, params={"text": "y" * 100})
    with pytest.raises(Conflict, match="params of it was too large"):
        cron.history.undo(nightly.id)
    assert cron.get(nightly.id).params == {"text": "y" * 100}


# many at once, and bounds


def test_who_loses_a_race_leaves_nothing_in_the_history(uri: str, cron: Cronlite, nightly: Schedule) -> None:
    everybody = [Cronlite(uri) for _ in range(6)]

    def edit(one: Cronlite, number: int) -> None:
        for step in range(5):
            one.update(nightly.id, note=f"{number} {step}", actor=f"a{number}")

    threads = [threading.Thread(target=edit, args=(one, number)) for number, one in enumerate(everybody)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in everybody:
        one.close()
    changes = cron.history.of(nightly.id)
    assert len(changes) == 31
    assert len(cron.store.changes(ChangeQuery(schedule=nightly.id))) == 31
    for newer, older in pairwise(changes):
        assert (newer.found, newer.found_at) == (older.left, older.left_at)
        if older.kind == "changed":
            assert (newer.before or {})["note"] == (older.after or {})["note"]
            assert older.actor == Actor(f"a{(older.after or {})['note'][0]}")


def test_a_clock_that_ran_ahead_stops_nobody(
    cron: Cronlite, nightly: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = cron.store.schedule(nightly.id)
    assert document is not None
    ahead = document["updated_at"].replace(year=2080)
    cron.store.change_schedule(nightly.id, {"updated_at": ahead}, document["updated_at"])
    cron.update(nightly.id, note="x")
    cron.remove(nightly.id)
    assert [change.kind for change in cron.history.of(nightly.id) if change.actor] == ["removed", "changed", "added"]


def test_of_one_schedule_a_thousand_changes_are_kept(
    cron: Cronlite, nightly: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in ("mongo", "sqlite"):
        monkeypatch.setattr(f"cronlite.store.{backend}.changes.MOST", 10)
    other = cron.schedule("u", minute=5, name="other")
    for number in range(70):
        cron.update(nightly.id, note=str(number))
    kept = cron.store.changes(ChangeQuery(schedule=nightly.id))
    assert 10 <= len(kept) <= 60
    assert (kept[0].after or {})["note"] == "69"
    assert len(cron.history.of(other.id)) == 1


def test_changes_of_more_than_a_year_ago_are_deleted(tmp_path: Path) -> None:
    with Cronlite(f"sqlite:{tmp_path / 'x.db'}") as cron:
        added = cron.schedule("u", minute=5)
        (change,) = cron.history.of(added.id)
        assert cron.store.prune_changes(change.expires_at.replace(year=change.at.year)) == 0
        assert cron.store.prune_changes(change.expires_at) == 1
        assert cron.history.of(added.id) == []


# kill -9 at each point

WRITER = """
import json, os, signal, sys
import cronlite
from cronlite.store.mongo import changes as kept

uri, act, points = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def killing(point):
    when, name = point.split()
    real = getattr(kept.Changes, name)
    def call(*args):
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        real(*args)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(kept.Changes, name, call)

ended = []
for number, point in enumerate(points):
    child = os.fork()
    if child == 0:
        cron = cronlite.Cronlite(uri)
        cron.store.prepare()
        killing(point)
        {
            "add": lambda: cron.schedule("u", minute=5, name=f"new{number}", actor="victim"),
            "edit": lambda: cron.update(f"n{number}", hour=9, actor="victim"),
            "remove": lambda: cron.remove(f"n{number}", actor="victim"),
            "undo": lambda: cron.history.undo(f"n{number}", actor="victim"),
        }[act]()
        os._exit(0)
    ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(ended))
"""
POINTS = ["before _store_changes", "after _store_changes", "after _write_documents", "after _settle"]
CAME = {"after _write_documents", "after _settle"}


def killed_at_each_point(uri: str, act: str) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, uri, act, json.dumps(POINTS)], check=True, capture_output=True)
    assert json.loads(done.stdout) == [-signal.SIGKILL] * len(POINTS)


@pytest.mark.mongod
@pytest.mark.parametrize("act", ["edit", "remove", "undo"])
def test_the_history_tells_no_lie_whenever_its_writer_is_killed(prepared_mongo_uri: str, act: str) -> None:
    with Cronlite(prepared_mongo_uri) as cron:
        made = [cron.schedule("u", minute=30, hour=2, name=f"n{number}", actor=ANN) for number in range(len(POINTS))]
        for schedule in made:
            cron.update(schedule.id, hour=4, actor=BOB)
        before = [cron.history.of(schedule.id) for schedule in made]
        killed_at_each_point(prepared_mongo_uri, act)
        removed = {change.schedule: change.certain for change in cron.history.removed()}
        for point, schedule, earlier in zip(POINTS, made, before, strict=True):
            changes = cron.history.of(schedule.id)
            assert changes[-2:] == earlier, point
            assert len(changes) == (3 if point in CAME else 2), point
            assert (schedule.id in removed) is (act == "remove" and point in CAME), point
            assert removed.get(schedule.id, True) is (act != "remove" or point != "after _write_documents"), point
            if point in CAME:
                assert changes[0].actor == Actor("victim")
                assert changes[0].certain is (act != "remove" or point == "after _settle")
                continue
            # Whoever comes next is not kept from it, and the history goes on from what there is.
            cron.update(schedule.id, hour=5, actor=ANN)
            assert told(cron.history.of(schedule.id)) == [("changed", "ann"), *told(earlier)], point
            cron.remove(schedule.id, actor=ANN)
            assert told(cron.history.of(schedule.id))[:2] == [("removed", "ann"), ("changed", "ann")], point


@pytest.mark.mongod
def test_what_was_never_stored_is_in_no_history(prepared_mongo_uri: str) -> None:
    with Cronlite(prepared_mongo_uri) as cron:
        killed_at_each_point(prepared_mongo_uri, "add")
        assert sorted(schedule.name or "" for schedule in cron.schedules()) == ["new2", "new3"]
        assert sorted(change.name or "" for change in cron.history.latest()) == ["new2", "new3"]
        assert cron.history.removed() == []


def test_a_transaction_joins_a_schedule_and_its_change_in_a_file(tmp_path: Path) -> None:
    """Killed between its two statements, neither is there."""
    uri = f"sqlite:{tmp_path / 'x.db'}"
    with Cronlite(uri) as cron:
        cron.schedule("u", minute=30, hour=2, name="nightly", actor=ANN)
        program = (
            "import os, signal, sys, cronlite\nfrom cronlite.store.sqlite import changes\n"
            "changes._refused = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "cronlite.Cronlite(sys.argv[1]).update('nightly', hour=9, actor='victim')"
        )
        done = subprocess.run([sys.executable, "-c", program, uri], check=False)
        assert done.returncode == -signal.SIGKILL
        assert told(cron.history.of("nightly")) == [("added", "ann")]
        assert len(cron.store.changes(ChangeQuery())) == 1
        assert cron.get("nightly").hour == 2


def test_a_file_of_before_there_was_a_history_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(open_store(f"sqlite:{path}")) as store:
        store.prepare()
    with closing(sqlite3.connect(path)) as old:
        old.execute("DROP TABLE changes")
        old.commit()
    with Cronlite(f"sqlite:{path}") as cron:
        cron.schedule("u", minute=5, name="n", actor=ANN)
        assert told(cron.history.of("n")) == [("added", "ann")]


@pytest.mark.mongod
def test_a_change_costs_one_write_more(prepared_mongo_uri: str) -> None:
    commands = Commands()
    with Cronlite(prepared_mongo_uri) as cron:
        cron._opened._opened = os.getpid(), overhear(prepared_mongo_uri, commands)
        id_ = cron.schedule("u", minute=5).id
        commands.sent.clear()
        cron.update(id_, note="x")
        assert [next(iter(sent)) for sent in commands.sent] == ["find", "insert", "update"]
        assert {sent[next(iter(sent))] for sent in commands.sent} == {"schedules", "changes"}


def test_no_tick_writes_to_the_history() -> None:
    with Rehearsal() as rehearsal:
        registry = Registry()
        registry.handler("ok")(lambda params: params)
        app = rehearsal.use(Cronlite("memory:", registry=registry))
        app.start()
        app.schedule("u", minute="*", handler="ok")
        rehearsal.advance(minutes=5)
        assert len(rehearsal.runs(handler="ok")) >= 4
        assert len(app.store.changes(ChangeQuery())) == 1
