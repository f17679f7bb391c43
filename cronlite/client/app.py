"""What does an application call: one object for schedules, runs on demand, and the daemon in a thread."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cronlite.client.runs import Asking
from cronlite.documents.runs import Run

if TYPE_CHECKING:
    from cronlite.daemon.loops import Daemon
    from cronlite.handlers.registry import Registry


class Cronlite(Asking):
    """Schedules, runs and daemon on one store.

    `uri` is `mongodb://…/database`, `sqlite:PATH` or `memory:`; None means $CRONLITE_URI, else an SQLite file under
    $STATE_DIRECTORY (systemd) or the XDG state folder. Nothing is opened before the first use, and a process forked
    off opens its own connection. Methods raise InvalidInput for what they are given, NotFound and Conflict for what
    the store holds, StoreUnavailable when it cannot be reached. Safe to share between threads.
    """

    def __init__(self, uri: str | None = None, *, registry: Registry | None = None) -> None:
        super().__init__(uri)
        self._registry = registry
        self._daemon: tuple[int, Daemon] | None = None
        self._capture = ExitStack()

    def run(self, **options: Any) -> None:
        """Run the daemon in the foreground until SIGTERM or SIGINT; `options` are those of `daemon.Options`.

        Ends the process with exit code 0, hard where handlers outlive the drain. Only for the main thread.
        """
        from cronlite.daemon.service import Notifier, serve
        from cronlite.handlers.output import capture_logs

        with capture_logs():
            serve(self._new_daemon(options, notify=Notifier(os.environ.get("NOTIFY_SOCKET"))))

    def start(self, **options: Any) -> None:
        """Run the daemon in threads of this process; a second call changes nothing. Stopped by `stop` or at exit.

        It takes no signals. After a fork it goes on in the parent and is not running in the child: call `start` in each
        web process. In the child process of a handler, which imports the application, nothing is started. While it
        runs, the root logger has a handler that keeps what runs log: call `logging.basicConfig` before.
        """
        from cronlite.dispatch.child import in_child

        with self._opening:
            if self._running is None and not in_child():
                from cronlite.handlers.output import capture_logs

                daemon = self._new_daemon(options)
                self._daemon = os.getpid(), daemon
                self._capture.enter_context(capture_logs())
                daemon.start()
                atexit.register(self.stop)

    def stop(self) -> list[Run]:
        """Stop the daemon that `start` started, after the drain; return the runs whose handlers are still at it."""
        with self._opening:
            daemon, self._daemon = self._running, None
        atexit.unregister(self.stop)
        left = daemon.stop() if daemon else []
        self._capture.close()
        return left

    @property
    def running(self) -> bool:
        """Tell whether `start` has a daemon running in this process."""
        return self._running is not None

    def wake(self) -> None:
        """Let the daemon in this process look for queued runs now."""
        if daemon := self._running:
            daemon.wake()

    def close(self) -> None:
        """Stop the daemon, if `start` started one, and close the store's connections."""
        self.stop()
        super().close()

    def __enter__(self) -> Cronlite:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def registry(self) -> Registry:
        """The handlers that this object's daemon can call: the default registry unless another was given."""
        if self._registry is None:
            from cronlite.handlers import registry as handlers

            self._registry = handlers.default_registry
        return self._registry

    @property
    def _running(self) -> Daemon | None:
        return self._daemon[1] if self._daemon and self._daemon[0] == os.getpid() else None

    def _new_daemon(self, options: Mapping[str, Any], notify: Callable[[str, str], None] | None = None) -> Daemon:
        from cronlite.daemon.loops import Daemon
        from cronlite.daemon.options import read_options

        return Daemon(self.store, self.registry, read_options(options), notify=notify)
