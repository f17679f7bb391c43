"""What must a store do? One contract, kept by MongoDB and by SQLite.

Documents cross this seam in one form on every store: ids are strings (an ObjectId as its 24 digits), instants aware
UTC datetimes of whole milliseconds. What a store cannot turn into that form, it hands over as it is, for the reader
to refuse.

Every method raises StoreUnavailable when the store cannot be reached within its time limit, and StoreError when it
refuses. Whatever loses a race answers so; nothing here raises because somebody else was faster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Any, Protocol

from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import Changes, Run
from cronlite.documents.schedules import Document
from cronlite.documents.ticks import Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One alternative of the due query: some zones that read alike, and the stored values that match in each field.

    A field that is absent is not restricted, and zones are not where they are None.
    """

    zones: Sequence[str | None] | None
    either_day: bool
    values: Mapping[str, Sequence[Any]]


MAX_TEXTS = 120_000
"""How many texts of one field a store lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncommon:
    """Another alternative of the due query, for the texts of one field that are too many to be repeated in each clause.

    It is for schedules whose `field` is one of the texts, or sorts after `after`, and that fit any of the clauses.
    """

    field: str
    texts: Sequence[str] = ()
    after: str | None = None
    clauses: Sequence[Clause]


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
    since: datetime | None = None
    """Queued at or after this instant."""
    until: datetime | None = None
    """Queued before this instant."""
    prefix: str | None = None
    """The first characters of the id."""
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleQuery:
    """Which schedules to list, by id; None does not restrict."""

    name: str | None = None
    prefix: str | None = None
    """The first characters of the id."""
    user: str | None = None
    handler: str | None = None
    tag: str | None = None
    limit: int | None = None
    by_name: bool = False
    """Those that have a name first, by that."""


@dataclass(frozen=True, slots=True)
class ClaimQuery:
    """Which of the queued runs to claim, and how many; None does not restrict."""

    handlers: Collection[str]
    now: datetime
    limit: int
    _: KW_ONLY
    queues: Collection[str] | None = None
    ids: Collection[str] | None = None
    users: Sequence[str] = ()
    """As many runs of each of these come first, in turns, the oldest of each; the rest of the limit is for the oldest
    of all.
    """
    count: Callable[[Sequence[Run]], int] = len
    """Is shown what comes next, in order, and says how many of it, from the first on, to claim; at the first that it
    leaves out, the claim ends.
    """


@dataclass(frozen=True, slots=True)
class UnsentQuery:
    """Which of the queued runs to send to a broker, and how many; None does not restrict."""

    now: datetime
    limit: int
    _: KW_ONLY
    sent_before: datetime | None = None
    """Those that were sent before this instant, the longest ago first, instead of those that never were."""
    queues: Collection[str] | None = None


class Store(Protocol):
    """Where schedules, runs, ticks and daemons are kept. Safe to share between threads."""

    @property
    def address(self) -> str:
        """The store's URI without its password."""

    def prepare(self) -> list[str]:
        """Make the tables and indexes that are missing; say in sentences what could not be made, and the remedy."""

    def damage(self) -> list[str]:
        """Read everything where the store is a file; say what is damaged, if anything is."""

    def close(self) -> None:
        """Give back connections. The store is not used again."""

    def now(self) -> datetime:
        """Ask the store's clock."""

    # schedules

    def add_schedule(self, document: Document) -> None:
        """Insert a schedule. Raises Conflict when its `_id` or `name` is taken."""

    def change_schedule(self, id: str, changes: Changes, unchanged_since: datetime | None) -> bool:
        """Set fields (None removes one) if `updated_at` still is `unchanged_since`; tell whether it was.

        Raises Conflict when the new name is taken.
        """

    def remove_schedule(self, id: str) -> bool:
        """Delete a schedule; tell whether it was there."""

    def schedule(self, id: str) -> Document | None:
        """Fetch one by its id."""

    def schedules(self, query: ScheduleQuery) -> Iterator[Document]:
        """Stream documents, foreign and broken ones among them."""

    def expressions(self) -> dict[str, list[Any]]:
        """List the distinct texts in `tz`, `every` and each of the five time fields of schedules that are not paused.

        They are in order, at most MAX_TEXTS, and none of more than 256 characters need be among them. Some texts of
        paused schedules, and some values that are no texts, may be.
        """

    def candidates(self, clauses: Sequence[Clause], uncommon: Sequence[Uncommon] = ()) -> Iterator[Document]:
        """Stream the enabled schedules that fit any of these, each once: perhaps too many, never too few."""

    # the tick ledger

    def ledger(self, since: datetime, until: datetime) -> list[Tick]:
        """Read the entries of minutes from `since` to `until`, and the newest one before.

        Those edited into nonsense are left out, here and among the daemons.
        """

    def claim_tick(self, tick: Tick) -> Tick:
        """Insert an entry unless its minute has one that can be read; return the one that stands."""

    def take_over_tick(self, tick: Tick, daemon: str) -> bool:
        """Make `daemon` the owner of an entry, if `tick.daemon` still owns it and it is not done."""

    def finish_tick(self, tick: Tick) -> bool:
        """Store `due`, `skipped` and `done_at`, if `tick.daemon` still owns the entry."""

    def prune_ticks(self, before: datetime) -> int:
        """Delete the entries older than `before`, done or not, but never the newest of them; return how many."""

    # runs

    def add_runs(self, runs: Sequence[Run]) -> set[str]:
        """Insert runs; return the ids that were refused because the id, the key of a queued run, or the lane of a
        running one is taken.
        """

    def at_work(self, lanes: Collection[str]) -> list[Run]:
        """List, for each of these lanes where runs are queued or running, the one of them that was due last."""

    def claim_runs(self, daemon: str, query: ClaimQuery) -> list[Run]:
        """Claim queued runs with `run_at <= now`, the oldest `run_at` first.

        A claim sets state, daemon, started_at and attempt, and releases the key. A run whose lane has a running run
        loses its claim and waits (`run_at` None, `sent_at` None) until `release_lanes`.
        """

    def queued_users(self, after: str | None, limit: int) -> list[str]:
        """Name up to so many users who have queued runs, in alphabetical order, the first one behind `after`."""

    def count_queued(self, user: str, limit: int) -> int:
        """Count a user's queued runs, no further than `limit`."""

    def count_schedules(self, user: str, limit: int) -> int:
        """Count a user's schedules, no further than `limit`."""

    def unsent_runs(self, query: UnsentQuery) -> list[Run]:
        """List queued runs with `run_at <= now` that no broker has, the oldest `run_at` first."""

    def change_runs(self, changes: Sequence[tuple[Run, Changes]]) -> set[str]:
        """Set fields (None removes one) of runs that are still in the state, with the daemon and the attempt that
        the given run has; return the ids of those that were not. A change whose earlier write landed without an
        answer counts as made.
        """

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

    def next_run_at(self, handlers: Collection[str]) -> datetime | None:
        """Say when the earliest queued run of these handlers may start."""

    def owners(self) -> set[str]:
        """Name the daemons that own running runs or ticks not done."""

    def prune_runs(self, now: datetime) -> int:
        """Delete runs whose `expires_at` has come, where the store does not do so by itself; return how many."""

    # daemons

    def join(self, daemon: DaemonRecord) -> datetime:
        """Add a daemon; return the store's time."""

    def beat(
        self, id: str, *, running: int, stuck: int, trouble: str = "", ticked_at: datetime | None = None
    ) -> datetime | None:
        """Count the daemon's beat up, and store how it is; return the store's time, or None if it is marked dead or
        gone.
        """

    def leave(self, id: str) -> None:
        """Delete a daemon that stops in good order."""

    def daemons(self) -> list[DaemonRecord]:
        """List all of them, the dead ones too."""

    def mark_dead(self, id: str, beat: int) -> bool:
        """Mark a daemon dead if its beat still is the one that was seen; tell whether it was."""

    def prune_daemons(self, before: datetime) -> int:
        """Delete daemons that were marked dead before an instant; return how many."""

    # waking

    def watch(self, seconds: float) -> bool:
        """Wait up to `seconds` for a run that somebody queued; tell whether the store can tell at all.

        A store that cannot returns False at once.
        """
