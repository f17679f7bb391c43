"""What do next and why say?"""

from datetime import datetime, timedelta, timezone

import pytest

from cronlite.client.app import Cronlite
from cronlite.documents.new_runs import scheduled_id
from cronlite.documents.runs import Run
from cronlite.documents.ticks import Tick
from cronlite.when import clock
from tests.cli.conftest import Typed

LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)


def add(cron: Cronlite, /, **fields: object) -> str:
    """Add a schedule that has been there for long; return its id."""
    schedule = cron.schedule(**fields)  # type: ignore[arg-type]
    changes = {"active_from": LONG_AGO, "created_at": LONG_AGO, "updated_at": LONG_AGO}
    assert cron.store.change_schedule(schedule.id, changes, schedule.updated_at)
    return schedule.id


def minutes_ago(count: int) -> datetime:
    return clock.floor_minute(datetime.now(timezone.utc)) - timedelta(minutes=count)


def test_next_marks_what_a_change_of_the_clock_does(typed: Typed, cron: Cronlite) -> None:
    add(cron, name="n", cron="30 2 * * *", tz="Europe/Berlin")
    told = typed("next", "n", "-n", "3", "--from", "2100-01-01").stdout
    assert told.count("02:30 CET") == 3
    spring = typed("next", "n", "-n", "2", "--from", "2027-03-27").stdout.splitlines()
    assert "02:30 CET" in spring[1]
    assert "03:00 CEST" in spring[2]
    assert "02:30 is skipped that day: runs at the first minute after" in spring[2]
    autumn = typed.json("next", "n", "-n", "1", "--from", "2027-10-31")
    assert autumn[0]["at"] == "2027-10-31T00:30:00.000Z"
    assert autumn[0]["local"] == "2027-10-31T02:30+02:00"
    assert "twice" in autumn[0]["oddity"]


def test_next_of_all_is_in_order_and_leaves_paused_ones_out(typed: Typed) -> None:
    typed("add", "--name", "b", "--cron", "1 0 * * *")
    typed("add", "--name", "a", "--cron", "0 0 * * *")
    typed("add", "--name", "c", "--disabled")
    told = typed.json("next", "-n", "3", "--from", "2100-01-01")
    assert [one["name"] for one in told] == ["a", "b", "a"]
    assert set(told[0]) == {"schedule", "name", "handler", "at", "local", "tz", "oddity", "frozen"}
    assert "it is paused" in typed("next", "c", "-n", "1").stderr


def test_from_is_inclusive_and_read_on_the_clock_of_the_schedule(typed: Typed) -> None:
    typed("add", "--name", "n", "--cron", "0 9 * * *", "--tz", "Asia/Tokyo")
    assert typed.json("next", "n", "-n", "1", "--from", "2100-01-01 09:00")[0]["at"] == "2100-01-01T00:00:00.000Z"
    assert typed.json("next", "-n", "1", "--from", "2100-01-01 09:00")[0]["at"] == "2100-01-02T00:00:00.000Z"


