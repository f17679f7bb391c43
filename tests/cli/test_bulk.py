"""Many schedules at once: picked, counted, asked for, changed; and what becomes of those that cannot be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cronlite.client.app import Cronlite
from tests.cli.conftest import Typed
from tests.cli.terminal import Terminal


@pytest.fixture(autouse=True)
def some(cron: Cronlite) -> None:
    for name, user, tags in (("a1", "eve", ["x"]), ("a2", "bob", ["x", "y"]), ("b", "bob", [])):
        cron.schedule(user, cron="0 3 * * *", name=name, tags=tags)


def paused(cron: Cronlite) -> list[str]:
    return sorted(one.name or "" for one in cron.schedules() if not one.enabled)


@pytest.mark.parametrize(
    ("picks", "meant"),
    [
        (["--tag", "x"], ["a1", "a2"]),
        (["--match", "a*"], ["a1", "a2"]),
        (["--user", "bob"], ["a2", "b"]),
        (["--user", "bob", "--tag", "x"], ["a2"]),
        (["--all"], ["a1", "a2", "b"]),
        (["b", "--tag", "y"], ["b", "a2"]),
    ],
)
def test_those_that_are_picked_are_paused_and_resumed(
    typed: Typed, cron: Cronlite, picks: list[str], meant: list[str]
) -> None:
    told = typed("pause", *picks, "--dry-run")
    assert told.stdout.splitlines() == [f"would pause {name}" for name in meant]
    assert paused(cron) == []
    assert f"pause {len(meant)} schedule" in typed("pause", *picks, code=2).stderr  # nobody can be asked
    assert paused(cron) == []
    done = typed("pause", *picks, "--yes", "--reason", "works")
    assert done.stdout.splitlines() == [f"paused {name}" for name in meant]
    assert f"paused {len(meant)} schedule" in done.stderr
    assert paused(cron) == sorted(meant)
    assert cron.get(meant[0]).pause_reason == "works"
    assert "were so already" in typed("pause", *picks, "--yes", "--reason", "works").stderr
    before = cron.get("b").active_from
    typed("resume", "--all", "--yes")
    assert paused(cron) == []
    assert (cron.get("b").active_from == before) is ("b" not in meant)  # what was not paused counts on as it did


def test_many_are_edited_and_each_has_a_change(typed: Typed, cron: Cronlite) -> None:
    typed("edit", "--of-tag", "x", "--tag", "z", "--retries", "3", "--hour", "4", "--yes", CRONLITE_ACTOR="ann")
    assert [(one.retries, one.hour, one.tags) for one in cron.schedules(tag="z")] == [(3, 4, ("z",))] * 2
    assert cron.get("b").retries == 0
    change = cron.history.of("a1")[0]
    assert (change.actor and change.actor.name, (change.before or {})["hour"]) == ("ann", 3)
    assert cron.get("a1").active_from == change.at
    assert typed.json("edit", "--all", "--note", "n", "--yes")[0]["done"] is True
    assert "is for one schedule" in typed("edit", "--all", "--name", "n", "--yes", code=2).stderr
    assert "would change" in typed("edit", "--of-user", "eve", "--note", "m", "--dry-run").stdout
    assert cron.get("a1").note == "n"
    assert "name schedules, or give" in typed("edit", "--note", "m", code=2).stderr
    assert "leave the others out" in typed("edit", "a1", "--all", "--note", "m", code=2).stderr


def test_what_fails_stops_none_of_the_others(typed: Typed, cron: Cronlite) -> None:
    cron.store.add_schedule({"_id": "bad", "name": "a0", "params": {}, "minute": 99})
    told = typed("edit", "--match", "a*", "--retries", "2", "--yes", code=1)
    assert told.stdout.splitlines() == ["changed a1", "changed a2"]
    assert "a0: minute: 99" in told.stderr
    entries = typed.json("pause", "--match", "a*", "--yes", code=1)
    assert {entry["name"]: entry["done"] for entry in entries} == {"a0": False, "a1": True, "a2": True}
    assert typed("remove", "--match", "a*", "--yes").stdout.splitlines() == ["removed a1", "removed a2", "removed a0"]
    assert [one.name for one in cron.schedules()] == ["b"]
    assert typed("restore", "a1", "a2").stdout == "restored a1\nrestored a2\n"


def test_many_are_run_now(typed: Typed, cron: Cronlite) -> None:
    entries = typed.json("trigger", "--tag", "x", "--yes")
    assert [cron.run_of(entry["run"]).schedule for entry in entries] == [entry["id"] for entry in entries]
    assert len(entries) == 2
    assert "still at work" in typed("trigger", "--tag", "x", "--yes", code=1).stderr
    assert "for one schedule" in typed("trigger", "--all", "--yes", "--wait", code=2).stderr
    assert "would trigger b" in typed("trigger", "b", "--dry-run").stdout


def test_none_that_fits_is_told(typed: Typed) -> None:
    assert "no schedule fits" in typed("pause", "--tag", "none", "--yes").stderr
    assert typed.json("remove", "--tag", "none", "--yes") == []


@pytest.mark.parametrize(("answer", "left"), [("n", 3), ("y", 1)])
def test_somebody_at_a_terminal_is_asked(uri: str, tmp_path: Path, cron: Cronlite, answer: str, left: int) -> None:
    command = [sys.executable, "-m", "cronlite", "--uri", uri, "remove", "--match", "a*"]
    with Terminal(command, dict(os.environ), str(Path.cwd())) as terminal:
        assert "remove 2 schedules: a1, a2?" in terminal.wait_for("[y/N]")
        terminal.press(f"{answer}\n")
        shown = terminal.wait_for_end()
    assert ("nothing was changed" in shown) is (answer == "n")
    assert len(cron.schedules()) == left
