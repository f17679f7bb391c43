"""How does a channel hear of alarms: once, whatever becomes of the daemon that tells it, and while nobody waits?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cronlite.alarms.channels import Channel, News, is_settled, news
from cronlite.alarms.messages import message
from cronlite.alarms.sending import ChannelFailed, Send
from cronlite.daemon.store_clock import steady
from cronlite.documents.alarms import Alarm, Duty, channel_duty
from cronlite.logger import logger
from cronlite.store.contract import Store

log = logger("cronlite.alarms")

SEND_SECONDS = 30.0
"""How long a message may take before its channel counts as failing."""
LEASE = timedelta(seconds=90)
RENEWED = timedelta(seconds=60)
"""What has to be left of the lease when a message is begun: its time, and that until the round which notes it."""
BETWEEN = timedelta(seconds=30)
"""The least time between two messages of a channel."""
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 15.0, 300.0
MOST_HANGING = 3


@dataclass(slots=True)
class _Message:
    """A message on its way, in a thread of its own."""

    news: Sequence[News]
    at: datetime
    begun: float
    ended: threading.Event = field(default_factory=threading.Event)
    problem: str = ""


class Teller:
    """Tells one channel. `round` never waits: what takes long is looked at in the next round.

    One daemon at a time has the duty to tell a channel, for 90 seconds, and renews it. It notes what it has told once
    the channel has taken it: where it dies in between, the next daemon tells that once more.
    """

    def __init__(self, channel: Channel, send: Send, store: Store, me: str) -> None:
        self.channel = channel
        self._send, self._store, self._me = send, store, me
        self._message: _Message | None = None
        self._hanging: list[_Message] = []
        self._not_before: datetime | None = None

    def round(self, now: datetime, listed: Callable[[], list[Alarm]]) -> None:
        """Look after the message that is under way, and begin another if there is something to tell.

        `listed` returns the alarms that are open, or were until a day ago.
        """
        self._settle(now)
        if self._message is not None or len(self._hanging) >= MOST_HANGING:
            return
        duty = self._duty(now)
        if duty is None or _rests(duty, now) or self.channel.is_quiet(now):
            return
        waiting = news(self.channel, listed(), now)
        if is_settled(waiting, now):
            self._begin(waiting, now)

    def tell_directly(self, alarm: Alarm, now: datetime) -> bool:
        """Tell of an alarm that cannot be stored; tell whether the channel has taken it."""
        message = self._message
        if message is not None and message.ended.is_set():
            self._message = None
            if not message.problem:
                for each in message.news:
                    alarm.told = {**alarm.told, self.channel.name: each.told(now)}
            self._not_before = now + timedelta(seconds=FIRST_BACKOFF_SECONDS)
        elif message is not None and steady() - message.begun > SEND_SECONDS:
            self._hanging, self._message = [*self._hanging, message], None
        waiting = news(self.channel, [alarm], now)
        may_tell = self._message is None and len(self._hanging) < MOST_HANGING and not self.channel.is_quiet(now)
        if waiting and may_tell and (self._not_before is None or now >= self._not_before):
            self._begin(waiting, now)
        return not waiting

    def _duty(self, now: datetime) -> Duty | None:
        me, id_ = self._me, channel_duty(self.channel.name)
        standing = next((duty for duty in self._store.duties() if duty.id == id_), None)
        if standing is not None and standing.until > now:
            if standing.daemon != me:
                return None
            if standing.until - now > RENEWED:
                return standing
        return self._store.claim_duty(id_, me, now, now + LEASE)

    def _begin(self, waiting: Sequence[News], now: datetime) -> None:
        title, body = message(self._store.address, waiting, now)
        begun = _Message(waiting, now, steady())

        def send() -> None:
            try:
                self._send(title, body)
            except ChannelFailed as failed:
                begun.problem = str(failed)
            except BaseException as broken:
                begun.problem = type(broken).__name__
                log.exception("a fault of cronlite itself in the channel %s", self.channel.name)
            finally:
                begun.ended.set()

        try:
            threading.Thread(target=send, name=f"cronlite-tell-{self.channel.name}", daemon=True).start()
        except RuntimeError:
            begun.problem = "the system grants no thread"
            begun.ended.set()
        self._message = begun

    def _settle(self, now: datetime) -> None:
        """Note what has been told, or that it could not be; raises StoreError, and then the next round does so."""
        for late in [sent for sent in self._hanging if sent.ended.is_set()]:
            if not late.problem:
                self._note(late)
            self._hanging.remove(late)
        if (under_way := self._message) is None:
            return
        if under_way.ended.is_set() and not under_way.problem:
            self._note(under_way)
        elif under_way.ended.is_set():
            self._note_failure(under_way.problem, now)
        elif steady() - under_way.begun > SEND_SECONDS:
            self._note_failure(f"no answer within {SEND_SECONDS:g} s", now)
            self._hanging.append(under_way)
        else:
            return
        self._message = None

    def _note(self, ended: _Message) -> None:
        for each in ended.news:
            self._store.note_told(each.alarm, {self.channel.name: each.told(ended.at)})
        duty = self._mine()
        if duty is not None:
            if duty.failures:
                log.warning("the channel %s takes messages again", self.channel.name)
            well = {"told_at": ended.at, "error": None, "failing_since": None, "failures": 0, "next_at": None}
            self._store.change_duty(duty, well)

    def _note_failure(self, problem: str, now: datetime) -> None:
        duty = self._mine()
        if duty is None:
            return
        if not duty.failures:
            log.error("the channel %s takes no alarms: %s; trying again", self.channel.name, problem)
        failures = duty.failures + 1
        wait = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 20), LONGEST_BACKOFF_SECONDS)
        since = duty.failing_since or now
        next_at = now + timedelta(seconds=wait)
        failing = {"error": problem, "failing_since": since, "failures": failures, "next_at": next_at}
        self._store.change_duty(duty, failing)

    def _mine(self) -> Duty | None:
        id_, me = channel_duty(self.channel.name), self._me
        return next((duty for duty in self._store.duties() if duty.id == id_ and duty.daemon == me), None)


def _rests(duty: Duty, now: datetime) -> bool:
    """Tell whether it is too early to tell something: the channel failed, or has just been told something."""
    failed = duty.next_at is not None and now < duty.next_at
    return failed or (duty.told_at is not None and now < duty.told_at + BETWEEN)