@pytest.mark.parametrize(("at", "verdict", "reason"), [
    ("2026-11-20 02:31", "not_due", "minute 31 is not in 30"),
    ("2026-11-20 03:31", "not_due", "minute 31 is not in 30, hour 3 is not in 2"),
    ("2026-11-21 02:30", "not_due", "weekday Saturday is not in mon-fri"),
    ("2026-11-20T01:30Z", "no_daemon", "the ledger does not go back that far"),
    ("2026-11-20", "not_due", "Fri 2026-11-20 00:00"),
    ("2100-01-01 02:30", "not_yet", "still to come"),
    ("2026-01-01 02:30", "unknown", "30 days"),
])  # fmt: skip
def test_why_goes_by_the_schedule(
    typed: Typed, cron: Cronlite, at: str, verdict: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = add(cron, name="n", cron="30 2 * * mon-fri", tz="Europe/Berlin")
    now = datetime(2026, 11, 22, tzinfo=timezone.utc)
    monkeypatch.setattr(type(cron.store), "now", lambda _: now)
    told = typed.json("why", "n", "--at", at)
    assert set(told) == {"schedule", "at", "verdict", "reasons", "run"}
    assert (told["schedule"], told["verdict"]) == (id_, verdict), told
    assert reason in told["reasons"][0]


def test_why_knows_the_second_showing_of_an_hour(typed: Typed, cron: Cronlite) -> None:
    add(cron, name="n", cron="30 2 * * *", tz="Europe/Berlin")
    told = typed.json("why", "n", "--at", "2025-10-26T01:30Z")
    assert told["verdict"] == "not_due"
    assert "for the second time" in told["reasons"][0]


def test_why_names_no_weekday_where_the_day_is_enough(typed: Typed, cron: Cronlite) -> None:
    add(cron, name="n", cron="30 2 1 * mon")
    (reason,) = typed.json("why", "n", "--at", "2026-09-01T02:31Z")["reasons"]
    assert reason.endswith(": minute 31 is not in 30")
    (reason,) = typed.json("why", "n", "--at", "2026-09-02T02:30Z")["reasons"]
    assert reason.endswith("day 2 is not in 1, weekday Wednesday is not in mon")


def test_why_tells_of_a_pause_and_of_what_was_before_it_counted(typed: Typed, cron: Cronlite) -> None:
    typed("add", "--name", "n")
    typed("pause", "n")
    told = typed.json("why", "n", "--at", minutes_ago(3).isoformat())
    assert told["verdict"] == "not_active"
    assert any("it is paused" in reason for reason in told["reasons"])
    assert any("last changed" in reason for reason in told["reasons"])


def test_why_reads_the_ledger(typed: Typed, cron: Cronlite) -> None:
    add(cron, name="n", catch_up="latest")
    latest = minutes_ago(0)  # asked once, as it may change meanwhile

    def ago(count: int) -> datetime:
        return latest - timedelta(minutes=count)

    first, last = ago(30), ago(20)
    now = datetime.now(timezone.utc).replace(microsecond=0)
    gap = Tick(minute=first + timedelta(seconds=30), daemon="d", claimed_at=now, from_at=first, to_at=last, done_at=now)
    for entry in (gap, Tick(minute=ago(10), daemon="d", claimed_at=now)):
        cron.store.claim_tick(entry)
    done = Tick(minute=ago(9), daemon="d", claimed_at=now, done_at=now)
    cron.store.claim_tick(done)
    cron.store.finish_tick(done)
    verdicts = {n: typed.json("why", "n", "--at", ago(n).isoformat()) for n in (40, 30, 25, 20, 15, 10, 9)}
    assert {n: told["verdict"] for n, told in verdicts.items()} == {
        40: "no_daemon",
        30: "gap",
        25: "gap",
        20: "gap",
        15: "no_daemon",
        10: "in_hand",
        9: "unknown",
    }
    assert "its catch_up is 'latest'" in verdicts[25]["reasons"][0]
    typed("edit", "n", "--note", "touched")
    assert typed.json("why", "n", "--at", ago(9).isoformat())["verdict"] == "changed_since"


def test_why_follows_the_run_where_there_is_one(typed: Typed, cron: Cronlite) -> None:
    id_, tick = add(cron, name="n", handler="nix"), minutes_ago(2)
    run = Run(id=scheduled_id(id_, tick), schedule=id_, handler="nix", params={}, due_at=tick, queued_at=tick)
    run.run_at = tick
    cron.store.add_runs([run])
    told = typed.json("why", "n", "--at", tick.isoformat())
    assert told["verdict"] == "queued"
    assert told["reasons"][0].startswith("no daemon is alive")
    assert told["run"]["id"] == run.id
    typed("cancel", run.id)
    told = typed("why", "n", "--at", tick.isoformat()).stdout
    assert told.splitlines()[0].endswith(": cancelled")
    assert "cancelled on request" in told


def test_why_of_a_document_that_cannot_be_read(typed: Typed, cron: Cronlite) -> None:
    cron.store.add_schedule({"_id": "bad", "params": {}, "minute": 60})
    assert typed.json("why", "bad", "--at", "now")["verdict"] == "unreadable"
