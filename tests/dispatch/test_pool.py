"""Does every run end in exactly one outcome, whatever its handler does to the pool?"""

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from cronlite import current_run
from cronlite.dispatch import limits as limits_module
from cronlite.dispatch import outcomes
from cronlite.dispatch.calls import Call
from cronlite.documents import runs
from cronlite.documents.runs import Run
from cronlite.errors import CronliteError
from cronlite.handlers.output import capture_logs, capture_prints
from tests.dispatch import acting
from tests.dispatch.conftest import Watched, make_run, no
from tests.waiting import wait_until

EVERYWHERE = pytest.mark.parametrize("handler", ["act", "act_async", "act_apart"])


def limits(watched: Watched) -> set[float | None]:
    """Return the time limits that run."""
    begun = (call for call in watched.pool._seated() if call.begun or not call.on_loop)
    return {call.run.timeout_seconds for call in begun if call.deadline < math.inf}


@EVERYWHERE
def test_what_a_handler_returns_is_the_result(watched: Watched, handler: str) -> None:
    outcome = watched.outcome(make_run(value={"rows": 3}, handler=handler))
    assert (outcome.state, outcome.result, outcome.error) == (runs.SUCCEEDED, {"rows": 3}, None)


@EVERYWHERE
def test_returning_nothing_succeeds(watched: Watched, handler: str) -> None:
    outcome = watched.outcome(make_run(handler=handler))
    assert (outcome.state, outcome.result, outcome.output) == (runs.SUCCEEDED, None, None)


@EVERYWHERE
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("nan", "is not a JSON number"),
        ("cyclic", "contains itself"),
        ("big", "bytes of JSON is more than"),
        ("object", "is a object, not JSON"),
    ],
)
def test_a_result_that_cannot_be_stored_leaves_a_marker_and_a_success(
    watched: Watched, handler: str, kind: str, told: str
) -> None:
    outcome = watched.outcome(make_run("result", kind=kind, handler=handler))
    assert outcome.state == runs.SUCCEEDED
    assert told in outcome.result["not_stored"]


@EVERYWHERE
@pytest.mark.parametrize(
    ("kind", "error_type", "message"),
    [
        ("value", "ValueError", "no luck"),
        ("exit", "SystemExit", "no luck"),
        ("interrupt", "KeyboardInterrupt", ""),
        ("base", "BaseException", "no luck"),
        ("cancelled", "asyncio.exceptions.CancelledError", ""),
        ("unprintable", "tests.dispatch.acting.Unprintable", "<its message cannot be shown: SystemExit>"),
        ("surrogate", "ValueError", "half \\ud800 and NUL \\x00"),
        ("memory", "MemoryError", ""),
    ],
)
def test_whatever_a_handler_raises_is_a_failure_and_the_seat_lives_on(
    make_pool: Callable[[int], Watched], handler: str, kind: str, error_type: str, message: str
) -> None:
    watched = make_pool(1)
    outcome = watched.outcome(make_run("raise", kind=kind, handler=handler))
    assert outcome.state == runs.FAILED
    assert outcome.error is not None
    assert (outcome.error["type"], outcome.error["message"]) == (error_type, message)
    assert (outcome.retriable, outcome.again_in) == (True, None)
    assert watched.outcome(make_run(value="next", handler=handler)).result == "next"


def test_a_failure_keeps_the_traceback_of_the_handler_alone(watched: Watched) -> None:
    outcome = watched.outcome(make_run("raise", kind="value"))
    assert outcome.error is not None
    assert outcome.error["traceback"].startswith("Traceback (most recent call last):\n")
    assert outcome.error["traceback"].endswith("ValueError: no luck\n")
    assert "acting.py" in outcome.error["traceback"]
    assert "pool.py" not in outcome.error["traceback"]


def test_endless_messages_and_recursions_are_cut_short(watched: Watched) -> None:
    long = watched.outcome(make_run("raise", kind="long")).error
    assert long is not None
    assert len(long["message"]) == 2_000
    assert len(long["traceback"]) == 8_000
    deep = watched.outcome(make_run("recurse")).error
    assert deep is not None
    assert deep["type"] == "RecursionError"
    assert len(deep["traceback"]) <= 8_000


