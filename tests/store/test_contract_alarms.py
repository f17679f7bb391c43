"""Do all stores keep the contract on alarms and on duties?"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cronlite.documents import alarms
from cronlite.documents.alarms import Alarm, Told
from cronlite.store.contract import AlarmQuery, Store
from tests.store.conftest import Open, all_at_once
from tests.store.samples import MINUTE, NOW, SECOND, TICK, a_run

ALL = AlarmQuery(cleared_since=NOW - timedelta(days=30))
OPEN = AlarmQuery()


def an_alarm(subject: str = "nightly", kind: str = "failed", now: datetime = NOW, **more: Any) -> Alarm:
    return alarms.new(kind, subject, f"{subject} {kind}", now=now, **more)


def test_an_alarm_is_given_back_as_it_was_raised(store: Store) -> None:
    alarm = an_alarm(detail="a\nb", schedule="nightly", run="r", user="alice", tags=["night"], handler="extract")
    assert store.raise_alarms([alarm]) == {"failed:nightly"}
    assert store.alarm("failed:nightly") == alarm
    assert store.alarms(OPEN) == [alarm]
    assert store.alarm("failed:other") is None


def test_what_is_open_is_raised_once_and_counts_what_comes_later(store: Store) -> None:
    store.raise_alarms([an_alarm()])
    assert store.raise_alarms([an_alarm()]) == set()
    assert store.raise_alarms([an_alarm(now=NOW + SECOND, run="r2", detail="worse")]) == set()
    [alarm] = store.alarms(OPEN)
    assert (alarm.times, alarm.raised_at, alarm.last_at) == (2, NOW, NOW + SECOND)
    assert (alarm.run, alarm.detail) == ("r2", "worse")


def test_it_is_cleared_once_and_may_then_be_raised_anew(store: Store) -> None:
    alarm = an_alarm()
    store.raise_alarms([alarm])
    store.note_told(alarm, {"mail": Told(told_at=NOW)})
    assert store.change_alarm(alarm, {"cleared_at": NOW + MINUTE})
    assert not store.change_alarm(alarm, {"cleared_at": NOW + 2 * MINUTE})
    assert store.alarms(OPEN) == []
    assert [one.cleared_at for one in store.alarms(ALL)] == [NOW + MINUTE]
    anew = an_alarm(now=NOW + 3 * MINUTE)
    assert store.raise_alarms([anew]) == {alarm.id}
    assert store.alarms(OPEN) == [anew]
    assert not store.change_alarm(alarm, {"acked_at": NOW}), "the one that was there before"


def test_each_channel_notes_what_it_told(store: Store) -> None:
    alarm = an_alarm()
    store.raise_alarms([alarm])
    assert store.note_told(alarm, {"mail": Told(told_at=NOW)})
    assert store.note_told(alarm, {"chat": Told(told_at=NOW + SECOND, times=3, cleared=True)})
    [found] = store.alarms(OPEN)
    told = {"mail": Told(told_at=NOW), "chat": Told(told_at=NOW + SECOND, times=3, cleared=True)}
    assert found.told == told
    assert not store.note_told(an_alarm(now=NOW + MINUTE), {"mail": Told(told_at=NOW)})


def test_of_those_who_notice_the_same_one_raises_it(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(4)]
    for number in range(5):
        subject = f"s{number}"
        raised = all_at_once(stores, lambda store, _, subject=subject: store.raise_alarms([an_alarm(subject)]))  # type: ignore[misc]
        assert sorted(map(len, raised)) == [0, 0, 0, 1]
        cleared = all_at_once(
            stores,
            lambda store, _, subject=subject: store.change_alarm(an_alarm(subject), {"cleared_at": NOW}),  # type: ignore[misc]
        )
        assert sum(cleared) == 1


def test_old_cleared_ones_are_pruned(store: Store) -> None:
    for subject in ("open", "old", "fresh"):
        store.raise_alarms([an_alarm(subject)])
    store.change_alarm(an_alarm("old"), {"cleared_at": NOW})
    store.change_alarm(an_alarm("fresh"), {"cleared_at": NOW + MINUTE})
    assert store.prune_alarms(NOW + SECOND) == 1
    assert {alarm.subject for alarm in store.alarms(ALL)} == {"open", "fresh"}


def test_a_duty_is_one_daemons_until_its_end(store: Store) -> None:
    duty = store.claim_duty("watch", "d1", NOW, NOW + MINUTE)
    assert duty is not None
    assert (duty.daemon, duty.until) == ("d1", NOW + MINUTE)
    assert store.claim_duty("watch", "d2", NOW + SECOND, NOW + 2 * MINUTE) is None
    assert store.claim_duty("watch", "d1", NOW + SECOND, NOW + 2 * MINUTE) is not None
    later = NOW + 2 * MINUTE
    assert store.claim_duty("watch", "d2", later, later + MINUTE) is not None
    assert not store.change_duty(duty, {"error": "x"}), "it is another's now"
    assert [one.daemon for one in store.duties()] == ["d2"]


def test_a_duty_keeps_what_is_noted_with_it(store: Store) -> None:
    duty = store.claim_duty("channel:mail", "d1", NOW, NOW + MINUTE)
    assert duty is not None
    failing: dict[str, Any] = {"error": "it refuses", "failing_since": NOW, "failures": 2, "next_at": NOW + MINUTE}
    assert store.change_duty(duty, failing)
    assert store.duties() == [replace(duty, **failing)]
    assert store.claim_duty("channel:mail", "d1", NOW, NOW + MINUTE) == replace(duty, **failing)
    assert store.change_duty(duty, {"error": None, "failing_since": None, "failures": 0, "next_at": None})
    assert store.duties() == [duty]


def test_of_those_who_want_a_duty_one_gets_it(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(4)]
    for number in range(5):
        now = NOW + number * 2 * MINUTE
        won = all_at_once(
            stores,
            lambda store, place, now=now: store.claim_duty("watch", f"{now}{place}", now, now + MINUTE),  # type: ignore[misc]
        )
        assert len([duty for duty in won if duty]) == 1


def test_late_runs_are_those_that_were_not_claimed_and_the_running_ones(store: Store) -> None:
    late = a_run("late", late_at=NOW - SECOND)
    later = a_run("later", late_at=NOW - 2 * SECOND)
    running = a_run("running", late_at=NOW, state="running", daemon="d1", attempt=1, started_at=NOW)
    others = [a_run("in time", late_at=NOW + SECOND), a_run("never"), a_run("again", late_at=NOW, attempt=1)]
    store.add_runs([late, later, running, *others])
    assert [run.id for run in store.late_runs(NOW, 10)] == ["later", "late", "running"]
    assert [run.id for run in store.late_runs(NOW, 1)] == ["later", "running"]
    assert store.late_runs(TICK - MINUTE, 10) == []
