"""What is going on in a store: who is alive, what was ticked, and what waits?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronlite.client.failing import Failing, failing
from cronlite.documents import runs
from cronlite.documents.alarms import Alarm, Duty
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.freezes import Freeze, in_force
from cronlite.documents.ticks import Tick
from cronlite.errors import StoreError, suggestion
from cronlite.handlers.shell import NAME as SHELL
from cronlite.store.contract import AlarmQuery, Store
from cronlite.when import clock

DAY = timedelta(days=1)
LAST_TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A store at an instant of its own clock.

    `ticks` are the newest entries of the ledger, newest first, `gaps` those of the last day. `queue` counts the runs at
    work by (state, handler); `unknown_handlers` are those of queued runs that no daemon alive can call; `failing` are
    the schedules whose last runs all failed; `paused` counts the schedules that are paused, and
    `freezes` are those in force.
    """

    address: str
    now: datetime
    next_wake: datetime | None
    alive: Sequence[DaemonRecord]
    dead: Sequence[DaemonRecord]
    ticks: Sequence[Tick]
    gaps: Sequence[Tick]
    queue: Mapping[tuple[str, str], int]
    unknown_handlers: Sequence[str]
    failing: Sequence[Failing]
    alarms: Sequence[Alarm] = ()
    failing_channels: Sequence[Duty] = ()
    paused: int = 0
    freezes: Sequence[Freeze] = ()

    @property
    def handlers(self) -> set[str]:
        """The handlers that some daemon alive can call."""
        return {name for daemon in self.alive for name in daemon.handlers}


def status(store: Store) -> Status:
    """Look at daemons, ledger and queue. Raises StoreError."""
    now = store.now()
    daemons = sorted(store.daemons(), key=lambda daemon: daemon.started_at, reverse=True)
    alive = [daemon for daemon in daemons if daemon.is_alive(now)]
    entries = sorted(store.ledger(now - DAY, now), key=lambda entry: entry.minute, reverse=True)
    queue = store.count_runs()
    known = {name for daemon in alive for name in daemon.handlers}
    return Status(
        address=store.address,
        now=now,
        next_wake=clock.next_wake(now) if any(daemon.is_ticking(now) for daemon in alive) else None,
        alive=alive,
        dead=[daemon for daemon in daemons if daemon not in alive],
        ticks=entries[:LAST_TICKS],
        gaps=[entry for entry in entries if entry.is_gap and entry.last > now - DAY],
        queue=queue,
        failing=_failing(store, now),
        alarms=_alarms(store),
        failing_channels=_channels(store),
        paused=store.count_paused(now)[0],
        freezes=list(in_force(store.freezes(now), now)),
        unknown_handlers=sorted({handler for state, handler in queue if state == runs.QUEUED} - known),
    )


def _alarms(store: Store) -> list[Alarm]:
    try:
        return [alarm for alarm in store.alarms(AlarmQuery()) if alarm.acked_at is None]
    except StoreError:  # a role from before there were alarms
        return []


def _channels(store: Store) -> list[Duty]:
    try:
        return [duty for duty in store.duties() if duty.failures and duty.id.startswith("channel:")]
    except StoreError:
        return []


def _failing(store: Store, now: datetime) -> list[Failing]:
    try:
        return failing(store, now)
    except StoreError:  # a store with too much to look through, which is no reason to tell nothing at all
        return []


def how_to_register(handler: str, seen: Status) -> str:
    """Say how a handler that no daemon alive has can be had."""
    if handler == SHELL:
        return "let a daemon run commands: cronlite run --allow-shell"
    hint = suggestion(handler, seen.handlers)
    start = "start a daemon whose -A module registers it"
    return f"{hint} or else {start}" if "did you mean" in hint else start
