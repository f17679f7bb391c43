"""Safety: what would a burst gain if less were promised? One guarantee after the other is left out, here only."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tests.bench import burst
from tests.bench.rows import Row
from tests.bench.setting import Setting, say

SIDES: dict[str, Sequence[str]] = {
    "cronlite as it is": (),
    "w:1, not majority": ("majority",),
    "and no lanes": ("majority", "lanes"),
    "and no fences": ("majority", "lanes", "fences"),
}
"""Each side, and what it does without."""


def measure(setting: Setting) -> list[Row]:
    due = setting.sizes.burst
    speeds: dict[str, list[float]] = {side: [] for side in SIDES}
    for repeat in range(setting.sizes.repeats):
        for side, without in SIDES.items():
            say(f"burst of {due:,}, {side}, {repeat + 1} of {setting.sizes.repeats}")
            with setting.mongodb() as uri:
                overlap = "allow" if "lanes" in without else "skip"
                answer = burst.cronlite(uri, due, overlap=overlap, without=list(without))
            speeds[side].append(due / answer["stored_seconds"])
    whole = median(speeds["cronlite as it is"])
    return [
        Row(
            benchmark="safety",
            what=f"{due:,} due, stored",
            side=side,
            values=values,
            unit="/s",
            ratio=median(values) / whole if SIDES[side] else None,
            ratio_to="as it is" if SIDES[side] else "",
        )
        for side, values in speeds.items()
    ]
