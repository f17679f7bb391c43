"""Schedules that an owner wants: made once by any number at once, never another's, the same after any interruption."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import Any, cast

import pytest

from cronlite import Conflict, Cronlite, InvalidInput, QuotaExceeded
from cronlite.client import plans
from cronlite.documents.changes import Actor
from cronlite.documents.options import DeclaredSchedule
from cronlite.handlers.registry import Registry
from cronlite.plans.reading import of_list
from cronlite.store.contract import ChangeQuery

A: DeclaredSchedule = {"name": "a", "cron": "30 2 * * *", "params": {"n": 1}}
B: DeclaredSchedule = {"name": "b", "every": "90m"}
C: DeclaredSchedule = {"name": "c", "minute": 5}
FILE = Actor("x.toml", "file")


def many(number: int, **fields: Any) -> list[DeclaredSchedule]:
    made = [{"name": f"s{n:05}", "cron": f"{n % 60} {n // 60 % 24} * * *", "params": {"n": n}} for n in range(number)]
    return cast("list[DeclaredSchedule]", [{**one, **fields} for one in made])


def names(cron: Cronlite) -> list[str]:
    return sorted(schedule.name or "" for schedule in cron.schedules())


def changes(cron: Cronlite) -> int:
    return len(cron.store.changes(ChangeQuery()))


def test_what_is_declared_is_made_changed_and_with_prune_removed(cron: Cronlite) -> None:
    a, b = cron.declare([A, B], owner="billing", actor="deploy")
    assert (a.name, a.owner, a.params, b.every) == ("a", "billing", {"n": 1}, "90m")
    assert changes(cron) == 2
    assert cron.declare([A, B], owner="billing") == [a, b]
    assert changes(cron) == 2  # nothing changed, and nothing was written
    changed, _ = cron.declare([{**A, "retries": 3}, C], owner="billing", actor="deploy")
    assert (changed.id, changed.retries, names(cron)) == (a.id, 3, ["a", "b", "c"])
    assert changed.active_from == a.active_from
    cron.declare([A], owner="billing", prune=True)
    assert names(cron) == ["a"]
    assert cron.get("a").retries == 0  # what is not said any more is the default again
    assert sorted(change.name or "" for change in cron.history.removed()) == ["b", "c"]
    assert [change.actor and change.actor.name for change in cron.history.of("a")][1:] == ["deploy", "deploy"]


def test_when_it_is_due_counts_anew_where_that_changes(cron: Cronlite) -> None:
    (before,) = cron.declare([A], owner="billing")
    (after,) = cron.declare([{**A, "cron": "30 3 * * *"}], owner="billing")
    assert before.active_from is not None
    assert after.active_from is not None
    assert after.active_from > before.active_from


def test_a_pause_and_a_hand_that_edits_stay_or_are_put_right(cron: Cronlite) -> None:
    cron.declare([A], owner="billing")
    cron.pause("a")
    cron.update("a", hour=9, note="by hand")
    assert cron.get("a").owner == "billing"
    (again,) = cron.declare([A], owner="billing")
    assert (again.enabled, again.hour, again.note) == (False, 2, "")
    (again,) = cron.declare([{**A, "enabled": True}], owner="billing")
    assert again.enabled


def test_a_name_of_somebody_elses_is_refused_and_then_nothing_is_written(cron: Cronlite) -> None:
    cron.schedule("eve", minute=1, name="a")
    cron.declare([B], owner="sales")
    with pytest.raises(Conflict, match=r"a: .* was made by somebody.*b: .* belongs to 'sales'"):
        cron.declare([A, B, C], owner="billing")
    assert names(cron) == ["a", "b"]
    adopted = cron.declare([A, B, C], owner="billing", adopt=True)
    assert [one.owner for one in adopted] == ["billing"] * 3
    assert (adopted[0].user, adopted[0].hour) == ("", 2)
    cron.declare([], owner="sales", prune=True)
    assert names(cron) == ["a", "b", "c"]


def test_what_stands_in_the_code_and_what_in_a_file_are_not_taken_from_each_other(cron: Cronlite, uri: str) -> None:
    registry = Registry()
    registry.handler("a", cron="@daily")(lambda params: params)
    with Cronlite(uri, registry=registry) as app:
        cron.declare([A], owner="billing")
        app.declare_handlers()
        assert (cron.get("a").owner, cron.get("a").hour) == ("billing", 2)
        cron.remove("a")
        app.declare_handlers()
        with pytest.raises(Conflict, match="stands beside its handler"):
            cron.declare([A], owner="billing")


def test_declaring_by_name_leaves_the_owner_what_is_its(cron: Cronlite) -> None:
    cron.declare([A], owner="billing")
    assert cron.schedule("", {"n": 2}, cron="30 2 * * *", name="a").owner == "billing"


def test_a_new_name_keeps_the_schedule(cron: Cronlite) -> None:
    (a,) = cron.declare([A], owner="billing")
    renamed: DeclaredSchedule = {**A, "name": "z", "was": "a"}
    for _ in range(2):
        (z,) = cron.declare([renamed], owner="billing", prune=True)
        assert (z.id, z.name, names(cron)) == (a.id, "z", ["z"])
    with_the_old_again = cron.declare([renamed, C, A], owner="billing")
    assert (with_the_old_again[0].id, with_the_old_again[2].id != a.id) == (a.id, True)
    cron.schedule("eve", minute=1, name="hers")
    with pytest.raises(Conflict, match="'hers' was made by somebody"):
        cron.declare([{**B, "was": "hers"}], owner="billing")


def test_a_foreign_document_that_cannot_be_read_is_told_or_put_right(cron: Cronlite) -> None:
    cron.store.add_schedule({"_id": "x", "name": "a", "params": {}, "owner": "billing", "minute": 99})
    (mended,) = cron.declare([A], owner="billing")
    assert (mended.id, mended.minute) == ("x", 30)
    cron.store.add_schedule({"_id": "y", "name": "b", "params": {}, "owner": "billing", "colour": "red"}) if (
        "sqlite" not in cron.uri
    ) else cron.store.add_schedule({"_id": "y", "name": "b", "params": {}, "owner": "billing", "origin": {"a": 1}})
    with pytest.raises(Conflict, match="b: is there and cannot be read"):
        cron.declare([A, B], owner="billing")


def test_any_number_of_processes_declare_at_once_and_write_once(uri: str, cron: Cronlite) -> None:
    everybody = [Cronlite(uri) for _ in range(6)]
    wrong: list[Exception] = []

    def deploy(one: Cronlite) -> None:
        try:
            one.declare(many(40), owner="billing", prune=True)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=deploy, args=(one,)) for one in everybody]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in everybody:
        one.close()
    assert wrong == []
    assert names(cron) == [one["name"] for one in many(40)]
    assert changes(cron) == 40
    assert len(cron.history.latest(None)) == 40


def test_of_two_different_files_at_once_one_wins_as_a_whole_or_says_that_it_did_not(uri: str, cron: Cronlite) -> None:
    cron.declare(many(30), owner="billing")
    wrong: list[Exception] = []

    def deploy(retries: int) -> None:
        with Cronlite(uri) as one:
            try:
                one.declare(many(30, retries=retries), owner="billing")
            except Conflict as error:
                wrong.append(error)

    threads = [threading.Thread(target=deploy, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong or len({schedule.retries for schedule in cron.schedules()}) == 1


HALF_WAY = """
import os, signal, sys
import cronlite
from cronlite.client import plans
from tests.client.test_plans import many

