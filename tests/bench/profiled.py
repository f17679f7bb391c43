"""Where does the time of a burst go? The seams of the product under a stopwatch, and the CPU time of both processes."""

from __future__ import annotations

from typing import Any

from tests.bench import burst, machine
from tests.bench.setting import Setting, say


def report(setting: Setting) -> str:
    """Run a burst on each kind of store, and lay out what each seam took, per run."""
    parts = []
    for side, opened in setting.stores.items():
        say(f"burst of {setting.sizes.burst:,} under the stopwatch ({side})")
        with opened() as uri:
            before = machine.cpu_seconds(setting.server.pid)
            answer = burst.cronlite(uri, setting.sizes.burst, stages=True)
            server = machine.cpu_seconds(setting.server.pid) - before
        parts.append(_told(side, setting.sizes.burst, answer, server))
    return "\n\n".join(parts)


def _told(side: str, due: int, answer: dict[str, Any], server: float) -> str:
    micro = 1e6 / due
    lines = [
        f"{side}: {due:,} due, all called after {answer['called_seconds']:.2f} s, stored after "
        f"{answer['stored_seconds']:.2f} s, {answer['peak_mb'] - answer['idle_mb']:.0f} MB above idle",
        f"CPU per run: {answer['cpu_seconds'] * micro:.0f} µs in the daemon; "
        f"{server * micro:.0f} µs in mongod, filling included",
        f"{'what':<22}{'calls':>9}{'CPU µs/run':>12}{'µs/run':>9}{'ms/call':>10}",
    ]
    for name, spent in sorted(answer["stages"].items(), key=lambda item: -item[1]["cpu_seconds"]):
        if spent["calls"]:
            per_call = spent["seconds"] / spent["calls"] * 1_000
            cpu, seconds = spent["cpu_seconds"] * micro, spent["seconds"] * micro
            lines.append(f"{name:<22}{spent['calls']:>9,}{cpu:>12.1f}{seconds:>9.1f}{per_call:>10.3f}")
    return "\n".join(lines)
