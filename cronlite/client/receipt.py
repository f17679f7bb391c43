"""What came of a run that was asked for?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cronlite.documents import checks, runs
from cronlite.documents.runs import Run
from cronlite.errors import Fault, InvalidInput, NotFound
from cronlite.store.contract import Store

_FIRST_LOOK_SECONDS = 0.002
_LOOK_SECONDS = 0.25
_TIMEOUT = checks.number(0, 10 * 366 * 86_400)


@dataclass(frozen=True, slots=True)
class Handle:
    """A run that was queued: ask it how far it is, or wait for its end."""

    store: Store
    id: str

    @property
    def run(self) -> Run:
        """The run as it is now. Raises NotFound when it has expired."""
        run = self.store.run(self.id)
        if run is None:
            raise NotFound(f"run {self.id} has expired or was deleted")
        return run

    @property
    def state(self) -> str:
        """Its state now: `queued`, `running`, or how it ended."""
        return self.run.state

    @property
    def result(self) -> Any:
        """What the handler returned; None until it succeeded."""
        return self.run.result

    def wait(self, timeout: float | None = None) -> Run:
        """Wait until the run has ended and return it. Raises TimeoutError after `timeout` seconds."""
        if timeout is not None and (complaint := _TIMEOUT(timeout)):
            raise InvalidInput(Fault("timeout", timeout, *complaint))
        limit = float("inf") if timeout is None else time.monotonic() + timeout
        pause = _FIRST_LOOK_SECONDS
        while (run := self.run).state not in runs.FINAL:
            left = limit - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"run {self.id} is still {run.state} after {timeout:g} s")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LOOK_SECONDS)
        return run
