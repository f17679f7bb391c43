"""What do limit and limits say, and what do runs, why and doctor say of runs that wait for one?"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest

from cronlite.client.app import Cronlite
from cronlite.documents import limits, new_runs
from cronlite.errors import InvalidInput, NotFound
from cronlite.store.contract import ClaimQuery
from tests.cli.conftest import Typed


def at_work(cron: Cronlite, count: int) -> None:
    """Claim what waits, as a daemon that never ends it."""
    cron.store.claim_runs("d1", ClaimQuery(["double"], cron.now() + timedelta(seconds=5), count))


def test_a_limit_is_set_shown_changed_and_removed(typed: Typed) -> None:
    assert "no limit is set" in typed("limits").stderr
    assert typed("limit", "stripe", "3").stdout == "set the limit stripe to 3\n"
    assert typed("limit", "stripe", "5").stdout == "set the limit stripe to 5; it was 3\n"
    told = typed.json("limit", "stripe")
    assert (told["name"], told["most"], told["at_work"], told["waiting"]) == ("stripe", 5, 0, 0)
    assert typed.json("limits") == [told]
    assert "stripe" in typed("limits").stdout
    assert "restricts nothing any more" in typed("limit", "stripe", "--remove").stdout
    assert typed.json("limits") == []


def test_a_dry_run_changes_nothing(typed: Typed) -> None:
    assert typed("limit", "stripe", "3", "--dry-run").stdout == "would set the limit stripe to 3\n"
    assert typed.json("limits") == []
    typed("limit", "stripe", "3")
    assert "would remove" in typed("limit", "stripe", "--remove", "--dry-run").stdout
    assert [one["most"] for one in typed.json("limits")] == [3]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["stripe"], 1, "no limit is called 'stripe'"),
        (["stripe", "--remove"], 1, "no limit is called 'stripe'"),
        (["stripe", "--remove", "--dry-run"], 1, "no limit is called 'stripe'"),
        (["stripe", "3", "--remove"], 2, "either N or --remove"),
        (["stripe", "10001"], 2, "most: 10001 is out of range; give 0 to 10000"),
        (["a b", "3"], 2, "is no name of a limit"),
        (["a\x1b[2Jb", "3", "--dry-run"], 2, "is no name of a limit"),
        (["$where", "3"], 2, "is no name of a limit"),
    ],
)
def test_what_is_no_limit_is_refused(typed: Typed, words: list[str], code: int, told: str) -> None:
    assert told in typed("limit", *words, code=code).stderr
    assert typed.json("limits") == []


def test_runs_and_why_say_what_waits_for_a_limit(typed: Typed, cron: Cronlite) -> None:
    typed("limit", "api", "3")
    typed("add", "--name", "minutely", "--handler", "double", "--limit", "api", "--priority", "3")
    for _ in range(5):
        typed("enqueue", "double", "--limit", "api")
    at_work(cron, 10)
    assert typed("runs").stdout.count("waits for limit api (3 at work)") == 2
    assert [one["waiting"] for one in typed.json("limits")] == [2]
    schedule = cron.get("minutely")
    tick = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    due = new_runs.of_schedule(schedule, tick, cron.now() - timedelta(seconds=1))
    cron.store.add_runs([due])
    assert "it waits for limit api (3 at work)" in typed("why", "minutely", "--at", tick.isoformat()).stdout
    assert re.search(r"priority +3", typed("show", "minutely").stdout)
    assert "limit" in typed("log", due.id).stdout


def test_a_limit_that_is_not_set_is_told_and_restricts_nothing(typed: Typed, cron: Cronlite) -> None:
    assert "no limit is called 'stripe'" in typed("enqueue", "double", "--limit", "stripe").stderr
    assert (
        "no limit is called 'api'"
        in typed("add", "--name", "n", "--hour", "2", "--minute", "0", "--limit", "api").stderr
    )
    told = {one["subject"]: (one["problem"], one["remedy"]) for one in typed.json("doctor", code=1)}
    assert "restricts nothing; 1 queued run" in told["limit stripe"][0]
    assert told["limit api"] == (
        "is not set, so it restricts nothing; schedules name it: n",
        "set it: cronlite limit api 3",
    )
    assert typed.json("limits")[0] == typed.json("limits")[0] | {"name": "stripe", "most": None, "waiting": 1}
    typed("limit", "stripe", "0")
    told = {one["subject"]: (one["problem"], one["remedy"]) for one in typed.json("doctor", code=1)}
    assert told["limit stripe"] == ("is 0, so nothing starts; 1 queued run", "raise it: cronlite limit stripe 3")


def test_an_edit_sets_and_takes_away_limit_and_priority(typed: Typed) -> None:
    typed("add", "--name", "n", "--hour", "2", "--minute", "0")
    typed("limit", "api", "1")
    assert "api" in typed("edit", "n", "--limit", "api", "--priority", "9").stderr + typed("show", "n").stdout
    assert (typed.json("show", "n")["limit"], typed.json("show", "n")["priority"]) == ("api", 9)
    typed("edit", "n", "--limit", "", "--priority", "5")
    assert (typed.json("show", "n")["limit"], typed.json("show", "n")["priority"]) == (None, 5)
    assert "priority: 10 is out of range; give 0 to 9" in typed("edit", "n", "--priority", "10", code=2).stderr


def test_python_sets_lists_and_removes(cron: Cronlite) -> None:
    assert cron.limits.set("api", 2, actor="ann") == limits.new(
        "api", 2, cron.limits.get("api").changed_at or cron.now(), "ann"
    )
    for _ in range(3):
        cron.enqueue("double", limit="api", priority=9)
    at_work(cron, 10)
    (found,) = cron.limits.list()
    assert (found.name, found.most, found.at_work, found.waiting, found.changed_by) == ("api", 2, 2, 1, "ann")
    assert found.is_reached
    cron.limits.remove("api")
    with pytest.raises(NotFound, match="no limit is called 'api'"):
        cron.limits.get("api")
    for name, most in (("", 3), ({"$ne": 1}, 3), ("api", "3"), ("api", True), ("api", -1)):
        with pytest.raises(InvalidInput):
            cron.limits.set(name, most)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        cron.limits.remove({"$ne": 1})  # type: ignore[arg-type]
