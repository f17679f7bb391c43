"""A store, a clock that is cranked, and channels that keep what they are told, for tests of alarms."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cronlite.alarms.channels import read_channels
from cronlite.alarms.sending import ChannelFailed
from cronlite.daemon.alarming import Alarming
from cronlite.documents import runs
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import Run
from cronlite.documents.ticks import Tick
from cronlite.store.contract import AlarmQuery, Store
from cronlite.testing import Cranked
from tests.store.samples import NOW, a_run, a_schedule
from tests.waiting import wait_until

MINUTE = timedelta(minutes=1)


class Recipient:
    """A channel's other end: it takes messages, refuses them, or hangs, as told."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.refuses = ""
        self.hangs: threading.Event | None = None
        self.before: Callable[[], None] | None = None

    def __call__(self, title: str, body: str) -> None:
        if self.before:
            self.before()
        if self.hangs is not None:
            self.hangs.wait(60)
        if self.refuses:
            raise ChannelFailed(self.refuses)
        self.messages.append((title, body))

    @property
    def titles(self) -> list[str]:
        return [title for title, _ in self.messages]


class Night:
    """Some processes that look after alarms on one store, and one recipient."""

    def __init__(self, store: Store, count: int = 1, now: datetime = NOW, **settings: Any) -> None:
        self.store, self.clock = store, Cranked(now)
        self.recipient = Recipient()
        self.settings = {"to": "json://localhost", "name": "team", **settings}
        self.watchers = [self.watcher() for _ in range(count)]

    def watcher(self, late_after: float | None = None, recipient: Recipient | None = None) -> Alarming:
        """Make one more process."""
        senders = {"team": recipient or self.recipient}
        return Alarming(self.store, self.clock, read_channels([self.settings]), late_after, senders)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def pass_(self, step: float = 10, **time: float) -> None:
        """Let time pass in rounds of ten seconds."""
        until = self.now + timedelta(**time)
        while self.now < until:
            self.clock.to(min(until, self.now + timedelta(seconds=step)))
            self.round()

    def round(self) -> None:
        for one in list(self.watchers):
            one.round(self.now)
            wait_for_messages(one)

    def tick(self, at: datetime | None = None) -> None:
        """Let somebody do the minute."""
        minute = (at or self.now).replace(second=0, microsecond=0)
        self.store.claim_tick(Tick(minute=minute, daemon="d", claimed_at=minute, done_at=at or self.now))

    def schedule(self, id_: str = "nightly", **fields: Any) -> str:
        """Store a schedule under an id which is its name, too."""
        self.store.add_schedule({**a_schedule(name=id_, **fields), "_id": id_})
        return id_

    def fails(self, schedule: str | None = "nightly", state: str = runs.FAILED, **more: Any) -> Run:
        """Let a run of a schedule end badly, and whoever recorded that tell the first of the watchers."""
        run = self.ends(schedule, state, error={"type": "OSError", "message": "it is down", "traceback": ""}, **more)
        self.watchers[0].ended([(run, {"state": state})], set())
        return run

    def ends(self, schedule: str | None, state: str, **more: Any) -> Run:
        """Let a run end."""
        at = more.pop("at", self.now)
        run = a_run(
            f"{schedule}/{state}/{at:%H:%M:%S}", schedule=schedule, state=state, queued_at=at, due_at=at, started_at=at
        )
        run.finished_at = at
        for name, value in more.items():
            setattr(run, name, value)
        self.store.add_runs([run])
        return run

    def open(self) -> list[str]:
        """List the open alarms."""
        return sorted(alarm.id for alarm in self.store.alarms(AlarmQuery()))

    def daemon(self, id_: str = "d1", **more: Any) -> None:
        """Let a daemon be there, seen at this moment."""
        self.store.join(DaemonRecord(id=id_, host="h", pid=1, version="1", started_at=self.now, **more))


def wait_for_messages(one: Alarming) -> None:
    """Wait until no message is under way that does not hang."""
    for teller in one._tellers:
        message = teller._message
        if message is not None and getattr(teller._send, "hangs", None) is None:
            wait_until(message.ended.is_set, what="the message that is under way")
