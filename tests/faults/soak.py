"""How long does it hold? Rounds of random faults at several daemons, as long as one likes.

`python -m tests.faults.soak --rounds N [--seed S] [--sqlite]`; ends with the table of faults, and exit code 1 if a
promise was broken.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cronlite.documents import limits
from tests.faults import report, rounds
from tests.faults.fleet import Fleet
from tests.faults.proxy import Proxy
from tests.faults.rounds import a_database, wait_a_moment
from tests.services.mongod import Mongod

DAEMONS = 3


class Round:
    """One round: a fresh database, three daemons, and a dozen faults of all kinds in random order."""

    def __init__(self, fleet: Fleet, chance: random.Random, server: Mongod | None, proxy: Proxy | None) -> None:
        self.fleet, self.chance, self.server, self.proxy = fleet, chance, server, proxy
        self.injected: list[str] = []
        self.alive = [fleet.start() for _ in range(DAEMONS)]

    def run(self, faults: int) -> None:
        """Inject so many faults, then let the daemons come to rest and have everything checked."""
        choices: dict[str, Callable[[], None]] = {
            "kill -9": self.kill,
            "SIGSTOP": self.stop_and_go,
            "SIGTERM": self.stop,
        }
        if self.server is not None and self.proxy is not None:
            choices |= {
                "mongod kill -9": self.restart_server,
                "mongod SIGSTOP": self.stall_server,
                "answers lost": self.lose_answers,
                "claim late": self.delay_claim,
                "cut off": self.cut,
            }
        for node in self.alive:
            node.wait_ready(60)
        for _ in range(faults):
            wait_a_moment(self.chance.uniform(0.05, 1.5))
            name = self.chance.choice(list(choices))
            choices[name]()
            self.injected.append(name)
        if self.proxy is not None:
            self.proxy.lose_nothing()
        last = self.fleet.wait_minutes_from_now(2, limit_seconds=120)
        self.fleet.stop_all(60)
        told = ", ".join(f"{self.injected.count(name)} {name}" for name in sorted(set(self.injected)))
        self.fleet.verify("soak", told, last, logs_are_whole=False)

    def kill(self) -> None:
        self.alive.pop(self.chance.randrange(DAEMONS)).kill()
        self.alive.append(self.fleet.start())

    def stop(self) -> None:
        self.alive.pop(self.chance.randrange(DAEMONS)).ask_to_end()
        self.alive.append(self.fleet.start())

    def stop_and_go(self) -> None:
        rounds.stop_and_go(self.chance.choice(self.alive), self.chance.uniform(0.5, 5))

    def restart_server(self) -> None:
        assert self.server is not None
        self.server.kill()
        wait_a_moment(self.chance.uniform(0, 3))
        self.server.start()

    def stall_server(self) -> None:
        assert self.server is not None
        self.server.pause()
        wait_a_moment(self.chance.uniform(0.5, 8))
        self.server.go_on()

    def lose_answers(self) -> None:
        assert self.proxy is not None
        self.proxy.lose_answers(self.chance.choice(["insert", "update", "findAndModify"]), self.chance.randint(1, 4))

    def delay_claim(self) -> None:
        assert self.proxy is not None
        self.proxy.lose_answers("update", 1, holding=rounds.CLAIM, late_seconds=self.chance.uniform(4, 8))

    def cut(self) -> None:
        assert self.proxy is not None
        with self.proxy.cut():
            wait_a_moment(self.chance.uniform(0.5, 8))


def one_round(chance: random.Random, faults: int, *, sqlite: bool) -> None:
    """Run one round on stores of its own. Raises AssertionError where a promise was broken."""
    if sqlite:
        with tempfile.TemporaryDirectory() as folder, rounds.fleet_on(f"sqlite:{Path(folder) / 'soak.db'}") as fleet:
            fill(fleet)
            Round(fleet, chance, None, None).run(faults)
        return
    with Mongod() as server, Proxy(server.port) as proxy:
        database = a_database()
        with rounds.fleet_on(proxy.uri_of(database), looked_at=server.uri_of(database)) as fleet:
            fill(fleet)
            Round(fleet, chance, server, proxy).run(faults)


def fill(fleet: Fleet) -> None:
    """Schedule a little of everything."""
    fleet.schedule(20)
    fleet.schedule(10, overlap="wait", params={"action": "sleep", "seconds": 0.1})
    fleet.schedule(5, params={"action": "fail", "times": 2}, retries=1_000, retry_delay_seconds=0)
    fleet.schedule(5, params={"action": "sleep", "seconds": 0.3}, handler="test")
    with fleet.store() as store:
        store.set_limit(limits.new("api", 2, store.now()))
    fleet.schedule(4, limit="api", params={"action": "sleep", "seconds": 0.05})


def main() -> None:
    """Run the rounds, and print the table of faults."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--faults", type=int, default=12, help="in each round")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--sqlite", action="store_true", help="on a file instead of MongoDB")
    given = parser.parse_args()
    failed = 0
    for number in range(given.rounds):
        seed = given.seed + number
        began = time.monotonic()
        try:
            one_round(random.Random(seed), given.faults, sqlite=given.sqlite)
            told = report.ROWS[-1].verdict
        except AssertionError as broken:
            failed += 1
            told = str(broken)
        print(f"round {number + 1}, --seed {seed}, {time.monotonic() - began:.0f} s: {told}", flush=True)
    print(report.table(report.ROWS))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
