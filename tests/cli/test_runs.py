"""What do trigger, enqueue, runs, log, retry, cancel and why say?"""

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cronlite.client.app import Cronlite
from cronlite.documents.runs import RUNNING, STATES, SUCCEEDED, Run
from cronlite.documents.transitions import closed
from tests.cli.conftest import Typed
from tests.store.samples import NOW, a_run, add


@pytest.fixture
def working(cron: Cronlite) -> Cronlite:
    cron.start()
    return cron


def test_enqueue_waits_for_the_end_and_prints_it(typed: Typed, working: Cronlite) -> None:
    told = typed("enqueue", "double", "--params", '{"n": 21}', "--wait").stdout
    assert "succeeded" in told
    assert "42" in told
    assert "doubling" not in typed("runs").stdout


def test_a_failure_that_was_waited_for_is_exit_code_1(typed: Typed, working: Cronlite) -> None:
    told = typed("enqueue", "boom", "--wait", code=1).stdout
    assert "ValueError: no such \\x1b[31mdataset" in told
    assert "\x1b" not in told


def test_json_of_a_run_has_these_keys(typed: Typed, cron: Cronlite) -> None:
    told = typed.json("enqueue", "double", "--key", "k", "--user", "u", "--retries", "2", "--timeout", "1m")
    assert set(told) == set(Run.__dataclass_fields__) - {"earlier_attempts", "ahead"} | {"attempts"}
    assert (told["key"], told["user"], told["retries"], told["timeout_seconds"]) == ("k", "u", 2, 60)
    assert typed.json("enqueue", "double", "--key", "k", "--user", "u")["id"] == told["id"]
    assert typed.json("log", told["id"]) == told
    assert typed.json("runs") == [told]


def test_enqueue_at_an_instant_and_after_a_while(typed: Typed) -> None:
    assert typed.json("enqueue", "h", "--at", "2100-01-01T01:00+01:00")["run_at"] == "2100-01-01T00:00:00.000Z"
    assert typed.json("enqueue", "h", "--at", "2100-01-01 01:00")["run_at"] == "2100-01-01T01:00:00.000Z"
    later = datetime.fromisoformat(typed.json("enqueue", "h", "--in", "1h30m")["run_at"].replace("Z", "+00:00"))
    off = later - datetime.now(timezone.utc) - timedelta(minutes=90)
    assert abs(off) < timedelta(seconds=20)
    assert "in 2" in typed("enqueue", "h", "--in", "150m").stdout
    assert "give one of them" in typed("enqueue", "h", "--at", "now", "--in", "1s", code=2).stderr


def test_trigger_and_the_last_run_of_a_schedule(typed: Typed, working: Cronlite) -> None:
    typed("add", "--name", "yearly", "--cron", "@yearly", "--handler", "double", "--params", '{"n": 4}')
    assert "no run yet" in typed("log", "yearly", code=1).stderr
    typed("trigger", "yearly", "--wait")
    assert "result    8" in typed("log", "yearly").stdout


def test_runs_filters(typed: Typed) -> None:
    typed("add", "--name", "s", "--handler", "a", "--user", "alice")
    typed("trigger", "s")
    typed("enqueue", "b", "--user", "bob")

    def handlers(*options: str) -> list[str]:
        return [run["handler"] for run in typed.json("runs", *options)]

    assert handlers() == ["b", "a"]
    assert handlers("--schedule", "s") == ["a"]
    assert handlers("--user", "bob") == ["b"]
    assert handlers("--handler", "a") == ["a"]
    assert handlers("--state", "queued", "--state", "running") == ["b", "a"]
    assert handlers("--state", "failed") == []
    assert handlers("--since", "1h") == ["b", "a"]
    assert handlers("--since", "2100-01-01") == []
    assert handlers("--limit", "1") == ["b"]
    assert "no run fits" in typed("runs", "--state", "failed").stderr


def test_runs_are_named_by_their_schedule_and_found_by_that(typed: Typed, cron: Cronlite) -> None:
    typed("add", "--name", "s", "--handler", "double")
    id_ = typed.json("show", "s")["id"]
    run = Run(
        id=f"{id_}@2026-11-21T02:30Z",
        schedule=id_,
        handler="double",
        params={},
        due_at=datetime(2026, 11, 21, 2, 30, tzinfo=timezone.utc),
        queued_at=datetime(2026, 11, 21, 2, 30, 1, tzinfo=timezone.utc),
        run_at=datetime(2026, 11, 21, 2, 30, 1, tzinfo=timezone.utc),
    )
    cron.store.add_runs([run])
    assert "s@2026-11-21T02:30Z" in typed("runs").stdout
    assert typed.json("log", "s@2026-11-21T02:30Z")["id"] == run.id
    assert typed("cancel", "s@2026-11-21T02:30Z").stdout == f"cancelled {run.id}\n"
    assert "a retry of s@2026" in typed("retry", "s@2026-11-21T02:30Z").stdout


