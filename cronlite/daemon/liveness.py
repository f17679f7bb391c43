"""Who is alive: this daemon by its beat and its lease, the others by their beats?"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timezone

from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.documents.daemons import SILENCE_SECONDS, DaemonRecord
from cronlite.logger import logger
from cronlite.metrics.figures import NOBODY, Figures
from cronlite.store.contract import Store

log = logger("cronlite.daemon")

BEATS_PER_SILENCE = 6
# A lease ends before anybody can have watched its last beat for the whole silence.
LEASE_PER_SILENCE = 5 / 6
SKEW_SECONDS = 1.0


@dataclass(slots=True)
class Membership:
    """This daemon among the others on a store: its name, its beat, its lease.

    `on_death` is called when it finds itself marked dead, before it goes on under a new name.
    """

    store: Store
    clock: StoreClock
    describe: Callable[[str], DaemonRecord]
    on_death: Callable[[], None]
    silence_seconds: float = SILENCE_SECONDS
    figures: Figures = NOBODY
    id: str = ""
    _beaten: float = field(default=float("-inf"))
    _skewed: bool = False

    def join(self) -> None:
        """Enter the store's list under a fresh name."""
        name, sent = secrets.token_hex(8), steady()
        answered = self.store.join(self.describe(name))
        self.id = name  # before the lease, which does not cover what was claimed under the name before
        self._renewed(sent, answered)

    def beat(self, *, running: int, stuck: int, trouble: str = "", ticked_at: datetime | None = None) -> None:
        """Show that this daemon lives; if it was marked dead meanwhile, go on under a new name."""
        sent = steady()
        answered = self.store.beat(self.id, running=running, stuck=stuck, trouble=trouble, ticked_at=ticked_at)
        if answered is not None:
            self._renewed(sent, answered)
            return
        log.error("daemon %s was marked dead (stopped, suspended or cut off?): what it had claimed is lost", self.id)
        self._beaten = float("-inf")
        self.figures.lease_lost()
        self.on_death()
        self.join()
        log.warning("going on as daemon %s", self.id)

    def holds_lease(self) -> bool:
        """Tell whether nobody can have taken this daemon for dead yet."""
        return steady() - self._beaten < self.silence_seconds * LEASE_PER_SILENCE

    def leave(self) -> None:
        """Be struck off the list."""
        self.store.leave(self.id)

    def _renewed(self, sent: float, answered: datetime) -> None:
        self._beaten = sent
        self.clock.set(answered)
        off = (datetime.now(timezone.utc) - answered).total_seconds()
        skewed = abs(off) > SKEW_SECONDS + (steady() - sent)
        if skewed and not self._skewed:
            how = "ahead of" if off > 0 else "behind"
            log.warning(
                "this host's clock is %.1f s %s the store's, which counts; mend its time service", abs(off), how
            )
        self._skewed = skewed


@dataclass(slots=True)
class Peers:
    """The other daemons, watched through their beats on this host's own steady clock."""

    store: Store
    silence_seconds: float = SILENCE_SECONDS
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    _observed: float = float("-inf")
    dead: set[str] = field(default_factory=set)

    def observe(self, me: str, owners: Collection[str]) -> set[str]:
        """Look at everybody's beat; return the owners of unfinished work that are dead, to be taken over from.

        A daemon is dead when its beat stood still for the whole silence while this observer kept looking, or when it
        owns work, is on no list, and that has lasted as long. The silence is its own or this observer's, whichever is
        longer: its lease goes by its own. The observer that marks it goes first; for another, the death counts from its
        next look on.
        """
        now = steady()
        if now - self._observed > self.silence_seconds / 2:
            self._seen.clear()  # this observer was away itself, and cannot tell who stood still
        self._observed = now
        records = {record.id: record for record in self.store.daemons()}
        beats = {name: record.beat for name, record in records.items() if record.dead_at is None}
        beats |= {name: -1 for name in owners if name not in records}
        beats.pop(me, None)
        self._seen = {name: self._since(name, beat, now) for name, beat in beats.items()}
        known = self.dead
        marked_before = {name for name, record in records.items() if record.dead_at is not None and name != me}
        found_dead = set()
        for name, (beat, since) in self._seen.items():
            silence = max(self.silence_seconds, records[name].silence if name in records else 0)
            if now - since >= silence and (beat < 0 or self.store.mark_dead(name, beat)):
                found_dead.add(name)
                if name not in known:
                    who = _in_words(records.get(name), name)
                    log.warning("daemon %s is dead: its beat stood still for %.0f s", who, now - since)
        self.dead = marked_before | found_dead
        return (marked_before & known | found_dead).intersection(owners)

    def is_dead(self, name: str) -> bool:
        """Tell whether a daemon was seen to be dead."""
        return name in self.dead

    def _since(self, name: str, beat: int, now: float) -> tuple[int, float]:
        before = self._seen.get(name)
        return before if before and before[0] == beat else (beat, now)


def host_and_pid() -> tuple[str, int]:
    """Name this process for people; two containers may well share both."""
    return socket.gethostname(), os.getpid()


def _in_words(record: DaemonRecord | None, name: str) -> str:
    return f"{name} ({record.host}, pid {record.pid})" if record else f"{name} (on no list)"
