"""Schedules that stand in the code: said at each start, written where something changed, missed when the code goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cronlite
from cronlite import Cronlite, InvalidInput
from cronlite.client.doctor import doctor
from cronlite.handlers.registry import Registry
from cronlite.testing import Rehearsal
from tests.waiting import wait_until


@pytest.fixture(params=["file", "mongodb"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("mongo_uri")) if request.param == "mongodb" else f"sqlite:{tmp_path / 'x.db'}"


def with_nightly(**fields: Any) -> Registry:
    registry = Registry()

    declared: dict[str, Any] = {"cron": "30 2 * * *", "tz": "Europe/Berlin", "params": {"keep": 7}, "retries": 2}
    registry.handler("nightly", **declared | fields)(kept)
    return registry


def kept(params: dict[str, int]) -> int:
    return params["keep"]


@pytest.fixture
def cron(uri: str) -> Iterator[Cronlite]:
    with Cronlite(uri, registry=with_nightly()) as cron:
        yield cron


def test_a_daemon_stores_what_its_code_declares_before_its_first_tick(cron: Cronlite) -> None:
    cron.start()
    wait_until(lambda: cron.store.daemons())
    stored = cron.get("nightly")
    assert (stored.handler, stored.minute, stored.hour, stored.tz) == ("nightly", 30, 2, "Europe/Berlin")
    assert (stored.params, stored.retries, stored.owner, stored.user) == ({"keep": 7}, 2, "code", "")
    assert [daemon.declared for daemon in cron.store.daemons()] == [["nightly"]]


def test_any_number_of_starts_write_once(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = [Cronlite(uri, registry=with_nightly()) for _ in range(8)]
    threads = [threading.Thread(target=one.declare_handlers) for one in everyone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (stored,) = everyone[0].schedules()
    for one in everyone:
        with monkeypatch.context() as patch:
            patch.setattr(one.store, "write_schedules", lambda *_: pytest.fail("nothing has changed"))
            one.declare_handlers()
        one.close()
    with Cronlite(uri, registry=with_nightly(cron="30 3 * * *")) as changed:
        changed.declare_handlers()
        (now,) = changed.schedules()
        assert (now.id, now.hour) == (stored.id, 3)


def test_what_is_paused_stays_so_and_what_is_declared_by_name_is_not_written_twice(cron: Cronlite) -> None:
    cron.declare_handlers()
    paused = cron.pause("nightly")
    cron.declare_handlers()
    assert cron.get("nightly") == paused
    first = cron.schedule("alice", {"a": 1}, minute=[0, 30], name="n", tags=["x"], timeout_seconds=5)
    assert cron.schedule("alice", {"a": 1}, minute="0,30", name="n", tags=("x",), timeout_seconds=5.0) == first


def test_one_that_cannot_be_stored_is_told_and_stops_nothing(cron: Cronlite, caplog: pytest.LogCaptureFixture) -> None:
    cron.schedule("alice", minute=5, name="nightly")
    with caplog.at_level(logging.WARNING, "cronlite"):
        cron.start()
        wait_until(lambda: cron.store.daemons())
    assert "'nightly'" in caplog.text
    assert "another user" in caplog.text
    assert cron.get("nightly").user == "alice"


def test_the_doctor_names_what_was_declared_by_code_that_is_gone(cron: Cronlite, uri: str) -> None:
    cron.declare_handlers()
    cron.schedule(minute=5, name="by hand", handler="still")
    registry = Registry()
    registry.add("still", lambda params: params)
    registry.add("nightly", lambda params: params)
    with Cronlite(uri, registry=registry) as newer:
        newer.start()
        wait_until(lambda: cron.store.daemons())
        gone = [one for one in doctor(cron.store) if "declared by code" in one.problem]
        assert [(one.severity, one.subject) for one in gone] == [("warning", "schedule nightly")]
        assert cron.get("nightly").id in gone[0].remedy
        cron.start()
        wait_until(lambda: len(cron.store.daemons()) == 2)
        assert not [one for one in doctor(cron.store) if "declared by code" in one.problem]


def test_a_rehearsed_application_declares_at_its_start() -> None:
    with Rehearsal() as rehearsal:
        app = rehearsal.use(Cronlite("memory:", registry=with_nightly(tz="UTC")))
        app.start()
        rehearsal.advance(hours=3)
        assert [run.result for run in rehearsal.runs(handler="nightly")] == [7]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"cron": "61 * * * *"}, "minute"),
        ({"cron": None}, "say when it is due"),
        ({"tz": "Mars/Base"}, "tz"),
        ({"retires": 3}, "did you mean 'retries'"),
        ({"timezone": "UTC"}, "say tz"),
        ({"params": {"a": object()}}, "params.a"),
        ({"overlap": "never"}, "overlap"),
    ],
)
def test_what_is_wrong_in_the_code_is_told_at_import(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        with_nightly(**fields)


def test_a_handlers_name_is_its_schedules() -> None:
    registry = Registry()
    registry.handler("report", cron="@daily")(lambda params: params)
    registry.handler("other")(lambda params: params)
    assert registry.declared() == [{"cron": "@daily", "name": "report", "handler": "report"}]
    assert callable(cronlite.handler)
