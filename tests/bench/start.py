"""Start: how long until the command line answers, and what does importing cronlite pull in?"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

HEAVY = ("pymongo", "kombu")
_IMPORTED = "import sys; before = set(sys.modules); import cronlite; print(*sorted(set(sys.modules) - before))"


def measure(setting: Setting) -> list[Row]:
    script = Path(sys.executable).with_name("cronlite")
    command = [str(script)] if script.exists() else [sys.executable, "-c", "from cronlite.cli import main; main()"]
    say(f"{setting.sizes.starts} starts")
    cronlite, click = _spent([*command, "--help"], [sys.executable, "-c", "import click"], times=setting.sizes.starts)
    ratio = median(cronlite) / median(click)
    return [
        Row(
            benchmark="start",
            what="start",
            side="cronlite --help",
            values=cronlite,
            unit="ms",
            ratio=ratio,
            ratio_to="import click",
            target=Target(most=1.5, of="ratio"),
        ),
        Row(benchmark="start", what="start", side="import click", values=click, unit="ms"),
        *_modules(),
    ]


def _spent(*commands: list[str], times: int) -> list[list[float]]:
    """Run commands in turns; return the milliseconds of each."""
    spent: list[list[float]] = [[] for _ in commands]
    for _ in range(times + 1):
        for command, of_command in zip(commands, spent, strict=True):
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            of_command.append((time.perf_counter() - started) * 1_000)
    return [of_command[1:] for of_command in spent]  # the first may have compiled


def _modules() -> list[Row]:
    loaded = subprocess.run(
        [sys.executable, "-c", _IMPORTED], check=True, capture_output=True, text=True
    ).stdout.split()
    heavy = [name for name in HEAVY if name in loaded]
    return [
        Row(
            benchmark="start",
            what="modules that it loads",
            side="import cronlite",
            values=[len(loaded)],
            unit="modules",
            more={"modules": loaded},
        ),
        Row(
            benchmark="start",
            what=f"of {' and '.join(HEAVY)}",
            side="import cronlite",
            values=[len(heavy)],
            unit="modules",
            target=Target(most=0),
        ),
    ]
