"""What do backfill and cancel --backfill say?"""

from __future__ import annotations

import pytest

from cronlite.client.app import Cronlite
from cronlite.documents import runs, transitions
from tests.cli.conftest import Typed


@pytest.fixture
def daily(typed: Typed) -> Typed:
    typed("add", "--name", "daily", "--cron", "0 3 * * *", "--handler", "double")
    return typed


def test_a_backfill_is_shown_before_it_is_asked_for_told_and_called_off(daily: Typed) -> None:
    words = ["backfill", "daily", "--from", "2026-11-01T00:00Z", "--to", "2026-11-04T00:00Z"]
    assert daily(*words, "--dry-run").stdout.startswith("would queue 3 runs, 2026-11-01 00:00Z to 2026-11-04 00:00Z")
    assert daily.json("runs") == []
    asked = daily(*words)
    id_ = asked.stdout.split(" as ")[1].split(",")[0]
    assert "no daemon is alive" in asked.stderr
    assert "left out: 3 queued" in daily(*words).stdout
    answer = daily.json(*words)
    assert (answer["id"], answer["asked"], answer["left_out"]) == (id_, 0, {"queued": 3})
    assert answer["runs"] == {"queued": 3}
    assert {one["backfill"] for one in daily.json("runs")} == {id_}
    assert daily("cancel", "--backfill", id_).stdout == f"cancelled 3 runs of {id_}: 3 cancelled\n"
    assert "no run has the backfill" in daily("cancel", "--backfill", "none", code=1).stderr
    assert "give --backfill" in daily("cancel", code=2).stderr


def test_what_is_older_than_runs_are_kept_is_told(daily: Typed) -> None:
    assert "is unknown" in daily("backfill", "daily", "--from", "60d", "--dry-run").stderr


def test_waiting_exits_with_the_fate_of_all(daily: Typed, cron: Cronlite) -> None:
    words = ["backfill", "daily", "--from", "2026-11-01T00:00Z", "--to", "2026-11-02T00:00Z"]
    daily(*words)
    [run] = cron.runs()
    cron.store.change_runs([(run, transitions.closed(runs.SUCCEEDED, cron.now()))])
    assert "1 succeeded" in daily(*words, "--wait").stdout
    cron.store.change_runs([(cron.run_of(run.id), transitions.closed(runs.FAILED, cron.now()))])
    assert "1 failed" in daily(*words, "--wait", code=1).stdout


def test_more_than_ten_thousand_take_a_yes(daily: Typed) -> None:
    daily("edit", "daily", "--cron", "* * * * *")
    words = ["backfill", "daily", "--from", "10d"]
    assert "--yes" in daily(*words, code=2).stderr
    assert "would queue 14400 runs" in daily(*words, "--yes", "--dry-run").stdout
