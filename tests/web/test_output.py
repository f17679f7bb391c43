"""Is what a run prints sent to the browsers that follow it, as it comes and no longer than that?"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")

from cronlite import Cronlite
from cronlite.documents import runs, transitions
from cronlite.documents.runs import Run
from cronlite.web import asgi
from cronlite.web.access import Visitor
from cronlite.web.exchange import Answer, Request
from cronlite.web.pages import output
from cronlite.web.serving import Pages
from cronlite.web.templating import BLOCK
from tests.store.samples import NOW, a_run, add


@pytest.fixture
def cron() -> Iterator[Cronlite]:
    with Cronlite("memory:") as cron:
        cron.store.prepare()
        yield cron


@pytest.fixture
def run(cron: Cronlite) -> Run:
    made = a_run("r", state=runs.RUNNING, attempt=1, daemon="d1", started_at=NOW)
    add(cron.store, made)
    return made


Ask = Callable[[str], Answer]


@pytest.fixture
def ask(cron: Cronlite) -> Ask:
    pages = Pages(cron, names=None)

    def answer(id: str) -> Answer:
        request = Request(method="GET", path="/output", query={"id": [id]}, client="127.0.0.1")
        return pages.answer(request, Visitor("ann"))

    return answer


def events(answer: Answer, until_empty: int = 1) -> list[tuple[str, Any]]:
    """Read what comes until it would wait so many times, or has ended."""
    assert answer.stream is not None
    pieces = []
    for piece in answer.stream:
        until_empty -= not piece
        if until_empty <= 0:
            break
        pieces.append(piece.decode())
    told = [line for line in "".join(pieces).split("\n") if line.startswith(("event: ", "data: "))]
    return [(name[7:], json.loads(data[6:])) for name, data in zip(told[::2], told[1::2], strict=True)]


def printed(cron: Cronlite, run: Run, text: str) -> None:
    assert not cron.store.change_runs([(run, {"output": text, "output_attempt": run.attempt})])


def test_what_comes_is_sent_once_and_ends_with_the_run(cron: Cronlite, run: Run, ask: Ask) -> None:
    answer = ask("r")
    assert answer.kind == "text/event-stream"
    assert events(answer) == [("output", {"text": "", "begins": True, "attempt": 1})]
    assert cron.run_of("r").watched_until is not None
    printed(cron, run, "one\n")
    assert events(answer) == [("output", {"text": "one\n", "begins": False, "attempt": 1})]
    assert events(answer) == []
    cron.store.change_runs([(run, transitions.closed(runs.SUCCEEDED, NOW, output="one\ntwo\x1b[2J\n"))])
    assert events(answer) == [
        ("output", {"text": "two\\x1b[2J\n", "begins": False, "attempt": 1}),
        ("end", {"state": "succeeded"}),
    ]


def test_each_attempt_begins_anew(cron: Cronlite, run: Run, ask: Ask) -> None:
    printed(cron, run, "of the first\n")
    answer = ask("r")
    events(answer)
    cron.store.change_runs([(run, {"attempt": 2})])
    assert events(answer) == [("output", {"text": "", "begins": True, "attempt": 2})]


def test_an_output_of_any_size_is_cut(cron: Cronlite, run: Run, ask: Ask) -> None:
    printed(cron, run, "x" * 10_000_000)
    ((_, told),) = events(ask("r"))
    assert len(told["text"]) == BLOCK


def test_text_cannot_end_an_event_and_begin_another(cron: Cronlite, run: Run, ask: Ask) -> None:
    text = "a\n\nevent: end\ndata: {}\n\n\r\n\u2028"
    printed(cron, run, text)
    assert [name for name, _ in events(ask("r"))] == ["output"]


def test_only_so_many_follow_at_a_time_and_places_are_given_back(
    cron: Cronlite, run: Run, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_places", output.places(2))
    first, _second = ask("r"), ask("r")
    assert ask("r").status == 204
    assert isinstance(first.stream, output._Placed)
    first.stream.close()
    assert ask("r").status == 200


def test_a_place_may_be_given_up_by_the_collector_in_the_midst_of_another(
    run: Run, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector of garbage comes between any two lines, in whichever thread it likes."""
    monkeypatch.setattr(output, "_places", output.places(50))
    forgotten = [ask("r").stream for _ in range(40)]

    def collect(*_: object) -> Any:
        if len(forgotten) > 1:
            forgotten.pop()
        return collect

    def follow() -> None:
        sys.settrace(lambda frame, *_: collect if "thread" in frame.f_code.co_filename else None)
        follower = ask("r").stream
        assert isinstance(follower, output._Placed)
        follower.close()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_where_nothing_can_be_sent_bit_by_bit_the_place_is_given_back(
    run: Run, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_places", output.places(1))
    for _ in range(3):
        answer = ask("r").at_once()
        assert (answer.status, answer.stream, answer.body) == (204, None, b"")


def test_a_run_that_is_gone_is_not_followed(ask: Ask) -> None:
    assert ask("nobody's").status == 404


def test_no_thread_waits_for_what_comes_next(
    cron: Cronlite, run: Run, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        printed(cron, run, "line\n" * len(waited))
        if len(waited) == 3:
            cron.store.change_runs([(run, transitions.closed(runs.SUCCEEDED, NOW, output="line\n" * 3))])

    monkeypatch.setattr(asgi, "sleep", sleep)

    async def read() -> bytes:
        stream = ask("r").stream
        assert stream is not None
        return b"".join([piece async for piece in asgi._bit_by_bit(stream)])

    sent = asyncio.run(read())
    assert waited == [1.0] * 3
    assert sent.count(b"event: output") == 4
    assert sent.count(b"event: end") == 1
