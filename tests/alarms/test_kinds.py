"""Does everything that somebody has to hear of raise an alarm, and clear it when it is gone?"""

from datetime import timedelta

import pytest

from cronlite.daemon import observing
from cronlite.documents import runs, transitions
from cronlite.documents.ticks import Tick
from cronlite.errors import StoreUnavailable
from cronlite.store.contract import AlarmQuery, Store
from tests.alarms.told import MINUTE, Night
from tests.store.samples import TICK, a_foreign_schedule


@pytest.fixture
def night(store: Store) -> Night:
    return Night(store)


def title(night: Night, id_: str) -> str:
    return night.store.alarm(id_).title  # type: ignore[union-attr]


@pytest.mark.parametrize("state", [runs.FAILED, runs.TIMED_OUT, runs.ABANDONED])
def test_a_run_that_ends_badly(night: Night, state: str) -> None:
    night.ends(night.schedule(), runs.SUCCEEDED, at=night.now - MINUTE)
    night.fails("nightly", state)
    night.round()
    assert night.open() == [f"{state}:nightly"]
    night.pass_(minutes=1)
    night.ends("nightly", runs.SKIPPED)
    night.pass_(minutes=1)
    assert night.open() == [f"{state}:nightly"], "a skip puts nothing right"
    night.ends("nightly", runs.SUCCEEDED)
    night.ends("nightly", runs.QUEUED, at=night.now + MINUTE, finished_at=None)
    night.pass_(minutes=1)
    assert night.open() == []


def test_what_fails_again_while_it_is_open_is_counted_and_not_told_anew(night: Night) -> None:
    night.schedule()
    for _ in range(3):
        night.fails()
        night.pass_(minutes=2)
    [alarm] = night.store.alarms(AlarmQuery())
    assert alarm.times == 3
    assert len(night.recipient.messages) == 1
    night.pass_(step=60, hours=1)
    assert ", 3 times, last at 2026-11-21 02:34:01Z" in night.recipient.messages[1][1]


def test_a_run_on_demand_is_told_and_forgotten_after_a_day(night: Night) -> None:
    night.fails(None, user="alice")
    night.pass_(minutes=1)
    night.pass_(step=600, hours=23)
    assert night.recipient.titles == ["cronlite: extract on demand for alice failed: OSError: it is down"]
    assert night.open() == ["failed:demand/extract/alice"]
    night.fails(None, user="alice")
    night.pass_(step=60, minutes=5)
    assert len(night.recipient.messages) == 2, "it happened again, long after it was told"
    night.pass_(step=600, hours=25)
    assert night.open() == []
    assert len(night.recipient.messages) == 2


def test_a_schedule_that_was_removed_is_nobodys_alarm(night: Night) -> None:
    night.fails(night.schedule())
    night.round()
    night.store.remove_schedule("nightly")
    night.pass_(minutes=6)
    assert night.open() == []


def test_two_minutes_without_a_tick(night: Night) -> None:
    night.tick()
    night.pass_(minutes=2)
    assert night.open() == []
    night.pass_(seconds=20)
    assert night.open() == ["no_tick:daemons"]
    night.pass_(minutes=10)
    night.tick()
    night.pass_(minutes=1)
    assert [one.partition(":")[2].strip()[:30] for one in night.recipient.titles] == [
        "no daemon has ticked since 202",
        "over: no daemon has ticked sin",
    ]


def test_an_empty_ledger_is_no_alarm(night: Night) -> None:
    night.pass_(minutes=5)
    assert night.open() == []


def test_whoever_comes_back_tells_of_the_time_without_ticks_and_of_the_gap(night: Night) -> None:
    night.tick()
    night.round()
    night.watchers = []
    begun = night.now
    night.clock.to(begun + timedelta(hours=1))
    gap = Tick(minute=TICK + MINUTE * 1.5, daemon="d2", claimed_at=night.now, from_at=TICK + MINUTE)
    night.store.claim_tick(
        Tick(
            minute=gap.minute,
            daemon="d2",
            claimed_at=night.now,
            from_at=gap.from_at,
            to_at=TICK + 54 * MINUTE,
            skipped=7,
            done_at=night.now,
        )
    )
    night.tick()
    night.watchers = [night.watcher()]
    night.pass_(minutes=2)
    [(headline, body)] = night.recipient.messages
    assert headline == "cronlite: 2 alarms: 1 gap, 1 no tick (over) (memory:)"
    assert "no daemon ticked in 54 minutes, 2026-11-21 02:31Z to 2026-11-21 03:24Z; catch_up left 7 runs out" in body
    assert "over: no daemon has ticked since 2026-11-21 02:30:01Z" in body
    assert "  since 2026-11-21 02:30:01Z until 2026-11-21 03:30:01Z" in body
    assert " times" not in body
    night.tick()
    night.pass_(minutes=2)
    assert len(night.recipient.messages) == 1
    assert night.open() == ["gap:2026-11-21T02:31Z"]


