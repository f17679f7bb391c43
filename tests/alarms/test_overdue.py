"""Is a due minute whose run has not begun overdue, whatever stands in the way, and does everybody notice?"""

from datetime import timedelta
from typing import Any

import pytest

from cronlite.client import checking
from cronlite.client.checking import CRITICAL, OK, WARNING
from cronlite.daemon import observing
from cronlite.daemon.ticking import Inserts, Periods, Ticker
from cronlite.documents import runs, transitions
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.freezes import Freeze
from cronlite.errors import StoreTooSlow
from cronlite.store.contract import AlarmQuery, ClaimQuery, Store
from tests.alarms.told import MINUTE, Night
from tests.store.samples import TICK

LIMIT = 120.0


@pytest.fixture
def night(store: Store) -> Night:
    """The minute of 02:30 has been ticked, and it is a second after."""
    night = Night(store, now=TICK + timedelta(seconds=1))
    store.now = lambda: night.now  # type: ignore[method-assign]
    night.tick(TICK - MINUTE)
    return night


def ticks(night: Night, until: float = 0, default: float | None = None) -> None:
    """Let a daemon tick what is due, and the clock go on by seconds."""
    late = None if default is None else timedelta(seconds=default)
    ticker = Ticker(
        night.store,
        Inserts(night.store.add_runs),
        lambda: "d1",
        lambda _: False,
        Periods(timedelta(minutes=5), timedelta(days=1), late),
    )
    end = night.now + timedelta(seconds=until)
    ticker.step(night.now)
    while night.now < end:
        night.clock.to(min(night.now + MINUTE, end))
        ticker.step(night.now)


def why(night: Night, *, beats: bool = True) -> str:
    """Look by the eyes of a daemon and of a check, and say what both say."""
    night.watchers = [night.watcher()]
    night.clock.to(night.now + timedelta(seconds=40))  # whoever watched before may have died
    if beats:
        night.store.beat("d1", running=0, stuck=0)
    night.round()
    found = [alarm for alarm in night.store.alarms(AlarmQuery()) if alarm.kind == "overdue"]
    told = "; ".join(alarm.title for alarm in found)
    seen = checking.check(night.store)
    assert len(seen.overdue) == len(found)
    assert all(late.why in told for late in seen.overdue)
    return told


def a_job(night: Night, **more: Any) -> str:
    fields: dict[str, Any] = {"minute": 30, "hour": 2, "handler": "extract", "late_after_seconds": LIMIT}
    fields["active_from"] = TICK - timedelta(days=1)
    return night.schedule("nightly", **{**fields, **more})


def a_daemon(night: Night, **more: Any) -> None:
    night.store.join(
        DaemonRecord(**{"id": "d1", "host": "h", "pid": 1, "version": "1", "started_at": night.now, **more})
    )


def test_a_run_that_is_queued_for_want_of_its_handler(night: Night) -> None:
    a_job(night)
    ticks(night)
    assert why(night) == ""
    night.clock.to(TICK + timedelta(seconds=LIMIT + 1))
    a_daemon(night, handlers=["other"])
    ticks(night)
    assert why(night).endswith("is overdue since 2026-11-21 02:30Z: no daemon alive has the handler extract")


def test_a_run_that_is_queued_while_all_seats_are_taken(night: Night) -> None:
    a_job(night)
    ticks(night, LIMIT + 1)
    a_daemon(night, handlers=["extract"])
    assert "all seats are taken" in why(night)


def test_a_run_that_waits_for_an_earlier_one(night: Night) -> None:
    a_job(night, overlap="wait")
    night.store.add_runs([_running(night)])
    ticks(night, LIMIT + 1)
    a_daemon(night, handlers=["extract"])
    assert "waits for an earlier run" in why(night)


def test_a_run_that_was_claimed_by_a_daemon_that_hangs(night: Night) -> None:
    a_job(night)
    ticks(night)
    a_daemon(night, handlers=["extract"])
    [run] = night.store.claim_runs("d1", ClaimQuery(["extract"], night.now, 1))
    assert why(night, beats=False) == "", "in time"
    night.clock.to(TICK + timedelta(seconds=LIMIT))
    assert "daemon d1 claimed it and hangs" in why(night, beats=False)
    night.store.change_runs([(run, transitions.closed(runs.SUCCEEDED, night.now))])
    assert why(night) == ""


def test_a_run_that_had_begun_when_its_daemon_died_is_not_overdue(night: Night) -> None:
    a_job(night)
    ticks(night)
    a_daemon(night, handlers=["extract"])
    night.store.claim_runs("d1", ClaimQuery(["extract"], night.now, 1))
    night.clock.to(night.now + timedelta(seconds=20))
    night.store.beat("d1", running=1, stuck=0)
    night.clock.to(night.now + timedelta(seconds=LIMIT))
    assert why(night, beats=False) == ""


