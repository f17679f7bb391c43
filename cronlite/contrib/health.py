"""Is all well with an application's cronlite, as far as a probe of it should care?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cronlite.client.app import Cronlite
from cronlite.errors import StoreError

LONGEST_WITHOUT_TICK = timedelta(minutes=3)
# What was done last need not be a late minute: after a silence the oldest of the grace comes first.
_LOOKED_BACK = timedelta(hours=1)


def health(cron: Cronlite) -> dict[str, Any]:
    """Look at the store, at the last tick, and at the daemons that do not do their work; what is returned is JSON.

    `healthy` is false when the store is out of reach, when for three minutes no daemon at all has done a minute, or
    when the daemon of this process does nothing any more. Otherwise it does not matter whether this process has one
    (`daemon_here`): the others do its work. `troubles` says of each daemon alive what keeps it from its work, since
    when and why, in words that may name the store's host. With the store out of reach the answer takes about as long as
    the time limit of its calls, 5 s.
    """
    report: dict[str, Any] = {"healthy": False, "daemon_here": cron.running}
    try:
        now = cron.store.now()
        daemons = [daemon for daemon in cron.store.daemons() if daemon.is_alive(now)]
        done = [tick.done_at for tick in cron.store.ledger(now - _LOOKED_BACK, now) if tick.done_at is not None]
    except StoreError:
        return report | {"store": "unreachable"}
    age = now - max(done) if done else None
    report |= {"store": "reachable", "last_tick_seconds_ago": None if age is None else round(age.total_seconds(), 1)}
    report |= {"troubles": {each.id: wrong for each in daemons if (wrong := each.what_is_wrong(now))}}
    return report | {"healthy": age is not None and age <= LONGEST_WITHOUT_TICK and not cron.stalled}
