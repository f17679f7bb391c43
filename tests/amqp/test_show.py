"""Do thousands of runs come through when workers are killed and join late?"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cronlite import Cronlite
from cronlite.documents.runs import SUCCEEDED
from tests.services.rabbitmq import RabbitMQ
from tests.waiting import wait_until

# A daemon that is killed is missed after 10 s instead of 30.
MAIN = """
import cronlite.documents.daemons
cronlite.documents.daemons.SILENCE_SECONDS = 10.0
from cronlite.cli import main
main()
"""


def states(cron: Cronlite) -> Counter[str]:
    return Counter(run.state for run in cron.runs(limit=None))


@contextlib.contextmanager
def process(uri: str, *arguments: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", MAIN, "--uri", uri, "-A", "tests.amqp.handlers", *arguments]
    with log.open("ab") as output:
        started = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
        try:
            yield started
        finally:
            started.kill()
            started.wait()


def show(uri: str, broker: RabbitMQ, folder: Path, count: int) -> Counter[str]:
    """Run calls through two workers, of which one is killed, and a third that joins late; return who ran how many.

    From some run on they stand at a gate until the third works, however long a busy machine takes to start it.
    """
    book, log, gate = folder / "book", folder / "log", folder / "gate"
    book.touch()
    given = {"book": str(book), "seconds": 0.02}
    gated = given | {"gate": str(gate)}

    def done() -> int:
        return len(book.read_text().splitlines())

    def worker() -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        return process(uri, "worker", broker.uri, "--seats", "8", log=log)

    with Cronlite(uri) as cron, contextlib.ExitStack() as nodes:
        assert cron.store.prepare() == []
        runs = [cron._on_demand("work", gated if n > count // 2 else given, "") for n in range(count)]
        assert cron.store.add_runs(runs) == set()
        nodes.enter_context(process(uri, "run", "--seats", "0", "--dispatch", broker.uri, log=log))
        nodes.enter_context(worker())
        killed = nodes.enter_context(worker())
        wait_until(lambda: done() > count // 5, limit_seconds=60, what="a fifth is done", instead=log.read_text)
        late = nodes.enter_context(worker())
        wait_until(lambda: f" {late.pid}\n" in book.read_text(), limit_seconds=60, what="the late one works")
        killed.send_signal(signal.SIGKILL)
        gate.touch()
        wait_until(
            lambda: states(cron) == {SUCCEEDED: count},
            limit_seconds=60 + count / 100,
            what="all have succeeded",
            instead=lambda: (states(cron), log.read_text()[-3000:]),
            interval_seconds=0.5,
        )
        crashed = {run.id for run in cron.runs(limit=None) if run.crashes}
        assert len(crashed) <= 8, "no worker had more than its seats"
    calls = [line.split() for line in book.read_text().splitlines()]
    twice = {run for run, times in Counter(run for run, _, _ in calls).items() if times > 1}
    assert twice <= crashed, "only what its worker died with ran again"
    shares = Counter(pid for _, _, pid in calls)
    assert shares[str(late.pid)] > count // 10, shares
    return shares


@pytest.mark.faults
def test_300_runs_survive_a_killed_worker_and_one_that_joins_late_has_its_share(
    mongo_uri: str, broker: RabbitMQ, tmp_path: Path
) -> None:
    show(mongo_uri, broker, tmp_path, 300)


@pytest.mark.slow
@pytest.mark.faults
def test_10_000_runs_survive_the_same(mongo_uri: str, broker: RabbitMQ, tmp_path: Path) -> None:
    begun = time.monotonic()
    print(show(mongo_uri, broker, tmp_path, 10_000), f"in {time.monotonic() - begun:.0f} s")
