"""Which minutes count as not ticked?"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from cronlite.daemon.overdue import unticked
from cronlite.documents.ticks import Tick
from cronlite.when.clock import MINUTE

NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


def test_a_minute_that_is_being_done_is_left_in_peace() -> None:
    before = Tick(minute=NOON - MINUTE, daemon="d", claimed_at=NOON - MINUTE, done_at=NOON)
    claimed = Tick(minute=NOON, daemon="d", claimed_at=NOON + timedelta(seconds=1))
    assert unticked([before, claimed], NOON + timedelta(seconds=30)) == []
    assert unticked([before, claimed], NOON + timedelta(seconds=31)) == [NOON]
    assert unticked([before], NOON + timedelta(seconds=9)) == [], (
        "a minute to come, or one whose tick may be about to begin"
    )
    assert unticked([before], NOON + timedelta(seconds=10)) == [NOON]
