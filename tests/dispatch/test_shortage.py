"""Does a run that finds no thread go back, and is its seat free again?"""

import asyncio
import threading
from collections.abc import Callable

import pytest

from cronlite.documents import runs
from tests.dispatch.conftest import Watched, make_run
from tests.waiting import wait_until


class System:
    """Grants no thread whose name begins with one of these."""

    def __init__(self) -> None:
        self.refused: tuple[str, ...] = ()


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    granting, start = System(), threading.Thread.start

    def started(thread: threading.Thread) -> None:
        if thread.name.startswith(granting.refused):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", started)
    return granting


@pytest.mark.parametrize(
    ("handler", "thread"),
    [
        ("act", "cronlite-seat"),
        ("act", "cronlite-alarm"),
        ("act_async", "cronlite-loop"),
        ("act_async", "cronlite-alarm"),
        ("act_apart", "cronlite-seat"),
        ("act_apart", "cronlite-alarm"),
    ],
)
def test_what_cannot_be_begun_goes_back_and_its_seat_is_free(
    watched: Watched, system: System, handler: str, thread: str, caplog: pytest.LogCaptureFixture
) -> None:
    system.refused = (thread,)
    submitted = [make_run(handler=handler, timeout_seconds=60) for _ in range(2)]
    watched.pool.submit(submitted)
    assert [watched.next() for _ in submitted] == [(run, None) for run in submitted]
    assert (watched.pool.running, watched.pool.waiting, watched.pool.drain(0)) == (0, 0, [])
    assert "can't start new thread" in watched.pool.trouble
    assert [record.levelname for record in caplog.records] == ["ERROR"], "once, not for each"
    system.refused = ()
    assert watched.outcome(make_run(value=1, handler=handler, timeout_seconds=60)).result == 1


def test_nothing_more_is_asked_for_in_the_next_second(
    watched: Watched, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.refused = ("cronlite-seat",)
    watched.pool.submit([make_run()])
    assert (watched.pool.is_short, watched.pool.free) == (True, 0)
    wait_until(lambda: watched.pool.free == 2)
    assert not watched.pool.is_short


def test_seats_that_have_a_thread_serve_what_waits(
    make_pool: Callable[[int], Watched], system: System, gate: threading.Event
) -> None:
    watched = make_pool(3)
    watched.pool.submit([first := make_run("wait", gate="gate")])
    system.refused = ("cronlite-seat",)
    second, third, *waiting = [make_run(handler="act") for _ in range(6)]
    watched.pool.submit([second, third, *waiting])
    assert {watched.next()[0].id for _ in range(2)} == {second.id, third.id}
    assert watched.pool.executing() == [first]
    gate.set()
    ended = [watched.next() for _ in range(5)]
    assert [run for run, _ in ended] == [first, *waiting]
    assert all(outcome and outcome.state == runs.SUCCEEDED for _, outcome in ended)
    assert watched.pool.drain(60) == []


def test_a_loop_without_a_descriptor_is_made_later(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:

        def refused() -> None:
            raise OSError(24, "Too many open files")

        patch.setattr(asyncio, "new_event_loop", refused)
        watched.pool.submit([run := make_run(handler="act_async")])
        assert watched.next() == (run, None)
    assert watched.outcome(make_run(value=1, handler="act_async")).result == 1
