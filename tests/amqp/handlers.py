"""The handlers of the workers in tests/amqp: each call leaves a line in the file that its run names."""

import os
import time
from pathlib import Path
from typing import Any

import cronlite
from tests.waiting import wait_until


def note(params: dict[str, Any]) -> None:
    run = cronlite.current_run()
    with Path(params["book"]).open("a") as book:
        book.write(f"{run.id} {run.attempt} {os.getpid()}\n")


@cronlite.handler
def work(params: dict[str, Any]) -> int:
    note(params)
    time.sleep(params.get("seconds", 0))
    if "gate" in params:
        wait_until(Path(params["gate"]).exists, limit_seconds=100, what="the gate is open")
    return os.getpid()


@cronlite.handler
def other(params: dict[str, Any]) -> None:
    note(params)
