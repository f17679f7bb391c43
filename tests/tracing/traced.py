"""An application whose handlers make spans of their own, as a daemon and its child processes import it.

Where $SPANS names a folder, this process writes its spans there, each as a line of JSON.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

import cronlite

if "SPANS" in os.environ:
    book = (Path(os.environ["SPANS"]) / str(os.getpid())).open("w")
    provider = TracerProvider()
    exporter = ConsoleSpanExporter(out=book, formatter=lambda span: span.to_json(indent=None) + "\n")
    # Hours, so that a span is only there if whoever ends the process sees to it.
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000))
    trace.set_tracer_provider(provider)


def act(params: dict[str, Any]) -> None:
    """Make a span, perhaps ask for another run within it, and perhaps fail."""
    with trace.get_tracer("tests").start_as_current_span("inner"):
        if "enqueue" in params:
            cronlite.enqueue(params["enqueue"])
        if "fail" in params:
            raise ValueError(params["fail"])


async def act_async(params: dict[str, Any]) -> None:
    act(params)


cronlite.handler("act")(act)
cronlite.handler("act_apart", isolation="process")(act)
