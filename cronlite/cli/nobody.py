"""Is there a daemon at all that does what these lists promise?"""

from __future__ import annotations

from cronlite.cli import render
from cronlite.client.app import Cronlite


def tell(cron: Cronlite) -> None:
    """Say so on stderr where no daemon is alive that makes schedules due."""
    now = cron.store.now()
    alive = [daemon for daemon in cron.store.daemons() if daemon.is_alive(now)]
    if not alive:
        render.note("no daemon is alive, so nothing runs; start one: cronlite -A MODULE run", "warning")
    elif not any(daemon.ticks for daemon in alive):
        render.note("only workers are alive, so no schedule is ever due; start a daemon: cronlite run", "warning")
