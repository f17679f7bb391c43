"""Alarms: is a tick as fast with every channel dead, alarms open and the heartbeat unanswered, as without any?"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from statistics import median
from typing import Any
from unittest import mock

import cronlite
from cronlite.daemon import alarming
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.documents import alarms, schedules
from cronlite.handlers.registry import Registry
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

ROUND_SECONDS = 1.0
"""Between rounds of alarms: ten times as often as in earnest, so that some fall into what is measured."""
OPEN = 100
CHANNELS = 5


def measure(setting: Setting) -> list[Row]:
    rows = []
    for side, store in setting.stores.items():
        say(f"ticks beside dead channels ({side})")
        values: dict[str, list[float]] = {"no alarms": [], "all channels dead": []}
        for _ in range(setting.sizes.repeats):
            for what, taken in values.items():
                with store() as uri:
                    taken.append(_tick(uri, setting.sizes.due, setting.sizes.ticks, dead=what != "no alarms"))
        without, with_dead = values.values()
        shared: dict[str, Any] = {"benchmark": "alarms", "what": f"a tick of {setting.sizes.due} due", "unit": "ms"}
        rows.append(Row(side=f"{side}, no alarms", values=without, **shared))
        rows.append(
            Row(
                side=f"{side}, {CHANNELS} dead channels, {OPEN} alarms open, dead heartbeat",
                values=with_dead,
                ratio=median(with_dead) / median(without),
                ratio_to="no alarms",
                target=Target(most=1.1, of="ratio"),
                **shared,
            )
        )
    return rows


def _tick(uri: str, due: int, ticks: int, *, dead: bool) -> float:
    """Return the median of some ticks, in milliseconds."""
    with cronlite.Cronlite(uri) as cron, ExitStack() as ended:
        cron.store.prepare()
        now = datetime.now(timezone.utc).replace(second=1, microsecond=0)
        for number in range(due):
            cron.add(schedules.new(now=now, name=f"s{number}", overlap="allow"))
        options: Mapping[str, Any] = {}
        if dead:
            raised = [alarms.new("failed", f"x{n}", "x failed", now=now) for n in range(OPEN)]
            cron.store.raise_alarms(raised)
            port = ended.enter_context(_hanging())
            channels = [{"to": f"json://127.0.0.1:{port}/{n}", "name": f"c{n}"} for n in range(CHANNELS)]
            options = {"alarms": channels, "heartbeat_url": f"http://127.0.0.1:{port}/"}
            ended.enter_context(mock.patch.object(alarming, "ROUND_SECONDS", ROUND_SECONDS))
            ended.enter_context(mock.patch.object(alarming, "FIRST_ROUND_SECONDS", 0))
        daemon = Daemon(cron.store, Registry(), Options(seats=0, **options))
        daemon.membership.join()
        daemon.step(now)
        if dead:
            daemon.alarming.keep_going()
            ended.callback(daemon.alarming.stop)
        took = []
        for minute in range(1, ticks + 1):
            begun = time.perf_counter()
            daemon.step(now + timedelta(minutes=minute))
            took.append((time.perf_counter() - begun) * 1_000)
            time.sleep(0.1)
        return median(took)


@contextmanager
def _hanging() -> Iterator[int]:
    """Yield the port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1_000) as listening:
        yield listening.getsockname()[1]
