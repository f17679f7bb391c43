"""In which stretches of time are schedules not run, and how does one begin or end?"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from cronlite.client.actors import actor_of
from cronlite.client.arguments import coming, text
from cronlite.client.opened import Opened
from cronlite.daemon.holds import hold_queued
from cronlite.documents import freezes
from cronlite.documents.changes import Actor
from cronlite.documents.freezes import Freeze, Then
from cronlite.errors import Conflict, Fault, InvalidInput, NotFound, shown

SOON = timedelta(seconds=1)


class Freezes:
    """The freezes of a store: what comes due in one is recorded as skipped, and not run."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def add(
        self,
        *,
        tag: str | None = None,
        user: str | None = None,
        handler: str | None = None,
        queue: str | None = None,
        everything: bool = False,
        start: datetime | timedelta | None = None,
        until: datetime | timedelta | None = None,
        reason: str = "",
        then: Then = "skip",
        hold: bool = False,
        dry_run: bool = False,
        actor: Actor | str | None = None,
    ) -> Freeze:
        """Freeze the schedules that have all of what is named, or `everything`, and return the freeze.

        From `start` (now) on and before `until` (until it is thawed), aware instants or timedeltas from now, they are
        not run: each time is recorded as skipped. With `then` "run", each of them is run once when it ends, for the
        last time that was held back. Runs at work go on, and queued ones start, unless `hold` lets these wait as well.
        Daemons hear of a hold within a second. With `dry_run` nothing is stored. Raises InvalidInput.
        """
        if everything is any(pick is not None for pick in (tag, user, handler, queue)):
            problem = "goes with no other choice" if everything else "is missing, and nothing else is named"
            remedy = "name a tag, user, handler or queue, or else say everything=True"
            raise InvalidInput(Fault("everything", everything, problem, remedy))
        now = self._opened.now()
        by = actor_of(actor)
        freeze = Freeze(
            id=secrets.token_hex(5),
            from_at=now if start is None else coming(now - SOON, start, "start"),
            until_at=None if until is None else coming(now, until, "until"),
            reason=reason,
            afterwards=then,
            hold=hold,
            actor=by.name,
            way=by.way,
            created_at=now,
            tag=tag,
            user=user,
            handler=handler,
            queue=queue,
        )
        if not dry_run:
            store = self._opened.prepared_store
            store.add_freeze(freeze)
            if freeze.hold and freeze.covers(self._opened.now()):
                hold_queued(store, freeze, self._opened.now())
        return freeze

    def list(self, *, ended: bool = False) -> Collection[Freeze]:
        """List the freezes in force and to come, the one that begins last first; also those of late that `ended`."""
        known = self._opened.store.freezes()
        return [freeze for freeze in known if ended or not freeze.has_ended(self._opened.now())]

    def in_force(self, now: datetime | None = None) -> Collection[Freeze]:
        """List the freezes that an instant is in (default: now)."""
        at = self._opened.now() if now is None else now
        return list(freezes.in_force(self._opened.store.freezes(at), at))

    def get(self, id: str) -> Freeze:
        """Fetch one by its id. Raises NotFound."""
        for freeze in self._opened.store.freezes():
            if freeze.id == text(id, "id"):
                return freeze
        raise NotFound(f"no freeze has the id {shown(id)}; 'cronlite freezes' lists them")

    def thaw(self, id: str, *, actor: Actor | str | None = None) -> Freeze:
        """End a freeze now, and return it; one that has not begun never does.

        What it is to make up for is run at the next minute. Raises NotFound, and Conflict where it has ended.
        """
        by = actor_of(actor)
        while True:
            freeze, now = self.get(id), self._opened.now()
            if freeze.has_ended(now):
                raise Conflict(f"freeze {freeze.id} has ended already")
            thawed = replace(freeze, until_at=max(now, freeze.from_at), thawed_by=by.name)
            if freeze.from_at > now:
                thawed = replace(thawed, done_at=now, expires_at=now + freezes.KEPT)
            changed = ("until_at", "thawed_by", "done_at", "expires_at")
            if self._opened.store.change_freeze(freeze, {name: getattr(thawed, name) for name in changed}):
                break
        if freeze.hold:
            self._opened.store.release_held(freeze.id, now)
        return thawed
