"""Does a hard stop give its runs back last: when other daemons may begin them, is nothing of them left here?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.dispatch.process import Child
from cronlite.documents.runs import Changes, Run
from cronlite.handlers.registry import Registry
from cronlite.store.contract import Store
from tests.dispatch import acting
from tests.store.samples import a_run, stored
from tests.waiting import wait_until

Order = list[str]


@pytest.fixture
def order(store: Store, monkeypatch: pytest.MonkeyPatch) -> Order:
    """What happened to children and runs, in order."""
    happened: Order = []
    bury, dismiss, change_runs = Child.bury, Child.dismiss, store.change_runs

    def buried(child: Child) -> None:
        bury(child)
        happened.append("child gone")

    def dismissed(child: Child) -> None:
        dismiss(child)
        happened.append("idle child gone")

    def changed(changes: Sequence[tuple[Run, Changes]]) -> set[str]:
        happened.extend(["given back"] * any(change["state"] == "queued" for _, change in changes))
        return change_runs(changes)

    monkeypatch.setattr(Child, "bury", buried)
    monkeypatch.setattr(Child, "dismiss", dismissed)
    monkeypatch.setattr(store, "change_runs", changed)
    return happened


def test_runs_are_given_back_when_children_and_coroutines_have_ended(store: Store, order: Order) -> None:
    registry, awaiting = Registry(), threading.Event()
    registry.add("apart", acting.act, isolation="process")

    @registry.handler
    async def tidying(params: object) -> None:
        try:
            awaiting.set()
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.1)  # a round trip of what a handler closes
            order.append("coroutine ended")

    daemon = Daemon(store, registry, Options(seats=3, drain_seconds=0))
    daemon.start()
    assert daemon.wait_ready(60)
    now = daemon.clock.now()
    quick = a_run("quick", handler="apart", params={"action": "ok"}, run_at=now)
    cut_off = [
        a_run("child", handler="apart", params={"action": "sleep"}, run_at=now),
        a_run("coroutine", handler="tidying", params={}, run_at=now),
    ]
    store.add_runs([*cut_off, quick])
    daemon.wake()
    assert awaiting.wait(60)
    wait_until(lambda: stored(store, quick).state == "succeeded", what="a child to be idle")
    wait_until(lambda: {run.id for run in daemon.claimer.pool.executing()} == {"child", "coroutine"})
    daemon.stop(hard=True, last_words=lambda: order.append("last words"))
    assert sorted(order[:-2]) == ["child gone", "coroutine ended", "idle child gone"]
    assert order[-2:] == ["last words", "given back"]
    assert [stored(store, run).state for run in cut_off] == ["queued", "queued"]
