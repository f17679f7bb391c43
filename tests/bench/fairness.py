"""Fairness: how soon does a run of bob's start, behind 100,000 of eve's that are queued for two daemons?"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import cronlite
from cronlite.daemon.store_clock import steady
from cronlite.documents import ids
from cronlite.documents.runs import Run
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say
from tests.waiting import wait_until

HANDLER = "a_moment"
SECONDS = 0.02
STARTED = 200
BATCH = 10_000
LIMIT_SECONDS = {"--fair-users": 60.0, "--no-fair-users": 5.0}


@cronlite.handler
def a_moment(params: Mapping[str, Any]) -> None:
    time.sleep(SECONDS)


def measure(setting: Setting) -> list[Row]:
    rows = []
    for side, store in setting.stores.items():
        for option in LIMIT_SECONDS:
            say(f"bob behind {setting.sizes.queued:,} of eve's ({side}, {option})")
            with store() as uri:
                values = _waits(uri, option, setting.sizes.queued, setting.sizes.repeats)
            rows.append(
                Row(
                    benchmark="fairness",
                    what=f"bob's run starts, {setting.sizes.queued:,} of eve's queued, two daemons",
                    side=f"{side}, {option}",
                    values=values,
                    unit="s",
                    target=Target(most=1) if option == "--fair-users" else None,
                )
            )
    return rows


def _waits(uri: str, option: str, count: int, times: int) -> list[float]:
    """Return after how many seconds bob's runs started; what waits for all of eve's is not waited for."""
    with cronlite.Cronlite(uri) as cron, _daemons(uri, option):
        cron.store.prepare()
        now = cron.now()
        for begun in range(0, count, BATCH):
            cron.store.add_runs([_of_eve(now) for _ in range(min(BATCH, count - begun))])
        wait_until(lambda: len(cron.runs(user="eve", state="succeeded", limit=STARTED)) == STARTED)
        waits = []
        for _ in range(times):
            asked = cron.enqueue(HANDLER, {}, "bob").run
            started = _started_at(cron, asked.id, LIMIT_SECONDS[option])
            waits.append((started - asked.queued_at).total_seconds())
        return waits


def _started_at(cron: cronlite.Cronlite, id: str, limit_seconds: float) -> datetime:
    """Return when a run started, or when that has been waited for long enough."""
    until = steady() + limit_seconds
    while (started := cron.run_of(id).started_at) is None and steady() < until:
        time.sleep(0.02)
    return started or cron.now()


def _of_eve(now: Any) -> Run:
    return Run(id=ids.new_run_id(), handler=HANDLER, params={}, due_at=now, queued_at=now, run_at=now, user="eve")


@contextlib.contextmanager
def _daemons(uri: str, option: str) -> Iterator[None]:
    command = [sys.executable, "-m", "cronlite", "-A", "tests.bench.fairness", "run", option, "--drain-seconds", "1"]
    environment = os.environ | {"CRONLITE_URI": uri}
    quiet = subprocess.DEVNULL
    fleet = [subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) for _ in range(2)]
    try:
        yield
    finally:
        for daemon in fleet:
            daemon.kill()
            daemon.wait()
