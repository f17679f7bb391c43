"""Who does the work: which daemons and workers are alive, at what, and what keeps them from it?"""

from __future__ import annotations

from datetime import timedelta

from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import RUNNING
from cronlite.store.contract import RunQuery
from cronlite.web.exchange import Answer
from cronlite.web.visit import Visit
from cronlite.when import clock

DAY = timedelta(days=1)
DEAD_SHOWN = 20
OWN_RUNS = 100


def daemons(visit: Visit) -> Answer:
    """List those that are alive, and those that died of late."""
    now, store = visit.now, visit.cron.store
    known = sorted(store.daemons(), key=lambda daemon: (not daemon.what_is_wrong(now), daemon.host, daemon.pid))
    alive = [daemon for daemon in known if daemon.is_alive(now)]
    entries = store.ledger(now - DAY, now)
    return visit.page(
        "daemons.html",
        alive=[(daemon, _look(daemon, visit), daemon.what_is_wrong(now)) for daemon in alive],
        dead=[daemon for daemon in known if daemon not in alive][:DEAD_SHOWN],
        seats=sum(daemon.seats for daemon in alive),
        running=sum(daemon.running for daemon in alive),
        stuck=sum(daemon.stuck for daemon in alive),
        next_wake=clock.next_wake(now) if any(daemon.is_ticking(now) for daemon in alive) else None,
        gaps=[entry for entry in entries if entry.is_gap and entry.last > now - DAY],
    )


def daemon(visit: Visit) -> Answer:
    """Show one daemon, and what it has at work."""
    asked = visit.asked("id")
    known = next((each for each in visit.cron.store.daemons() if each.id == asked), None)
    own = RunQuery(daemon=asked, states=[RUNNING], limit=OWN_RUNS, brief=True)
    return visit.page(
        "daemon.html", asked=asked, daemon=known, at_work=list(visit.cron.store.runs(own)) if asked else []
    )


def _look(daemon: DaemonRecord, visit: Visit) -> str:
    return "bad" if daemon.what_is_wrong(visit.now) else "rest" if daemon.stuck else "good"
