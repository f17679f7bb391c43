"""Processes: do two of them, kept as one service, do twice as much as one, when handlers compute?"""

from __future__ import annotations

from statistics import median

from tests.bench import children
from tests.bench.application import SLOW_SECONDS
from tests.bench.queue import cronlite_run, drained_per_second, working
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

SEATS = 2


def measure(setting: Setting) -> list[Row]:
    speeds: dict[int, list[float]] = {1: [], 2: []}
    count = setting.sizes.computing
    for repeat in range(setting.sizes.repeats):
        for processes, measured in speeds.items():
            say(f"{count} computing runs, --processes {processes}, {repeat + 1} of {setting.sizes.repeats}")
            measured.append(_per_second(setting, count, processes))
    return [
        Row(
            benchmark="processes",
            what=f"{count} runs of {SLOW_SECONDS * 1_000:g} ms of a core, done",
            side=f"cronlite run --processes {processes}",
            values=measured,
            unit="/s",
            ratio=median(measured) / median(speeds[1]) if processes > 1 else None,
            ratio_to="one" if processes > 1 else "",
            target=Target(least=1.8, of="ratio") if processes > 1 else None,
        )
        for processes, measured in speeds.items()
    ]


def _per_second(setting: Setting, count: int, processes: int) -> float:
    log = setting.folder / "processes.log"
    log.write_bytes(b"")
    with setting.mongodb() as uri:
        children.call("queued:enqueue_many", uri=uri, count=count, handler="computing", seconds=SLOW_SECONDS)
        worker = cronlite_run(uri, log, "--processes", str(processes), "--seats", str(SEATS))
        with working(worker, log, count):
            return drained_per_second(log)
