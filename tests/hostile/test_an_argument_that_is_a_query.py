"""An object, a pattern or ten megabytes in the place of a word: refused by name before any store sees it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import pytest

import cronlite
from cronlite import Cronlite, CronliteError, InvalidInput, Schedule
from cronlite.client import default
from cronlite.handlers.registry import Registry
from cronlite.store.contract import ScheduleQuery, Store

QUERY = {"$ne": 1}
ODD = {
    "dict": QUERY,
    "list": [QUERY],
    "regex": re.compile("."),
    "None": None,
    "bytes": b"alice",
    "number": 7.25,
    "10 MB": "x" * 10_000_000,
}
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
Call = Callable[[Any, Any], object]


def on(method: str, keyword: str = "", *arguments: object) -> Call:
    """Return a call of a method with something odd in one place."""

    def call(cron: Any, odd: object) -> object:
        if keyword:
            return getattr(cron, method)(*arguments, **{keyword: odd})
        return getattr(cron, method)(odd)

    return call


CRONLITE: dict[str, Call] = {
    **{
        f"schedule({name})": on("schedule", name, "u")
        for name in (
            *("params", "minute", "hour", "day", "month", "weekday", "cron", "name", "handler", "tz", "enabled"),
            *("overlap", "catch_up", "retries", "retry_delay_seconds", "timeout_seconds", "on_crash", "queue", "tags"),
            *("note", "active_from", "either_day", "created_at", "misspelt"),
        )
    },
    "schedule(user)": lambda cron, odd: cron.schedule(odd),
    "current_schedules(at)": lambda cron, odd: cron.current_schedules(odd),
    **{f"schedules({name})": on("schedules", name) for name in ("user", "handler", "tag", "name")},
    **{
        f"{name}(ref)": on(name)
        for name in ("get", "document", "remove", "pause", "resume", "trigger", "retry", "cancel", "run_of", "enqueue")
    },
    "update(ref)": lambda cron, odd: cron.update(odd, note="x"),
    **{
        f"update({name})": on("update", name, "alice's")
        for name in ("user", "params", "minute", "cron", "name", "handler", "tz", "enabled", "tags", "note", "overlap")
    },
    **{
        f"enqueue({name})": on("enqueue", name, "h")
        for name in (
            *("params", "user", "run_at", "key", "deadline", "queue", "retries", "retry_delay_seconds"),
            *("timeout_seconds", "on_crash", "misspelt"),
        )
    },
    **{f"runs({name})": on("runs", name) for name in ("schedule", "user", "handler", "state", "since", "limit")},
    **{
        f"start({name})": on("start", name)
        for name in ("seats", "drain_seconds", "grace_seconds", "queues", "dispatch", "misspelt")
    },
    "run(seats)": lambda cron, odd: cron.run(seats=odd),
    "Handle.wait(timeout)": lambda cron, odd: cron.enqueue("h").wait(odd),
}
ELSEWHERE: dict[str, Call] = {
    "Cronlite(uri)": lambda _, odd: Cronlite(odd).store,
    "Cronlite(registry)": lambda _, odd: Cronlite("memory:", registry=odd),
    "Schedule.matches": lambda _, odd: Schedule().matches(odd),
    "Schedule.next_runs(after)": lambda _, odd: Schedule().next_runs(odd),
    "Schedule.next_runs(count)": lambda _, odd: Schedule().next_runs(NOW, odd),
    "Schedule.changed(hour)": lambda _, odd: Schedule().changed(hour=odd),
    "Schedule(cron)": lambda _, odd: Schedule(cron=odd),
    "Schedule(name)": lambda _, odd: Schedule(name=odd),
    "handler(name)": lambda cron, odd: cron.registry.handler(odd)(lambda params: params),
    "handler(isolation)": lambda cron, odd: cron.registry.handler("h", isolation=odd)(lambda params: params),
    "RetryLater(seconds)": lambda _, odd: cronlite.RetryLater(odd),
    "module.schedule(name)": lambda _, odd: cronlite.schedule("u", name=odd),
    "module.enqueue(handler)": lambda _, odd: cronlite.enqueue(odd),
    "module.current_schedules(at)": lambda _, odd: cronlite.current_schedules(odd),
}
# Where nothing given, a number or any text is a good answer.
ALLOWED: Mapping[str, set[str]] = {
    "None": {
        *("schedule(user)", "schedule(params)", "schedule(cron)", "schedule(name)", "schedule(timeout_seconds)"),
        *(f"schedule({name})" for name in ("minute", "hour", "day", "month", "weekday", "active_from", "created_at")),
        *("Schedule.changed(hour)", "current_schedules(at)", "module.current_schedules(at)"),
        *(f"schedules({name})" for name in ("user", "handler", "tag", "name")),
        *(name for name in CRONLITE if name.startswith("update(") and name != "update(ref)"),
        *(f"enqueue({name})" for name in ("params", "user", "run_at", "key", "deadline", "timeout_seconds")),
        *(f"runs({name})" for name in ("schedule", "user", "handler", "state", "since", "limit")),
        *("start(queues)", "start(dispatch)", "Handle.wait(timeout)", "Cronlite(uri)", "Cronlite(registry)"),
        *("Schedule.next_runs(after)", "Schedule(cron)", "Schedule(name)", "module.schedule(name)", "handler(name)"),
    },
    "number": {
        *(f"{call}({name})" for call in ("schedule", "enqueue") for name in ("retry_delay_seconds", "timeout_seconds")),
        *("Handle.wait(timeout)", "RetryLater(seconds)", "start(drain_seconds)"),
    },
}


class Overheard:
    """A store that notes what it is asked with."""

    def __init__(self, store: Store) -> None:
        self._store, self.heard = store, list[object]()

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._store, name)
        if not callable(asked):
            return asked

        def told(*args: Any, **kwargs: Any) -> Any:
            self.heard += [*args, *kwargs.values()]
            return asked(*args, **kwargs)

        return told


@pytest.fixture(params=["memory", "file", "mongodb"])
def cron(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cronlite]:
    if request.param == "mongodb":
        uri = request.getfixturevalue("mongo_uri")
    else:
        uri = "memory:" if request.param == "memory" else f"sqlite:{request.getfixturevalue('tmp_path') / 'jobs.db'}"
    with Cronlite(uri, registry=Registry()) as cron:
        cron.schedule("alice", {"secret": 42}, name="alice's", minute=5)
        cron.enqueue("mail", {"secret": 42}, user="alice", key="invoice-7")
        monkeypatch.setattr(default, "_default", cron)
        yield cron


def everything(cron: Cronlite) -> tuple[list[Any], list[Any]]:
    return list(cron.store.schedules(ScheduleQuery())), cron.runs(limit=None)


def test_nothing_odd_reaches_a_store_from_any_place_of_the_public_surface(
    cron: Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = everything(cron), cron.store
    overheard = Overheard(real)
    monkeypatch.setattr(cron._opened, "_opened", (os.getpid(), overheard))
    monkeypatch.setattr(cron._opened, "_prepared", overheard)
    wrong = []
    for place, call in {**CRONLITE, **ELSEWHERE}.items():
        for kind, odd in ODD.items():
            if place in ALLOWED.get(kind, ()):
                continue
            overheard.heard.clear()
            try:
                answer = call(cron, odd)
            except InvalidInput as refused:
                told = str(refused)
                if len(told) > 1_200 or not any(fault.remedy for fault in refused.faults):
                    wrong.append(f"{place} with {kind}: told {told[:200]}")
            except CronliteError as refused:
                if place != "Cronlite(uri)":
                    wrong.append(f"{place} with {kind}: {type(refused).__name__}: {str(refused)[:100]}")
            except Exception as raised:
                wrong.append(f"{place} with {kind}: {type(raised).__name__}: {str(raised)[:100]}")
            else:
                wrong.append(f"{place} with {kind}: answered {str(answer)[:60]}")
            if any(heard is odd for heard in overheard.heard) and odd is not None:
                wrong.append(f"{place} with {kind}: the store was asked")
    monkeypatch.undo()
    for extra in cron.runs(handler="h"):  # those of Handle.wait
        cron.cancel(extra.id)
    left = [run for run in cron.runs(limit=None) if run.handler != "h"]
    assert not wrong, "\n".join(wrong)
    assert (everything(cron)[0], left) == before


def test_what_may_be_left_out_may_be_none(cron: Cronlite) -> None:
    for place in ALLOWED["None"]:
        if place.startswith(("schedules", "runs", "current", "module.current", "Schedule")):
            {**CRONLITE, **ELSEWHERE}[place](cron, None)
