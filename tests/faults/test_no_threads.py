"""A daemon that the system grants few threads runs what it can, loses nothing, and stops well."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cronlite.client.app import Cronlite
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
THREADS = 16
RUNS = 30

APPLICATION = """
import time, cronlite

@cronlite.handler
def nap(params):
    time.sleep(0.5)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for everybody: those of pytest are for their owner alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="the limit counts for an unprivileged user of its own, which root can become with setpriv",
)
def test_seats_that_find_no_thread_cost_no_run(folder: Path) -> None:
    (folder / "app.py").write_text(APPLICATION)
    uri, log = f"sqlite:{folder / 'jobs.db'}", folder / "log"
    with Cronlite(uri) as cron:
        for _ in range(RUNS):
            cron.enqueue("nap", timeout_seconds=5)
    (folder / "jobs.db").chmod(0o666)
    user = 100_000 + os.getpid()  # nobody else's processes count
    nobody = (
        f"--reuid={user} --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search"  # the checkout
    )
    daemon = f"{sys.executable} -m cronlite --uri {uri} -A app run --seats 20"
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["bash", "-c", f"umask 0; ulimit -u {THREADS}; exec setpriv {nobody} {daemon}"],
            cwd=folder,
            env=os.environ | {"HOME": str(folder), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        with Cronlite(uri) as cron:
            wait_until(
                lambda: len(cron.runs(state="succeeded", limit=None)) == RUNS,
                what="all runs succeed",
                instead=lambda: ([(run.state, run.attempt) for run in cron.runs(limit=None)], log.read_text()),
            )
            (record,) = cron.store.daemons()
            assert "runs go back to the queue" in record.trouble
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()
            assert cron.store.daemons() == []
    finally:
        process.kill()
        process.wait()
