"""What would a week of work look like? One that never was, but made by the real engine, on a clock that is cranked.

Ticks, claims, retries, skips and gaps are cronlite's own; only the handlers are made up, and what they take is the
clock's time. The same handlers then go on in real time, in which they sleep for as long.
"""

from __future__ import annotations

import io
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from cronlite.client.app import Cronlite
from cronlite.documents.changes import Actor
from cronlite.errors import GiveUp, RetryLater
from cronlite.handlers.registry import Registry, current_run
from cronlite.store.sqlite import SqliteStore
from cronlite.testing import Rehearsal

DAYS = 7
_DAY = timedelta(days=1)
Params = Mapping[str, Any]


def make(path: Path, now: datetime, days: int = DAYS, told: Callable[[int], object] = lambda _: None) -> None:
    """Write a file with so many days of history that end at `now`; `told` hears of each day that is done."""
    work = Work()
    begun = now - days * _DAY
    with Rehearsal(begun, registry=work.registry) as rehearsal:
        work.spend = partial(crank, rehearsal)
        store_schedules(rehearsal.cron)
        for day in range(1, days + 1):
            with _silence():
                _pass_a_day(rehearsal, begun + day * _DAY, left=days - day)
            told(day)
        store = rehearsal.cron.store
        assert isinstance(store, SqliteStore)
        store.copy(path)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what handlers print, and what the engine logs of them, from the terminal: runs have it."""
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def crank(rehearsal: Rehearsal, seconds: float) -> None:
    """Let a handler take its time on the clock of a rehearsal."""
    rehearsal.clock.to(rehearsal.now + timedelta(seconds=seconds))


def _pass_a_day(rehearsal: Rehearsal, end: datetime, left: int) -> None:
    """Let a day pass until an instant, with what people do in it; on the last but one, nobody ticks for two hours."""
    cron = rehearsal.cron
    for number in range(5):
        to = f"customer-{left}{number}@example.com"
        cron.enqueue("send_mail", {"to": to, "subject": "Your receipt"}, user="shop", retries=3)
    rehearsal.advance(hours=8, raising=False)
    if left == 3:
        cron.update("prices", minute="*/10", note="The exchange allows no more.", actor=Actor("carol", "web"))
    if left == 2:
        cron.pause("newsletter", reason="the mail provider moves", actor=Actor("bob", "cli"))
    if left == 1:
        rehearsal.outage(hours=2, minutes=25)
    rehearsal.advance(seconds=max(0.0, (end - rehearsal.now).total_seconds()), raising=False)


def store_schedules(cron: Cronlite) -> None:
    """Store some schedules as a small company might have them."""
    alice, carol = Actor("alice", "api"), Actor("carol", "cli")
    cron.schedule(
        "finance", {"dataset": "sales"}, cron="30 2 * * *", tz="Europe/Berlin", handler="export", name="nightly-export",
        tags=["nightly", "finance"], retries=2, timeout_seconds=1_800, catch_up="latest", actor=alice,
    )  # fmt: skip
    cron.schedule(
        "trading", {"exchange": "XETR"}, minute="*/5", handler="fetch_prices", name="prices", tags=["feeds"], retries=1,
        retry_delay_seconds=420, deadline_seconds=240, actor=carol,
    )  # fmt: skip
    cron.schedule("ops", {"target": "s3://backup/db"}, cron="15 1 * * *", handler="backup", name="backup",
                  tags=["nightly"], catch_up="latest", on_crash="abandon", actor=alice)  # fmt: skip
    cron.schedule("sales", {"rows": 40_000}, minute=5, hour="6-20", weekday="mon-fri", tz="America/New_York",
                  handler="report", name="hourly-report", tags=["reports"], actor=alice)  # fmt: skip
    cron.schedule("ops", {}, every="30m", handler="ping", name="heartbeat", tags=["watched"], actor=carol)
    cron.schedule("marketing", {"list": "everyone"}, cron="0 9 * * tue,thu", handler="send_mail", name="newsletter",
                  tz="Europe/Berlin", tags=["mail"], retries=3, actor=alice)  # fmt: skip
    cron.schedule("search", {"index": "products"}, cron="0 4 * * *", tz="Asia/Kolkata", handler="reindex",
                  name="reindex", retries=1, actor=carol)  # fmt: skip


class Work:
    """The handlers, and how they spend time: by default they sleep."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.spend: Callable[[float], None] = time.sleep
        for handler in (
            self.export,
            self.fetch_prices,
            self.backup,
            self.report,
            self.ping,
            self.send_mail,
            self.reindex,
        ):
            self.registry.add(handler.__name__, handler)

    def export(self, params: Params) -> dict[str, int]:
        """Take a while, and say how far it is."""
        chance, rows = _chance(), 0
        for part in range(1, 6):
            self.spend(chance.uniform(4, 11))
            rows += chance.randrange(8_000, 12_000)
            print(f"part {part} of 5: {rows:,} rows of {params['dataset']}")
        return {"rows": rows}

    def fetch_prices(self, params: Params) -> dict[str, int]:
        """Be quick, and fail at times, with a retry so late that the next run finds it at work."""
        chance = _chance()
        self.spend(chance.uniform(0.3, 2.5))
        if chance.random() < 0.06:
            raise ConnectionError(f"{params['exchange']} answered 503 Service Unavailable")
        print(f"200 OK from {params['exchange']}")
        return {"prices": chance.randrange(900, 1_100)}

    def backup(self, params: Params) -> dict[str, str]:
        """Go on as it does, until its disk is full: that is for somebody to put right."""
        chance = _chance()
        self.spend(chance.uniform(35, 50))
        if chance.random() < 0.2:
            raise GiveUp("no space left on the backup volume")
        print(f"written to {params['target']}")
        return {"size": f"{chance.uniform(11, 13):.1f} GB"}

    def report(self, params: Params) -> dict[str, int]:
        """Take longer from run to run: the p95 of its page shows it."""
        self.spend(_chance().lognormvariate(1.2, 0.5) * (1 + 0.05 * current_run().due_at.day))
        return {"rows": int(params["rows"])}

    def ping(self, params: Params) -> None:  # noqa: ARG002 - as handlers are called
        """Do next to nothing."""
        self.spend(0.05)

    def send_mail(self, params: Params) -> dict[str, bool]:
        """Be put off by a busy server now and then."""
        chance = _chance()
        self.spend(chance.uniform(0.2, 1.2))
        if chance.random() < 0.15:
            raise RetryLater(120)
        print(f"sent to {params.get('to') or params.get('list')}")
        return {"sent": True}

    def reindex(self, params: Params) -> dict[str, int]:
        """Fail, and succeed with its retry."""
        chance = _chance()
        self.spend(chance.uniform(5, 20))
        if current_run().attempt == 1 and chance.random() < 0.4:
            raise TimeoutError(f"the index {params['index']} was locked by another writer")
        return {"documents": chance.randrange(50_000, 60_000)}


def _chance() -> random.Random:
    """Return the chances of this attempt, the same each time that somebody looks."""
    run = current_run()
    return random.Random(f"{run.schedule and run.due_at} {run.user} {run.attempt} {run.due_at:%H%M%S}")
