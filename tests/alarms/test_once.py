"""Is an alarm raised once, told once and cleared once, whatever becomes of those who tell it?"""

import threading
from datetime import timedelta

import pytest

from cronlite.daemon import store_clock, telling
from cronlite.documents import runs
from cronlite.store.contract import AlarmQuery, Store
from tests.alarms.told import Night, Recipient
from tests.waiting import wait_until


def test_a_failure_is_told_once_by_three_and_its_end_is_told_once(store: Store) -> None:
    night = Night(store, count=3)
    night.schedule(handler="extract", user="alice")
    night.fails(user="alice", output="one\ntwo\nthree")
    night.pass_(minutes=3)
    [(title, body)] = night.recipient.messages
    assert title == "cronlite: schedule nightly for alice failed: OSError: it is down"
    for told in ("since 2026-11-21 02:30:01Z", "handler extract", "| three", "more: cronlite log nightly/failed/"):
        assert told in body
    night.ends("nightly", runs.SUCCEEDED)
    night.pass_(minutes=3)
    assert night.recipient.titles[1:] == ["cronlite: over: schedule nightly for alice failed: OSError: it is down"]
    night.pass_(step=60, minutes=70)
    assert len(night.recipient.messages) == 2
    assert night.open() == []


def test_what_lasts_is_told_again_with_pauses_that_double(store: Store) -> None:
    night = Night(store)
    night.schedule()
    night.fails()
    at: list[timedelta] = []
    begin = night.now
    night.recipient.before = lambda: at.append(night.now - begin)
    night.pass_(step=60, hours=8)
    hours = [round(one / timedelta(hours=1), 1) for one in at]
    assert hours == [0.0, 1.0, 3.0, 7.0]
    assert night.recipient.titles[1].startswith("cronlite: still: schedule nightly")


def test_what_was_acknowledged_stays_quiet(store: Store) -> None:
    night = Night(store)
    night.schedule()
    night.fails()
    night.pass_(minutes=2)
    [alarm] = store.alarms(AlarmQuery())
    assert store.change_alarm(alarm, {"acked_at": night.now, "acked_by": "bob"})
    night.pass_(step=60, hours=2)
    night.ends("nightly", runs.SUCCEEDED)
    night.pass_(minutes=2)
    assert len(night.recipient.messages) == 1
    night.fails()
    night.pass_(minutes=2)
    assert len(night.recipient.messages) == 2, "a failure after it was put right is another alarm"


def test_a_thousand_failures_at_once_are_one_message(store: Store) -> None:
    night = Night(store, count=3)
    for number in range(1_000):
        night.fails(night.schedule(f"s{number:04}"))
    night.pass_(minutes=1)
    [(title, body)] = night.recipient.messages
    assert title == "cronlite: 1000 alarms: 1000 failed (memory:)"
    assert "… and 975 more" in body
    assert len(body) < 12_001


def test_whoever_follows_a_teller_that_died_in_telling_tells_it_once_more(store: Store) -> None:
    night = Night(store)
    night.schedule()
    night.fails()
    dying = night.watchers[0]
    night.pass_(seconds=20)
    assert len(night.recipient.messages) == 1, "it was told, and died before it could note that"
    night.watchers = [night.watcher(), night.watcher()]
    night.pass_(minutes=5)
    assert len(night.recipient.messages) == 2
    night.pass_(minutes=5)
    assert len(night.recipient.messages) == 2
    dying.round(night.now)
    assert len(night.recipient.messages) == 2


def test_what_was_raised_and_never_told_is_told_by_who_comes_next(store: Store) -> None:
    night = Night(store)
    night.schedule()
    night.fails()
    night.round()  # raised, and dead before it was settled
    assert night.open() == ["failed:nightly"]
    assert night.recipient.messages == []
    night.watchers = [night.watcher()]
    night.pass_(minutes=2)
    assert len(night.recipient.messages) == 1


def test_a_failure_that_nobody_lived_to_tell_of_is_found(store: Store) -> None:
    night = Night(store)
    night.round()  # somebody watched before
    night.pass_(minutes=2)
    night.schedule()
    night.ends("nightly", runs.FAILED)
    night.watchers = [night.watcher()]
    night.pass_(minutes=6)
    assert night.recipient.titles == ["cronlite: schedule nightly failed"]


