"""What does an application ask of alarms: which there are, that somebody looks after one, and that they are told?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cronlite.client.actors import actor_of
from cronlite.client.arguments import text
from cronlite.client.opened import Opened
from cronlite.daemon.store_clock import StoreClock
from cronlite.documents.alarms import KEPT, Alarm, Duty
from cronlite.documents.changes import Actor
from cronlite.errors import Conflict, NotFound, StoreError, shown
from cronlite.store.contract import AlarmQuery

if TYPE_CHECKING:
    from cronlite.alarms.channels import Channel
    from cronlite.daemon.alarming import Alarming

CHANNEL = "channel:"


class Alarms:
    """The alarms of a store. They are raised, cleared and told by daemons, workers and sites."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def list(self, *, cleared: bool = False, limit: int = 1_000) -> Sequence[Alarm]:
        """List the open alarms, the last raised first, and with `cleared` those that are over as well."""
        since = self._opened.now() - KEPT - timedelta(days=1) if cleared else None
        return self._opened.store.alarms(AlarmQuery(cleared_since=since, limit=limit))

    def get(self, id: str) -> Alarm:
        """Fetch one by its id, such as "failed:nightly". Raises NotFound."""
        alarm = self._opened.store.alarm(text(id, "id"))
        if alarm is None:
            raise NotFound(f"no alarm has the id {shown(id)}; 'cronlite alarms --all' lists them")
        return alarm

    def ack(self, id: str, *, actor: Actor | str | None = None) -> Alarm:
        """Let an open alarm stay quiet from now on, because somebody looks after it. Raises NotFound and Conflict.

        Once it is over, the next one with the same reason is told again.
        """
        alarm, who = self.get(id), actor_of(actor)
        changes = {"acked_at": self._opened.now(), "acked_by": who.name}
        if not alarm.is_open or not self._opened.store.change_alarm(alarm, changes):
            raise Conflict(f"alarm {shown(id)} is over already")
        return self.get(id)

    def channels(self) -> Sequence[Duty]:
        """List the channels that told something in the last month, each with its name as id, and how it fares."""
        duties = [duty for duty in self._opened.store.duties() if duty.id.startswith(CHANNEL)]
        for duty in duties:
            duty.id = duty.id.removeprefix(CHANNEL)
        return duties

    def watching(self, channels: Sequence[Channel] = (), late_after_seconds: float | None = None) -> Alarming:
        """Return what looks after alarms in this process, too, which runs no daemon: a site, say.

        Its `keep_going()` starts a thread, `stop()` ends it.
        """
        from cronlite.daemon.alarming import Alarming

        return Alarming(self._opened.store, _Asked(self._opened), channels, late_after_seconds)


class _Asked(StoreClock):
    """The store's clock for a process that writes no beat, which would bring it: it is asked for now and then."""

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self._opened = opened

    def now(self) -> datetime:
        """Return the store's time; while the store is away, carry on from its last answer."""
        with suppress(StoreError):
            self.set(self._opened.now())
        return super().now()
