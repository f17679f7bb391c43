"""What do freeze, freezes and thaw say, and who else tells of a freeze?"""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.cli.conftest import Typed


@pytest.fixture
def often(typed: Typed) -> Typed:
    typed("add", "--name", "often", "--minute", "*/5", "--tag", "billing", "--handler", "double")
    typed("add", "--name", "other", "--minute", "*/5", "--handler", "double")
    return typed


def test_a_freeze_is_told_wherever_the_schedule_is(often: Typed) -> None:
    said = often(
        "freeze", "--tag", "billing", "--until", "3d", "--reason", "moving", "--then", "run", CRONLITE_ACTOR="ann"
    )
    assert "tag billing (1 now), from now until" in said.stdout
    [frozen] = often.json("freezes")
    assert frozen["id"] in said.stdout
    assert {name: frozen[name] for name in ("tag", "user", "afterwards", "reason", "actor", "way", "hold")} == {
        "tag": "billing",
        "user": None,
        "afterwards": "run",
        "reason": "moving",
        "actor": "ann",
        "way": "cli",
        "hold": False,
    }
    assert [(one["name"], one["frozen"]) for one in often.json("list")] == [("often", frozen["id"]), ("other", None)]
    assert often.json("show", "often")["frozen"] == frozen["id"]
    assert {(one["name"], one["frozen"]) for one in often.json("next")} == {("often", frozen["id"]), ("other", None)}
    assert often.json("status", code=1)["freezes"] == [frozen]
    for words in (["list"], ["show", "often"], ["next", "often"], ["freezes"]):
        assert "moving" in often(*words).stdout
    assert "tag billing: frozen until" in often("status", code=1).stdout
    at = often.json("next", "often")[0]["at"]
    answer = often.json("why", "often", "--at", at)
    assert (answer["verdict"], frozen["id"] in answer["reasons"][0]) == ("frozen", True)
    assert often("thaw", frozen["id"][:10]).stdout == f"thawed {frozen['id']}\n"
    assert often.json("freezes") == []
    assert often("freezes").stderr.startswith("cronlite: note: nothing is frozen")
    assert [one["thawed_by"] is not None for one in often.json("freezes", "--ended")] == [True]
    assert "has ended already" in often("thaw", frozen["id"], code=1).stderr


def test_a_length_of_time_counts_from_now_and_a_time_of_day_from_the_beginning(often: Typed) -> None:
    def hours(begin: str, until: str) -> float:
        frozen = often.json("freeze", "--all", "--dry-run", "--from", begin, "--until", until)
        until_at, from_at = (datetime.fromisoformat(frozen[name][:19]) for name in ("until_at", "from_at"))
        return (until_at - from_at).total_seconds() / 3_600

    assert hours("2d", "3d") == pytest.approx(24)
    assert hours("tomorrow 22:00Z", "06:00Z") == 8
    assert "is before its beginning" in often("freeze", "--all", "--from", "2d", "--until", "8h", code=2).stderr


def test_a_run_that_is_held_says_so(often: Typed) -> None:
    often("enqueue", "double")
    often("freeze", "--all", "--hold")
    [frozen] = often.json("freezes")
    assert f"waits for the end of freeze {frozen['id']}" in often("runs").stdout
    told = often("log", often.json("runs")[0]["id"]).stdout
    assert f"waits for the end of freeze {frozen['id']}" in told
    assert "9999" not in told


def test_a_dry_run_shows_what_it_picks_and_freezes_nothing(often: Typed) -> None:
    assert "would freeze all schedules (2 now)" in often("freeze", "--all", "--dry-run").stdout
    assert often.json("freeze", "--handler", "none", "--dry-run")["schedules"] == 0
    assert "picks no schedule" in often("freeze", "--user", "eve", "--dry-run").stderr
    assert often.json("freezes") == []


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["freeze"], 2, "name a tag, user, handler or queue"),
        (["freeze", "--all", "--tag", "a"], 2, "goes with no other choice"),
        (["freeze", "--all", "--until", "2020-01-01T00:00Z"], 2, "not to come"),
        (["thaw", "none"], 1, "no freeze has the id 'none'; 'cronlite freezes' lists them"),
        (["maintenance"], 2, "cronlite freeze --all"),
    ],
)
def test_what_is_refused_says_what_to_give(typed: Typed, words: list[str], code: int, told: str) -> None:
    assert told in typed(*words, code=code).stderr