@EVERYWHERE
def test_retry_later_says_when_and_give_up_says_never(watched: Watched, handler: str) -> None:
    later = watched.outcome(make_run("raise", kind="later", handler=handler))
    assert (later.state, later.again_in, later.retriable) == (runs.FAILED, 90, True)
    assert later.error is not None
    assert later.error["message"] == "the other side is down"
    never = watched.outcome(make_run("raise", kind="give up", handler=handler))
    assert (never.state, never.again_in, never.retriable) == (runs.FAILED, None, False)


def test_a_coroutine_returned_by_a_plain_function_is_awaited(watched: Watched) -> None:
    assert watched.outcome(make_run("coroutine")).state == runs.SUCCEEDED


def test_an_unknown_handler_is_not_started(watched: Watched) -> None:
    watched.pool.submit([make_run(handler="elsewhere")])
    assert watched.next()[1] is None


@EVERYWHERE
def test_a_run_that_may_not_start_is_dropped(watched: Watched, handler: str) -> None:
    watched.may_start = no
    watched.pool.submit([make_run(handler=handler)])
    assert watched.next()[1] is None


def test_a_run_is_dropped_where_nobody_can_say_whether_it_may_start(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(run: Run) -> bool:
        raise ValueError("no lease at all")

    watched.may_start = broken
    watched.pool.submit([make_run()])
    assert watched.next()[1] is None
    assert "no lease at all" in caplog.text


@EVERYWHERE
def test_a_handler_knows_its_run(watched: Watched, handler: str) -> None:
    run = make_run("run", handler=handler)
    assert watched.outcome(run).result == {
        "id": run.id,
        "user": "alice",
        "handler": handler,
        "schedule": "nightly",
        "due_at": "2026-11-21T02:30:00+00:00",
        "attempt": 2,
        "key": None,
        "mine": True,
    }


@EVERYWHERE
def test_a_handler_hears_that_the_run_is_another_daemons_now(watched: Watched, handler: str) -> None:
    watched.mine = no
    assert watched.outcome(make_run("not mine", handler=handler)).result == "right"


def test_ten_thousand_runs_end_once_each(make_pool: Callable[[int], Watched]) -> None:
    watched = make_pool(20)
    submitted = [make_run(handler="act_async" if number % 3 == 0 else "act") for number in range(10_000)]
    for start in range(0, len(submitted), 700):
        watched.pool.submit(submitted[start : start + 700])
    ended = [watched.next()[0].id for _ in submitted]
    assert sorted(ended) == sorted(run.id for run in submitted)
    assert watched.pool.drain(5) == []
    assert watched.silent()
    assert (watched.pool.free, watched.pool.running, watched.pool.waiting) == (20, 0, 0)
    assert sum(thread.name == "cronlite-seat" for thread in threading.enumerate()) <= 20


@pytest.mark.parametrize("handler", ["act", "act_async"])
def test_runs_start_in_the_order_in_which_they_came(make_pool: Callable[[int], Watched], handler: str) -> None:
    watched = make_pool(1)
    submitted = [make_run(handler=handler) for _ in range(100)]
    watched.pool.submit(submitted)
    assert [watched.next()[0].id for _ in submitted] == [run.id for run in submitted]


def test_there_are_never_more_runs_at_once_than_seats(
    make_pool: Callable[[int], Watched], gate: threading.Event
) -> None:
    watched = make_pool(3)
    submitted = [make_run("wait", gate="gate"), make_run("sleep", handler="act_async", timeout_seconds=600)]
    submitted += [make_run("wait", gate="gate") for _ in range(4)]
    watched.pool.submit(submitted)
    assert (watched.pool.running, watched.pool.waiting, watched.pool.free) == (3, 3, 0)
    assert [run.id for run in watched.pool.executing()] == [run.id for run in submitted[:3]]
    wait_until(lambda: limits(watched) == {600}, what="the coroutine to begin")
    watched.pool._check_limits(time.monotonic() + 601)
    assert watched.next()[0] is submitted[1]
    wait_until(lambda: watched.pool.waiting == 2, what="the coroutine's seat to be taken by the next run")
    assert watched.pool.running == 3
    gate.set()
    for _ in range(5):
        watched.next()
    assert watched.pool.drain(5) == []
    assert watched.pool.free == 3


def test_withdrawn_runs_are_not_started(make_pool: Callable[[int], Watched], gate: threading.Event) -> None:
    watched = make_pool(1)
    first, *others = [make_run("wait", gate="gate") for _ in range(5)]
    watched.pool.submit([first, *others])
    wait_until(lambda: watched.pool.longest_wait > 0.05, what="some time to pass")
    assert watched.pool.withdraw() == others
    assert watched.pool.longest_wait == 0
    gate.set()
    assert watched.pool.drain(5) == []
    assert watched.next()[0] is first
    assert watched.silent()


def test_a_drain_returns_what_still_runs_when_its_time_is_up(watched: Watched, gate: threading.Event) -> None:
    submitted = [make_run("wait", gate="gate"), make_run("sleep", handler="act_async")]
    watched.pool.submit(submitted)
    assert watched.pool.drain(0.05) == submitted
    assert watched.silent()


def test_a_drain_ends_with_the_last_run(watched: Watched, gate: threading.Event) -> None:
    watched.pool.submit([make_run("wait", gate="gate") for _ in range(5)])
    threading.Timer(0.05, gate.set).start()
    started = time.monotonic()
    assert watched.pool.drain(30) == []
    assert time.monotonic() - started < 10
    assert watched.told.qsize() == 5


@EVERYWHERE
def test_after_close_nothing_is_told(watched: Watched, gate: threading.Event, handler: str) -> None:
    run = make_run("wait", gate="gate") if handler == "act" else make_run("sleep", handler=handler)
    watched.pool.submit([run])
    wait_until(lambda: watched.pool.running == 1)
    watched.pool.close()
    gate.set()
    wait_until(
        lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("cronlite")],
        instead=threading.enumerate,
    )
    assert watched.silent()
    with pytest.raises(CronliteError, match="closed"):
        watched.pool.submit([make_run()])


