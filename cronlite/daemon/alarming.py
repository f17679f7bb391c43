"""How does a process look after alarms, in a thread of its own that costs no tick and no run anything?"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TypeVar

from cronlite.alarms.channels import Channel
from cronlite.alarms.sending import Send, sender
from cronlite.daemon import observing
from cronlite.daemon.liveness import host_and_pid
from cronlite.daemon.observing import BAD, OUT_OF_REACH
from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.daemon.telling import Teller
from cronlite.daemon.watching import Watch
from cronlite.documents import alarms
from cronlite.documents.alarms import KEPT, WATCH, Alarm
from cronlite.documents.runs import Changes, Run
from cronlite.documents.schedules import Document, label
from cronlite.errors import InvalidInput, StoreError, StoreUnavailable, shown
from cronlite.logger import logger
from cronlite.store.contract import AlarmQuery, Store

log = logger("cronlite.alarms")
T = TypeVar("T")

ROUND_SECONDS = 10.0
FIRST_ROUND_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 20.0  # what was told is noted in the next round, while the lease of its teller lasts
WATCH_LEASE = timedelta(seconds=30)
CURSOR_KEPT = timedelta(minutes=1)
FAILING_SECONDS = 60.0
MOST_NOTED = 10_000
MOST_OUTPUT = 2_000
PRUNED_EVERY = timedelta(hours=1)
LOOKED_BACK = timedelta(days=1)


class Alarming:
    """Raises, clears and tells alarms for a store, beside whoever else does.

    `ended` and `set_aside` are called by threads that have better to do: they take a note, and nothing else. `senders`
    stand in the place of Apprise, by the names of channels.
    """

    def __init__(
        self,
        store: Store,
        clock: StoreClock,
        channels: Sequence[Channel] = (),
        late_after_seconds: float | None = None,
        senders: Mapping[str, Send] | None = None,
    ) -> None:
        """Raise ConfigurationError for a channel that cannot be used."""
        self._store, self._clock = store, clock
        self._me = secrets.token_hex(8)  # a daemon may be marked dead and change its name, and goes on telling
        known = senders or {}
        self._tellers = [
            Teller(channel, known.get(channel.name) or sender(channel), store, self._me) for channel in channels
        ]
        self._watch = Watch(store, late_after_seconds)
        self._ended: deque[Run] = deque(maxlen=MOST_NOTED)
        self._set_aside: deque[Callable[[datetime], Alarm]] = deque(maxlen=MOST_NOTED)
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failing: tuple[float, str] | None = None
        self._gone_since: datetime | None = None
        self._gone: Alarm | None = None
        self._cursor_at = self._pruned_at = datetime.min.replace(tzinfo=clock.now().tzinfo)

    # what others tell

    def ended(self, changes: Sequence[tuple[Run, Changes]], lost: set[str]) -> None:
        """Take a note of the runs whose end, which is in the store, is a bad one."""
        for run, change in changes:
            if change.get("state") in BAD and run.id not in lost:
                self._ended.append(_as_it_ended(run, change))

    def set_aside(self, document: Document, fault: InvalidInput) -> None:
        """Take a note of a schedule that cannot be read."""
        id_ = document.get("_id")
        if isinstance(id_, str) and id_.strip() == id_ and id_.isprintable() and 0 < len(id_) <= 300:
            problem = shown(str(fault), 200).strip("'\"")
            self._set_aside.append(lambda now: observing.of_document(id_, label(document), problem, now))

    def unreadable(self, subject: str) -> None:
        """Take a note of a text in a time field that cannot be read."""
        self._set_aside.append(lambda now: observing.of_text(subject, now))

    @property
    def trouble(self) -> str:
        """Say what keeps alarms from being raised, if that lasts; that the store is away is told elsewhere."""
        failing = self._failing
        if failing is None or steady() - failing[0] < FAILING_SECONDS:
            return ""
        return f"alarms are neither raised nor told: {failing[1]}"

    # the thread

    def keep_going(self) -> None:
        """Start the thread unless it is at work; where the system grants none, the next call tries again."""
        with self._starting:  # two threads would tell everything twice
            if self._stopping.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            thread = threading.Thread(target=self._main, name="cronlite-alarms", daemon=True)
            try:
                thread.start()
            except RuntimeError as none:
                log.debug("no thread for alarms: %s", none)
            else:
                self._thread = thread

    def stop(self) -> None:
        """End the thread after its round; nobody waits for that."""
        self._stopping.set()

    def _main(self) -> None:
        wait = FIRST_ROUND_SECONDS
        while not self._stopping.wait(wait):
            begun = steady()
            self.round(self._clock.now())
            # With thousands of alarms, or on a slow store, a round takes a twentieth of this process at most.
            wait = max(ROUND_SECONDS, min(20 * (steady() - begun), LONGEST_WAIT_SECONDS))

    def round(self, now: datetime) -> None:
        """Raise, clear and tell what there is; whatever goes wrong is told in `trouble`, and tried again next time."""
        failed: Exception | None = None
        listed = cache(lambda: self._store.alarms(AlarmQuery(cleared_since=now - LOOKED_BACK)))
        steps: list[Callable[[datetime], object]] = [self._look, self._store_is_back]
        steps += [partial(teller.round, listed=listed) for teller in self._tellers]
        for step in steps:
            try:
                step(now)
            except StoreUnavailable:
                self._store_is_gone(now)
                return
            except Exception as broken:  # noqa: BLE001 - a fault here must cost no more than a round
                failed = broken
        if failed is None:
            self._failing = None
        else:
            self._fails(failed)

    def _look(self, now: datetime) -> None:
        self._raise_noted(now)
        duty = self._store.claim_duty(WATCH, self._me, now, now + WATCH_LEASE)
        if duty is None:
            return
        since = duty.looked_at or now
        self._watch.look(now, since)
        if duty.looked_at is None or now - self._cursor_at >= CURSOR_KEPT:
            self._store.change_duty(duty, {"looked_at": now})
            self._cursor_at = now
        if now - self._pruned_at >= PRUNED_EVERY:
            self._store.prune_alarms(now - KEPT)
            self._pruned_at = now

    def _raise_noted(self, now: datetime) -> None:
        ended, aside = _taken(self._ended), _taken(self._set_aside)
        try:
            self._watch.ended(ended, now)
            self._watch.set_aside([make(now) for make in aside])
        except StoreError:
            self._ended.extendleft(reversed(ended))
            self._set_aside.extendleft(reversed(aside))
            raise

    def _fails(self, broken: Exception) -> None:
        kind = "" if isinstance(broken, StoreError) else f"{type(broken).__name__}: "
        problem = f"{kind}{shown(str(broken), 300)}"
        if self._failing is None:
            log.error(
                "a round of alarms failed: %s; trying again", problem, exc_info=not isinstance(broken, StoreError)
            )
        self._failing = (self._failing[0] if self._failing else steady(), problem)

    # a store that is out of reach: what cannot be stored is told by each process that notices

    def _store_is_gone(self, now: datetime) -> None:
        self._gone_since = self._gone_since or now
        if now - self._gone_since < OUT_OF_REACH:
            return
        if self._gone is None:
            host, pid = host_and_pid()
            title = f"the store {self._store.address} is out of reach of {host} (pid {pid})"
            more = "Nothing can be claimed, ticked or recorded while it is; minutes are made up for as catch_up has it."
            self._gone = alarms.new(alarms.STORE, "store", title, now=now, since_at=self._gone_since, detail=more)
        self._tell_of_store(self._gone, now)

    def _store_is_back(self, now: datetime) -> None:
        self._gone_since = None
        if (gone := self._gone) is None:
            return
        if gone.cleared_at is None:
            gone.cleared_at = now
        if self._tell_of_store(gone, now) or now - gone.cleared_at > OUT_OF_REACH:
            self._store.raise_alarms([gone])
            self._gone = None

    def _tell_of_store(self, gone: Alarm, now: datetime) -> bool:
        by_each = [teller.tell_directly(gone, now) for teller in self._tellers]
        return all(by_each)


def _as_it_ended(run: Run, change: Changes) -> Run:
    ended = {name: value for name, value in change.items() if name in _TOLD}
    # Thousands may wait for a store that is away: without what an alarm does not tell.
    output = (ended.pop("output", run.output) or "")[-MOST_OUTPUT:]
    return replace(run, params={}, result=None, output=output, **ended)


def _taken(noted: deque[T]) -> list[T]:
    return [noted.popleft() for _ in range(len(noted))]


_TOLD = {"state", "finished_at", "error", "output", "reason"}