def test_an_outage_within_the_grace_is_told_too(night: Night) -> None:
    night.tick()
    night.round()
    night.clock.to(night.now + 4 * MINUTE)
    night.watchers = [night.watcher()]
    for minute in range(4):
        night.store.claim_tick(
            Tick(minute=TICK + (minute + 1) * MINUTE, daemon="d", claimed_at=night.now, done_at=night.now)
        )
    night.pass_(minutes=1)
    assert night.recipient.titles == ["cronlite: over: no daemon has ticked since 2026-11-21 02:30:01Z"]


def test_a_run_that_takes_much_longer_than_is_usual(night: Night) -> None:
    night.schedule()
    for number in range(20):
        begun = night.now - timedelta(hours=number + 2)
        night.ends("nightly", runs.SUCCEEDED, at=begun, finished_at=begun + timedelta(seconds=100))
    run = night.ends("nightly", runs.RUNNING, finished_at=None, daemon="d1", attempt=1)
    night.pass_(seconds=190)
    assert night.open() == []
    night.pass_(seconds=20)
    assert title(night, "slow:nightly") == "schedule nightly has run for 4 min; 95 % of its runs took 100 s at most"
    night.store.change_runs([(run, transitions.closed(runs.SUCCEEDED, night.now))])
    night.pass_(seconds=20)
    assert night.open() == []


def test_more_stuck_threads_than_half_the_seats(night: Night) -> None:
    night.daemon(seats=4, stuck=2)
    night.round()
    assert night.open() == []
    night.store.beat("d1", running=0, stuck=3)
    night.round()
    assert title(night, "stuck:d1") == "daemon d1 (h, pid 1) has 3 stuck threads, and 4 seats"
    night.store.beat("d1", running=0, stuck=0)
    night.round()
    assert night.open() == []


def test_a_broker_out_of_reach_for_a_minute_is_one_alarm_of_all(night: Night) -> None:
    night.store.now = lambda: night.now  # type: ignore[method-assign]
    for name in ("d1", "d2"):
        night.daemon(name)
    for _ in range(7):
        for name in ("d1", "d2"):
            night.store.beat(name, running=0, stuck=0, trouble="the broker amqp://b cannot be reached")
        night.pass_(seconds=10)
    assert title(night, "broker:broker") == "the broker is out of reach of 2 daemons: d1 (h), d2 (h)"
    for name in ("d1", "d2"):
        night.store.beat(name, running=0, stuck=0)
    night.pass_(seconds=10)
    assert night.open() == []


def test_a_schedule_that_is_set_aside_until_it_can_be_read(night: Night) -> None:
    from cronlite.documents import schedules
    from cronlite.errors import InvalidInput

    document = a_foreign_schedule(minute=30, retries="many", name="odd")
    night.store.add_schedule(document)
    for _ in range(2):
        with pytest.raises(InvalidInput) as refused:
            schedules.read(document)
        night.watchers[0].set_aside(document, refused.value)
    night.round()
    [alarm] = night.store.alarms(AlarmQuery())
    assert alarm.times == 1
    assert alarm.title.startswith("schedule odd is set aside, and never runs: retries: 'many' is not a whole number")
    night.store.change_schedule(document["_id"], {"retries": 1}, None)
    night.round()
    assert night.open() == []


def test_a_text_that_cannot_be_read_until_nobody_has_it(night: Night) -> None:
    document = a_foreign_schedule(minute="61")
    night.store.add_schedule(document)
    night.watchers[0].unreadable("minute '61'")
    night.round()
    assert title(night, "set_aside:text/minute '61'").startswith("schedules with the minute '61' are set aside")
    night.pass_(minutes=6)
    assert len(night.open()) == 1
    night.store.remove_schedule(document["_id"])
    night.pass_(minutes=6)
    assert night.open() == []


def test_a_store_out_of_reach_for_a_minute_is_told_by_who_notices(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.round()

    def away(*_: object) -> None:
        raise StoreUnavailable("it is away")

    with monkeypatch.context() as patch:
        for name in ("claim_duty", "duties", "alarms", "raise_alarms"):
            patch.setattr(night.store, name, away)
        night.fails(None)
        night.pass_(minutes=1)
        assert night.recipient.messages == []
        night.pass_(minutes=2)
        [(first, _)] = night.recipient.messages
        assert first.startswith("cronlite: the store memory: is out of reach of ")
        night.pass_(step=60, minutes=70)
        assert [one[:16] for one in night.recipient.titles] == ["cronlite: the st", "cronlite: still:"]
        assert night.watchers[0].trouble == "", "the daemon's own loops tell of that"
    night.pass_(minutes=3)
    assert any(one.startswith("cronlite: over: the store") for one in night.recipient.titles)
    assert any(one.startswith("cronlite: extract on demand failed") for one in night.recipient.titles)
    stored = night.store.alarm("store:store")
    assert stored is not None
    assert not stored.is_open


def test_a_fault_in_a_round_is_told_after_a_minute_and_stops_nothing_else(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.fails(night.schedule())
    night.round()

    def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(observing, "silence", broken)
    night.pass_(minutes=1)
    assert len(night.recipient.messages) == 1, "told all the same"
    one = night.watchers[0]
    assert one.trouble == ""
    later = one._failing[0] + 61 if one._failing else 0
    monkeypatch.setattr("cronlite.daemon.alarming.steady", lambda: later)
    assert one.trouble == "alarms are neither raised nor told: RuntimeError: 'a fault'"
