"""What does a daemon tell the others about itself?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

SILENCE_SECONDS = 30.0
"""How long a beat stands still before its daemon counts as dead, unless its options say otherwise."""
LONGEST_SILENCE_SECONDS = 3_600.0
NO_TICK = timedelta(minutes=2)
"""How long a daemon may go without a tick before people are told."""


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
    ticked_at: datetime | None = None
    """When it last did the work of a minute, or joined; None if its version is older than 0.2."""
    silence_seconds: float = SILENCE_SECONDS
    """How long its beat has to stand still before anybody may take it for dead; its lease depends on that."""

    def is_alive(self, now: datetime) -> bool:
        """Tell whether it lives, by the store's clock, which wrote `seen_at`; daemons go by each other's beats."""
        seen = self.seen_at or self.started_at
        return self.dead_at is None and now - seen < timedelta(seconds=self.silence)

    def is_ticking(self, now: datetime) -> bool:
        """Tell whether it does its minutes; one that does not say when it did the last one is given credit."""
        return self.ticks and (self.ticked_at is None or now - self.ticked_at < NO_TICK)

    def what_is_wrong(self, now: datetime) -> str:
        """Say in a sentence what keeps a daemon that is alive from its work; nothing while all is well."""
        if self.trouble or not self.ticks or self.is_ticking(now):
            return self.trouble
        return f"it has not ticked since {self.ticked_at:%Y-%m-%d %H:%M:%S}Z"

    @property
    def silence(self) -> float:
        """Its silence in seconds, at most the longest allowed: somebody may have edited the document."""
        return min(LONGEST_SILENCE_SECONDS, self.silence_seconds)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> DaemonRecord | None:
        """Read a stored daemon, whose name is under `id`; None where somebody edited it into nonsense."""
        stored = {f.name: document[f.name] for f in fields(cls) if f.name in document}
        well_typed = {name: isinstance(value, _KINDS.get(name, object)) for name, value in stored.items()}
        return cls(**stored) if all(well_typed.values()) and stored.keys() >= _NEEDED else None


_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "host", "version"), str),
    **dict.fromkeys(("pid", "beat", "running", "stuck", "seats"), int),
    "started_at": datetime,
    **dict.fromkeys(("seen_at", "dead_at", "ticked_at"), (datetime, type(None))),
    "silence_seconds": (int, float),
    **dict.fromkeys(("handlers", "declared"), (list, tuple)),
    "queues": (list, tuple, type(None)),
}
_NEEDED = {"id", "host", "pid", "version", "started_at"}
