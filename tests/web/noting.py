"""Which runs were called, and where: a handler that writes it down for the test."""

import os
import threading
from pathlib import Path
from typing import Any

import cronlite


@cronlite.handler
def note(params: dict[str, Any]) -> int:
    line = f"{cronlite.current_run().id} {os.getpid()} {threading.current_thread().name}\n"
    with Path(params["into"]).open("a") as file:  # so short that the system appends it as a whole
        file.write(line)
    return os.getpid()


def noted(path: Path) -> list[tuple[str, int]]:
    """List the runs that were called, each with the process that it was called in."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line.split()[0], int(line.split()[1])) for line in lines]
