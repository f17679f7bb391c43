"""Safety: what would a burst gain if less were promised? One guarantee after the other is left out, here only."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any
from unittest.mock import patch

from pymongo import WriteConcern

from cronlite.store.grouping import SharedChange, shared
from cronlite.store.mongo import connection
from cronlite.store.mongo import runs as mongo_runs
from tests.bench import burst, daemons
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
                answer = burst.cronlite(uri, due, by="safety:careless", overlap=overlap, without=without)
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


def careless(without: Sequence[str], **given: Any) -> dict[str, Any]:
    """Work in this process without some of the guarantees."""
    with ExitStack() as left_out:
        if "majority" in without:
            left_out.enter_context(patch.object(connection, "_WRITE_CONCERN", WriteConcern(w=1)))
        if "fences" in without:
            left_out.enter_context(patch.object(mongo_runs, "shared", _unfenced))
        return daemons.work(**given)


def _unfenced(given: Any) -> list[SharedChange]:
    return [one._replace(fence={}) for one in shared(given)]
