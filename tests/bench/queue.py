"""Queue: what does a call cost that an application asks for, beside other task queues that web teams use?

Each side has one worker process, and the asking is another process's. In turns: `calls` no-ops are asked for one by one
while no worker runs; a worker drains them; then, with that worker idle, single calls are asked for.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from tests.bench import children, machine
from tests.bench.children import ROOT
from tests.bench.daemons import SCRIPT
from tests.bench.peers.queues import QUEUES, Command, Queue, Queues
from tests.bench.queued import VARIABLE
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say
from tests.waiting import wait_until

DRAIN_SECONDS = 120.0
OF_FLOOR, FLOOR = "cronlite, MongoDB", "floor (pymongo)"
_NUMBER = struct.calcsize("d")

Figures = dict[str, float]
"""What was measured once of one side, by its name in `UNITS`."""
UNITS = {
    "enqueue": "/s",
    "enqueue_many": "/s",
    "drain": "/s",
    "single call, p50": "ms",
    "single call, p99": "ms",
    "worker, resident": "MB",
}
TARGETS: Mapping[tuple[str, str], Target] = {
    ("enqueue", "cronlite, MongoDB"): Target(least=1_400),
    ("enqueue_many", "cronlite, MongoDB"): Target(least=20_000),
    ("drain", "cronlite, MongoDB"): Target(least=2, of="ratio"),
    ("drain", "cronlite, SQLite"): Target(least=2, of="ratio"),
    ("single call, p50", "cronlite, MongoDB"): Target(most=5),
    ("single call, p50", "cronlite, SQLite"): Target(most=10),
    ("single call, p99", "cronlite, SQLite"): Target(most=30),
}


def measure(setting: Setting) -> list[Row]:
    found: dict[str, list[Figures]] = defaultdict(list)
    for repeat in range(setting.sizes.repeats):
        for side, opened in setting.stores.items():
            say(f"queue ({side}), {repeat + 1} of {setting.sizes.repeats}")
            with opened() as uri:
                found[side].append(_cronlite(setting, uri))
                if side == OF_FLOOR:
                    found[FLOOR].append(_floor(setting, uri))
        for queue in QUEUES if setting.queues else ():
            say(f"queue ({queue.name}), {repeat + 1} of {setting.sizes.repeats}")
            assert setting.queues
            with setting.queues.broker(queue) as url:
                found[queue.name].append(_other(setting, setting.queues, queue, url))
    return [
        row
        for what in UNITS
        for side, figures in found.items()
        if (row := _row(setting, what, side, figures, _compared(found, what, side)))
    ]


def _compared(found: Mapping[str, Sequence[Figures]], what: str, side: str) -> tuple[str, float] | None:
    """Say beside whom a figure is told: a drain beside the best of the others, the rest beside MongoDB itself."""
    if what == "drain":
        others = {one: _median(f, what) for one, f in found.items() if "cronlite" not in one and what in f[0]}
        return max(others.items(), key=lambda one: one[1], default=None)
    is_floored = side == OF_FLOOR and what in found[FLOOR][0]
    return (FLOOR, _median(found[FLOOR], what)) if is_floored else None


def _row(
    setting: Setting, what: str, side: str, figures: Sequence[Figures], best: tuple[str, float] | None
) -> Row | None:
    values = [one[what] for one in figures if what in one]
    if not values:
        return None
    calls = f" of {setting.sizes.asked_of_queue:,} no-ops" if UNITS[what] == "/s" else ""
    return Row(
        benchmark="queue",
        what=f"{what}{calls}",
        side=side,
        values=values,
        unit=UNITS[what],
        ratio=median(values) / best[1] if best else None,
        ratio_to=best[0] if best else "",
        target=TARGETS.get((what, side)),
    )


def _median(figures: Sequence[Figures], what: str) -> float:
    return median(one[what] for one in figures)


def _cronlite(setting: Setting, uri: str) -> Figures:
    log, calls = setting.folder / "queue.log", setting.sizes.asked_of_queue
    log.write_bytes(b"")
    many = children.call("queued:enqueue_many", uri=uri, count=calls)["per_second"]
    worker = cronlite_run(uri, log)
    with working(worker, log, calls):  # what enqueue_many left
        log.write_bytes(b"")
    singly = children.call("queued:enqueue", uri=uri, count=calls)["per_second"]
    with working(worker, log, calls) as pid:
        drained = drained_per_second(log)
        resident = machine.resident_mb_of_tree(pid)
        log.write_bytes(b"")
        children.call("queued:ask", uri=uri, count=setting.sizes.asked)
        latency = _latency(log, setting.sizes.asked)
    return {"enqueue": singly, "enqueue_many": many, "drain": drained, "worker, resident": resident, **latency}


def _floor(setting: Setting, uri: str) -> Figures:
    """Measure what the two writes of a call cost, which are waited for until the majority's journals have them."""
    chance = random.Random(setting.sizes.asked)
    pauses = [chance.uniform(0.02, 0.06) for _ in range(setting.sizes.asked)]
    told = children.call("floor:queue", uri=uri, count=setting.sizes.asked_of_queue, pauses=pauses)
    return {"enqueue": told["per_second"], **_of(told["waited"])}


def cronlite_run(uri: str, log: Path, *options: str) -> Command:
    """Return how `cronlite run` is started on the handlers of `queued`."""
    words: list[str | Path] = [SCRIPT, "-A", "tests.bench.queued", "run", *options]
    return Command(words, ROOT, {"CRONLITE_URI": uri, VARIABLE: str(log)})


def _other(setting: Setting, queues: Queues, queue: Queue, url: str) -> Figures:
    log, calls = setting.folder / "queue.log", setting.sizes.asked_of_queue
    log.write_bytes(b"")
    singly = queues.call(queue, url, log, "enqueue", calls)["per_second"]
    with working(queues.worker(queue, url, log), log, calls) as pid:
        drained = drained_per_second(log)
        resident = machine.resident_mb_of_tree(pid)
        log.write_bytes(b"")
        queues.call(queue, url, log, "ask", setting.sizes.asked)
        latency = _latency(log, setting.sizes.asked)
    return {"enqueue": singly, "drain": drained, "worker, resident": resident, **latency}


@contextmanager
def working(worker: Command, log: Path, calls: int) -> Iterator[int]:
    """Start a worker, and yield its pid once it has made so many calls."""
    with (log.parent / "worker.log").open("w") as said:
        process = subprocess.Popen(
            worker.words, cwd=worker.folder, env={**os.environ, **worker.environment}, stdout=said, stderr=said
        )
        try:
            _wait_for(log, calls)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(log: Path, calls: int) -> None:
    wait_until(
        lambda: log.stat().st_size >= calls * _NUMBER,
        limit_seconds=DRAIN_SECONDS,
        what=f"{calls} calls",
        instead=lambda: (log.stat().st_size // _NUMBER, (log.parent / "worker.log").read_text()[-2_000:]),
        interval_seconds=0.05,
    )


def _numbers(log: Path) -> list[float]:
    return [number for (number,) in struct.iter_unpack("d", log.read_bytes())]


def drained_per_second(log: Path) -> float:
    """Return how many calls a second there were, from the first one to the last."""
    called_at = _numbers(log)
    return (len(called_at) - 1) / (max(called_at) - min(called_at))


def _latency(log: Path, asked: int) -> Figures:
    _wait_for(log, asked)
    return _of(_numbers(log))


def _of(waited: Sequence[float]) -> Figures:
    return {
        "single call, p50": median(waited) * 1_000,
        "single call, p99": quantiles(waited, n=100)[98] * 1_000,
    }
