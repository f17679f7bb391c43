"""What does a daemon tell the others of itself?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonRecord:
    """A daemon as the others see it: alive while its `beat` changes; `dead_at` is set by whoever saw it stop."""

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    handlers: Sequence[str] = ()
    beat: int = 0
    seen_at: datetime | None = None
    running: int = 0
    stuck: int = 0
    seats: int = 0
    dead_at: datetime | None = None
    ticks: bool = True
    """False for a worker."""
    trouble: str = ""
    """What keeps it from its work, in a sentence."""
    queues: Sequence[str] | None = None
    """Whose runs it claims; None means all."""
    declared: Sequence[str] = ()
    """The names of the schedules that its code declares."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> DaemonRecord | None:
        """Read a stored daemon, whose name is under `id`; None where somebody edited it into nonsense."""
        given = {f.name: document[f.name] for f in fields(cls) if f.name in document}
        right = {name: isinstance(value, _KINDS.get(name, object)) for name, value in given.items()}
        return cls(**given) if all(right.values()) and given.keys() >= _NEEDED else None


_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "host", "version"), str),
    **dict.fromkeys(("pid", "beat", "running", "stuck", "seats"), int),
    "started_at": datetime,
    **dict.fromkeys(("seen_at", "dead_at"), (datetime, type(None))),
    **dict.fromkeys(("handlers", "declared"), (list, tuple)),
    "queues": (list, tuple, type(None)),
}
_NEEDED = {"id", "host", "pid", "version", "started_at"}
