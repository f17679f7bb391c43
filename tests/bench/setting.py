"""What do all benchmarks share: a server, a folder, the peers, and how much and how often to measure?"""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.bench.peers import Peer
from tests.bench.peers.queues import Queues
from tests.services.mongod import Mongod

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much each benchmark does; the defaults are those of the targets."""

    repeats: int = 5
    burst: int = 10_000
    curve: Sequence[int] = (1_000, 100_000)
    at_real_minutes: int = 3
    """How often the burst is measured at a real minute as well, to show that a staged one makes no difference, and with
    a handler of which nothing is known.
    """
    stored: Sequence[int] = (1_000, 100_000, 1_000_000)
    stored_in_file: int = 100_000
    expressions: int = 100_000
    due: int = 100
    many_due: int | None = 1_000
    """How many more are due in the second part of the benchmark 'punctual'; None leaves it out."""
    ticks: int = 20
    real_minutes: bool = False
    asked: int = 200
    idle_stored: int = 1_000_000
    idle_settle_seconds: float = 10.0
    idle_seconds: float = 60.0
    slow_runs: int = 2_000
    queued: int = 100_000
    starts: int = 20
    finished: int = 2_000_000
    expired: int = 700_000
    waiting: int = 300_000
    listed: int = 100_000
    asked_of_queue: int = 5_000
    computing: int = 200
    site_schedules: int = 100_000
    site_runs: int = 1_000_000
    browsers: bool = True
    """Whether ticks are measured beside a site that browsers have open."""
    applied: int = 5_000


FULL = Sizes()
QUICK = Sizes(
    repeats=1,
    burst=2_000,
    curve=(),
    at_real_minutes=0,
    stored=(1_000, 20_000),
    stored_in_file=20_000,
    expressions=5_000,
    many_due=None,
    ticks=2,
    asked=20,
    idle_stored=5_000,
    idle_settle_seconds=1.0,
    idle_seconds=3.0,
    slow_runs=400,
    queued=4_000,
    starts=5,
    finished=20_000,
    expired=5_000,
    waiting=10_000,
    listed=10_000,
    asked_of_queue=500,
    computing=40,
    site_schedules=5_000,
    site_runs=20_000,
    browsers=False,
    applied=500,
)


@dataclass
class Setting:
    """A server of the benchmarks' own, a folder that is removed afterwards, and the peers that are there."""

    server: Mongod
    folder: Path
    sizes: Sizes = FULL
    peers: Sequence[Peer] = ()
    queues: Queues | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _known: dict[str, Any] = field(default_factory=dict)

    def once(self, what: str, measure: Callable[[], T]) -> T:
        """Return what was measured before under this name, or measure it now: several benchmarks compare with it."""
        if what not in self._known:
            self._known[what] = measure()
        found: T = self._known[what]
        return found

    @contextmanager
    def mongodb(self) -> Iterator[str]:
        """Yield the URI of a database, dropped afterwards."""
        database = f"bench_{next(self._numbers)}"
        try:
            yield self.server.uri_of(database)
        finally:
            with self.server.client() as client:
                client.drop_database(database)

    @contextmanager
    def sqlite(self) -> Iterator[str]:
        """Yield the URI of a file, removed afterwards."""
        path = self.folder / f"bench_{next(self._numbers)}.db"
        try:
            yield f"sqlite:{path}"
        finally:
            for file in self.folder.glob(f"{path.name}*"):
                shutil.rmtree(file) if file.is_dir() else file.unlink()

    @property
    def stores(self) -> Mapping[str, Callable[[], Any]]:
        """The kinds of store, by the name of cronlite's side on them."""
        return {"cronlite, MongoDB": self.mongodb, "cronlite, SQLite": self.sqlite}


def say(what: str) -> None:
    """Tell whoever waits how far it is."""
    print(f"  {what}", file=sys.stderr, flush=True)
