"""How does SQLite tell which run of a lane is next, without reading all those behind it?"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from cronlite.documents.runs import Run
from cronlite.store.grouping import batches
from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import Tables
from cronlite.store.sqlite.readable import readable
from cronlite.store.sqlite.rows import listed
from cronlite.store.sqlite.tables import RUNS

_LANES = 3_000
_PAGE = 1_000

# States are written into the queries: SQLite uses an index on some rows only where it can see that they are enough.
_RUNNING_IN = "SELECT rowid FROM runs WHERE state = 'running' AND lane = lanes.value"
_QUEUED_IN = "SELECT rowid FROM runs WHERE state = 'queued' AND lane = lanes.value AND run_at IS"
_LATEST = "ORDER BY due_at DESC, _id DESC LIMIT 1"
_AT_WORK = f"""
    {RUNS.select} WHERE rowid IN (
        SELECT ({_RUNNING_IN}) FROM json_each(?) AS lanes
        UNION ALL SELECT ({_QUEUED_IN} NULL {_LATEST}) FROM json_each(?) AS lanes
        UNION ALL SELECT ({_QUEUED_IN} NOT NULL {_LATEST}) FROM json_each(?) AS lanes
    )
    ORDER BY due_at, _id
"""
# It takes one look into the index for each lane, and begins behind the last lane of the page before.
_NEXT_LANE = "SELECT min(lane) FROM runs WHERE state = 'queued' AND run_at IS NULL AND lane >"
WAITING_LANES = f"""
    WITH RECURSIVE lanes(value) AS (
        SELECT ({_NEXT_LANE} ?) UNION ALL SELECT ({_NEXT_LANE} value) FROM lanes WHERE value IS NOT NULL LIMIT ?
    )
    SELECT value, EXISTS ({_RUNNING_IN}) OR EXISTS ({_QUEUED_IN} NOT NULL) FROM lanes WHERE value IS NOT NULL
"""
RELEASED = f"""
    UPDATE runs SET run_at = ? WHERE rowid IN (
        SELECT ({_QUEUED_IN} NULL ORDER BY due_at, _id LIMIT 1) FROM json_each(?) AS lanes
        WHERE NOT EXISTS ({_RUNNING_IN}) AND NOT EXISTS ({_QUEUED_IN} NOT NULL)
    )
"""


class Lanes(Tables):
    """The contract's methods on the lanes of runs."""

    _swept_up_to = ""

    def at_work(self, lanes: Collection[str]) -> list[Run]:
        last = readable(map(RUNS.document, self._read(_AT_WORK, [listed(lanes)] * 3)))
        return list({run.lane: run for run in last}.values())

    def release_lanes(self, now: datetime, lanes: Collection[str] | None = None) -> int:
        free = self._sweep() if lanes is None else lanes
        released = sum(self._change(RELEASED, [milliseconds(now), listed(page)]) for page in batches(free, _PAGE))
        if released:
            self._ring()
        return released

    def _sweep(self) -> list[str]:
        """Return the free ones among the lanes behind the last one of the sweep before, or among all."""
        free: list[str] = []
        for _ in range(0, _LANES, _PAGE):
            page = self._read(WAITING_LANES, [self._swept_up_to, _PAGE])
            free += [lane for lane, is_busy in page if not is_busy and isinstance(lane, str)]
            self._swept_up_to = page[-1][0] if len(page) == _PAGE else ""
            if not self._swept_up_to:
                break
        return free
