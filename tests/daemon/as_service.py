"""`cronlite run` in a process of its own, and the systemd that it thinks it talks to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cronlite import Cronlite
from cronlite.documents.runs import Run
from tests.waiting import wait_until

APPLICATION = """
import pathlib, sys, time, cronlite

@cronlite.handler
def hold(params):
    print("held")
    print("with an eye on it", file=sys.stderr)
    pathlib.Path("held").touch()
    while not pathlib.Path("let-go").exists():
        time.sleep(0.01)
"""
READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


class Systemd:
    """The socket on which systemd would listen."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.heard: list[list[str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def listen(self) -> list[list[str]]:
        """Return all messages so far, each as its lines."""
        while True:
            try:
                self.heard.append(self._socket.recv(65_536).decode().split("\n"))
            except BlockingIOError:
                return self.heard

    def states(self) -> list[str]:
        return [message[0] for message in self.listen()]

    def hears(self, state: str, status: str = "", *, after: int = 0, limit_seconds: float = 60) -> int:
        """Wait for a message; return how many there were up to and with it."""

        def place() -> int:
            for number, message in enumerate(self.listen()[after:], after + 1):
                if message[0] == state and any(status in line for line in message[1:]):
                    return number
            return 0

        return wait_until(
            place, limit_seconds=limit_seconds, what=f"{state} {status}", instead=lambda: f"heard {self.heard}"
        )

    def close(self) -> None:
        self._socket.close()


class Service:
    """A `cronlite run` in a process of its own, on a store in a file unless a URI is given."""

    def __init__(self, folder: Path, systemd: Systemd) -> None:
        self.folder, self.systemd = folder, systemd
        self.uri = f"sqlite:{folder / 'cronlite.db'}"
        self.log = folder / "log"
        self.program = "from cronlite.cli import main; main()"
        self.shell = 'exec "$0" "$@"'
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "jobs.py").write_text(APPLICATION)

    def start(self, *options: str, environment: Mapping[str, str] | None = None) -> None:
        arguments = [sys.executable, "-c", self.program, "--uri", self.uri, "-A", "jobs", "run", *options]
        with self.log.open("wb") as log:
            told = os.fstat(log.fileno())
            journal = {"JOURNAL_STREAM": f"{told.st_dev}:{told.st_ino}"} if environment is None else environment
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", self.shell, *arguments],
                cwd=self.folder,
                env={**os.environ, "NOTIFY_SOCKET": self.systemd.address, **journal},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def is_busy(self) -> Run:
        """Give it a run that ends when `let_go` is called, and wait until it is at work."""
        with Cronlite(self.uri) as cron:
            id_ = cron.enqueue("hold").id
            wait_until((self.folder / "held").exists, what="the handler runs", instead=self.log.read_text)
            return wait_until(lambda: run if (run := cron.run_of(id_)).state == "running" else None)

    def let_go(self) -> None:
        (self.folder / "let-go").touch()

    def run_of(self, id_: str) -> Run:
        with Cronlite(self.uri) as cron:
            return cron.run_of(id_)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end; return the exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
