"""Does a daemon grow? Real daemons at work for half an hour, and what they hold before, meanwhile and after.

`python -m tests.faults.growth [--minutes 30]`: one daemon on a file, one on MongoDB, and one there that feeds a worker
through RabbitMQ. Prints threads, descriptors, memory and the server's connections each minute, then a table; exit code
1 where a process holds more threads or descriptors at the end than it did once warm, or a quarter more memory.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from cronlite import Cronlite
from tests.faults.rounds import a_database
from tests.services.mongod import Mongod
from tests.services.rabbitmq import RabbitMQ

WARM_MINUTES = 5
SECONDS_BETWEEN = 0.2
KINDS = ("quick", "late", "failing", "coroutine", "stuck_for_a_while", "apart", "apart_and_killed")


@dataclass
class Watched:
    """A process, and what it held at each look: threads, descriptors, kilobytes."""

    name: str
    process: subprocess.Popen[bytes]
    looks: list[tuple[int, int, int]] = field(default_factory=list)

    def look(self) -> tuple[int, int, int]:
        """Look, and keep what is seen."""
        folder = Path("/proc") / str(self.process.pid)
        status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
        seen = int(status["Threads"]), len(list((folder / "fd").iterdir())), int(status["VmRSS"].split()[0])
        self.looks.append(seen)
        return seen

    def grew(self) -> bool:
        """Compare the last looks with the first ones once warm; in a short time nothing has grown."""
        if len(self.looks) < 2 * WARM_MINUTES:
            return False
        warm, last = self.looks[WARM_MINUTES : WARM_MINUTES + 5], self.looks[-5:]
        highest = [max(values) for values in zip(*warm, strict=True)]
        lowest = [min(values) for values in zip(*last, strict=True)]
        return any(now > before * allowed for now, before, allowed in zip(lowest, highest, (1, 1, 1.25), strict=True))


@contextlib.contextmanager
def started(name: str, uri: str, *arguments: str, log: Path) -> Iterator[Watched]:
    """Run a command line of cronlite with the handlers of tests.faults.growing."""
    command = [sys.executable, "-m", "cronlite", "-A", "tests.faults.growing", *arguments]
    with log.open("ab") as output:
        environment = {**os.environ, "CRONLITE_URI": uri}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            yield Watched(name, process)
        finally:
            process.terminate()
            process.wait(60)


def fill(cron: Cronlite) -> None:
    """Schedule some of each kind for each minute."""
    cron.store.prepare()
    for kind in KINDS:
        limit = 2.0 if kind in ("stuck_for_a_while", "apart_and_killed") else None
        for number in range(10 if kind in ("quick", "late", "coroutine") else 2):
            name = f"{kind}-{number}"
            cron.schedule("growth", {}, handler=kind, name=name, overlap="allow", timeout_seconds=limit)


def ask(cron: Cronlite, over: threading.Event, queue: str) -> None:
    """Ask for a run again and again, by way of each queue."""
    while not over.wait(SECONDS_BETWEEN):
        cron.enqueue("quick", {}, user="growth", queue=queue)


def connections(client: MongoClient[dict[str, Any]]) -> int:
    """Count the server's connections."""
    return int(client.admin.command("serverStatus")["connections"]["current"])


def main() -> None:
    """Let them work, and print what they hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.growth", description=main.__doc__)
    parser.add_argument("--minutes", type=int, default=30)
    minutes = parser.parse_args().minutes
    over = threading.Event()
    with contextlib.ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory()))
        server, broker = parts.enter_context(Mongod()), parts.enter_context(RabbitMQ())
        uris = {"file": f"sqlite:{folder / 'growth.db'}", "mongod": server.uri_of(a_database())}
        crons = {name: parts.enter_context(Cronlite(uri)) for name, uri in uris.items()}
        for cron in crons.values():
            fill(cron)
        run, log = ("run", "--drain-seconds", "5"), folder / "log"
        dispatch = ("--dispatch", broker.uri)
        watched = [
            parts.enter_context(started("daemon on a file", uris["file"], *run, log=log)),
            parts.enter_context(started("daemon on MongoDB", uris["mongod"], *run, log=log)),
            parts.enter_context(
                started("daemon that feeds the broker", uris["mongod"], *run, *dispatch, "--seats", "0", log=log)
            ),
            parts.enter_context(started("worker", uris["mongod"], "worker", broker.uri, log=log)),
        ]
        client = parts.enter_context(MongoClient[dict[str, Any]](server.uri_of("admin")))
        for cron in crons.values():
            threading.Thread(target=ask, args=(cron, over, "default"), daemon=True).start()
        parts.callback(over.set)
        held: list[int] = []
        for minute in range(minutes + 1):
            held.append(connections(client))
            told = [f"{each.name}: {' '.join(map(str, each.look()))}" for each in watched]
            print(f"minute {minute}: {'; '.join(told)}; connections {held[-1]}", flush=True)
            if minute < minutes:
                over.wait(60)
        grown = [each.name for each in watched if each.grew()]
        print("\n| process | threads, descriptors, kB at the start | warm | at the end |\n| --- | --- | --- | --- |")
        for each in watched:
            print(f"| {each.name} | {each.looks[0]} | {each.looks[min(WARM_MINUTES, minutes)]} | {each.looks[-1]} |")
        print(f"| connections to MongoDB | {held[0]} | {held[min(WARM_MINUTES, minutes)]} | {held[-1]} |")
        counts = {name: cron.store.count_runs() for name, cron in crons.items()}
        print(f"at work: {counts}\ngrown: {grown or 'none'}")
    sys.exit(bool(grown))


if __name__ == "__main__":
    main()
