"""What must a store do with runs: insert, claim, change, list and count them?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from cronlite.documents.runs import Changes, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs to list, newest first; None does not restrict."""

    schedule: str | None = None
    user: str | None = None
    handler: str | None = None
    states: Collection[str] | None = None
    daemon: str | None = None
    schedules: Collection[str] | None = None
    """Of any of these schedules."""
    retry_of: Collection[str] | None = None
    """Retries of any of these runs."""
    since: datetime | None = None
    """Queued at or after this instant."""
    until: datetime | None = None
    """Queued before this instant."""
    prefix: str | None = None
    """The first characters of the id."""
    limit: int | None = None
    skip: int = 0
    """Leave out so many of the first."""
    brief: bool = False
    """Without what may be large, which few lists show: output and earlier attempts."""


@dataclass(frozen=True, slots=True)
class ClaimQuery:
    """Which of the queued runs to claim, and how many; None does not restrict."""

    handlers: Collection[str]
    now: datetime
    limit: int
    _: KW_ONLY
    queues: Collection[str] | None = None
    ids: Collection[str] | None = None
    limited: bool = False
    """Only those that have a limit, which no broker brings."""
    users: Sequence[str] = ()
    """As many runs of each of these come first, in turns, the oldest of each; the rest of the limit is for the oldest
    of all.
    """
    count: Callable[[Sequence[Run]], int] = len
    """Is shown what comes next, in order, and says how many of it, from the first on, to claim; at the first that it
    leaves out, the claim ends.
    """


class Backlog(NamedTuple):
    """How many runs are queued in a queue, and the earliest `run_at` among them."""

    runs: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class UnsentQuery:
    """Which of the queued runs to send to a broker, and how many; None does not restrict."""

    now: datetime
    limit: int
    _: KW_ONLY
    sent_before: datetime | None = None
    """Those that were sent before this instant, the longest ago first, instead of those that never were."""
    queues: Collection[str] | None = None


class Runs(Protocol):
    """Runs, from the queue to their end."""

    def add_runs(self, runs: Sequence[Run]) -> set[str]:
        """Insert runs; return the ids that were refused because the id, the key of a queued run, or the lane of a
        running one is taken.
        """

    def at_work(self, lanes: Collection[str]) -> list[Run]:
        """List, for each of these lanes where runs are queued or running, the one of them that was due last."""

    def claim_runs(self, daemon: str, query: ClaimQuery) -> list[Run]:
        """Claim queued runs with `run_at <= now`, in the order of `limits.effective`: of one priority, the oldest
        `run_at` first.

        A claim sets state, daemon, started_at and attempt, and releases the key. A run whose lane has a running run
        loses its claim and waits (`run_at` None, `sent_at` None) until `release_lanes`. One that has a limit takes a
        slot of it, and is left in the queue where none is free.
        """

    def queued_users(self, after: str | None, limit: int) -> list[str]:
        """Name up to so many users who have queued runs, in alphabetical order, the first one behind `after`."""

    def count_queued(self, user: str, limit: int) -> int:
        """Count a user's queued runs, no further than `limit`."""

    def unsent_runs(self, query: UnsentQuery) -> list[Run]:
        """List queued runs without a limit with `run_at <= now` that no broker has, the oldest `run_at` first."""

    def late_runs(self, now: datetime, limit: int) -> list[Run]:
        """List runs with `late_at <= now` that are queued and were never claimed, the longest late first, and the
        running ones: whether those have begun, the caller finds out.
        """

    def change_runs(self, changes: Sequence[tuple[Run, Changes]]) -> set[str]:
        """Set fields (None removes one) of runs that are still in the state, with the daemon and the attempt that
        the given run has; return the ids of those that were not. A change whose earlier write landed without an
        answer counts as made.
        """

    def watch_output(self, id: str, until: datetime) -> bool:
        """Note on a running run that somebody follows its output, at least until an instant; tell whether it runs."""

    def watched(self, ids: Collection[str], now: datetime) -> set[str]:
        """Name those of these runs whose output somebody follows."""

    def abandon_unreadable(self, daemon: str, now: datetime) -> int:
        """Close the running runs of a daemon, and of nobody, that were edited into nonsense; return how many."""

    def release_lanes(self, now: datetime, lanes: Collection[str] | None = None) -> int:
        """Let the oldest waiting run go of each of these lanes at which nothing else is at work; return how many.

        Of all lanes (None) it looks at 3,000, however many wait, and the next call goes on from there.
        """

    def run(self, id: str) -> Run | None:
        """Fetch one by its id. Raises InvalidInput for one that was edited into nonsense."""

    def runs(self, query: RunQuery) -> Iterator[Run]:
        """Stream runs, the last queued first; those edited into nonsense are left out."""

    def count_listed(self, query: RunQuery) -> int:
        """Count the runs that fit a query, up to its `limit`."""

    def last_runs(self, schedules: Collection[str]) -> dict[str, Run]:
        """Fetch the run of each of these schedules that was queued last, by the schedule's id."""

    def run_with_key(self, key: str) -> Run | None:
        """Fetch the queued run that holds a key."""

    def count_runs(self) -> dict[tuple[str, str], int]:
        """Count the runs at work by (state, handler)."""

    def count_queues(self) -> dict[str, int]:
        """Count the queued runs by the queue that they are in. Reads all of them."""

    def backlog(self) -> dict[str, Backlog]:
        """Do the same, and say since when the longest waits of those that may start. Reads all of them."""

    def next_run_at(self, handlers: Collection[str]) -> datetime | None:
        """Say when the earliest queued run of these handlers may start."""

    def owners(self) -> set[str]:
        """Name the daemons that own running runs or ticks not done."""

    def prune_runs(self, now: datetime) -> int:
        """Delete runs whose `expires_at` has come, where the store does not do so by itself; return how many."""
