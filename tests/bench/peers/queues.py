"""Which other task queues can be measured on this machine, with which broker, and how do their workers start?"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.children import Child
from tests.bench.peers import HERE, CannotInstall, run_installer
from tests.services.process import free_port

PACKAGES = ("celery[redis]==5.*", "dramatiq[redis]", "rq", "huey", "redis")
READY_SECONDS = 30
_ASK = "from queue_side import main; main()"


@dataclass(frozen=True)
class Queue:
    """A task queue on a broker: how it is asked, and the one worker process that its documentation starts."""

    name: str
    side: str
    worker: Sequence[str]
    on_file: bool = False


@dataclass(frozen=True)
class Command:
    """A command line, where it is typed, and what its environment has besides this process's."""

    words: Sequence[str | Path]
    folder: Path
    environment: Mapping[str, str]


# Threads and delays are as the documentation has them for short tasks: by default, huey looks every 0.1 to 10 s.
QUEUES = (
    Queue("Celery, threads, Redis", "celery", ("celery", "-A", "queue_side", "worker", "-P", "threads", "-c", "20")),
    Queue("Celery, prefork, Redis", "celery", ("celery", "-A", "queue_side", "worker", "-P", "prefork")),
    Queue("dramatiq, Redis", "dramatiq", ("dramatiq", "queue_side", "--processes", "1", "--threads", "8")),
    Queue("rq (SimpleWorker), Redis", "rq", ("rq", "worker", "--worker-class", "rq.SimpleWorker", "--url", "URL")),
    Queue(
        "huey, SQLite",
        "huey",
        ("huey_consumer", "queue_side.huey", "-k", "thread", "-w", "8", "-d", "0.01", "-m", "0.05"),
        on_file=True,
    ),
    Queue("huey, Redis", "huey", ("huey_consumer", "queue_side.huey", "-k", "thread", "-w", "8")),
)


class Queues:
    """All of them, in one venv, and a Redis that keeps what it acknowledged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "queues"
        self._folder.mkdir()
        if not shutil.which("redis-server"):
            raise CannotInstall("there is no redis-server")
        self._bin = self._folder / "venv" / "bin"
        run_installer([sys.executable, "-m", "venv", self._folder / "venv"], folder)
        quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
        run_installer([self._bin / "python", "-m", "pip", *quiet, "install", *PACKAGES], folder)
        shutil.copy(HERE / "queue_side.py", self._folder)
        ask = "from importlib.metadata import version as v; print(*(f'{n} {v(n)}' for n in ARGS), sep=', ')"
        ask = ask.replace("ARGS", repr(("celery", "dramatiq", "rq", "huey")))
        told = subprocess.run([self._bin / "python", "-c", ask], capture_output=True, text=True, check=True)
        redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
        version = next(word for word in redis.split() if word.startswith("v="))
        self.version = f"{told.stdout.strip()}, Redis {version.removeprefix('v=')} (appendonly, each second)"

    @contextmanager
    def broker(self, queue: Queue) -> Iterator[str]:
        """Yield the address of an empty broker of its own."""
        if queue.on_file:
            path = self._folder / f"{queue.side}-{time.monotonic_ns()}.db"
            yield str(path)
            for file in self._folder.glob(f"{path.name}*"):
                file.unlink()
            return
        port, data = free_port(), self._folder / f"redis-{time.monotonic_ns()}"
        data.mkdir()
        options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "yes", "--dir", str(data)]
        server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        try:
            self._wait_for_redis(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()
            shutil.rmtree(data)

    def call(self, queue: Queue, url: str, log: Path, what: str, count: int) -> dict[str, Any]:
        """Let another process ask for calls, and return its answer."""
        command: list[str | Path] = [self._bin / "python", "-c", _ASK, what, str(count)]
        answer: dict[str, Any] = Child(command, self._folder, self._environment(queue, url, log)).answer()
        return answer

    def worker(self, queue: Queue, url: str, log: Path) -> Command:
        """Return how its worker is started."""
        program, *words = (url if word == "URL" else word for word in queue.worker)
        return Command([self._bin / program, *words], self._folder, self._environment(queue, url, log))

    def _environment(self, queue: Queue, url: str, log: Path) -> dict[str, str]:
        return {"QUEUE_SIDE": queue.side, "QUEUE_URL": url, "QUEUE_LOG": str(log), "PYTHONPATH": str(self._folder)}

    def _wait_for_redis(self, port: int) -> None:
        until = time.monotonic() + READY_SECONDS
        while subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True, text=True).stdout != "PONG\n":
            if time.monotonic() > until:
                raise CannotInstall("redis-server did not start")
            time.sleep(0.05)


def install(folder: Path) -> tuple[Queues | None, str]:
    """Install what can be; return the queues, and their versions or why they are left out."""
    try:
        found = Queues(folder)
    except CannotInstall as why:
        return None, f"left out: {why}"
    return found, found.version
