"""Many schedules in few writes: each with its change, whoever else writes meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cronlite import Conflict, Cronlite, InvalidInput, NotFound, QuotaExceeded
from cronlite.store.contract import ChangeQuery


@pytest.fixture
def cron(uri: str) -> Iterator[Cronlite]:
    with Cronlite(uri) as cron:
        cron.declare([{"name": f"s{n:03}", "minute": n % 60, "user": "eve"} for n in range(120)], owner="o")
        yield cron


def ids(cron: Cronlite) -> list[str]:
    return [one.id for one in cron.schedules()]


def test_many_are_changed_in_few_writes_and_each_has_its_change(
    cron: Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    real = cron.store.write_schedules

    def write(some: Any) -> Any:
        writes.append(len(some))
        return real(some)

    monkeypatch.setattr(cron.store, "write_schedules", write)
    outcome = cron.many.pause(ids(cron), reason="works", actor="ann")
    assert (sorted(outcome.done), outcome.failed, writes) == (sorted(ids(cron)), {}, [120])
    assert {(one.enabled, one.pause_reason) for one in cron.schedules()} == {(False, "works")}
    assert len(cron.store.changes(ChangeQuery())) == 240
    assert cron.many.pause(ids(cron), reason="works").done == []
    assert len(cron.many.resume(ids(cron)[:5]).done) == 5
    assert len(cron.many.resume(ids(cron)).done) == 115
    removed = cron.many.remove(ids(cron)[:7], actor="bob")
    assert len(removed.done) == 7
    assert [change.actor and change.actor.name for change in cron.history.removed()] == ["bob"] * 7
    assert all(change.certain for change in cron.history.removed())


def test_those_that_others_were_faster_with_are_changed_all_the_same(
    cron: Cronlite, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = ids(cron)
    real = cron.store.write_schedules

    def write(some: Any) -> Any:
        monkeypatch.undo()
        with Cronlite(uri) as other:
            other.update(first, note="theirs", actor="other")
            other.remove(second, actor="other")
        return real(some)

    monkeypatch.setattr(cron.store, "write_schedules", write)
    outcome = cron.many.update(ids(cron), retries=2, actor="ann")
    assert (len(outcome.done), list(outcome.failed)) == (119, [second])
    assert isinstance(outcome.failed[second], NotFound)
    assert (cron.get(first).note, cron.get(first).retries) == ("theirs", 2)
    told = [change.actor and change.actor.name for change in cron.history.of(first)]
    assert told[:2] == ["ann", "other"]
    assert next(change.actor and change.actor.name for change in cron.history.of(second)) == "other"


def test_what_is_wrong_with_one_is_told_of_it(cron: Cronlite) -> None:
    cron.store.add_schedule({"_id": "bad", "params": {}, "minute": 99})
    outcome = cron.many.update(["bad", "gone", *ids(cron)], hour=3)
    assert (len(outcome.done), sorted(outcome.failed)) == (120, ["bad", "gone"])
    assert isinstance(outcome.failed["bad"], InvalidInput)
    with pytest.raises(InvalidInput, match="name"):
        cron.many.update(ids(cron), name="n")
    with pytest.raises(InvalidInput, match="did you mean 'retries'"):
        cron.many.update(ids(cron), retires=1)  # type: ignore[call-arg]
    with pytest.raises(InvalidInput, match="ids"):
        cron.many.remove([{"$ne": 1}])  # type: ignore[list-item]


def test_a_new_user_gets_no_more_than_there_is_room_for(uri: str, cron: Cronlite) -> None:
    with Cronlite(uri, quota={"users": {"bob": {"schedules": 3}}}) as limited:
        outcome = limited.many.update(ids(cron)[:5], user="bob")
        assert (len(outcome.done), {type(one) for one in outcome.failed.values()}) == (3, {QuotaExceeded})
        assert len(cron.schedules(user="bob")) == 3


def test_one_run_of_each_is_queued(cron: Cronlite) -> None:
    some = ids(cron)[:3]
    outcome = cron.many.trigger(some)
    assert sorted(outcome.runs) == sorted(some)
    again = cron.many.trigger(some)
    assert {type(one) for one in again.failed.values()} == {Conflict}
    assert len(cron.runs()) == 3
