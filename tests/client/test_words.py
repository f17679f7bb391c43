"""People from elsewhere are told our word; a misspelt handler is told at once, and nothing legitimate is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from cronlite import Cronlite, InvalidInput, Schedule
from cronlite.client.known_handlers import KnownHandlers
from cronlite.documents.daemons import DaemonRecord
from cronlite.handlers.registry import Registry
from tests.cli.conftest import Typed


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def cron(tmp_path: Path, registry: Registry) -> Iterator[Cronlite]:
    with Cronlite(f"sqlite:{tmp_path / 'jobs.db'}", registry=registry) as cron:
        yield cron


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        *(("at", "run_at"), ("eta", "run_at"), ("countdown", "run_at=timedelta"), ("delay", "run_at=timedelta")),
        *(("expires", "deadline"), ("max_retries", "retries"), ("time_limit", "timeout_seconds"), ("args", "params")),
        *(("keys", "'key'"), ("deadlin", "'deadline'"), ("runat", "'run_at'"), ("retires", "'retries'")),
        (
            "zzz",
            "deadline, key, limit, on_crash, priority, queue, retries, retry_delay_seconds, run_at, timeout_seconds",
        ),
    ],
)
def test_enqueue_tells_our_word(cron: Cronlite, given: str, ours: str) -> None:
    with pytest.raises(InvalidInput, match=ours):
        cron.enqueue("h", {}, **{given: 5})  # type: ignore[arg-type]
    assert cron.runs() == []


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        *(("day_of_week", "say weekday"), ("dow", "say weekday"), ("day_of_month", "say day"), ("timezone", "say tz")),
        *(("second", "no seconds"), ("at", "run_at"), ("month_of_year", "say month"), ("max_instances", "overlap")),
        *(("crontab", "say cron"), ("task", "say handler"), ("kwargs", "say params"), ("coalesce", "catch_up")),
    ],
)
def test_a_schedule_tells_our_word(cron: Cronlite, given: str, ours: str) -> None:
    odd: dict[str, Any] = {given: 5}
    with pytest.raises(InvalidInput, match=ours):
        cron.schedule("u", **odd)
    with pytest.raises(InvalidInput, match=ours):
        cron.update("x", **odd)
    with pytest.raises(InvalidInput, match=ours):
        Schedule().changed(**odd)


def test_a_registered_function_stands_for_its_name(cron: Cronlite, registry: Registry) -> None:
    class Mailer:
        def send(self, params: object) -> None: ...

    mailer = Mailer()

    def extract(params: object) -> None: ...

    registry.handler(extract)
    registry.handler("mail")(mailer.send)
    assert cron.enqueue(extract).run.handler == "extract"
    assert cron.schedule(handler=mailer.send, minute=5, name="n").handler == "mail"
    assert cron.update("n", handler=extract).handler == "extract"
    assert [run.handler for run in cron.runs(handler=extract)] == ["extract"]
    with pytest.raises(InvalidInput, match=r"is not registered; put @cronlite\.handler on it"):
        cron.enqueue(lambda params: params)
    registry.handler("again")(extract)
    with pytest.raises(InvalidInput, match=r"registered as again and extract|registered as extract and again"):
        cron.enqueue(extract)


def live(cron: Cronlite, *handlers: str) -> None:
    joined = DaemonRecord(
        id="d", host="h", pid=1, version="0", started_at=datetime.now(timezone.utc), handlers=handlers
    )
    cron.store.join(joined)


def test_a_misspelt_handler_is_told_once_and_stored(cron: Cronlite, caplog: pytest.LogCaptureFixture) -> None:
    live(cron, "extract")
    with caplog.at_level(logging.WARNING, "cronlite"):
        for _ in range(3):
            cron.enqueue("extrct")
        assert caplog.text.count("no daemon alive has the handler 'extrct'; did you mean 'extract'?") == 1
        caplog.clear()
        cron.enqueue("extract")
    assert caplog.text == ""
    assert len(cron.runs()) == 4


def test_nothing_is_said_of_what_may_well_be_right(
    cron: Cronlite, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "cronlite"):
        cron.enqueue("whatever")  # no daemon is alive: it may have any handler
        live(cron, "extract")
        registry.add("mine", lambda params: params)
        cron._known = KnownHandlers(cron._opened)
        cron.enqueue("mine")  # this process may become a daemon
    assert caplog.text == ""


def test_a_misspelt_schedule_is_told_too(cron: Cronlite, caplog: pytest.LogCaptureFixture) -> None:
    live(cron, "extract")
    with caplog.at_level(logging.WARNING, "cronlite"):
        cron.schedule(handler="extrakt", minute=5)
    assert "did you mean 'extract'" in caplog.text


@pytest.mark.parametrize("words", [["enqueue", "extrct"], ["add", "--handler", "extrct", "--minute", "5"]])
def test_the_command_line_tells_it_in_one_line(cron: Cronlite, words: list[str]) -> None:
    live(cron, "extract")
    told = Typed(cron.uri)(*words).stderr
    assert told.count("did you mean 'extract'") == 1, told
