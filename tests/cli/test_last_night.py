"""Somebody is on call: what failed last night, what comes tonight, and what is done about it? Two commands a task.

The first command of each task is the one that somebody guesses who knows other programs.
"""

import re
from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from cronlite.client.app import Cronlite
from cronlite.documents import runs
from tests.cli.conftest import Typed
from tests.cli.pictured import IMPORTED, LONG, NOW, fill


@pytest.fixture
def typed(cron: Cronlite, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setattr(type(cron.store), "now", lambda _: NOW)
    fill(cron)
    return typed


def firsts(told: str) -> list[str]:
    return [line.split()[0] for line in told.splitlines()[1:]]


def test_what_failed_last_night(typed: Typed) -> None:
    hint = typed("failed", code=2).stderr
    assert "'cronlite runs --failed'" in hint
    told = typed("runs", "--failed", "--since", "22:00", "--until", "06:00").stdout
    assert firsts(told) == ["85da7db9b9a3@2026-11-21T03:05Z", "invoices@2026-11-20T22:00Z"]
    assert "exit status 1: pg_dump: no such database" in told
    assert "CommandFailed" not in told
    assert "pg_dump app | gzip > /srv/app.gz" in told


def test_the_night_is_that_of_whoever_asks_and_the_answer_says_so(
    typed: Typed, clock_of: Callable[[str], None]
) -> None:
    utc = typed("runs", "--failed", "--since", "22:00Z", "--until", "03:05Z")
    assert utc.stderr == ""
    clock_of("Asia/Tokyo")
    local = typed("runs", "--failed", "--since", "07:00", "--until", "12:05")
    assert local.stdout == utc.stdout
    on_this_clock = "since Sat 2026-11-21 07:00 JST (22:00Z), until Sat 2026-11-21 12:05 JST (03:05Z)"
    assert f"{on_this_clock}, on this machine's clock" in local.stderr
    tonight = typed("next", "--until", "tomorrow 07:30")
    assert firsts(tonight.stdout) == ["2026-11-21"]
    assert "until Sun 2026-11-22 07:30 JST (22:30Z), on this machine's clock" in tonight.stderr
    typed("enqueue", "report", "--at", "20:00")
    assert typed.json("runs", "--limit", "1")[0]["run_at"] == "2026-11-21T11:00:00.000Z"
    by_its_own_clock = typed("next", LONG, "--until", "tomorrow 03:00")  # Berlin's, where it is due at 02:30
    assert (len(by_its_own_clock.stdout.splitlines()), by_its_own_clock.stderr) == (2, "")


def test_why_it_failed(typed: Typed) -> None:
    assert "'cronlite log RUN'" in typed("logs", "85da7db9b9a3", code=2).stderr
    assert "no such database" in typed("log", "85da7db9b9a3").stdout


def test_what_ran_of_one_job(typed: Typed) -> None:
    told = typed("runs", "--schedule", "85da7db9b9a3").stdout
    assert told.count("failed") == 4


def test_how_all_of_it_goes(typed: Typed) -> None:
    assert "'cronlite status'" in typed("health", code=2).stderr
    told = typed("status").stdout
    assert re.search(r"failing +85da7db9b9a3 4 times in a row, last 5 h ago: exit status 1", told), told


def test_what_comes_tonight(typed: Typed) -> None:
    told = typed("next", "--until", "tomorrow 08:00").stdout
    assert firsts(told) == ["2026-11-21", "2026-11-22", "2026-11-22"]
    assert [one["name"] for one in typed.json("next", "--until", "tomorrow 08:00")] == ["invoices", LONG, IMPORTED]
    assert [one["name"] for one in typed.json("next", "--from", "02:00", "--until", "04:00")] == [IMPORTED]
    assert [one["name"] for one in typed.json("next", "--tag", "billing", "-n", "1")] == ["invoices"]
    assert {one["name"] for one in typed.json("next", "--match", "r*")} == {"rates"}
    assert "nothing is due then" in typed("next", "--until", "09:00").stderr


def test_what_failed_is_run_once_more(typed: Typed, cron: Cronlite) -> None:
    told = typed("retry", "--failed", "--since", "22:00").stdout
    # invoices is queued already, by somebody else
    assert re.fullmatch(r"queued \w+, a retry of 6923f1aa0+1@2026-11-21T03:05Z\n", told), told
    assert "nothing that fits has failed" in typed("retry", "--failed", "--since", "22:00").stderr
    assert len(cron.runs(state="queued")) == 3


def test_one_that_failed_is_run_once_more_by_its_name(typed: Typed, cron: Cronlite) -> None:
    id_ = typed("retry", "85da7db9b9a3").stdout.split()[1].strip(",")
    again = cron.run_of(id_)
    assert again.retry_of == f"{again.schedule}@2026-11-21T03:05Z"
    assert f"85da7db9b9a3@{id_}" in typed("runs").stdout
    assert typed.json("log", f"85da7db9b9a3@{id_}")["id"] == id_
    assert (
        f"no run of schedule 'rates' has failed; 'cronlite trigger {cron.get('rates').id}' runs it now"
        in typed("retry", "rates", code=1).stderr
    )


def test_one_is_run_now_with_other_params(typed: Typed, cron: Cronlite) -> None:
    assert "'cronlite trigger ID'" in typed("run-now", "rates", code=2).stderr
    run = typed.json("trigger", "rates", "--params", '{"day": "2026-11-20"}')
    assert (run["params"], run["state"]) == ({"day": "2026-11-20"}, "queued")
    assert cron.get("rates").params == {}
    assert f"rates@{run['id']}" in typed("runs").stdout


def test_one_is_kept_from_running(typed: Typed) -> None:
    assert "'cronlite pause ID'" in typed("stop", "rates", code=2).stderr
    assert typed("pause", "rates").stdout == "paused rates\n"


def test_runs_of_some_schedules(typed: Typed) -> None:
    assert len(typed.json("runs", "--tag", "billing")) == 2
    assert {run["handler"] for run in typed.json("runs", "--match", "crm-*")} == {"sync"}
    assert typed.json("runs", "--tag", "none") == []


def test_how_many_there_are_is_said_where_not_all_are_shown(typed: Typed) -> None:
    assert "2 of 9 are shown; --limit shows more" in typed("runs", "--limit", "2").stderr
    assert "shown" not in typed("runs", "--limit", "9").stderr
    assert "2 are shown, and there are more" in typed("list", "--limit", "2").stderr
    assert "shown" not in typed("list", "--limit", "5").stderr


def test_retry_says_what_it_wants(typed: Typed) -> None:
    assert "--since" in typed("retry", "--failed", code=2).stderr
    assert "name runs or schedules" in typed("retry", code=2).stderr
    assert "name runs or schedules" in typed("retry", "rates", "--failed", "--since", "2h", code=2).stderr


def test_a_run_on_demand_is_retried_once(typed: Typed, cron: Cronlite) -> None:
    run = cron.store.run(cron.enqueue("report").id)
    assert run is not None
    run.id, run.state, run.finished_at = "once", runs.FAILED, datetime(2026, 11, 21, 7, 50, tzinfo=timezone.utc)
    cron.store.add_runs([run])
    assert "a retry of once" in typed("retry", "--failed", "--since", "2h", "--handler", "report").stdout
    assert "nothing that fits" in typed("retry", "--failed", "--since", "2h", "--handler", "report").stderr


@pytest.mark.parametrize("word", ["version", "help", "ls", "rm", "Delete", "rerun", "enable", "ps"])
def test_words_of_other_programs_are_answered(typed: Typed, word: str) -> None:
    assert "cronlite " in typed(word, code=2).stderr.partition("; ")[2]
