"""How do OpenTelemetry's traces pass through a run: from whoever asked for it to what its handler does?

Only where the application has imported OpenTelemetry is there a trace, so cronlite never imports it first: without it,
an attempt costs one look into `sys.modules`. Whatever OpenTelemetry raises is logged, and costs no run.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cronlite.documents import runs
from cronlite.documents.runs import Outcome, Run
from cronlite.handlers.registry import Handler
from cronlite.logger import logger
from cronlite.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer, TracerProvider

log = logger("cronlite.tracing")

_API = "opentelemetry.trace"
FLUSH_MILLISECONDS = 500


def current() -> str | None:
    """Return the `traceparent` of whoever calls, to be kept with the run that he asks for."""
    if _API not in sys.modules:
        return None
    try:
        from opentelemetry import trace

        return _traceparent(trace.get_current_span().get_span_context())
    except Exception:
        log.debug("the caller's trace cannot be found out", exc_info=True)
        return None


def begin(run: Run, handler: Handler) -> Attempt | None:
    """Begin the span of an attempt: the first is a child of the caller's, later ones are linked to it."""
    if _API not in sys.modules:
        return None
    try:
        return Attempt(_started(run, handler))
    except Exception:
        log.debug("the attempt at run %s has no span", run.id, exc_info=True)
        return None


def enter(traceparent: str | None) -> None:
    """Let the spans of the rest of this context hang below one of another process."""
    if traceparent is None or _API not in sys.modules:
        return
    try:
        from opentelemetry import context, trace

        if (caller := _span_context(traceparent)) is not None:
            context.attach(trace.set_span_in_context(trace.NonRecordingSpan(caller)))
    except Exception:
        log.debug("the trace of the daemon cannot be continued", exc_info=True)


def flush() -> None:
    """Let what was recorded leave this process, which is about to end without the interpreter's farewell."""
    if _API not in sys.modules:
        return
    try:
        from opentelemetry import trace

        if flush_all := getattr(trace.get_tracer_provider(), "force_flush", None):
            flush_all(FLUSH_MILLISECONDS)
    except Exception:
        log.debug("spans may be lost", exc_info=True)


class Attempt:
    """The span of one attempt at a run."""

    __slots__ = ("_ended", "_span")

    def __init__(self, span: Span) -> None:
        self._span, self._ended = span, False

    @property
    def traceparent(self) -> str | None:
        """What another process is to be told of it."""
        return _traceparent(self._span.get_span_context())

    def enter(self) -> None:
        """Let the spans of the rest of this context hang below it."""
        try:
            from opentelemetry import context, trace

            context.attach(trace.set_span_in_context(self._span))
        except Exception:
            log.debug("an attempt's span is not the current one", exc_info=True)

    def end(self, outcome: Outcome | None) -> None:
        """Record how the attempt ended; None stands for one that was not begun, or that the daemon's end cuts off."""
        if self._ended:
            return
        self._ended = True
        try:
            if outcome is not None:
                _tell(self._span, outcome)
            self._span.end()
        except Exception:
            log.debug("an attempt's span is not complete", exc_info=True)


def _started(run: Run, handler: Handler) -> Span:
    from opentelemetry import trace
    from opentelemetry.context import Context

    caller = _span_context(run.traceparent)
    below: Context = Context()
    if caller is not None and run.attempt == 1:
        below = trace.set_span_in_context(trace.NonRecordingSpan(caller), below)
    return _tracer(trace.get_tracer_provider()).start_span(
        f"run {run.handler}",
        context=below,
        kind=trace.SpanKind.CONSUMER,
        attributes=_attributes(run, handler),
        links=[trace.Link(caller)] if caller is not None and run.attempt > 1 else (),
    )


def _attributes(run: Run, handler: Handler) -> dict[str, Any]:
    """Name what is done as the semantic conventions for messaging and for code have it."""
    attributes: dict[str, Any] = {
        "messaging.system": "cronlite",
        "messaging.operation.type": "process",
        "messaging.operation.name": "run",
        "messaging.destination.name": run.queue,
        "messaging.message.id": run.id,
        "code.function.name": handler.qualified.replace(":", "."),
        "cronlite.handler": run.handler,
        "cronlite.attempt": run.attempt,
    }
    return attributes if run.schedule is None else attributes | {"cronlite.schedule": run.schedule}


def _tell(span: Span, outcome: Outcome) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("cronlite.state", outcome.state)
    error = outcome.error
    if error is None or outcome.state == runs.SUCCEEDED:
        return
    kind, message = error.get("type", ""), error.get("message", "")
    span.set_attribute("error.type", kind)
    exception = {"type": kind, "message": message, "stacktrace": error.get("traceback", "")}
    span.add_event("exception", {f"exception.{name}": text for name, text in exception.items()})
    span.set_status(Status(StatusCode.ERROR, f"{kind}: {message}"))


@lru_cache(maxsize=1)
def _tracer(provider: TracerProvider) -> Tracer:
    return provider.get_tracer("cronlite", VERSION)


def _span_context(traceparent: str | None) -> SpanContext | None:
    if traceparent is None:
        return None
    from opentelemetry.trace import SpanContext, TraceFlags

    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def _traceparent(span: SpanContext) -> str | None:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}" if span.is_valid else None
