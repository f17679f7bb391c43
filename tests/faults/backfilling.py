"""A process that asks for a backfill and dies at a point of its store: `python -m tests.faults.backfilling URI FOLDER`.

Further words are: the schedule, from when on and until when (ISO 8601), and the point, or nothing.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from cronlite.client import backfills
from cronlite.client.opened import Opened
from cronlite.daemon.store_clock import StoreClock
from cronlite.documents import schedules
from cronlite.store import open_store
from tests.faults.points import Points, pointed


def main(uri: str, folder: str, schedule: str, start: str, end: str, *points: str) -> None:
    """Ask for the backfill, three runs with each write."""
    backfills.PAGE = 3
    store = pointed(open_store(uri), Points(points, Path(folder)))
    opened = Opened.on(store, StoreClock())
    opened._clock.set(store.now())
    document = store.schedule(schedule)
    assert document is not None
    backfills.backfill(
        opened, schedules.read(document), datetime.fromisoformat(start), datetime.fromisoformat(end), parallel=1
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