cron = cronlite.Cronlite(sys.argv[1])
plans._WRITTEN = 20
real, times = plans._write, []

def write(*args):
    times.append(1)
    if len(times) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*args)

plans._write = write
cron.declare(many(100, retries=1), owner="billing", prune=True)
"""


def test_what_is_interrupted_half_way_comes_to_the_same_end_when_it_is_repeated(uri: str, cron: Cronlite) -> None:
    cron.declare([*many(50), C], owner="billing")
    done = subprocess.run([sys.executable, "-c", HALF_WAY, uri], check=False)
    assert done.returncode == -signal.SIGKILL
    wish = of_list("billing", many(100, retries=1))
    todo = plans.plan(cron._opened, wish, prune=True)
    assert 0 < len(todo.to_do) < 101
    assert not plans.apply(cron._opened, wish, FILE, prune=True).refusals
    assert not plans.plan(cron._opened, wish, prune=True).to_do
    assert names(cron) == [one["name"] for one in many(100)]
    assert {schedule.retries for schedule in cron.schedules()} == {1}


def test_a_quota_holds_for_many_at_once(uri: str) -> None:
    with Cronlite(uri, quota={"schedules": 5}) as cron:
        with pytest.raises(QuotaExceeded):
            cron.declare(many(6, user="eve"), owner="billing")
        assert names(cron) == []
        assert len(cron.declare(many(5, user="eve"), owner="billing")) == 5
        assert len(cron.declare(many(5, user="eve", retries=1), owner="billing")) == 5


def test_all_that_is_wrong_in_code_is_told_at_once(cron: Cronlite) -> None:
    with pytest.raises(InvalidInput, match=r"schedules\[0\].hour.*schedules\[1\].retires"):
        cron.declare([{**A, "hour": 99}, {**B, "retires": 1}], owner="billing")  # type: ignore[typeddict-unknown-key]
