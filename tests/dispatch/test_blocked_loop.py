"""Does a coroutine that never lets go of its loop cost the others anything but a moment?"""

import asyncio
import threading
from collections.abc import Callable

import pytest

from cronlite.dispatch import limits
from cronlite.dispatch.calls import Call, stepwise
from cronlite.dispatch.loop import Loop
from cronlite.documents import runs
from cronlite.documents.runs import Outcome, Run
from tests.dispatch.conftest import Watched, make_run
from tests.waiting import wait_until


@pytest.fixture
def watched(make_pool: Callable[[int], Watched]) -> Watched:
    """A pool of four seats."""
    return make_pool(4)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short patience."""
    monkeypatch.setattr(limits, "CUT_SECONDS", 0.05)
    monkeypatch.setattr(limits, "BEGIN_SECONDS", 0.2)


def block(watched: Watched, timeout_seconds: float | None) -> Run:
    """Let a coroutine wait for the gate as a thread would, and its loop with it."""
    run = make_run("wait", gate="gate", handler="act_async", timeout_seconds=timeout_seconds)
    watched.pool.submit([run])
    wait_until(lambda: watched.pool._loops.current.stands_at, what="the coroutine to block its loop")
    return run


def states(watched: Watched, count: int) -> dict[str, Outcome | None]:
    """Wait for so many outcomes, by their runs."""
    return {run.id: outcome for run, outcome in (watched.next() for _ in range(count))}


@pytest.mark.usefixtures("quick")
def test_what_waits_behind_it_goes_back_and_a_new_loop_begins(watched: Watched, gate: threading.Event) -> None:
    blocking = block(watched, 0.1)
    waiting = [make_run(handler="act_async", timeout_seconds=60) for _ in range(2)]
    watched.pool.submit(waiting)
    ended = states(watched, 3)
    assert {id_ for id_, outcome in ended.items() if outcome is None} == {run.id for run in waiting}
    closed = ended[blocking.id]
    assert closed is not None
    assert (closed.state, closed.retriable) == (runs.TIMED_OUT, False)
    assert closed.error is not None
    assert "in _wait" in closed.error["traceback"], "where it hangs"
    wait_until(lambda: (watched.pool.stuck, watched.pool.running) == (1, 0), what="their seats to be free")
    assert f"run {blocking.id} of act_async blocks its asyncio loop" in watched.pool.trouble
    assert watched.outcome(make_run(value=1, handler="act_async")).result == 1, "on a new loop"
    assert watched.outcome(make_run(value=2)).result == 2
    gate.set()
    wait_until(lambda: watched.pool.stuck == 0, what="the stuck coroutine to end")
    wait_until(lambda: watched.pool.trouble == "")
    assert watched.silent()
    assert watched.pool.free == 4


@pytest.mark.usefixtures("quick")
def test_what_waits_behind_one_without_a_limit_goes_back_too(watched: Watched, gate: threading.Event) -> None:
    blocking = block(watched, None)
    watched.pool.submit([waiting := make_run(handler="act_async")])
    assert watched.next() == (waiting, None)
    assert watched.outcome(make_run(value=1, handler="act_async")).result == 1, "on a new loop"
    assert f"run {blocking.id} of act_async blocks its asyncio loop" in watched.pool.trouble
    assert (watched.pool.stuck, watched.pool.executing()) == (0, [blocking])
    gate.set()
    run, outcome = watched.next()
    assert run is blocking
    assert outcome is not None
    assert (outcome.state, outcome.result) == (runs.SUCCEEDED, True), "it may take as long as it likes"
    wait_until(lambda: watched.pool.trouble == "", what="the loop that was left to end")


@pytest.mark.usefixtures("quick")
def test_coroutines_that_had_begun_go_back_and_take_no_further_step(watched: Watched, gate: threading.Event) -> None:
    watched.pool.submit([begun := make_run("sleep", handler="act_async")])
    wait_until(lambda: [call.begun for call in watched.pool._seated()] == [True])
    (call,) = watched.pool._seated()
    blocking = block(watched, 0.1)
    ended = states(watched, 2)
    told = ended[begun.id]
    assert told is not None
    assert told.state == runs.QUEUED, "at no cost"
    assert told.error is not None
    assert blocking.id in told.error["message"]
    gate.set()
    wait_until(lambda: watched.pool.stuck == 0)
    assert call.loop is not None
    wait_until(lambda: call.loop not in watched.pool._loops.blocked)
    assert watched.silent()


@pytest.mark.usefixtures("quick")
def test_another_that_is_over_its_limit_meanwhile_is_not_to_blame(watched: Watched, gate: threading.Event) -> None:
    watched.pool.submit([innocent := make_run("sleep", handler="act_async", timeout_seconds=0.1)])
    blocking = block(watched, 60)
    run, outcome = watched.next()
    assert run is innocent
    assert outcome is not None
    assert outcome.state == runs.QUEUED, "it goes back"
    assert watched.pool.executing() == [blocking]
    gate.set()
    run, outcome = watched.next()
    assert outcome is not None
    assert outcome.state == runs.SUCCEEDED


def test_a_call_that_was_told_to_have_ended_takes_no_further_step() -> None:
    """As when its loop comes back to it, in the very round in which it was blocked."""
    steps = []

    async def handler() -> None:
        steps.append("first")
        try:
            await asyncio.sleep(0)
            steps.append("second")
        finally:
            await asyncio.sleep(0)
            steps.append("tidied up")

    async def served(call: Call) -> None:
        await stepwise(call, handler())

    async def told_after_one_step() -> None:
        call = Call(make_run(), None, 0.0)
        call.loop = Loop()
        task = asyncio.create_task(served(call))
        await asyncio.sleep(0)
        assert call.settle()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(told_after_one_step())
    assert steps == ["first", "tidied up"]
