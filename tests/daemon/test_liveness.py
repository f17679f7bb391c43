"""Who is alive is told by beats and by one's own steady clock; no clock is compared with another."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cronlite.daemon.liveness import Membership, Peers
from cronlite.daemon.store_clock import StoreClock
from cronlite.documents.daemons import DaemonRecord
from cronlite.store.contract import Store
from tests.daemon.conftest import Steady


def describe(name: str) -> DaemonRecord:
    return DaemonRecord(id=name, host="h", pid=1, version="0", started_at=datetime.now(timezone.utc))


def member(store: Store, deaths: list[str] | None = None) -> Membership:
    found = [] if deaths is None else deaths
    one = Membership(store, StoreClock(), describe, lambda: found.append("died"))
    one.join()
    return one


def watch(
    peers: Peers, steady: Steady, seconds: float, me: str = "me", owners: frozenset[str] = frozenset()
) -> set[str]:
    """Observe every five seconds for a while; return who was found dead owning work."""
    dead: set[str] = set()
    for _ in range(int(seconds // 5)):
        steady.seconds += 5
        dead |= peers.observe(me, owners)
    return dead


def test_a_daemon_that_beats_lives(store: Store, steady: Steady) -> None:
    one, peers = member(store), Peers(store)
    for _ in range(20):
        watch(peers, steady, 5)
        one.beat(running=0, stuck=0)
    assert peers.dead == set()


def test_a_daemon_whose_beat_stands_still_for_the_silence_is_dead(store: Store, steady: Steady) -> None:
    one, peers = member(store), Peers(store)
    watch(peers, steady, 30)
    assert not peers.is_dead(one.id)
    assert watch(peers, steady, 10, owners=frozenset({one.id})) == {one.id}
    assert store.daemons()[0].dead_at is not None


def test_the_longer_silence_of_owner_and_observer_counts(store: Store, steady: Steady) -> None:
    patient = Membership(
        store, StoreClock(), lambda name: replace(describe(name), silence_seconds=600), lambda: None, 600
    )
    patient.join()
    hasty = Peers(store, silence_seconds=2)
    while steady.seconds < 1_000 + 600:
        steady.seconds += 1
        assert not hasty.observe("me", {patient.id}), f"dead after {steady.seconds - 1_000} s"
    assert not hasty.is_dead(patient.id)
    steady.seconds += 1
    hasty.observe("me", {patient.id})
    assert hasty.is_dead(patient.id)


def test_a_silence_that_is_none_keeps_no_daemon_alive_for_ever(store: Store, steady: Steady) -> None:
    store.join(replace(describe("odd"), silence_seconds=float("nan")))
    store.join(replace(describe("long"), silence_seconds=1e300))
    peers = Peers(store)
    watch(peers, steady, 40)
    assert peers.dead == {"odd"}
    watch(peers, steady, 3_600)
    assert peers.dead == {"odd", "long"}


def test_an_observer_that_was_away_itself_begins_anew(store: Store, steady: Steady) -> None:
    one, peers = member(store), Peers(store)
    watch(peers, steady, 10)
    steady.seconds += 3_600
    watch(peers, steady, 25)
    assert not peers.is_dead(one.id)


def test_an_owner_of_work_that_is_on_no_list_is_dead_after_the_silence(store: Store, steady: Steady) -> None:
    peers = Peers(store)
    assert watch(peers, steady, 30, owners=frozenset({"ghost"})) == set()
    assert watch(peers, steady, 10, owners=frozenset({"ghost"})) == {"ghost"}


def test_a_beat_between_the_look_and_the_verdict_saves_a_daemon(store: Store, steady: Steady) -> None:
    one, peers = member(store), Peers(store)
    watch(peers, steady, 30)
    (seen,) = store.daemons()
    one.beat(running=0, stuck=0)
    assert not store.mark_dead(one.id, seen.beat)


def test_a_daemon_marked_dead_says_so_and_goes_on_under_a_new_name(
    store: Store, steady: Steady, caplog: pytest.LogCaptureFixture
) -> None:
    deaths: list[str] = []
    one = member(store, deaths)
    old = one.id
    assert store.mark_dead(old, store.daemons()[0].beat)
    one.beat(running=0, stuck=0)
    assert deaths == ["died"]
    assert one.id != old
    assert one.holds_lease()
    assert f"daemon {old} was marked dead" in caplog.text


def test_a_lease_ends_before_anybody_can_take_its_holder_for_dead(store: Store, steady: Steady) -> None:
    one = member(store)
    steady.seconds += 24
    assert one.holds_lease()
    steady.seconds += 2
    assert not one.holds_lease()
    one.beat(running=0, stuck=0)
    assert one.holds_lease()


def test_the_stores_clock_is_carried_on_by_the_steady_one(steady: Steady) -> None:
    clock = StoreClock()
    told = datetime(2040, 1, 1, tzinfo=timezone.utc)
    clock.set(told)
    steady.seconds += 90
    assert clock.now() == told + timedelta(seconds=90)
    assert clock.seconds_until(told + timedelta(seconds=100)) == 10


def test_a_host_off_by_more_than_a_second_says_so_once(
    store: Store, steady: Steady, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = member(store)
    monkeypatch.setattr(store, "beat", lambda *_, **__: datetime.now(timezone.utc) + timedelta(seconds=90))
    for _ in range(3):
        one.beat(running=0, stuck=0)
    assert len(re.findall(r"(90\.0|89\.\d) s behind the store's", caplog.text)) == 1


def test_a_ghost_that_keeps_its_work_is_told_of_once(
    store: Store, steady: Steady, caplog: pytest.LogCaptureFixture
) -> None:
    assert watch(Peers(store), steady, 60, owners=frozenset({"ghost"})) == {"ghost"}
    assert caplog.text.count("ghost (on no list) is dead") == 1


def test_what_was_claimed_under_the_name_before_is_not_under_the_new_lease(store: Store, steady: Steady) -> None:
    one = member(store)
    old = one.id
    seen: list[tuple[str, bool]] = []

    class Watched(StoreClock):
        def set(self, answered: datetime) -> None:
            seen.append((one.id, one.holds_lease()))

    one.clock = Watched()
    assert store.mark_dead(old, store.daemons()[0].beat)
    one.beat(running=0, stuck=0)
    assert seen == [(one.id, True)]
    assert one.id != old


def test_one_observer_at_a_time_takes_over(store: Store, steady: Steady) -> None:
    one, first, second = member(store), Peers(store), Peers(store)
    owners = frozenset({one.id})
    for _ in range(6):
        assert watch(second, steady, 5, owners=owners) | first.observe("first", owners) == set()
    steady.seconds += 5
    assert first.observe("first", owners) == {one.id}
    assert second.observe("second", owners) == set()
    assert second.is_dead(one.id)
    assert watch(second, steady, 5, owners=owners) == {one.id}  # the first did not bring it to an end
    assert first.observe("first", owners) == {one.id}


def test_a_lease_counts_from_before_the_beat_was_sent(
    store: Store, steady: Steady, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, beat = member(store), store.beat

    def slow(id: str, **what: Any) -> datetime | None:
        steady.seconds += 10
        return beat(id, **what)

    monkeypatch.setattr(store, "beat", slow)
    one.beat(running=0, stuck=0)
    steady.seconds += 16
    assert not one.holds_lease(), "others may have seen the beat 26 s ago"


def test_a_daemon_does_not_watch_itself(store: Store, steady: Steady) -> None:
    one, peers = member(store), Peers(store)
    assert watch(peers, steady, 120, me=one.id, owners=frozenset({one.id})) == set()
    assert not peers.is_dead(one.id)
