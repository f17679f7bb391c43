"""How does an application run the daemon: in threads of its own process, or as the process itself?"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from cronlite.documents.runs import Run

if TYPE_CHECKING:
    from cronlite.client.app import Cronlite
    from cronlite.daemon.loops import Daemon


class Embedded:
    """The daemon of one Cronlite; none before `start`, and none in a process that was forked off since."""

    def __init__(self, cron: Cronlite) -> None:
        self._cron = cron
        self._daemon: tuple[int, Daemon] | None = None
        self._capture = ExitStack()

    @property
    def daemon(self) -> Daemon | None:
        """The daemon that `start` has running in this process."""
        return self._daemon[1] if self._daemon and self._daemon[0] == os.getpid() else None

    def run(self, options: Mapping[str, Any]) -> None:
        """Run the daemon in the foreground until a signal, and end the process."""
        from cronlite.daemon.service import Notifier, serve
        from cronlite.handlers.output import capture_logs

        with capture_logs():
            serve(self._new(options, notify=Notifier(os.environ.get("NOTIFY_SOCKET"))))

    def start(self, options: Mapping[str, Any]) -> None:
        """Run the daemon in threads of this process, unless it does so already or is a handler's child process."""
        from cronlite.daemon.options import read_options
        from cronlite.dispatch.child import in_child

        read_options(options)
        if self.daemon is None and not in_child():
            from cronlite.handlers.output import capture_logs

            daemon = self._new(options)
            self._daemon = os.getpid(), daemon
            self._capture.enter_context(capture_logs())
            daemon.start()
            atexit.register(self._cron.stop)

    def stop(self) -> list[Run]:
        """Stop the daemon, if there is one, after the drain; return the runs whose handlers are still at it."""
        daemon, self._daemon = self.daemon, None
        atexit.unregister(self._cron.stop)
        left = daemon.stop() if daemon else []
        self._capture.close()
        return left

    def _new(self, options: Mapping[str, Any], notify: Callable[[str, str], None] | None = None) -> Daemon:
        from cronlite.daemon.loops import Daemon
        from cronlite.daemon.options import read_options

        checked = read_options(options)
        return Daemon(self._cron.store, self._cron.registry, checked, notify=notify, home=self._cron)
