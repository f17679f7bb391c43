"""What do charts need of a run? When it was due, how it ended, and how long it took: none of what it carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from cronlite.documents import checks
from cronlite.documents.runs import STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A run in outline."""

    id: str
    state: str
    due_at: datetime
    queued_at: datetime
    schedule: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def seconds(self) -> float | None:
        """How long its last attempt took; None for one that never began, or has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0.0, (self.finished_at - self.started_at).total_seconds())


NAMES = tuple(field.name for field in fields(Outline) if field.name != "id")
_INSTANTS = ("due_at", "queued_at", "started_at", "finished_at")


def read(document: Mapping[str, Any]) -> Outline | None:
    """Read what a store selected of a run; None where somebody edited it into nonsense."""
    fields = {name: document.get(name) for name in NAMES}
    id_, schedule = document.get("_id"), fields["schedule"]
    instants = [fields[name] for name in _INSTANTS]
    if None in instants[:2] or any(map(checks.instant, instants)) or fields["state"] not in STATES:
        return None
    if not isinstance(id_, str) or not (schedule is None or isinstance(schedule, str)):
        return None
    return Outline(id=id_, **fields)  # type: ignore[arg-type]


def by_schedule(outlines: Iterable[Outline]) -> dict[str, list[Outline]]:
    """Part them by their schedules."""
    parts: dict[str, list[Outline]] = {}
    for outline in outlines:
        if outline.schedule is not None:
            parts.setdefault(outline.schedule, []).append(outline)
    return parts
