"""Does the system lack threads, descriptors or memory, so that the pool had better ask for nothing more?"""

from __future__ import annotations

import time

from cronlite.logger import logger

log = logger("cronlite.pool")

SHORT_SECONDS = 1.0
"""How long a pool that could not begin something asks for nothing more."""
REMEMBERED_SECONDS = 60.0
"""How long people are shown a shortage, and how long the log says nothing more of it."""
SHORTAGES = (RuntimeError, OSError, MemoryError)
"""What is raised where the system has no thread, no descriptor or no memory."""


class Shortage:
    """The last time that something could not be begun, and why."""

    def __init__(self) -> None:
        self._since, self._sentence = float("-inf"), ""

    @property
    def is_now(self) -> bool:
        """Tell whether something could not be begun a moment ago."""
        return time.monotonic() < self._since + SHORT_SECONDS

    @property
    def trouble(self) -> str:
        """Say what could not be begun in the last minute; nothing where everything could."""
        return self._sentence if self._is_remembered else ""

    def note(self, refusal: BaseException) -> None:
        """Keep that something could not be begun, and log it, but not more than once a minute."""
        self._sentence = f"runs go back to the queue, as none can be begun: {refusal}"
        if not self._is_remembered:
            log.error("%s; allow this process more (TasksMax=, ulimit -u, -n), or give it fewer seats", self._sentence)
        self._since = time.monotonic()

    @property
    def _is_remembered(self) -> bool:
        return time.monotonic() < self._since + REMEMBERED_SECONDS
