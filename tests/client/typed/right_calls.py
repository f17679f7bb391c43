"""Calls that a type checker has nothing to say of. They are run as well."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import cronlite
from cronlite import Cronlite, Handle, Run, Schedule
from cronlite.client.backfills import Backfill
from cronlite.client.bulk import Outcome
from cronlite.client.many import Enqueued
from cronlite.documents.changes import Actor, Change
from cronlite.documents.freezes import Freeze
from cronlite.documents.options import Call
from cronlite.handlers.registry import Registry

now = datetime(2026, 1, 1, tzinfo=timezone.utc)
registry = Registry()
cron = Cronlite("memory:", registry=registry)


@registry.handler
def extract(params: Mapping[str, Any]) -> int:
    return len(params)


@registry.handler(cron="30 2 * * *", tz="Europe/Berlin", retries=2, params={"keep": 7}, user="ops")
def rotate(params: Mapping[str, Any]) -> int:
    return len(params)


@registry.handler("mail", isolation="thread")
async def mail(params: Mapping[str, Any]) -> None: ...


def all_is_well() -> None:
    nightly: Schedule = cron.schedule("alice", {"a": 1}, minute=[0, 30], hour="2-4", handler="extract", name="nightly")
    cron.schedule("alice", minute=[0, "30-40"], handler=extract, tags=["a"], tz="Europe/Berlin", overlap="wait")
    cron.schedule("alice", cron="@daily", retries=3, timeout_seconds=None, on_crash="abandon", catch_up="all")
    cron.update("nightly", minute=None, cron="5 4 * * *", note="x", tags=("a", "b"))
    cron.update(nightly.id, name="nightly", handler=mail, enabled=False)
    receipt: Handle = cron.enqueue(extract, {"a": 1}, "bob", retries=2, queue="reports")
    cron.enqueue("mail", run_at=timedelta(hours=1), deadline=now + timedelta(days=9_000), key="k")
    found: list[Run] = cron.runs(state=["queued"], handler=extract, user="bob", since=None, limit=None)
    assert [run.id for run in found] == [receipt.id]
    assert cron.cancel(receipt.id).state == receipt.wait(0).state == "cancelled"
    assert [one.handler for one in cron.schedules(handler=mail)] == ["mail"]
    declared: list[Schedule] = cron.declare(
        [
            {"name": "d", "cron": "@daily", "handler": extract, "params": {"a": 1}},
            {"name": "e", "minute": [1, 2], "was": "f"},
        ],
        owner="billing",
        prune=True,
        actor=Actor("ann", "file"),
    )
    outcome: Outcome = cron.many.update([one.id for one in declared], retries=1, actor="ann")
    changes: list[Change] = cron.history.of(outcome.done[0])
    assert [change.actor for change in changes] == [Actor("ann"), Actor("ann", "file")]
    assert cron.history.undo("d", to=changes[-1].id).retries == 0
    assert cron.history.restore(cron.remove("e", actor=None)).name == "e"
    assert cron.history.removed() == []
    paused: Schedule = cron.pause("d", until=timedelta(days=3), reason="the disk is full", actor="ann")
    freeze: Freeze = cron.freezes.add(tag="a", until=timedelta(hours=2), then="run", hold=True, actor=Actor("ann"))
    assert cron.freezes.thaw(freeze.id, actor="bob").thawed_by == "bob"
    asked: Backfill = cron.backfill(paused.id, now, now + timedelta(days=2), parallel=2, dry_run=True, most=None)
    assert asked.progress() == {}
    several: list[Call] = [{"handler": mail, "priority": 9, "run_at": now}, {"handler": "mail", "limit": "smtp"}]
    told: Enqueued = cron.enqueue_many(several, user="bob")
    assert [run.id for run in cron.runs(handler=mail, limit=2)] != [handle.id for handle in told.queued] != []
    most: int = cron.limits.set("smtp", 3, actor="ops").most
    assert [(limit.name, limit.most, limit.waiting) for limit in cron.limits.list()] == [("smtp", most, 1)]
    cron.update("nightly", limit="smtp", priority=None)
    assert cron.current_schedules(now) == cron.current_schedules(at=now) == []
    by_line = Schedule(cron="0,30 2-4 * * *", tz="UTC")
    by_fields = Schedule(minute=[0, 30], hour="2-4")
    assert by_line.describe() == by_fields.describe()
    assert by_line.next_runs(now, 2) == by_fields.next_runs(after=now, count=2)
    assert by_fields.changed(hour=3).matches(now + timedelta(hours=3))
    cronlite.current_schedules(at=now)
