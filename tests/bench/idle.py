"""Idle: what does a daemon cost while a great many schedules are stored and none is due?"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.bench import machine, stored
from tests.bench.children import ROOT
from tests.bench.peers import APScheduler
from tests.bench.rows import Row, Target
from tests.bench.scale import TICKS
from tests.bench.setting import Setting, say
from tests.services.mongod import Mongod
from tests.waiting import wait_until

QUIET = timedelta(hours=2)
# The command itself, which ends when this process is gone and with it the other end of its stdin.
_COMMAND = """
import os, sys, threading
from cronlite.cli import main
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
main()
"""
OPERATIONS = ("insert", "query", "update", "delete", "getmore", "command")
READY_SECONDS = 120.0
_HANDLERS = "import cronlite\n\n\n@cronlite.handler\ndef default(params):\n    pass\n"

Answer = dict[str, Any]


def measure(setting: Setting) -> list[Row]:
    count = setting.sizes.idle_stored
    what = f"{count:,} stored, none due"
    answers = _cronlite(setting, count)
    cores, memory, operations = Target(most=0.5), Target(most=45), Target(most=2)
    rows = [
        _row(what, "CPU", "cronlite", [_percent(a) for a in answers], "% of a core", cores),
        _row(what, "resident", "cronlite", [a["resident_mb"] for a in answers], "MB", memory),
        _row(what, "server operations", "cronlite", [a["operations"] for a in answers], "/s", operations, answers),
    ]
    for peer in setting.peers:
        if isinstance(peer, APScheduler):
            told = _apscheduler(setting, peer, count)
            rows.append(_row(what, "CPU", peer.name, [_percent(a) for a in told], "% of a core"))
            rows.append(_row(what, "resident", peer.name, [a["resident_mb"] for a in told], "MB"))
    return sorted(rows, key=lambda row: row.what)


def _row(
    what: str, kind: str, side: str, values: list[float], unit: str, target: Target | None = None, more: object = None
) -> Row:
    return Row(
        benchmark="idle",
        what=f"{what}, {kind}",
        side=side,
        values=values,
        unit=unit,
        target=target,
        more={"measured": more} if more else {},
    )


def _percent(answer: Answer) -> float:
    return float(answer["cpu_seconds"] / answer["seconds"] * 100)


def _cronlite(setting: Setting, count: int) -> list[Answer]:
    answers = []
    with setting.mongodb() as uri:
        say(f"storing {count:,}")
        stored.fill(uri, stored.mixed(count, 0, TICKS, QUIET))
        for repeat in range(setting.sizes.repeats):
            say(f"idle over {count:,}, {repeat + 1} of {setting.sizes.repeats}")
            answers.append(_idle(setting, uri))
    return answers


def _idle(setting: Setting, uri: str) -> Answer:
    """Watch `cronlite run`, the real command, and count what the server does more than without it."""
    settle, seconds = setting.sizes.idle_settle_seconds, setting.sizes.idle_seconds
    server = setting.server
    quiet = _operations(server, seconds)
    with _running(setting.folder, uri) as pid:
        time.sleep(settle)
        cpu = machine.cpu_seconds(pid)
        busy = _operations(server, seconds)
        return {
            "seconds": seconds,
            "cpu_seconds": machine.cpu_seconds(pid) - cpu,
            "resident_mb": machine.resident_mb(pid=pid),
            "operations": (sum(busy.values()) - sum(quiet.values())) / seconds,
            "by_kind": {kind: (busy[kind] - quiet[kind]) / seconds for kind in OPERATIONS},
        }


def _operations(server: Mongod, seconds: float) -> dict[str, int]:
    """Count the server's operations in a while; those of this process are the same in each while."""
    before = _counted(server)
    time.sleep(seconds)
    after = _counted(server)
    return {kind: after[kind] - before[kind] for kind in OPERATIONS}


def _counted(server: Mongod) -> dict[str, int]:
    with server.client() as client:
        counters: dict[str, int] = client.admin.command("serverStatus")["opcounters"]
        return counters


@contextmanager
def _running(folder: Path, uri: str) -> Iterator[int]:
    (folder / "bench_handlers.py").write_text(_HANDLERS)
    log = folder / "idle.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, "--uri", uri, "-A", "bench_handlers", "run"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stderr=stderr,
            env={"PYTHONPATH": f"{folder}:{ROOT}", "HOME": str(folder)},
        )
    try:
        wait_until(
            lambda: "daemon " in log.read_text(),
            limit_seconds=READY_SECONDS,
            what="the daemon is ready",
            instead=log.read_text,
        )
        yield process.pid
    finally:
        process.terminate()
        process.communicate()


def _apscheduler(setting: Setting, peer: APScheduler, count: int) -> list[Answer]:
    settle, seconds = setting.sizes.idle_settle_seconds, setting.sizes.idle_seconds
    answers = []
    with setting.mongodb() as uri:
        say(f"storing {count:,} for {peer.name}")
        peer.fill(uri, count, time.time() + 43_200)
        for repeat in range(setting.sizes.repeats):
            say(f"idle over {count:,} ({peer.name}), {repeat + 1} of {setting.sizes.repeats}")
            answers.append({**peer.idle(uri, settle, seconds), "seconds": seconds})
    return answers