@EVERYWHERE
def test_nothing_starts_in_a_pool_that_was_closed_meanwhile(watched: Watched, handler: str, tmp_path: Path) -> None:
    def close(run: Run) -> bool:
        watched.pool.close()
        return True

    watched.may_start = close
    watched.pool.submit([make_run("touch", path=str(tmp_path / "started"), handler=handler)])
    assert watched.pool.drain(5) == []
    assert not (tmp_path / "started").exists()


class JustMissed(deque[Call]):
    """A queue in which the next run arrives right after somebody found it empty."""

    def popleft(self) -> Call:
        self.popleft = super().popleft  # type: ignore[method-assign]
        raise IndexError


def test_a_run_that_comes_as_a_seat_becomes_idle_gets_that_seat(
    make_pool: Callable[[int], Watched], gate: threading.Event
) -> None:
    watched = make_pool(1)
    watched.pool.submit([make_run("wait", gate="gate")])
    watched.pool._waiting = JustMissed()
    watched.pool.submit([make_run(value="second")])
    gate.set()
    assert [outcome.result for _, outcome in (watched.next(), watched.next()) if outcome] == [True, "second"]


def test_a_drain_leaves_all_seats_free(make_pool: Callable[[int], Watched]) -> None:
    class Slow(dict[Call, None]):
        """What is present; the seat that takes itself off dawdles after that."""

        def pop(self, *args: object) -> None:
            super().pop(args[0])  # type: ignore[call-overload]
            threading.Event().wait(0.2)

    watched = make_pool(1)
    watched.pool._present = Slow()
    watched.outcome(make_run())
    assert watched.pool.drain(20) == []
    assert watched.pool.free == 1


