"""How a test waits for what another thread or process does: the only place of the tests with a sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T | None],
    *,
    limit_seconds: float = 120.0,
    what: str = "",
    instead: Callable[[], object] | None = None,
    interval_seconds: float = 0.02,
) -> T:
    """Return the first true answer of the predicate, asked again and again.

    When none comes within the limit, an AssertionError says `what` was awaited, the predicate's last answer and, if
    given, what `instead` returns then (the tail of a log, say). Whatever the predicate raises travels at once.
    """
    started = time.monotonic()
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() - started > limit_seconds:
            break
        time.sleep(interval_seconds)
    awaited = what or getattr(predicate, "__name__", "the condition")
    there = "" if instead is None else f"\n{instead()}"
    raise AssertionError(f"not within {limit_seconds:g} s: {awaited}; the last answer was {answer!r}{there}")
