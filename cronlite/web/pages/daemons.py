"""Who does the work: which daemons and workers are alive, at what, and what keeps them from it?"""

from __future__ import annotations

from cronlite.client.status import status
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import RUNNING
from cronlite.store.contract import RunQuery
from cronlite.web.exchange import Answer
from cronlite.web.visit import Visit

DEAD_SHOWN = 20
OWN_RUNS = 100


def daemons(visit: Visit) -> Answer:
    """List those that are alive, and those that died of late."""
    seen = status(visit.cron.store)
    alive = sorted(seen.alive, key=lambda daemon: (not daemon.what_is_wrong(seen.now), daemon.host, daemon.pid))
    return visit.page(
        "daemons.html",
        alive=[(daemon, _look(daemon, visit), daemon.what_is_wrong(seen.now)) for daemon in alive],
        dead=seen.dead[:DEAD_SHOWN],
        seats=sum(daemon.seats for daemon in alive),
        running=sum(daemon.running for daemon in alive),
        stuck=sum(daemon.stuck for daemon in alive),
        ticks=seen.ticks,
        next_wake=seen.next_wake,
        gaps=seen.gaps,
        unknown=seen.unknown_handlers,
    )


def daemon(visit: Visit) -> Answer:
    """Show one daemon, and what it has at work."""
    asked = visit.asked("id")
    found = next((each for each in visit.cron.store.daemons() if each.id == asked), None)
    own = RunQuery(daemon=asked, states=[RUNNING], limit=OWN_RUNS, brief=True)
    return visit.page(
        "daemon.html", asked=asked, daemon=found, at_work=list(visit.cron.store.runs(own)) if asked else []
    )


def _look(daemon: DaemonRecord, visit: Visit) -> str:
    return "bad" if daemon.what_is_wrong(visit.now) else "rest" if daemon.stuck else "good"
