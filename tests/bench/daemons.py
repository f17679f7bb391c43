"""How does a daemon fare, run as its users run it: how fast, how late, how big?"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cronlite.daemon.store_clock import steady
from tests.bench.application import VARIABLE
from tests.bench.children import Child

LEAD_SECONDS = 1.5
"""How long before its minute a staged clock is set off: a daemon looks ahead for most of a second."""
READY_SECONDS = 60.0
SCRIPT = Path(sys.executable).with_name("cronlite")


class Daemon(Child):
    """A `cronlite run` of the installed command, on the handlers of `application`; it tells when it is ready."""

    def __init__(self, uri: str, *, options: Sequence[str] = (), **given: Any) -> None:
        command = [SCRIPT] if SCRIPT.exists() else [sys.executable, "-m", "cronlite"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind("")  # the system gives it an address of its own
            systemd.settimeout(READY_SECONDS)
            super().__init__(
                [*command, "-A", "tests.bench.application:cron", "run", *options],
                environment={
                    "NOTIFY_SOCKET": f"@{systemd.getsockname()[1:].decode()}",
                    VARIABLE: json.dumps({"uri": uri, **given}),
                },
            )
            try:
                while not systemd.recv(65_536).startswith(b"READY=1"):
                    pass
            except TimeoutError:
                self.kill()
                raise

    def begin(self, at: float) -> None:
        """Let it measure from a steady instant on; a staged clock shows its minute then."""
        self.tell(at)


def work(uri: str, *, at: float | None = None, **given: Any) -> dict[str, Any]:
    """Run a daemon until `expected` outcomes are stored; tell what it did, in seconds and MB.

    With `tick`, that minute comes once it is ready. Without, real time goes on, in which `at` is the steady instant of
    the minute that is measured.
    """
    daemon = Daemon(uri, **given)
    try:
        daemon.begin(steady() + LEAD_SECONDS if at is None else at)
        answer: dict[str, Any] = daemon.answer()
        return answer
    finally:
        daemon.kill()
