"""Does the asyncio loop of the pool end what it was given, whenever it is closed?"""

import asyncio
import inspect
import threading

import pytest

from cronlite.dispatch.loop import Loop
from tests.waiting import wait_until


def test_a_task_that_is_made_as_the_loop_is_closed_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, main = threading.Event(), Loop._main

    def late(self: Loop, loop: asyncio.AbstractEventLoop) -> None:
        closed.wait(60)
        main(self, loop)

    monkeypatch.setattr(Loop, "_main", late)
    task, loop = asyncio.sleep(3600), Loop()
    loop.call(lambda: asyncio.get_running_loop().create_task(task))
    loop.close()
    closed.set()
    wait_until(lambda: inspect.getcoroutinestate(task) == inspect.CORO_CLOSED)
