"""What do a test and the soak do alike?"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

from tests.faults.fleet import Fleet, Node
from tests.waiting import wait_until

CLAIM = b"\x07claim\x00"  # the element of a document by which a claim's update is known


def a_database() -> str:
    """Return a name for a fresh database."""
    return f"cronlite_test_{uuid.uuid4().hex[:12]}"


@contextmanager
def fleet_on(uri: str, **settings: Any) -> Iterator[Fleet]:
    """Make a fleet, and watch for final runs that change."""
    with closing(Fleet(uri, **settings)) as fleet, fleet.watcher.watching():
        yield fleet


def kill_at_random(fleet: Fleet, *, daemons: int, kills: int, chance: random.Random) -> datetime:
    """Keep some daemons running while one after the other is killed; return the last minute that they did."""
    alive = [fleet.start() for _ in range(daemons)]
    for node in alive:
        node.wait_ready()
    for _ in range(kills):
        wait_a_moment(chance.uniform(0.05, 1.5))
        victim = alive.pop(chance.randrange(len(alive)))
        victim.kill()
        alive.append(fleet.start())
    for node in alive:
        node.wait_ready()  # before that, it takes no signal in good order
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    return last


def wait_a_moment(seconds: float) -> None:
    """Let some time pass: how long is part of the fault."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, limit_seconds=seconds + 10)


def stop_and_go(node: Node, seconds: float) -> None:
    """Let a daemon stand still for some time."""
    node.pause()
    wait_a_moment(seconds)
    node.go_on()
