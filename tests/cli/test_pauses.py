"""What do pause --until and the commands that speak of it say?"""

from __future__ import annotations

from tests.cli.conftest import Typed


def test_a_pause_with_an_end_is_told_wherever_the_schedule_is(typed: Typed) -> None:
    typed("add", "--name", "often", "--minute", "*/5", "--handler", "double")
    assert typed("pause", "often", "--until", "3d", "--reason", "the disk is full").stdout.startswith(
        "paused often until 20"
    )
    for told in (typed("list").stdout, typed("show", "often").stdout, typed("next", "often").stderr):
        assert "paused until" in told
        assert "the disk is full" in told
    [listed] = typed.json("list")
    assert (listed["paused"], listed["pause_reason"]) == (True, "the disk is full")
    assert listed["next_runs"][0] >= listed["paused_until"]
    [coming, *_] = typed.json("next")
    assert coming["at"] >= listed["paused_until"]
    assert typed.json("status", code=1)["paused"] == 1
    assert ["paused", "1", "schedule"] in [line.split() for line in typed("status", code=1).stdout.splitlines()]
    assert typed.json("why", "often", "--at", "now")["verdict"] in ("paused", "not_due", "not_active")
    assert (len(typed.json("list", "--disabled")), typed.json("list", "--enabled")) == (1, [])


def test_an_end_in_the_past_is_refused_with_what_to_give(typed: Typed) -> None:
    typed("add", "--name", "often", "--minute", "5")
    assert "is not to come" in typed("pause", "often", "--until", "2020-01-01T00:00Z", code=2).stderr
