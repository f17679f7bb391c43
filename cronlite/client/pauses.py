"""For how long is a schedule paused, and why?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cronlite.client.arguments import coming

if TYPE_CHECKING:
    from cronlite.documents.options import ScheduleChanges


def fields(now: datetime, until: datetime | timedelta | None, reason: str) -> ScheduleChanges:
    """Return the changes that pause a schedule. Raises InvalidInput for an end that is not to come."""
    end = None if until is None else coming(now, until, "until")
    return {"enabled": False, "paused_until": end, "pause_reason": reason}