def test_a_coroutine_is_cancelled_at_its_limit(watched: Watched) -> None:
    outcome = watched.outcome(make_run("sleep", handler="act_async", timeout_seconds=0.05))
    assert (outcome.state, outcome.retriable) == (runs.TIMED_OUT, True)
    assert outcome.error is not None
    assert outcome.error["message"] == "ran longer than its 0.05 s"
    assert watched.pool.drain(5) == []
    assert (watched.pool.stuck, watched.pool.free) == (0, 2)


def test_a_coroutine_that_swallows_its_cancellation_is_given_up(
    watched: Watched, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_module, "CUT_SECONDS", 0.05)
    outcome = watched.outcome(make_run("swallow", gate="gate", handler="act_async", timeout_seconds=0.05))
    assert (outcome.state, outcome.retriable) == (runs.TIMED_OUT, False)
    wait_until(lambda: watched.pool.free == 2, what="its seat to be given back")
    assert watched.pool.stuck == 1
    gate.set()
    wait_until(lambda: watched.pool.stuck == 0, what="the stuck coroutine to end")
    assert watched.silent()


def test_a_thread_over_its_limit_loses_its_run_and_its_seat(
    make_pool: Callable[[int], Watched], gate: threading.Event
) -> None:
    watched = make_pool(1)
    watched.pool.submit([make_run("wait", gate="gate", timeout_seconds=600)])
    wait_until(lambda: any("in _wait" in call.stack() for call in watched.pool._seated()), what="the handler to hang")
    watched.pool._check_limits(time.monotonic() + 601)
    outcome = watched.next()[1]
    assert outcome is not None
    assert (outcome.state, outcome.retriable) == (runs.TIMED_OUT, False)
    assert outcome.error is not None
    assert "goes on" in outcome.error["message"]
    assert "in _wait" in outcome.error["traceback"], "where it hangs"
    assert watched.outcome(make_run(value="next")).result == "next"
    wait_until(lambda: watched.pool.running == 0)
    assert watched.pool.stuck == 1
    gate.set()
    wait_until(lambda: watched.pool.stuck == 0, what="the stuck thread to end")
    wait_until(lambda: sum(thread.name == "cronlite-seat" for thread in threading.enumerate()) == 1)
    assert watched.silent(), "its late word is ignored"
    assert watched.pool.free == 1


def test_a_thread_that_is_over_its_limit_does_not_own_its_run_any_more(watched: Watched, gate: threading.Event) -> None:
    answers: list[bool] = []

    def ask(gate: str) -> None:
        acting.gates[gate].wait(30)
        answers.append(current_run().still_mine())

    acting.ACTIONS["ask late"] = ask
    watched.outcome(make_run("ask late", gate="gate", timeout_seconds=0.05))
    gate.set()
    wait_until(lambda: watched.pool.stuck == 0)
    assert answers == [False]


def test_time_limits_end_in_order_of_time_not_of_start(make_pool: Callable[[int], Watched]) -> None:
    watched = make_pool(3)
    submitted = [make_run("sleep", handler="act_async", timeout_seconds=seconds) for seconds in (900, 600, 300)]
    watched.pool.submit(submitted)
    wait_until(lambda: limits(watched) == {900, 600, 300}, what="all to begin")
    for seconds, over in ((301, submitted[2]), (601, submitted[1])):
        watched.pool._check_limits(time.monotonic() + seconds)
        assert watched.next()[0] is over
    assert watched.silent()


def test_a_limit_that_is_not_reached_costs_nothing(watched: Watched) -> None:
    submitted = [make_run(timeout_seconds=20) for _ in range(50)]
    watched.pool.submit(submitted)
    assert {watched.next()[1] for _ in submitted} == {outcomes.returned(None)}
    assert watched.pool.drain(1) == []
    assert watched.outcome(make_run("sleep", handler="act_async", timeout_seconds=0.3)).state == runs.TIMED_OUT
    assert watched.silent()


