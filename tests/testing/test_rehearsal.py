"""Rehearsals: what an application's tests may rely on."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import cronlite
from cronlite import Cronlite, current_run
from cronlite.errors import ConfigurationError, InvalidInput
from cronlite.handlers.registry import Registry
from cronlite.testing import START, HandlerFailed, Rehearsal
from tests.dispatch import acting

pytest_plugins = ["pytester", "cronlite.contrib.pytest"]


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add("act", acting.act)
    registry.add("act_async", acting.act_async)
    registry.add("act_in_child", acting.act, isolation="process")
    return registry


@pytest.fixture
def rehearsal(registry: Registry) -> Iterator[Rehearsal]:
    with Rehearsal(registry=registry) as entered:
        yield entered


def at(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, minute, second, tzinfo=timezone.utc)


# time


def test_advancing_runs_each_schedule_at_its_minutes_in_order(rehearsal: Rehearsal, registry: Registry) -> None:
    called = []
    registry.add("call", lambda params: called.append((params["name"], current_run().due_at)))
    rehearsal.cron.schedule(params={"name": "half"}, handler="call", minute="*/30")
    rehearsal.cron.schedule(params={"name": "two"}, handler="call", minute=0, hour=2)
    ran = rehearsal.advance(hours=2)
    assert called[:3] == [("half", at(1, 0, 30)), ("half", at(1, 1, 0)), ("half", at(1, 1, 30))]
    assert sorted(called[3:]) == [("half", at(1, 2, 0)), ("two", at(1, 2, 0))]
    assert [(run.state, run.started_at) for run in ran[:1]] == [("succeeded", at(1, 0, 30))]
    assert rehearsal.now == rehearsal.cron.now() == START + timedelta(hours=2)


def test_what_a_plain_decorator_makes_of_an_async_handler_is_awaited(rehearsal: Rehearsal, registry: Registry) -> None:
    def decorated(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(params: Any) -> Any:
            return function(params)

        return call

    async def rows(params: Any) -> int:
        await asyncio.sleep(0)
        return int(params["rows"])

    registry.handler("rows")(decorated(rows))
    rehearsal.cron.enqueue("rows", {"rows": 3})
    assert [(run.state, run.result) for run in rehearsal.drain()] == [("succeeded", 3)]


def test_a_schedule_is_not_due_at_the_minute_in_which_it_is_made(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(handler="act")
    assert rehearsal.drain() == []
    assert rehearsal.advance(seconds=59) == []
    assert [run.due_at for run in rehearsal.advance(seconds=1)] == [at(1, 0, 1)]


def test_the_zone_of_a_schedule_counts_on_the_night_of_the_change() -> None:
    registry = Registry()
    registry.add("act", acting.act)
    with Rehearsal(datetime(2026, 3, 29, tzinfo=timezone.utc), registry=registry) as rehearsal:
        rehearsal.cron.schedule(handler="act", minute=30, hour=2, tz="Europe/Berlin")
        rehearsal.advance(hours=3)
        assert [run.due_at.strftime("%H:%M") for run in rehearsal.runs()] == ["01:00"], "02:30 was skipped there"


def test_after_an_outage_the_grace_and_catch_up_decide(rehearsal: Rehearsal) -> None:
    for catch_up in ("skip", "latest", "all"):
        rehearsal.cron.schedule(name=catch_up, handler="act", minute="*/10", catch_up=catch_up)
    rehearsal.outage(hours=1)
    rehearsal.advance(minutes=1)
    minutes = {name: [run.due_at.minute for run in rehearsal.runs(schedule=name)] for name in ("skip", "latest", "all")}
    assert minutes == {"skip": [0], "latest": [50, 0], "all": [10, 20, 30, 40, 50, 0]}
    assert {run.state for run in rehearsal.runs()} == {"succeeded"}, "also those that wait for each other"


def test_time_does_not_run_backwards(rehearsal: Rehearsal) -> None:
    with pytest.raises(InvalidInput, match="backwards"):
        rehearsal.advance(minutes=-1)


# work on demand


def test_draining_runs_what_is_queued_and_what_that_queues_in_order(rehearsal: Rehearsal, registry: Registry) -> None:
    order = []

    def call(params: dict[str, int]) -> None:
        order.append(params["n"])
        if params["n"] < 3:
            rehearsal.cron.enqueue("call", {"n": params["n"] + 10})

    registry.add("call", call)
    for n in range(3):
        rehearsal.cron.enqueue("call", {"n": n})
    later = rehearsal.cron.enqueue("call", {"n": 99}, run_at=timedelta(hours=1))
    assert [run.params["n"] for run in rehearsal.drain()] == order == [0, 1, 2, 10, 11, 12]
    assert later.state == "queued"
    rehearsal.advance(minutes=59)
    assert later.state == "queued"
    rehearsal.advance(minutes=1)
    assert later.run.started_at == at(1, 1, 0)


def test_retries_come_after_exactly_their_delay_doubling(rehearsal: Rehearsal) -> None:
    handle = rehearsal.cron.enqueue("act", {"action": "raise", "kind": "value"}, retries=2, retry_delay_seconds=10)
    starts = [run.started_at or rehearsal.now for run in rehearsal.drain(raising=False)]
    assert (handle.run.failures, handle.run.run_at) == (1, at(1, 0, 0, 10))
    rehearsal.advance(seconds=9, raising=False)
    assert handle.run.attempt == 1
    rehearsal.advance(minutes=5, raising=False)
    assert (handle.state, handle.run.attempt, handle.run.finished_at) == ("failed", 3, at(1, 0, 0, 30))
    assert len(starts) == 1


def test_overlap_is_kept_as_by_a_daemon(rehearsal: Rehearsal, registry: Registry) -> None:
    one = rehearsal.cron.schedule(handler="nobodys", overlap="skip")
    rehearsal.advance(minutes=2, raising=False)
    assert [run.state for run in rehearsal.runs(schedule=one.id)] == ["queued", "skipped"]


def test_a_handler_that_queues_itself_for_ever_is_stopped(
    rehearsal: Rehearsal, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cronlite.testing.MAX_RUNS_AT_ONCE", 25)
    registry.add("again", lambda _: rehearsal.cron.enqueue("again") and None)
    rehearsal.cron.enqueue("again")
    with pytest.raises(AssertionError, match="25 runs without an end; the last was again"):
        rehearsal.drain()


# what handlers do


@pytest.fixture(params=["in this thread", "in the pool"])
def either(request: pytest.FixtureRequest, registry: Registry) -> Iterator[Rehearsal]:
    with Rehearsal(registry=registry, in_pool=request.param == "in the pool") as entered:
        yield entered


def test_a_failure_is_raised_once_it_is_recorded(either: Rehearsal) -> None:
    handle = either.cron.enqueue("act", {"action": "raise", "kind": "value"}, user="bob")
    with pytest.raises(
        HandlerFailed, match=r"act with .* for 'bob', .* failed, attempt 1: ValueError: no luck"
    ) as raised:
        either.drain()
    assert raised.value.run == handle.run
    assert (handle.state, handle.run.error and handle.run.error["type"]) == ("failed", "ValueError")
    if isinstance(raised.value.__cause__, BaseException):
        assert isinstance(raised.value.__cause__, ValueError)


def test_in_this_thread_what_was_raised_is_the_cause(rehearsal: Rehearsal) -> None:
    rehearsal.cron.enqueue("act", {"action": "raise", "kind": "value"})
    with pytest.raises(HandlerFailed) as raised:
        rehearsal.drain()
    assert repr(raised.value.__cause__) == "ValueError('no luck')"


@pytest.mark.parametrize("kind", ["exit", "cancelled", "memory", "unprintable"])
def test_whatever_a_handler_raises_is_recorded(rehearsal: Rehearsal, kind: str) -> None:
    rehearsal.cron.enqueue("act", {"action": "raise", "kind": kind})
    with pytest.raises(HandlerFailed):
        rehearsal.drain()
    assert [run.state for run in rehearsal.runs()] == ["failed"]


@pytest.mark.parametrize(("kind", "state"), [("later", "queued"), ("give up", "failed")])
def test_what_a_handler_raises_on_purpose_is_only_recorded(either: Rehearsal, kind: str, state: str) -> None:
    either.cron.enqueue("act", {"action": "raise", "kind": kind}, retries=3)
    (run,) = either.drain()
    assert (run.state, run.failures) == (state, 1)


def test_pytest_fail_in_a_handler_is_the_tests_own(rehearsal: Rehearsal, registry: Registry) -> None:
    registry.add("check", lambda _: pytest.fail("seen"))
    rehearsal.cron.enqueue("check")
    with pytest.raises(pytest.fail.Exception, match="seen"):
        rehearsal.drain()


def test_a_handler_knows_its_run_and_its_output_is_kept(either: Rehearsal, registry: Registry) -> None:
    def talk(params: Any) -> list[Any]:
        print("printed")
        logging.getLogger("shop").warning("logged")
        run = current_run()
        return [run.user, run.attempt, run.still_mine()]

    registry.add("talk", talk)
    either.cron.enqueue("talk", user="bob")
    (run,) = either.drain()
    assert run.result == ["bob", 1, True]
    assert run.output is not None
    assert "printed\n" in run.output
    assert "WARNING logged\n" in run.output
    with pytest.raises(cronlite.CronliteError, match="outside of a run"):
        current_run()


def test_async_handlers_run_also_where_the_test_is_a_coroutine(either: Rehearsal) -> None:
    either.cron.enqueue("act_async", {"value": 1})
    assert [run.result for run in either.drain()] == [1]

    async def test() -> list[Any]:
        either.cron.enqueue("act_async", {"value": 2})
        return [run.result for run in either.drain()]

    assert asyncio.run(test()) == [2]


def test_handlers_run_in_the_thread_of_the_test_or_in_the_pool_with_its_children_and_limits(
    rehearsal: Rehearsal, registry: Registry
) -> None:
    registry.add("thread", lambda _: threading.get_ident())
    rehearsal.cron.enqueue("thread")
    rehearsal.cron.enqueue("act_in_child", {"action": "pid"})
    assert [run.result for run in rehearsal.drain()] == [threading.get_ident(), os.getpid()]
    with Rehearsal(registry=registry, in_pool=True) as pooled:
        pooled.cron.enqueue("thread")
        pooled.cron.enqueue("act_in_child", {"action": "pid"})
        assert not {run.result for run in pooled.drain()} & {threading.get_ident(), os.getpid()}
        pooled.cron.enqueue("act_in_child", {"action": "sleep"}, timeout_seconds=0.2)
        with pytest.raises(HandlerFailed, match=r"timed_out.*ran longer than its 0\.2 s"):
            pooled.drain()


def test_a_handler_that_nobody_registered_is_named_with_the_one_that_was_meant(rehearsal: Rehearsal) -> None:
    rehearsal.cron.enqueue("acct")
    with pytest.raises(AssertionError, match=r"nobody can run acct with \{\}.*did you mean 'act'\?"):
        rehearsal.drain()
    assert rehearsal.drain(raising=False) == []


def test_a_run_that_has_not_started_by_its_deadline_is_missed(either: Rehearsal) -> None:
    either.cron.schedule(params={"value": 1}, handler="act", minute="*/2", deadline_seconds=60, name="even")
    either.cron.enqueue("act", {"value": 2}, deadline=timedelta(seconds=30))
    either.outage(minutes=3, seconds=30)
    assert either.drain() == []
    assert [run.params["value"] for run in either.advance(minutes=2)] == [1]
    missed = either.runs(state="missed")
    assert [(run.params["value"], run.due_at.minute) for run in missed] == [(2, 0), (1, 2)]
    assert all("not started by its deadline" in (run.reason or "") for run in missed)


def test_a_run_that_began_in_time_is_tried_again_after_its_deadline(rehearsal: Rehearsal) -> None:
    rehearsal.cron.enqueue("act", {"action": "fail"}, retries=1, deadline=timedelta(seconds=30))
    rehearsal.advance(minutes=2, raising=False)
    (run,) = rehearsal.runs()
    assert (run.state, run.attempt) == ("failed", 2)


# what is there


def test_runs_can_be_chosen_and_come_in_order(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule("alice", handler="act", minute="*/2", name="even")
    rehearsal.cron.enqueue("act_async", user="bob")
    rehearsal.advance(minutes=4)
    assert [run.due_at.minute for run in rehearsal.runs()] == [0, 2, 4]
    assert [run.user for run in rehearsal.runs(handler="act_async")] == ["bob"]
    assert len(rehearsal.runs(user="alice", state=["succeeded", "failed"], schedule="even")) == 2
    with pytest.raises(InvalidInput, match="did you mean 'succeeded'"):
        rehearsal.runs(state="suceeded")


def test_assert_scheduled_finds_by_fields_params_and_instant(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule("alice", {"dataset": "sales", "full": True}, minute=30, hour=2, handler="act", name="n")
    found = rehearsal.assert_scheduled(name="n", handler="act", params={"dataset": "sales"}, at=at(1, 2, 30))
    assert found.user == "alice"
    wrongs: list[dict[str, Any]] = [
        {"name": "m"},
        {"params": {"dataset": "news"}},
        {"user": "bob"},
        {"at": at(1, 2, 31)},
    ]
    for wrong in wrongs:
        with pytest.raises(AssertionError) as raised:
            rehearsal.assert_scheduled(**wrong)
        assert "'n' act with {'dataset': 'sales', 'full': True} for 'alice', at 02:30 every day" in str(raised.value)
    rehearsal.cron.pause("n")
    with pytest.raises(AssertionError, match="every day, paused"):
        rehearsal.assert_scheduled(at=at(1, 2, 30))


def test_assert_enqueued_finds_queued_runs_and_lists_what_is_there_instead(rehearsal: Rehearsal) -> None:
    with pytest.raises(AssertionError, match="no queued run has handler='act'; there is none"):
        rehearsal.assert_enqueued(handler="act")
    rehearsal.cron.enqueue("act", {"value": 1}, user="bob", key="k", run_at=timedelta(minutes=5))
    run = rehearsal.assert_enqueued(handler="act", params={"value": 1}, user="bob", key="k", at=at(1, 0, 5))
    assert run.params == {"value": 1}
    with pytest.raises(
        AssertionError, match=r"params=\{'value': 2\}; there are 1:\n  act with \{'value': 1\} for 'bob'"
    ):
        rehearsal.assert_enqueued(params={"value": 2})
    rehearsal.advance(minutes=5)
    with pytest.raises(AssertionError, match="succeeded, attempt 1"):
        rehearsal.assert_enqueued(handler="act")


def test_long_lists_are_cut(rehearsal: Rehearsal) -> None:
    for _ in range(25):
        rehearsal.cron.enqueue("act")
    with pytest.raises(AssertionError, match=r"there are 25:(.|\n)*and 5 more"):
        rehearsal.assert_enqueued(user="nobody")


# an application's own


def test_an_applications_cronlite_is_lent_and_given_back(rehearsal: Rehearsal, tmp_path: Any) -> None:
    registry = Registry()
    registry.add("own", lambda _: "done")
    with cronlite.Cronlite(f"sqlite:{tmp_path / 'real.db'}", registry=registry) as own:
        own.schedule(name="real")
        with Rehearsal() as inner:
            assert inner.use(own) is own
            assert inner.use(own) is own
            assert own.schedules() == []
            own.start()
            assert not own.running
            own.enqueue("own")
            own.close()
            assert [run.result for run in inner.drain()] == ["done"]
        assert [schedule.name for schedule in own.schedules()] == ["real"]
        assert own.runs() == []
        assert own.now() - datetime.now(timezone.utc) < timedelta(minutes=1)
        own.start()
        assert own.running


def test_a_cronlite_whose_daemon_runs_is_refused(rehearsal: Rehearsal, tmp_path: Any) -> None:
    with cronlite.Cronlite(f"sqlite:{tmp_path / 'real.db'}", registry=Registry()) as own:
        own.start()
        with pytest.raises(ConfigurationError, match="start it where the server starts"):
            rehearsal.use(own)


def test_the_module_level_functions_work_on_it_until_its_end(registry: Registry) -> None:
    with Rehearsal(registry=registry) as outer:
        with Rehearsal(registry=registry) as inner:
            cronlite.schedule(handler="act")
            inner.assert_scheduled(handler="act")
        cronlite.enqueue("act")
        outer.assert_enqueued(handler="act")
        assert outer.cron.schedules() == []


def test_an_interval_below_a_minute_runs_at_each_of_its_instants(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule("ops", {}, handler="act", every="20s")
    rehearsal.cron.schedule("ops", {}, handler="act", every="2m", name="slow")
    ran = rehearsal.advance(minutes=3)
    offsets = [round((run.due_at - START).total_seconds()) for run in ran]
    assert offsets == [60, 80, 100, 120, 120, 140, 160, 180]
    assert all(run.started_at == run.due_at for run in ran)


def test_a_limit_of_an_application_holds_in_its_rehearsal() -> None:
    registry = Registry()
    registry.handler("fetch")(lambda params: params)
    app = Cronlite("memory:", registry=registry)
    with Rehearsal() as rehearsal:
        rehearsal.use(app)
        app.limits.set("bank", 0)
        app.enqueue("fetch", limit="bank")
        assert rehearsal.advance(minutes=2) == []
        assert [(one.name, one.waiting) for one in app.limits.list()] == [("bank", 1)]
        app.limits.set("bank", 1)
        assert len(rehearsal.advance(minutes=1)) == 1
    assert app.limits.list() == []
