"""`python -m tests.bench`: measure cronlite beside its peers, and print one table.

It starts a MongoDB of its own, installs the peers into a folder that is removed afterwards (which takes a quarter of a
minute or more, and is counted apart), and asserts nothing. In full it takes more than an hour, on a machine that should
have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from tests.bench import (
    alarms,
    applying,
    burst,
    expressions,
    fairness,
    frozen,
    idle,
    limits,
    machine,
    metrics,
    peers,
    processes,
    profiled,
    punctual,
    queue,
    safety,
    scale,
    sharing,
    site,
    sizes,
    sqlite,
    start,
)
from tests.bench.peers import queues
from tests.bench.rows import Row, table
from tests.bench.setting import FULL, QUICK, Setting, Sizes, say
from tests.services import MissingService, ServiceFailed
from tests.services.mongod import Mongod
from tests.services.process import Scratch

BENCHMARKS: Mapping[str, Callable[[Setting], list[Row]]] = {
    "burst": burst.measure,
    "scale": scale.measure,
    "expressions": expressions.measure,
    "punctual": punctual.measure,
    "idle": idle.measure,
    "sharing": sharing.measure,
    "processes": processes.measure,
    "queue": queue.measure,
    "fairness": fairness.measure,
    "sqlite": sqlite.measure,
    "start": start.measure,
    "sizes": sizes.measure,
    "site": site.measure,
    "safety": safety.measure,
    "alarms": alarms.measure,
    "metrics": metrics.measure,
    "limits": limits.measure,
    "applying": applying.measure,
    "frozen": frozen.measure,
}
WITH_PEERS = ("burst", "idle", "sqlite")
NOT_QUICK = ("safety", "metrics")
"""They compare bursts that differ by a few parts of a hundred, which one small burst of each cannot show."""
# A cache as on a small server: that of the tests is smaller, and the default would take half of this machine.
CACHE = "cache_size=1GB"


def main(words: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as ends:
            scratch = Scratch("bench")
            ends.callback(scratch.close)
            server = ends.enter_context(Mongod(parameters={"enableTestCommands": 0}))
            with server.client() as client:
                client.admin.command("setParameter", 1, wiredTigerEngineRuntimeConfig=CACHE)
            setting = Setting(server, scratch.folder, _sizes(given))
            if given.profile:
                print(profiled.report(setting))
                return
            left_out = NOT_QUICK if given.quick else ()
            report(setting, given.only or [name for name in BENCHMARKS if name not in left_out], given)
    except (MissingService, ServiceFailed) as failed:
        sys.exit(str(failed))


def report(setting: Setting, names: Sequence[str], given: argparse.Namespace) -> None:
    versions: dict[str, str] = {}
    begun = time.monotonic()
    if given.peers and set(names) & set(WITH_PEERS):
        say("installing the peers")
        setting.peers, versions = peers.install(setting.folder)
    if given.peers and "queue" in names:
        say("installing the other queues")
        setting.queues, versions["queues"] = queues.install(setting.folder)
    told, installed = machine.described(setting.server, versions), time.monotonic()
    rows, failed, seconds = measured(setting, names)
    told["installing"] = f"{installed - begun:.0f} s, which is not counted below"
    told["took"] = f"{sum(seconds.values()):.0f} s: {_longest_first(seconds)}; load at the end {machine.load()}"
    told["sizes"] = "quick: smaller than those of the targets" if given.quick else "full"
    for name, what in told.items():
        print(f"{name + ':':<13} {what}")
    print(f"\n{table(rows)}")
    for name, why in failed.items():
        print(f"{name} was not measured: {why}")
    if given.json:
        everything = {
            "about": told,
            "sizes": asdict(setting.sizes),
            "rows": [row.as_json() for row in rows],
            "failed": failed,
        }
        given.json.write_text(json.dumps(everything, indent=1))


def measured(setting: Setting, names: Sequence[str]) -> tuple[list[Row], dict[str, str], dict[str, float]]:
    """Measure one after the other; tell the rows, why any failed, and the seconds that each took.

    What one comes to is not lost when another fails, or when all are interrupted.
    """
    rows: list[Row] = []
    failed: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name in names:
        begun = time.monotonic()
        try:
            rows += BENCHMARKS[name](setting)
        except KeyboardInterrupt:
            failed |= dict.fromkeys(names[names.index(name) :], "interrupted")
            break
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
        finally:
            seconds[name] = time.monotonic() - begun
    return rows, failed, seconds


def _longest_first(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {seconds[name]:.0f}" for name in sorted(seconds, key=lambda name: -seconds[name]))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _sizes(given: argparse.Namespace) -> Sizes:
    sizes = QUICK if given.quick else FULL
    wanted = {"repeats": given.repeats, "ticks": given.ticks}
    return replace(
        sizes, real_minutes=given.real_minutes, **{name: value for name, value in wanted.items() if value is not None}
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    quick = f"smaller sizes and one of each, in three minutes, without {' and '.join(NOT_QUICK)}"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--repeats", type=int, help="how often to measure each; the table shows medians")
    parser.add_argument("--ticks", type=int, help="how many ticks the benchmark 'punctual' has")
    parser.add_argument("--real-minutes", action="store_true", help="let these be a minute apart")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="measure cronlite and the floor only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to a file, too")
    parser.add_argument("--profile", action="store_true", help="instead, tell where the time of a burst goes")
    return parser


if __name__ == "__main__":
    main()
