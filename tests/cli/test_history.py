"""Who changed what, taken back, restored: typed."""

from __future__ import annotations

from cronlite.client.app import Cronlite
from tests.cli.conftest import Typed


def test_the_history_says_who_what_and_when(cron: Cronlite, typed: Typed) -> None:
    typed("add", "--name", "nightly", "--cron", "30 2 * * *", CRONLITE_ACTOR="ann")
    typed("edit", "nightly", "--hour", "3", "--note", "later", CRONLITE_ACTOR="bob")
    typed("pause", "nightly", CRONLITE_ACTOR="carl")
    document = cron.document("nightly")
    cron.store.change_schedule(document["_id"], {"retries": 5}, document["updated_at"])
    told = typed("history", "nightly").stdout.splitlines()
    assert [line.split("  ")[-1].strip() for line in told[1:]] == [
        "retries 0 → 5",
        "paused",
        'hour 2 → 3; note "" → "later"',
        "added",
    ]
    assert "somebody else" in told[1]
    assert "before" in told[1]
    assert "carl (cli)" in told[2]
    entries = typed.json("history", "nightly")
    assert [(entry["actor"], entry["way"], entry["kind"]) for entry in entries] == [
        (None, None, "changed"),
        ("carl", "cli", "changed"),
        ("bob", "cli", "changed"),
        ("ann", "cli", "added"),
    ]
    assert entries[2]["before"]["hour"] == 2
    assert [entry["actor"] for entry in typed.json("history")] == ["carl", "bob", "ann"]
    assert len(typed.json("history", "-n", "1")) == 1


def test_an_import_and_its_user_are_in_the_history(typed: Typed) -> None:
    typed("import-crontab", "-", "--tz", "UTC", input="5 4 * * * backup\n", CRONLITE_ACTOR="ann")
    (entry,) = typed.json("history")
    assert (entry["actor"], entry["way"]) == ("ann", "import")


def test_undo_shows_first_then_does_then_undoes_itself(typed: Typed) -> None:
    typed("add", "--name", "n", "--cron", "30 2 * * *")
    typed("edit", "n", "--hour", "3")
    assert "would be" in typed("undo", "n", "--dry-run").stdout
    assert typed.json("show", "n")["hour"] == 3
    assert "02:30" in typed("undo", "n").stdout
    assert typed.json("undo", "n")["hour"] == 3
    first = typed.json("history", "n")[-1]["id"]
    assert typed.json("undo", "n", "--to", first)["hour"] == 2
    assert "no change 'x'" in typed("undo", "n", "--to", "x", code=1).stderr


def test_what_was_removed_is_found_and_restored(typed: Typed) -> None:
    typed("add", "--name", "n", "--cron", "30 2 * * *", "--params", '{"a": 1}')
    typed("remove", "n", CRONLITE_ACTOR="bob")
    assert "'restore' stores it again" in typed("show", "n", code=1).stderr
    assert "bob (cli)" in typed("removed").stdout
    assert typed("restore", "n", "--dry-run").stdout == "would restore n\n"
    assert len(typed.json("list")) == 0
    assert typed("restore", "n").stdout == "restored n\n"
    assert typed.json("show", "n")["params"] == {"a": 1}
    assert typed.json("removed") == []
    assert [entry["kind"] for entry in typed.json("history", "n")] == ["restored", "removed", "added"]
    assert "is there" in typed("restore", "n", code=1).stderr
    assert "no schedule has the id or name 'm'" in typed("history", "m", code=1).stderr


def test_why_names_who_changed_it_since(typed: Typed) -> None:
    typed("add", "--name", "n", "--cron", "30 2 * * *", "--active-from", "2026-01-01")
    typed("edit", "n", "--minute", "45", CRONLITE_ACTOR="bob")
    reasons = typed.json("why", "n", "--at", "2026-01-05 02:30")["reasons"]
    assert any("bob (cli), at" in reason and "minute 30 → 45" in reason for reason in reasons)
