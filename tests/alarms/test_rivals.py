"""Do processes that look after alarms at the same instant, on a real store, raise, tell and clear once?"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from cronlite.alarms.channels import read_channels
from cronlite.daemon.alarming import Alarming
from cronlite.documents import runs
from cronlite.store import open_store
from tests.alarms.told import Night, wait_for_messages
from tests.store.conftest import MONGOD

COUNT = 4


@pytest.mark.parametrize("kind", ["sqlite", MONGOD])
def test_rivals_tell_once(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path / 'jobs.db'}" if kind == "sqlite" else request.getfixturevalue("mongo_uri")
    with ExitStack() as opened, ThreadPoolExecutor(COUNT) as pool:
        stores = [open_store(uri) for _ in range(COUNT)]
        for store in stores:
            opened.callback(store.close)
            store.prepare()
        night = Night(stores[0], count=0)
        channels = read_channels([night.settings])
        senders = {"team": night.recipient}
        night.watchers = [Alarming(store, night.clock, channels, None, senders) for store in stores]
        together = threading.Barrier(COUNT)

        def round_(one: Alarming) -> None:
            together.wait(60)
            one.round(night.now)
            wait_for_messages(one)

        def rounds(count: int) -> None:
            for _ in range(count):
                night.clock.to(night.now + timedelta(seconds=10))
                list(pool.map(round_, night.watchers))

        night.schedule()
        failed = night.fails()
        for one in night.watchers:
            one.ended([(failed, {"state": runs.FAILED})], set())  # as if each had recorded it
        rounds(12)
        [first] = night.recipient.titles
        assert first.startswith("cronlite: schedule nightly failed")
        assert night.open() == ["failed:nightly"]
        night.ends("nightly", runs.SUCCEEDED)
        rounds(12)
        assert night.recipient.titles[1:] == [f"cronlite: over: {first.removeprefix('cronlite: ')}"]
        assert [one.trouble for one in night.watchers] == [""] * COUNT
        night.watchers = []
