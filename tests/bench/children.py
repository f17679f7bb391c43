"""How does each measurement get a process of its own, which ends with the benchmark whatever happens?"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 600.0


class ChildFailed(Exception):
    """A process of the benchmark did not answer; the message ends with what it said instead."""


class Child:
    """A process whose last line on stdout is its answer, in JSON. The end of its stdin is the order to come to one."""

    def __init__(
        self, command: Sequence[str | Path], cwd: Path = ROOT, environment: Mapping[str, str] | None = None
    ) -> None:
        pipe = subprocess.PIPE
        self._command = command
        self._process = subprocess.Popen(
            command, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **(environment or {})}
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def first_line(self) -> str:
        """Wait for what it says before its answer."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def tell(self, line: object) -> None:
        """Write a line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def answer(self, *, told_to_end: bool = False, limit_seconds: float = LIMIT_SECONDS) -> Any:
        """Wait for the answer, after the order to end if so told. Raises ChildFailed."""
        if not told_to_end:
            return self._read(*self._wait_with_open_stdin(limit_seconds))
        return self._read(*self._process.communicate(timeout=limit_seconds))

    def kill(self) -> None:
        """End it, unless it has ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def _wait_with_open_stdin(self, limit_seconds: float) -> tuple[str, str]:
        # communicate() would close stdin at once
        stdin, self._process.stdin = self._process.stdin, None
        try:
            return self._process.communicate(timeout=limit_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, err = self._process.communicate()
            raise ChildFailed(f"no answer within {limit_seconds:g} s: {self._command}\n{out}\n{err}") from None
        finally:
            assert stdin is not None
            stdin.close()

    def _read(self, out: str, err: str) -> Any:
        if self._process.returncode != 0 or not out.strip():
            raise ChildFailed(f"exit {self._process.returncode}: {self._command}\n{out}\n{err}")
        return json.loads(out.strip().splitlines()[-1])


def start(function: str, **given: Any) -> Child:
    """Start a Python process that calls a function (`module:name` in this package) with these arguments."""
    return Child([sys.executable, "-m", "tests.bench.children", function, json.dumps(given)])


def call(function: str, **given: Any) -> Any:
    """Call a function in a process of its own and return its answer."""
    return start(function, **given).answer()


def set_at_end_of_stdin(event: threading.Event) -> None:
    """Set an event when this process's stdin ends: by order, or because the benchmark is gone."""

    def listen() -> None:
        sys.stdin.read()
        event.set()

    threading.Thread(target=listen, name="bench-stdin", daemon=True).start()


def main(function: str, given: Mapping[str, Any]) -> None:
    module, _, name = function.partition(":")
    answer = getattr(importlib.import_module(f"tests.bench.{module}"), name)(**given)
    print(json.dumps(answer), flush=True)
    os._exit(0)  # whatever threads are left are of no interest


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
