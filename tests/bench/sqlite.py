"""SQLite: a burst, and a tick over many stored, in a file on this machine's disk."""

from __future__ import annotations

from statistics import median

from tests.bench import burst, scale
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say


def measure(setting: Setting) -> list[Row]:
    answers = burst.all_sides(setting)["cronlite, SQLite"]
    peer, speed = burst.best_peer(setting)
    stored = [answer["calls"] / answer["stored_seconds"] for answer in answers]
    say(f"a tick over {setting.sizes.stored_in_file:,} stored (SQLite)")
    return [
        Row(
            benchmark="sqlite",
            what=f"{setting.sizes.burst:,} due, stored",
            side="cronlite, SQLite",
            values=stored,
            unit="/s",
            ratio=median(stored) / speed if peer else None,
            ratio_to=f"{peer} called" if peer else "",
            target=Target(least=10, of="ratio"),
        ),
        Row(
            benchmark="sqlite",
            what=f"a tick of {setting.sizes.due} due",
            side=f"of {setting.sizes.stored_in_file:,} stored",
            values=scale.file(setting),
            unit="ms",
            target=Target(most=50),
        ),
    ]
