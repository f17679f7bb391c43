"""How are limits set, and what waits for them?"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from cronlite.client.actors import actor_of
from cronlite.client.opened import Opened
from cronlite.daemon.store_clock import steady
from cronlite.documents import limits, runs
from cronlite.documents.changes import Actor
from cronlite.documents.limits import Limit
from cronlite.documents.runs import Run
from cronlite.errors import NotFound, StoreError, shown
from cronlite.store.contract import Store

COUNTED = 100_000
"""How many waiting runs of one limit are counted."""
_ASKED_EVERY_SECONDS = 5.0
_MOST_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitInUse:
    """A limit with what counts under it: `at_work` runs are running, `waiting` ones are queued (counted to 100,000).

    `most` is None for a name that runs or schedules have and that is not set: it restricts nothing.
    """

    name: str
    most: int | None
    at_work: int
    waiting: int
    changed_at: datetime | None = None
    changed_by: str | None = None

    @property
    def is_reached(self) -> bool:
        """Tell whether no more runs may start under it."""
        return self.most is not None and self.at_work >= self.most


class Limits:
    """The limits of one store: how many runs that share a name may be at work at once, over all daemons and workers."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._lock = threading.Lock()
        self._asked_at: dict[str, float] = {}
        self._doubted: set[str] = set()

    def set(self, name: str, most: int, *, actor: Actor | str | None = None) -> Limit:
        """Let at most so many runs with this limit be at work at once, from the next claim on; 0 lets none start.

        Raised or lowered while runs are at work, it ends none of them: none starts until fewer than that are left.
        Raises InvalidInput.
        """
        limit = limits.new(name, most, self._opened.now(), actor_of(actor).name)
        self._opened.prepared_store.set_limit(limit)
        return limit

    def remove(self, name: str) -> None:
        """Delete a limit: its name restricts nothing any more. Raises NotFound."""
        if limits.check_name(name) or not self._opened.store.remove_limit(name):
            raise NotFound(f"no limit is called {shown(name)}; 'cronlite limits' lists them")

    def list(self) -> list[LimitInUse]:
        """List the limits by name, and the names that are not set but have queued runs."""
        return in_use(self._opened.store)

    def get(self, name: str) -> LimitInUse:
        """Fetch one limit with what counts under it. Raises NotFound."""
        named = [] if limits.check_name(name) else in_use(self._opened.store, [name])
        if not named or named[0].most is None:
            raise NotFound(f"no limit is called {shown(name)}; 'cronlite limits' lists them")
        return named[0]

    def doubt(self, name: str | None) -> str | None:
        """Say that a limit is not set, where it is not; None at a second time, and for a name that is no name."""
        if name is None or limits.check_name(name):
            return None
        with self._lock:
            if name in self._doubted or steady() - self._asked_at.get(name, float("-inf")) < _ASKED_EVERY_SECONDS:
                return None
            if len(self._asked_at) >= _MOST_REMEMBERED:
                self._asked_at.clear()
            self._asked_at[name] = steady()
        try:
            if self._opened.store.limits([name]):
                return None
        except StoreError:
            return None
        if len(self._doubted) < _MOST_REMEMBERED:
            self._doubted.add(name)
        return f"no limit is called {name!r}, so it restricts nothing; set it: cronlite limit {name} 3"


def in_use(store: Store, names: Collection[str] | None = None) -> list[LimitInUse]:
    """Look at the limits with these names, or at all that are set or have queued runs."""
    known = {limit.name: limit for limit in store.limits(names)}
    wanted = sorted({*known, *store.queued_limits()} if names is None else set(names))
    at_work = store.count_limited(wanted)
    return [
        LimitInUse(
            name=name,
            most=known[name].most if name in known else None,
            at_work=at_work.get(name, 0),
            waiting=store.count_waiting(name, COUNTED),
            changed_at=known[name].changed_at if name in known else None,
            changed_by=known[name].changed_by if name in known else None,
        )
        for name in wanted
    ]


def waits_for(store: Store, some: Collection[Run], now: datetime) -> dict[str, str]:
    """Say of those of some runs that wait for a limit which one it is, by the run's id."""
    waiting = [run for run in some if run.state == runs.QUEUED and run.limit and run.run_at and run.run_at <= now]
    names = {run.limit for run in waiting if run.limit}
    if not names:
        return {}
    most = {limit.name: limit.most for limit in store.limits(names)}
    at_work = store.count_limited(list(most))
    reached = {name for name, limit in most.items() if at_work.get(name, 0) >= limit}
    return {
        run.id: f"waits for limit {run.limit} ({at_work.get(run.limit, 0)} at work)"
        for run in waiting
        if run.limit in reached
    }