def test_a_task_that_exits_does_not_end_the_loop(watched: Watched) -> None:
    assert watched.outcome(make_run("task that exits", handler="act_async")).state == runs.SUCCEEDED
    assert watched.outcome(make_run(value=1, handler="act_async")).result == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_handler_that_forks_and_comes_back_twice_is_told_of_once(watched: Watched) -> None:
    assert watched.outcome(make_run("fork and return")).result == "parent"
    assert watched.pool.drain(5) == []
    assert watched.silent()


def test_a_broken_callback_does_not_cost_the_seat(
    make_pool: Callable[[int], Watched], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = make_pool(1)
    told = []

    def done(run: Run, outcome: object) -> None:
        told.append(run.id)
        raise ValueError("cannot take it")

    monkeypatch.setattr(watched.pool, "_done", done)
    submitted = [make_run(), make_run()]
    watched.pool.submit(submitted)
    assert watched.pool.drain(5) == []
    assert told == [run.id for run in submitted]
    assert "cannot take it" in caplog.text


@EVERYWHERE
def test_what_a_handler_prints_and_logs_is_its_output(
    watched: Watched, handler: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs(), capture_prints():
        printed = watched.outcome(make_run("print", text="three rows", handler=handler))
        logged = watched.outcome(make_run("log", message="four rows", handler=handler))
    assert printed.output == "three rows\n"
    assert logged.output is not None
    assert logged.output.endswith(" WARNING four rows\n")
    assert capfd.readouterr().out == "three rows\n", "printed lines go on to where they went before"


@pytest.mark.parametrize("handler", ["act", "act_apart"])
def test_an_endless_output_is_kept_to_its_tail(watched: Watched, handler: str) -> None:
    with capture_prints():
        outcome = watched.outcome(make_run("print", text="x" * 999, times=5_000, handler=handler))
    assert outcome.output is not None
    assert len(outcome.output) <= 65 * 1024
    assert outcome.output.startswith("[earlier output was dropped]\n")


@pytest.mark.parametrize("action", ["close stdout", "replace stdout"])
def test_stdout_survives_what_a_handler_does_to_it(make_pool: Callable[[int], Watched], action: str) -> None:
    watched = make_pool(1)
    with capture_prints():
        assert watched.outcome(make_run(action)).state == runs.SUCCEEDED
        assert watched.pool.drain(5) == []
        assert watched.outcome(make_run("print", text="still here")).output == "still here\n"


def test_log_records_of_a_run_carry_its_id(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    from cronlite.handlers.output import RunFields

    caplog.handler.addFilter(fields := RunFields())
    try:
        for handler in ("act", "act_async", "act_apart"):
            run = make_run("log", message=handler, handler=handler)
            watched.outcome(run)
            (record,) = [each for each in caplog.records if each.getMessage() == handler]
            assert (record.name, record.levelno) == ("tests.acting", logging.WARNING)
            assert {"run": run.id, "schedule": "nightly", "attempt": 2}.items() <= vars(record).items()
    finally:
        caplog.handler.removeFilter(fields)


def test_context_variables_do_not_leak_from_run_to_run(make_pool: Callable[[int], Watched]) -> None:
    import contextvars

    asked: contextvars.ContextVar[str] = contextvars.ContextVar("asked")

    def remember() -> str:
        before = asked.get("nothing")
        asked.set("something")
        return before

    acting.ACTIONS["remember"] = remember
    for handler in ("act", "act_async"):
        watched = make_pool(1)
        watched.pool.submit([make_run("remember", handler=handler) for _ in range(3)])
        results = [outcome.result for _, outcome in (watched.next() for _ in range(3)) if outcome]
        assert results == ["nothing"] * 3


def test_a_thread_that_changes_the_folder_changes_it_for_all(watched: Watched, tmp_path: Path) -> None:
    before = Path.cwd()
    try:
        watched.outcome(make_run("chdir", path=str(tmp_path)))
        assert watched.outcome(make_run("cwd")).result == os.fspath(tmp_path)
    finally:
        os.chdir(before)