def test_a_channel_that_is_down_for_an_hour_hears_of_it_afterwards(store: Store) -> None:
    night = Night(store, count=2)
    night.schedule()
    night.recipient.refuses = "503"
    tried: list[object] = []
    night.recipient.before = lambda: tried.append(night.now)
    night.fails()
    night.pass_(hours=1)
    [duty] = [one for one in store.duties() if one.id == "channel:team"]
    assert (duty.error, duty.failures > 5) == ("503", True)
    assert 10 <= len(tried) <= 20, "again, with longer and longer pauses"
    night.recipient.refuses = ""
    night.pass_(minutes=10)
    assert len(night.recipient.messages) == 1
    [duty] = [one for one in store.duties() if one.id == "channel:team"]
    assert (duty.error, duty.failing_since, duty.failures) == (None, None, 0)


def test_a_channel_that_hangs_is_waited_for_by_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(store)
    good, hanging = Recipient(), threading.Event()
    night.recipient.hangs = hanging
    night.schedule()
    night.fails()
    night.pass_(seconds=20)
    try:
        later = store_clock.steady() + 100
        monkeypatch.setattr("cronlite.daemon.telling.steady", lambda: later)
        night.round()
        [duty] = [one for one in store.duties() if one.id == "channel:team"]
        assert duty.error == "no answer within 30 s"
        night.watchers = [night.watcher(recipient=good)]
        night.pass_(minutes=5)
        assert len(good.messages) == 1, "another daemon's way may be open"
    finally:
        hanging.set()


def test_what_a_slow_channel_took_in_the_end_is_not_told_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(store)
    night.recipient.hangs = threading.Event()
    night.fails(night.schedule())
    night.pass_(seconds=20)
    later = store_clock.steady() + 100
    monkeypatch.setattr("cronlite.daemon.telling.steady", lambda: later)
    night.round()
    assert [one.failures for one in store.duties() if one.id == "channel:team"] == [1]
    night.recipient.hangs.set()
    wait_until(lambda: night.recipient.messages, what="that it takes the message after all")
    night.recipient.hangs = None
    wait_until(lambda: all(one.ended.is_set() for one in night.watchers[0]._tellers[0]._hanging), what="its end")
    night.pass_(minutes=5)
    assert len(night.recipient.messages) == 1
    assert [one.failures for one in store.duties() if one.id == "channel:team"] == [0]


def test_no_two_tell_at_the_same_time(store: Store) -> None:
    night = Night(store, count=3)
    night.recipient.before = lambda: lefts.append(
        next(one.until for one in store.duties() if one.id == "channel:team") - night.now
    )
    lefts: list[timedelta] = []
    for number in range(20):
        night.fails(night.schedule(f"s{number}"))
        night.pass_(minutes=1)
    assert len(night.recipient.messages) == 20
    assert min(lefts) > timedelta(seconds=telling.SEND_SECONDS + 20), "or another would tell what is being told"


def test_in_quiet_hours_nothing_is_told_and_afterwards_all(store: Store) -> None:
    night = Night(store, quiet="02:00-03:00 UTC")
    night.fails(night.schedule("still"))
    night.fails(night.schedule("mended"))
    night.pass_(minutes=5)
    night.ends("mended", runs.SUCCEEDED)
    night.pass_(minutes=24)
    assert night.recipient.messages == []
    night.pass_(minutes=2)
    [(title, body)] = night.recipient.messages
    assert title == "cronlite: 2 alarms: 1 failed, 1 failed (over) (memory:)"
    assert "over: schedule mended failed" in body


def test_a_channel_takes_only_its_kinds_tags_and_users(store: Store) -> None:
    night = Night(store, kinds=["failed", "timed_out"], tags=["night"], users=["alice"])
    night.fails(night.schedule("a", user="alice", tags=["night"]), user="alice")
    night.fails(night.schedule("b", user="bob", tags=["night"]), user="bob")
    night.fails(night.schedule("c", user="alice", tags=["day"]), user="alice")
    night.fails(night.schedule("d", user="alice", tags=["night"]), runs.ABANDONED, user="alice")
    night.pass_(minutes=2)
    [(title, _)] = night.recipient.messages
    assert title.startswith("cronlite: schedule a for alice failed")
    assert len(night.open()) == 4
