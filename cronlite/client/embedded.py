"""How does an application run the daemon: in threads of its own process, or as the process itself?"""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cronlite.client import exits
from cronlite.client.configuration import configured_channels
from cronlite.documents.runs import Run
from cronlite.errors import CronliteError

if TYPE_CHECKING:
    from cronlite.client.app import Cronlite
    from cronlite.daemon.loops import Daemon


class Embedded:
    """The daemon of one Cronlite; none before `start`, and none in a process that was forked off since."""

    def __init__(self, cron: Cronlite) -> None:
        self._cron = cron
        self._daemon: tuple[int, Daemon] | None = None
        self._capture = ExitStack()
        self._exiting = False

    @property
    def daemon(self) -> Daemon | None:
        """The daemon that `start` has running in this process."""
        return self._daemon[1] if self._daemon and self._daemon[0] == os.getpid() else None

    def run(self, options: Mapping[str, Any]) -> None:
        """Run the daemon in the foreground until a signal, and end the process."""
        from cronlite.daemon import service
        from cronlite.daemon.options import read_options
        from cronlite.handlers.output import capture_logs

        with capture_logs():
            service.run(self._cron.store, self._cron.registry, read_options(_with_channels(options)), home=self._cron)

    def start(self, options: Mapping[str, Any]) -> None:
        """Run the daemon in threads of this process, unless it does so already or is a handler's child process."""
        from cronlite.daemon.options import read_options
        from cronlite.dispatch.child import in_child

        settled = read_options(_with_channels(options))
        if self.daemon is None and not in_child():
            from cronlite.daemon.loops import Daemon
            from cronlite.handlers.output import capture_logs

            if _is_killed_soon(os.environ):
                settled = replace(settled, drain_seconds=0)
            daemon = Daemon(self._cron.store, self._cron.registry, settled, home=self._cron)
            with ExitStack() as undone:
                undone.enter_context(capture_logs())
                daemon.start()
                self._capture = undone.pop_all()
            self._daemon = os.getpid(), daemon
            exits.drain_at_exit(self)

    def stop(self, *, hard: bool = False) -> list[Run]:
        """Stop the daemon, if there is one, after the drain; return the runs whose handlers are still at it.

        These are given back when the process ends, or now with `hard`, for a process that ends next without `atexit`.
        """
        hard |= self._exiting
        daemon, self._daemon = self.daemon, None
        exits.forget(self)
        left = daemon.stop(hard=hard) if daemon else []
        if daemon and left and not hard:
            atexit.register(_give_back, os.getpid(), daemon, left)
        self._capture.close()
        return left

    def drain(self) -> None:
        """Drain the daemon, if there is one, as the process is about to end."""
        if daemon := self.daemon:
            self._exiting = True
            daemon.drain(process_ends=True)

    def end(self) -> None:
        """Stop the daemon, if there is one, as the process ends now, and cut off what is still at work."""
        self._exiting = True
        self.stop()


def _with_channels(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return options with the channels of the configuration file, unless others are given."""
    return options if "alarms" in options else {**options, "alarms": configured_channels()}


def _give_back(pid: int, daemon: Daemon, left: list[Run]) -> None:
    if pid == os.getpid():  # not in a process that was forked off
        with suppress(CronliteError):  # the store may have been closed
            daemon.handover.cut_off(left)
            daemon.membership.leave()


def _is_killed_soon(environ: Mapping[str, str]) -> bool:
    """Tell whether the reloader of Django's or of Flask's development server has started this process.

    It kills it a quarter of a second after Ctrl-C: in a drain, that would leave a daemon that seems alive.
    """
    return "true" in (environ.get("RUN_MAIN"), environ.get("WERKZEUG_RUN_MAIN"))
