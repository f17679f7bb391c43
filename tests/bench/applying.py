"""Schedules in a file: how long does `apply` take for 5,000 new ones, for changes to all of them, and for nothing?"""

from __future__ import annotations

import time
from collections.abc import Mapping

from cronlite.client import plans
from cronlite.client.app import Cronlite
from cronlite.documents.changes import Actor
from cronlite.plans import reading
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

ACTOR = Actor("bench", "file")


def measure(setting: Setting) -> list[Row]:
    count = setting.sizes.applied
    rows: list[Row] = []
    for side, opened in setting.stores.items():
        say(f"a file of {count:,} schedules ({side})")
        values: dict[str, list[float]] = {}
        for _ in range(setting.sizes.repeats):
            with opened() as uri:
                for what, seconds in _applied(uri, count).items():
                    values.setdefault(what, []).append(seconds)
        rows += [
            Row(
                benchmark="applying",
                what=f"a file of {count:,}: {what}",
                side=side,
                values=seconds,
                unit="s",
                target=Target(most=5),
            )
            for what, seconds in values.items()
        ]
    return rows


def _applied(uri: str, count: int) -> Mapping[str, float]:
    """Return the seconds from reading the file to the last plan, which finds nothing to do."""
    spent: dict[str, float] = {}
    with Cronlite(uri) as cron:
        cron.store.prepare()
        for what, text in {
            "new": _file(count, retries=0),
            "unchanged": _file(count, retries=0),
            "changed": _file(count, retries=1),
            "removed": _file(0, retries=1),
        }.items():
            begun = time.monotonic()
            done = plans.apply(cron._opened, reading.read(text.encode(), "x.toml"), ACTOR, prune=True)
            spent[what] = time.monotonic() - begun
            assert len(done.to_do) == (0 if what == "unchanged" else count)
    return spent


def _file(count: int, *, retries: int) -> str:
    tables = (
        f"[schedules.s{n:05}]\ncron = '{n % 60} {n // 60 % 24} * * *'\nhandler = 'extract'\nretries = {retries}\n"
        f"params = {{n = {n}}}\n"
        for n in range(count)
    )
    return "owner = 'bench'\n" + "".join(tables)
