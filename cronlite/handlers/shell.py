"""How does a command run as a handler, where the operator switches that on?"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cronlite.errors import CronliteError, Fault, InvalidInput, suggestion
from cronlite.handlers.registry import Registry
from cronlite.handlers.shortage import NotStarted, is_shortage

NAME = "shell"
_PARAMS = ("command", "env", "cwd", "stdin")
_LEFTOVER_SECONDS = 1.0
_LAST_LINES = 10


class CommandFailed(CronliteError):
    """A command ended with a status other than 0; the message holds the status and the last line on stderr.

    `last_lines` are the last of what it said there, of up to ten lines.
    """

    def __init__(self, told: str, last_lines: Sequence[str] = ()) -> None:
        self.told, self.last_lines = told, last_lines
        super().__init__(": ".join([told, *last_lines[-1:]]))


def allow_shell(registry: Registry) -> None:
    """Register the `shell` handler: whoever can write schedules can then run any command as the daemon's user."""
    # In a child process, since only then do a time-out and the daemon's death end a command and all that it started.
    registry.add(NAME, shell_handler, isolation="process")


def shell_handler(params: Mapping[str, Any]) -> None:
    """Run `{"command": ["rsync", "-a", "x", "y"]}`, without a shell; raise CommandFailed unless it exits with 0.

    Optional params are `env` (added to the daemon's, less cronlite's own settings), `cwd`, and `stdin` (text). A
    crontab's line is `["/bin/sh", "-c", LINE]`. What the command prints goes where this process prints. What it leaves
    in the background lives on until the daemon ends or a time-out strikes; setsid(1) detaches it. Raises InvalidInput
    for other params.
    """
    if faults := list(_faults(params)):
        raise InvalidInput(*faults)
    with _Copier() as copier:
        process = _started(params, copier.stderr)
    assert process.stdin  # a pipe
    with suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(params.get("stdin", "").encode())
    status = process.wait()
    copier.finish()
    if status:
        raise CommandFailed(_told(status), copier.last_lines)


def _started(params: Mapping[str, Any], stderr: int | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            params["command"],
            env=_environment() | dict(params.get("env", {})),
            cwd=params.get("cwd"),
            stdin=subprocess.PIPE,
            stderr=stderr,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as refused:
        raise CommandFailed(f"cannot be started: {refused.strerror}: {refused.filename}") from None
    except OSError as refused:
        if is_shortage(refused):
            raise NotStarted(f"no process for a command: {refused}") from None
        raise


def _environment() -> dict[str, str]:
    """Copy the daemon's environment without its settings: the addresses of store and broker hold passwords."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CRONLITE_")}


class _Copier:
    """Passes a command's stderr on, in a thread, and remembers the last lines that say something.

    The thread begins before the command does, as a command cannot be taken back. Without a thread, the command writes
    to this process's stderr itself: nothing is lost then but the lines in the message of a failure.
    """

    def __init__(self) -> None:
        self._last: deque[bytes] = deque(maxlen=_LAST_LINES)
        self.stderr: int | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> _Copier:
        try:
            reading, writing = os.pipe()
        except OSError as refused:
            raise NotStarted(f"no pipe for a command: {refused}") from None
        thread = threading.Thread(target=self._copy, args=(reading,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # "can't start new thread"
            os.close(reading)
            os.close(writing)
        else:
            self.stderr, self._thread = writing, thread
        return self

    def __exit__(self, *_: object) -> None:
        if self.stderr is not None:
            os.close(self.stderr)  # the command has its own copy

    @property
    def last_lines(self) -> list[str]:
        return [line.decode(errors="replace") for line in list(self._last)]

    def finish(self) -> None:
        """Wait for what is on its way, up to a limit: a background process may hold stderr open for ever."""
        if self._thread:
            self._thread.join(_LEFTOVER_SECONDS)

    def _copy(self, reading: int) -> None:
        with open(reading, "rb") as stream:
            while line := stream.readline(8192):
                os.write(2, line)
                if line.strip():
                    self._last.append(line.strip())


def _told(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"killed by {signal.Signals(-status).name}"


def _faults(params: Mapping[str, Any]) -> Iterator[Fault]:
    for name in params:
        if name not in _PARAMS:
            yield Fault(f"params.{name}", params[name], "is not known to shell", suggestion(name, _PARAMS))
    command = params.get("command")
    if not isinstance(command, (list, tuple)) or not command or not all(map(_is_argument, command)) or not command[0]:
        yield Fault("params.command", command, "is no list of texts", 'give one, such as ["/bin/sh", "-c", "date"]')
    env = params.get("env", {})
    if not isinstance(env, Mapping) or not all(map(_is_variable, env, env.values())):
        yield Fault("params.env", env, "is no object of texts", 'give one, such as {"LANG": "C"}')
    if "cwd" in params and not (_is_argument(params["cwd"]) and params["cwd"]):
        yield Fault("params.cwd", params["cwd"], "is no path", "give the text of one")
    if not isinstance(params.get("stdin", ""), str):
        yield Fault("params.stdin", params["stdin"], "is not text", "give a string")


def _is_argument(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_variable(name: object, value: object) -> bool:
    return _is_argument(name) and bool(name) and "=" not in str(name) and _is_argument(value)