def test_a_minute_that_nobody_ticks(night: Night) -> None:
    night.tick(TICK)
    a_job(night, minute=32)
    night.clock.to(TICK + 2 * MINUTE + timedelta(seconds=LIMIT - 41))
    assert why(night) == ""
    assert why(night).endswith("overdue since 2026-11-21 02:32Z: no daemon has ticked since 2026-11-21 02:30:00Z")
    seen = checking.check(night.store)
    assert seen.code == CRITICAL
    assert "no daemon has ticked for 5 min" in seen.line()
    ticks(night)
    a_daemon(night, handlers=["extract"])
    night.store.claim_runs("d1", ClaimQuery(["extract"], night.now, 1))
    assert why(night) == ""


def test_an_hour_without_a_tick_and_a_pause_meanwhile(night: Night) -> None:
    night.tick(TICK)
    a_job(night, minute=45)
    night.clock.to(TICK + timedelta(hours=1))
    assert "overdue since 2026-11-21 02:45Z" in why(night)
    night.store.change_schedule("nightly", {"enabled": False}, _updated(night))
    assert why(night) == ""


def test_a_schedule_without_a_limit_goes_by_the_daemons(night: Night) -> None:
    a_job(night, late_after_seconds=None)
    ticks(night, 200)
    assert why(night) == "", "off by default"
    assert len(checking.check(night.store, 60).overdue) == 0, "its run was made by a daemon without a limit"
    night.schedule("another", minute=34, hour=2, handler="extract")
    ticks(night, 130, default=60)
    assert "schedule another is overdue since 2026-11-21 02:34Z" in why(night)


def test_the_end_of_it_is_told(night: Night) -> None:
    a_job(night)
    ticks(night, LIMIT + 1)
    a_daemon(night, handlers=["other"])
    night.pass_(minutes=1)
    night.store.claim_runs("d1", ClaimQuery(["extract"], night.now, 1))
    night.tick()
    for _ in range(3):
        night.pass_(seconds=20)
        night.store.beat("d1", running=1, stuck=0)
    first, second = night.recipient.titles
    assert first.startswith("cronlite: schedule nightly is overdue since 2026-11-21 02:30Z")
    assert second.startswith("cronlite: over: schedule nightly is overdue")


def test_a_check_says_in_one_line_what_is_and_with_figures(night: Night) -> None:
    assert checking.check(night.store).code == OK
    a_daemon(night, handlers=["extract"])
    night.tick(TICK)
    line = checking.check(night.store).line()
    figures = "daemons=1;;1: last_tick=1s;;120 overdue=0;;0 alarms=0;0 queued=0 running=0"
    assert line == f"CRONLITE OK: all minutes are ticked, nothing is overdue | {figures}"
    night.fails(night.schedule("a|b\nc"[:1]))
    night.round()
    seen = checking.check(night.store)
    assert seen.code == WARNING
    assert "1 alarms: 1 failed, the last: schedule a failed" in seen.line()


def _running(night: Night) -> runs.Run:
    earlier = TICK - timedelta(days=1)
    return runs.Run(
        id="nightly@earlier",
        handler="extract",
        params={},
        due_at=earlier,
        queued_at=earlier,
        schedule="nightly",
        lane="nightly",
        state=runs.RUNNING,
        daemon="d1",
        attempt=1,
        started_at=night.now,
    )


def _updated(night: Night) -> Any:
    return (night.store.schedule("nightly") or {})["updated_at"]


def test_what_a_freeze_holds_is_not_overdue(night: Night) -> None:
    a_job(night)
    ticks(night)
    held = Freeze(id="f1", from_at=night.now, until_at=night.now + timedelta(hours=1), hold=True)
    night.store.add_freeze(held)
    night.store.hold_runs(held, night.now, held.until_at or night.now, None)
    night.schedule("later", minute=32, hour=2, handler="extract", late_after_seconds=LIMIT)
    night.clock.to(TICK + timedelta(seconds=3 * LIMIT))
    assert why(night) == "", "neither the run that is held, nor the minute that nobody ticks"


def test_a_run_that_waits_for_a_limit_says_so(night: Night) -> None:
    a_job(night, limit="api")
    ticks(night, LIMIT + 1)
    a_daemon(night, handlers=["extract"])
    assert "the limit api may be full" in why(night)


def test_what_cannot_be_looked_at_keeps_nothing_else_from_being_noticed(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_job(night)
    ticks(night, LIMIT + 1)
    a_daemon(night, handlers=["extract"])

    def too_slow(*_: object) -> None:
        raise StoreTooSlow("it took too long")

    monkeypatch.setattr(observing.Slow, "look", too_slow)
    assert "is overdue" in why(night)