@pytest.mark.parametrize(
    ("counted", "told"),
    [
        ({}, "none yet"),
        ({"retries": 2}, "none yet, 0 failed of at most 3"),
        ({"attempt": 1}, "1"),
        # claimed once more, but given back before it began
        (
            {"attempt": 5, "retries": 2, "failures": 2, "crashes": 1},
            "5, 2 failed of at most 3, 1 cut off by a dead daemon",
        ),
    ],
)
def test_log_tells_what_became_of_the_attempts(
    typed: Typed, cron: Cronlite, counted: dict[str, Any], told: str
) -> None:
    add(cron.store, a_run("r", **counted))
    assert re.findall(r"^attempts +(.*)$", typed("log", "r").stdout, re.MULTILINE) == [told]


def test_log_shows_the_error_and_the_output_of_every_attempt(typed: Typed, cron: Cronlite) -> None:
    at = datetime(2026, 11, 21, 2, 30, tzinfo=timezone.utc)
    error = {"type": "ValueError", "message": "no luck", "traceback": "ValueError: no \x1b luck"}
    first = {"number": 1, "state": "timed_out", "daemon": "d1", "ended_at": at, "error": error, "output": "one row\n"}
    add(
        cron.store,
        a_run("ended", attempt=2, state="succeeded", earlier_attempts=[first], started_at=at, finished_at=at),
        a_run("again", attempt=1, state="queued", earlier_attempts=[first], error=error, output="one row\n"),
    )
    for run in ("ended", "again"):
        told = typed("log", run).stdout
        for line in ("attempt 1: timed out 2026-11-21", "d1", "ValueError: no \\x1b luck", "one row"):
            assert told.count(line) == 1, told
    assert [attempt["state"] for attempt in typed.json("log", "ended")["attempts"]] == ["timed_out", "succeeded"]
    assert [attempt["output"] for attempt in typed.json("log", "again")["attempts"]] == ["one row\n"]


def test_log_follows_a_run_to_its_end_and_then_tells_the_rest(
    typed: Typed, cron: Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run("r", state=RUNNING, attempt=1, daemon="d1", started_at=NOW)
    add(cron.store, run)
    steps = iter(
        [
            {"output": "one\n", "output_attempt": 1},
            {"output": "one\ntwo\x1b", "output_attempt": 1},
            closed(SUCCEEDED, NOW, output="one\ntwo\x1b\nthree", result=42),
        ]
    )
    monkeypatch.setattr("cronlite.cli.runs.time.sleep", lambda _: cron.store.change_runs([(run, next(steps))]))
    told = typed("log", "r", "--follow")
    assert told.stdout.startswith("one\ntwo\\x1b\nthree\nrun ")
    assert "what it prints follows" in told.stderr
    assert told.stdout.count("three") == 1
    assert re.search(r"^result +42$", told.stdout, re.MULTILINE)
    assert cron.run_of("r").watched_until is not None
    assert typed.json("log", "r", "--follow")["output"] == "one\ntwo\x1b\nthree"


def test_log_shows_what_a_run_has_printed_so_far_and_nothing_of_an_attempt_before(typed: Typed, cron: Cronlite) -> None:
    error = {"type": "ValueError", "message": "no luck", "traceback": "ValueError: no luck"}
    left = {"attempt": 2, "state": "running", "daemon": "d1", "error": error, "started_at": NOW}
    add(cron.store, a_run("told", output="so far\n", output_attempt=2, **left), a_run("not", output="old\n", **left))
    assert "so far" in (told := typed("log", "told").stdout)
    assert "no luck" not in told
    assert "old" not in typed("log", "not").stdout


def test_cancel_and_retry_refuse_what_they_cannot_do(typed: Typed) -> None:
    id_ = typed.json("enqueue", "h")["id"]
    assert "only a finished run" in typed("retry", id_, code=1).stderr
    typed("cancel", id_)
    assert "only a queued run" in typed("cancel", id_, code=1).stderr
    assert "no run has the id" in typed("log", "nix", code=1).stderr


def test_every_state_can_be_asked_for(typed: Typed) -> None:
    for state in STATES:
        typed("runs", "--state", state)


def test_a_run_is_called_the_same_wherever_it_is_told_of(typed: Typed, cron: Cronlite) -> None:
    schedule = cron.schedule(name="nightly", handler="double", cron="0 3 * * *")
    typed("trigger", "nightly")
    [run] = cron.runs()
    called = f"nightly@{run.id}"
    assert called in typed("runs").stdout
    told = typed("log", called).stdout
    assert [line.split()[:2] for line in told.splitlines() if line.startswith(("run ", "id ", "schedule "))] == [
        ["run", called],
        ["id", run.id],
        ["schedule", "nightly"],
    ]
    assert f"nightly ({schedule.id})" in told
    typed("cancel", called)
    again = typed("retry", called).stdout.split()[1].rstrip(",")
    assert f"retry of  {called}" in typed("log", again).stdout
