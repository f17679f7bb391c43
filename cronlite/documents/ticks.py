"""Which minutes are left to do? What the tick ledger has not done, and the gaps in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from cronlite.documents.checks import instant
from cronlite.when.clock import MINUTE, floor_minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """An entry of the ledger: who does a minute (or a gap, from `from_at` to `to_at`), and whether it is done.

    `minute` is the entry's id. That of a gap lies half a minute after its first minute: a clock that ran ahead may be
    set back, and then that minute comes after all and needs an entry of its own.

    `due` counts the runs that were due, `frozen` those of them that a freeze held back, `skipped` those of a gap that
    catch_up left out.
    """

    minute: datetime
    daemon: str
    claimed_at: datetime
    from_at: datetime | None = None
    to_at: datetime | None = None
    due: int = 0
    skipped: int = 0
    frozen: int = 0
    done_at: datetime | None = None

    @property
    def first(self) -> datetime:
        """The first minute that the entry accounts for."""
        return self.from_at or self.minute

    @property
    def last(self) -> datetime:
        """The last minute that the entry accounts for."""
        return self.to_at or self.minute

    @property
    def is_gap(self) -> bool:
        """Tell whether it stands for minutes in which nobody ticked."""
        return self.from_at is not None


FIELDS = tuple(f.name for f in fields(Tick))
DONE = ("due", "skipped", "frozen", "done_at")
"""What is written when a tick is done."""


def read(document: Mapping[str, Any]) -> Tick | None:
    """Read a stored entry, whose minute is under `minute`; None where somebody edited it into nonsense."""
    stored = {name: document[name] for name in FIELDS if name in document}
    begin, end = stored.get("from_at"), stored.get("to_at")
    needed, optional = [stored.get("minute"), stored.get("claimed_at")], [begin, end, stored.get("done_at")]
    counts = [stored.get("due", 0), stored.get("skipped", 0), stored.get("frozen", 0)]
    if None in needed or any(map(instant, needed + optional)) or any(type(count) is not int for count in counts):
        return None
    if not isinstance(stored.get("daemon"), str) or (begin is None) != (end is None) or (begin and begin > end):
        return None
    return Tick(**stored)


def to_do(entries: Iterable[Tick], now: datetime, grace: timedelta, daemon: str) -> list[Tick]:
    """List what is left to do at `now`, in order: entries not done yet, and new ones for minutes without an entry.

    Minutes within the grace get an entry each, older ones one for each gap. An empty ledger has no gap, and
    entries in the future are ignored.
    """
    newest, oldest = floor_minute(now), oldest_in_grace(now, grace)
    known = sorted((entry for entry in entries if entry.last <= newest), key=lambda entry: entry.minute)
    undone = [entry for entry in known if entry.done_at is None]
    new = [
        Tick(minute=first, daemon=daemon, claimed_at=now)
        if first >= oldest
        else Tick(minute=first + MINUTE / 2, daemon=daemon, claimed_at=now, from_at=first, to_at=last)
        for hole in _holes(known, oldest, newest)
        for first, last in _split(*hole, oldest)
    ]
    return sorted(undone + new, key=lambda entry: entry.minute)


def oldest_in_grace(now: datetime, grace: timedelta) -> datetime:
    """Return the oldest minute that is still done as if it were in time: the first one after `now - grace`."""
    return floor_minute(now - grace) + MINUTE


def _holes(known: Sequence[Tick], oldest: datetime, newest: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the first and last minute of each stretch that no entry accounts for."""
    cursor = known[0].first if known else oldest
    for entry in known:
        if entry.first > cursor:
            yield cursor, entry.first - MINUTE
        cursor = max(cursor, entry.last + MINUTE)
    if cursor <= newest:
        yield cursor, newest


def _split(first: datetime, last: datetime, oldest: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Cut a stretch into the one part older than the grace and the single minutes within it."""
    if first < oldest:
        yield first, min(last, oldest - MINUTE)
        first = oldest
    while first <= last:
        yield first, first
        first += MINUTE
