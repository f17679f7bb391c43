"""cronlite's side of the benchmark `queue`: the handlers of its worker, and whoever asks for their calls."""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Mapping
from typing import Any

import cronlite
from cronlite import Cronlite

VARIABLE = "QUEUE_LOG"
_log = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT) if VARIABLE in os.environ else -1


@cronlite.handler
def noop(params: Mapping[str, Any]) -> None:
    """Write down when it is called."""
    os.write(_log, struct.pack("d", time.monotonic()))


@cronlite.handler
def asked(params: Mapping[str, Any]) -> None:
    """Write down how long after the asking it is called."""
    os.write(_log, struct.pack("d", time.monotonic() - params["at"]))


@cronlite.handler
def computing(params: Mapping[str, Any]) -> None:
    """Take `seconds` of a core's time, and write down when that is done."""
    until = time.thread_time() + params["seconds"]
    while time.thread_time() < until:
        sum(range(1_000))
    noop(params)


def enqueue(uri: str, count: int) -> dict[str, Any]:
    """Ask for calls one after the other; the connection is open by then."""
    with Cronlite(uri) as cron:
        cron.enqueue("noop", {})
        started = time.perf_counter()
        for _ in range(count - 1):
            cron.enqueue("noop", {})
        return {"per_second": (count - 1) / (time.perf_counter() - started)}


def enqueue_many(uri: str, count: int, handler: str = "noop", **params: Any) -> dict[str, Any]:
    """Ask for calls all at once, but for the first one, which opens the connection and makes the indexes."""
    with Cronlite(uri) as cron:
        cron.enqueue(handler, params)
        started = time.perf_counter()
        cron.enqueue_many([{"handler": handler, "params": params} for _ in range(count - 1)])
        return {"per_second": (count - 1) / (time.perf_counter() - started)}


def ask(uri: str, count: int) -> dict[str, Any]:
    """Ask for calls a while apart, out of step with whatever a daemon does at regular times."""
    chance = random.Random(count)
    with Cronlite(uri) as cron:
        cron.now()  # connects
        for _ in range(count):
            time.sleep(chance.uniform(0.02, 0.06))
            cron.enqueue("asked", {"at": time.monotonic()})
    return {"asked": count}
