"""Punctual: how long after its minute's first second, or after the asking, does a handler start?"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import product
from statistics import median, quantiles
from typing import Any

from cronlite import Cronlite
from cronlite.daemon.store_clock import steady
from cronlite.when.clock import MINUTE, floor_minute
from tests.bench import children, daemons, stored
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

SHORT_MINUTE_SECONDS = 2.0
LEAD = 2 * MINUTE
"""How far ahead the first tick is: with real minutes the daemon has at least one of them to start."""


def measure(setting: Setting) -> list[Row]:
    return _ticks(setting) + _on_demand(setting)


def _ticks(setting: Setting) -> list[Row]:
    rows = []
    ticks = setting.sizes.ticks
    minutes = "real minutes" if setting.sizes.real_minutes else f"minutes cut to {SHORT_MINUTE_SECONDS:g} s"
    dues = [setting.sizes.due, *filter(None, [setting.sizes.many_due])]
    for due, (side, opened) in product(dues, setting.stores.items()):
        say(f"{ticks} ticks of {due} due ({side}, {minutes})")
        with opened() as uri:
            delays = _delays(uri, due, ticks, setting.sizes.real_minutes)
        for name, value in (("p50", median(delays)), ("p99", quantiles(delays, n=100)[98])):
            rows.append(
                Row(
                    benchmark="punctual",
                    what=f"{ticks} ticks of {due} due, {name} of start after :01.000",
                    side=side,
                    values=[value * 1_000],
                    unit="ms",
                    target=Target(most=_most_ms(setting, side, due)) if name == "p99" else None,
                    more={"clock": minutes, "worst_ms": max(delays) * 1_000},
                )
            )
    return rows


def _most_ms(setting: Setting, side: str, due: int) -> float:
    if due > setting.sizes.due:
        return 150
    return 15 if "MongoDB" in side else 10


def _delays(uri: str, due: int, ticks: int, real_minutes: bool) -> list[float]:
    first = floor_minute(datetime.now(timezone.utc)) + LEAD
    stored.fill(uri, stored.every_minute(due, "punctual", since=first))
    staged: dict[str, Any] = {} if real_minutes else {"tick": first.isoformat(), "minute_seconds": SHORT_MINUTE_SECONDS}
    answer = daemons.work(
        uri,
        expected=due * ticks,
        limit_seconds=(ticks + 3) * 60.0,
        **staged,
    )
    delays: list[float] = answer["delays"][: due * ticks]
    return delays


def _on_demand(setting: Setting) -> list[Row]:
    rows = []
    for side, opened in setting.stores.items():
        say(f"{setting.sizes.asked} runs on demand ({side})")
        with opened() as uri:
            delays = _asked(uri, setting.sizes.asked)
        rows.append(
            Row(
                benchmark="punctual",
                what="on demand from another process, p50",
                side=side,
                values=[median(delays) * 1_000],
                unit="ms",
                target=Target(most=10) if "MongoDB" in side else None,
                more={"p99_ms": quantiles(delays, n=100)[98] * 1_000, "asked": len(delays)},
            )
        )
    return rows


def _asked(uri: str, count: int) -> Sequence[float]:
    stored.fill(uri, iter(()))
    daemon = daemons.Daemon(uri, expected=count)
    try:
        daemon.begin(steady())
        children.call("punctual:ask", uri=uri, count=count)
        delays: list[float] = daemon.answer()["delays"]
        return delays
    finally:
        daemon.kill()


def ask(uri: str, count: int) -> dict[str, Any]:
    """Ask for runs one by one, a while apart; each carries when that was, on the steady clock of all processes."""
    cron, chance = Cronlite(uri), random.Random(count)
    cron.now()  # connects
    for _ in range(count):
        time.sleep(chance.uniform(0.02, 0.06))  # out of step with whatever the daemon does at regular times
        cron.enqueue("asked", {"asked": steady()})
    return {"asked": count}
