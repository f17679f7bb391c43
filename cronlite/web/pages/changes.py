"""Who changed what of late, over all schedules, and which removed ones can be had back?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cronlite.documents.changes import Change
from cronlite.web.exchange import Answer
from cronlite.web.visit import Visit
from cronlite.wording.values import json_text

SHOWN, MOST = 50, 500
REMOVED = 20
_QUIET = ("updated_at", "created_at", "active_from")


def changes(visit: Visit) -> Answer:
    """List the last changes of all actors, and the schedules that were removed."""
    limit = MOST if visit.asked("more") else SHOWN
    latest = visit.cron.history.latest(limit + 1)
    return visit.page(
        "changes.html",
        changes=[(change, _differences(change)) for change in latest[:limit]],
        removed=visit.cron.history.removed(REMOVED),
        more=len(latest) > limit and limit < MOST,
    )


def restored(visit: Visit) -> Answer:
    """Store a removed schedule again."""
    schedule = visit.cron.history.restore(visit.given("id"), actor=visit.actor)
    return visit.see("/schedule", f"{schedule.name or schedule.id} is back; it counts from now on.", id=schedule.id)


def _differences(change: Change) -> list[tuple[str, str, str]]:
    """Name the fields that differ, with what they were and what they became; of an addition, nothing."""
    if change.kind != "changed":
        return []
    before, after = change.before or {}, change.after or {}
    return [(name, _shown(before, name), _shown(after, name)) for name in change.fields if name not in _QUIET]


def _shown(fields: Mapping[str, Any], name: str) -> str:
    return json_text(fields[name], indent=None) if name in fields else "—"
