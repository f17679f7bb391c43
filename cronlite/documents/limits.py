"""What is a limit, and in which order do runs that have one, or a priority, come out of the queue?

A run stores its `lot`: its priority and the name of its limit in one text, nothing for the ordinary. So a claim reads
one lot after the other by an index, each in the order of time, and none whose limit is reached.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from cronlite.documents import checks
from cronlite.documents.checks import Complaint
from cronlite.errors import Fault, InvalidInput

DEFAULT_PRIORITY: Final = 5
STEP = timedelta(minutes=1)
"""How much longer a run seems to have waited for each step of its priority."""
LARGEST = 10_000
_NAME = re.compile(r"[A-Za-z0-9_][\w.:-]{0,99}\Z", re.ASCII)

PLAIN_LOTS: Final = (None, *(f"{priority}:" for priority in range(10) if priority != DEFAULT_PRIORITY))
"""The lots of the runs that have no limit."""

Slot = int | str
"""The place that a running run has under its limit: a number below it, or the run's own id where it is not set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many runs that name it may be at work at once, over all daemons and workers: at most `most`."""

    name: str
    most: int
    changed_at: datetime | None = None
    changed_by: str | None = None


def new(name: object, most: object, now: datetime, by: str | None = None) -> Limit:
    """Make a limit. Raises InvalidInput."""
    checked = {"name": (name, check_name), "most": (most, _MOST)}
    faults = [
        Fault(field, value, *complaint) for field, (value, check) in checked.items() if (complaint := check(value))
    ]
    if faults:
        raise InvalidInput(*faults)
    return Limit(name=str(name), most=int(str(most)), changed_at=now, changed_by=by)


def read(document: Mapping[str, Any]) -> Limit | None:
    """Read a stored limit; None where somebody edited it into nonsense."""
    name, most, changed_at = document.get("_id"), document.get("most"), document.get("changed_at")
    if check_name(name) or _MOST(most) or checks.instant(changed_at):
        return None
    by = document.get("changed_by")
    return Limit(name=str(name), most=most or 0, changed_at=changed_at, changed_by=by if isinstance(by, str) else None)


def document(limit: Limit) -> dict[str, Any]:
    """Return the document to store."""
    fields = {"most": limit.most, "changed_at": limit.changed_at, "changed_by": limit.changed_by}
    return {"_id": limit.name} | {name: value for name, value in fields.items() if value is not None}


def check_name(value: object) -> Complaint:
    """Check for a name that a limit can have."""
    if isinstance(value, str) and _NAME.match(value):
        return None
    return "is no name of a limit", "give letters, digits, . _ : and -, not beginning with . : or -, at most 100"


def check_name_or_none(value: object) -> Complaint:
    """Check for the name of a limit, or none."""
    return None if value is None else check_name(value)


check_priority = checks.number(0, 9, whole=True)
_MOST = checks.number(0, LARGEST, whole=True)


def lot(priority: int, limit: str | None) -> str | None:
    """Return the lot of a run; nothing for one of the default priority without a limit."""
    return None if priority == DEFAULT_PRIORITY and limit is None else f"{priority}:{limit or ''}"


def lots(limit: str) -> list[str]:
    """List the lots in which the runs of a limit are, by their priorities."""
    return [f"{priority}:{limit}" for priority in range(10)]


def limit_of(lot: str | None) -> str | None:
    """Return the name of the limit that the runs of a lot have."""
    return (lot or "").partition(":")[2] or None


def effective(run_at: float, lot: str | None) -> float:
    """Return the instant by which a run comes out of the queue, both in milliseconds: `run_at`, a minute earlier for
    each step of priority above the default, and a minute later for each below.

    It stays what it is while the run waits, so whatever is queued long enough after it comes behind it: none starves.
    """
    digit = (lot or "")[:1]
    return run_at - _STEP * (int(digit) - DEFAULT_PRIORITY) if digit in _DIGITS else run_at


_STEP = STEP // timedelta(milliseconds=1)
_DIGITS = frozenset("0123456789")


def free_slots(most: int, taken: Collection[object]) -> list[int]:
    """List the slots below a limit that may be given out, while some are taken.

    After a limit was lowered, runs may hold slots above it; as many slots below it stay free until those have ended.
    All daemons choose from the first slot on: those that look at the same time want the same slot, and the store
    refuses it to all but one.
    """
    below = {slot for slot in taken if type(slot) is int and 0 <= slot < most}
    free = (slot for slot in range(most) if slot not in below)
    return list(islice(free, max(0, most - len(taken))))


class Slots:
    """The slots that one claim can give out, each once.

    `load` looks up the free slots under some names; it leaves out the names for which no limit is set.
    """

    def __init__(self, load: Callable[[Collection[str]], Mapping[str, list[int]]]) -> None:
        self._load = load
        self._free: dict[str, list[int] | None] = {}

    def look_up(self, names: Collection[str]) -> None:
        """Look several names up at once."""
        missing = [name for name in names if name not in self._free]
        if missing:
            self._free |= dict.fromkeys(missing) | dict(self._load(missing))

    def left(self, name: str) -> int | None:
        """Say how many slots are left under a name; None where it has no limit."""
        self.look_up([name])
        free = self._free[name]
        return None if free is None else len(free)

    def take(self, name: str, run: str) -> Slot | None:
        """Give out a slot for a run; None when none is left."""
        self.look_up([name])
        free = self._free[name]
        if free is None:
            return run  # it only has to be unique; it counts from when the limit is set
        return free.pop(0) if free else None
