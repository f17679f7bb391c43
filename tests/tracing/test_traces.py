"""Does a trace go on from whoever asks for a run, through each attempt, to what its handler does?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from cronlite import Cronlite
from cronlite.dispatch import tracing
from cronlite.documents import traceparent
from cronlite.documents.runs import Run
from cronlite.handlers.registry import Registry
from tests.tracing.traced import act, act_async
from tests.waiting import wait_until

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cron() -> Iterator[Cronlite]:
    with Cronlite("memory:", registry=Registry()) as cron:
        cron.registry.add("act", act)
        cron.registry.add("act_async", act_async)
        cron.registry.add("act_apart", act, isolation="process")
        yield cron


def ended(cron: Cronlite, id_: str) -> Run:
    """Return a run once it has ended, and the daemon too: an attempt's span is told before its outcome is stored."""
    wait_until(lambda: cron.run_of(id_).finished_at, what="the run ends", instead=lambda: cron.run_of(id_))
    return cron.run_of(id_)


def spans(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def asked(cron: Cronlite, *given: Any, **options: Any) -> tuple[str, Any]:
    """Ask for a run inside a span; return its id and the span's context."""
    with trace.get_tracer("tests").start_as_current_span("request") as span:
        return cron.enqueue(*given, **options).id, span.get_span_context()


@pytest.mark.parametrize("handler", ["act", "act_async"])
def test_an_attempt_is_a_child_of_the_caller_and_the_handlers_spans_are_below_it(
    cron: Cronlite, exporter: InMemorySpanExporter, handler: str
) -> None:
    id_, caller = asked(cron, handler, queue="mail")
    cron.start(drain_seconds=1)
    ended(cron, id_)
    ((attempt,), (inner,)) = spans(exporter, f"run {handler}"), spans(exporter, "inner")
    assert attempt.parent
    assert inner.parent
    assert (attempt.parent.span_id, attempt.parent.trace_id) == (caller.span_id, caller.trace_id)
    assert inner.parent.span_id == attempt.context.span_id
    assert attempt.kind == SpanKind.CONSUMER
    assert attempt.attributes
    assert dict(attempt.attributes) == {
        "messaging.system": "cronlite",
        "messaging.operation.type": "process",
        "messaging.operation.name": "run",
        "messaging.destination.name": "mail",
        "messaging.message.id": id_,
        "code.function.name": f"tests.tracing.traced.{handler}",
        "cronlite.handler": handler,
        "cronlite.attempt": 1,
        "cronlite.state": "succeeded",
    }


def test_a_failed_attempt_tells_its_error_and_a_later_one_is_linked_to_the_caller(
    cron: Cronlite, exporter: InMemorySpanExporter
) -> None:
    id_, caller = asked(cron, "act", {"fail": "no such order"}, retries=1, retry_delay_seconds=0)
    cron.start(drain_seconds=1)
    ended(cron, id_)
    first, second = spans(exporter, "run act")
    assert first.status.status_code == second.status.status_code == StatusCode.ERROR
    assert first.status.description == "ValueError: no such order"
    (exception,) = first.events
    assert exception.attributes
    assert (exception.name, exception.attributes["exception.type"]) == ("exception", "ValueError")
    assert "no such order" in str(exception.attributes["exception.stacktrace"])
    assert (first.links, second.parent) == ((), None)
    assert [(link.context.trace_id, link.context.span_id) for link in second.links] == [
        (caller.trace_id, caller.span_id)
    ]


def test_what_is_asked_for_in_a_run_goes_on_with_its_trace(cron: Cronlite, exporter: InMemorySpanExporter) -> None:
    id_, caller = asked(cron, "act", {"enqueue": "act_async"})
    cron.start(drain_seconds=1)
    ended(cron, id_)
    wait_until(lambda: spans(exporter, "run act_async"), what="the second run")
    ((inner, _), (second,)) = spans(exporter, "inner"), spans(exporter, "run act_async")
    assert second.parent
    assert (second.parent.trace_id, second.parent.span_id) == (caller.trace_id, inner.context.span_id)


def test_a_run_that_a_tick_made_begins_a_trace_of_its_own(cron: Cronlite, exporter: InMemorySpanExporter) -> None:
    run = Run(id="r", handler="act", params={}, schedule="s", due_at=cron.now(), queued_at=cron.now())
    run.run_at = cron.now()
    cron.start(drain_seconds=1)
    cron.store.add_runs([run])
    cron.wake()
    ended(cron, "r")
    (attempt,) = spans(exporter, "run act")
    assert (attempt.parent, attempt.links) == (None, ())
    assert attempt.attributes
    assert attempt.attributes["cronlite.schedule"] == "s"


def test_trigger_and_retry_keep_the_trace_of_who_asks(cron: Cronlite, exporter: InMemorySpanExporter) -> None:
    schedule = cron.schedule("", {}, minute=0, handler="act")
    with trace.get_tracer("tests").start_as_current_span("request") as span:
        triggered = cron.trigger(schedule.id).id
    cron.start(drain_seconds=1)
    ended(cron, triggered)
    with trace.get_tracer("tests").start_as_current_span("another") as another:
        retried = cron.retry(triggered).id
    for id_, asker in ((triggered, span), (retried, another)):
        assert cron.run_of(id_).traceparent == tracing._traceparent(asker.get_span_context())


def test_outside_of_any_span_there_is_nothing_to_keep(cron: Cronlite, exporter: InMemorySpanExporter) -> None:
    assert cron.run_of(cron.enqueue("act").id).traceparent is None


def test_a_handler_that_cannot_be_cut_off_ends_its_span_at_its_limit(
    cron: Cronlite, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate: list[None] = []
    cron.registry.add("hang", lambda _: wait_until(lambda: gate))
    id_, _ = asked(cron, "hang", timeout_seconds=0.1)
    cron.start(drain_seconds=1)
    assert ended(cron, id_).state == "timed_out"
    (attempt,) = spans(exporter, "run hang")
    assert attempt.attributes
    assert (attempt.status.status_code, attempt.attributes["error.type"]) == (StatusCode.ERROR, "TimedOut")
    gate.append(None)


def test_a_child_process_goes_on_with_the_trace(
    cron: Cronlite, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPANS", str(tmp_path))
    id_, caller = asked(cron, "act_apart", {"fail": "x"})
    cron.start(drain_seconds=1)
    ended(cron, id_)
    cron.stop()  # the child says what it has when it is let go
    (attempt,) = spans(exporter, "run act_apart")
    (inner,) = written(tmp_path)
    assert attempt.parent
    assert attempt.parent.span_id == caller.span_id
    assert inner["parent_id"] == f"0x{attempt.context.span_id:016x}"
    assert inner["context"]["trace_id"] == f"0x{caller.trace_id:032x}"
    assert attempt.events[0].attributes
    assert attempt.events[0].attributes["exception.type"] == "ValueError"


def test_a_whole_daemon_writes_its_spans_and_those_of_its_children(
    exporter: InMemorySpanExporter, tmp_path: Path
) -> None:
    with Cronlite(f"sqlite:{tmp_path / 'cronlite.db'}") as cron:
        found = [asked(cron, handler) for handler in ("act", "act_apart")]
        folder = tmp_path / "spans"
        folder.mkdir()
        command = [sys.executable, "-m", "cronlite", "--uri", cron.uri, "-A", "tests.tracing.traced", "run"]
        with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "SPANS": str(folder)}) as daemon:
            for id_, _ in found:
                ended(cron, id_)
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(60) == 0
    by_name = {span["name"]: span for span in written(folder) if span["name"] != "inner"}
    inner = {span["parent_id"] for span in written(folder) if span["name"] == "inner"}
    assert inner == {span["context"]["span_id"] for span in by_name.values()}
    for name, (_, caller) in zip(("run act", "run act_apart"), found, strict=True):
        assert by_name[name]["parent_id"] == f"0x{caller.span_id:016x}"


def written(folder: Path) -> list[dict[str, Any]]:
    """Return what all processes of a test wrote."""
    return [json.loads(line) for book in folder.iterdir() for line in book.read_text().splitlines()]


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "00-0-0-00",
        CALLER.upper(),
        f"{CALLER}\n",
        f"{CALLER}-more",
        f"ff{CALLER[2:]}",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        "x" * 10**6,
        "'; DROP TABLE runs; --",
        7,
    ],
)
def test_somebodys_text_in_the_place_of_a_trace_is_no_trace(
    cron: Cronlite, exporter: InMemorySpanExporter, stored: Any
) -> None:
    run = Run(id="r", handler="act", params={}, due_at=cron.now(), queued_at=cron.now(), run_at=cron.now())
    run.traceparent = stored
    cron.start(drain_seconds=1)
    cron.store.add_runs([run])
    cron.wake()
    assert (ended(cron, "r").state, ended(cron, "r").traceparent) == ("succeeded", None)
    (attempt,) = spans(exporter, "run act")
    assert attempt.parent is None


def test_a_trace_is_read_as_it_was_written() -> None:
    assert traceparent.readable(CALLER) == CALLER
    caller = tracing._span_context(CALLER)
    assert caller
    assert tracing._traceparent(caller) == CALLER


def test_a_tracer_that_raises_costs_no_run(cron: Cronlite, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    monkeypatch.setattr(trace, "get_current_span", Broken().__getattr__)
    monkeypatch.setattr(trace, "get_tracer_provider", Broken)
    cron.registry.add("quiet", lambda _: None)
    cron.start(drain_seconds=1)
    assert ended(cron, cron.enqueue("quiet").id).state == "succeeded"


def test_nothing_of_opentelemetry_is_imported_by_what_does_not_use_it() -> None:
    program = (
        "import sys, cronlite; cron = cronlite.Cronlite('memory:'); cronlite.handler('ok')(print); cron.start();"
        " print(cron.enqueue('ok').wait(60).state);"
        " print([name for name in sys.modules if name.startswith('opentelemetry')]); cron.close()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["succeeded", "[]"]


def test_a_module_that_is_just_being_imported_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    assert tracing.current() is None
