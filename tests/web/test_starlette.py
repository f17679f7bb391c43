"""The lifespan and the probe's endpoint; `test_servers.py` has them in a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

import cronlite
from cronlite.contrib.health import LONGEST_WITHOUT_TICK, health
from cronlite.contrib.starlette import health_endpoint, lifespan
from cronlite.documents.ticks import Tick
from cronlite.errors import StoreUnavailable
from cronlite.handlers.registry import Registry
from cronlite.store.sqlite import SqliteStore
from cronlite.when.clock import floor_minute
from tests.waiting import wait_until


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[cronlite.Cronlite]:
    with cronlite.Cronlite(f"sqlite:{tmp_path / 'jobs.db'}", registry=Registry()) as opened:
        yield opened


def test_the_daemon_lives_as_long_as_the_application(cron: cronlite.Cronlite) -> None:
    app = Starlette(lifespan=lifespan(cron, seats=3))

    async def live() -> None:
        async with app.router.lifespan_context(app):
            assert cron.running

    asyncio.run(live())
    assert not cron.running


def test_another_lifespan_begins_before_and_ends_after_it_and_its_state_is_the_applications(
    cron: cronlite.Cronlite,
) -> None:
    told = []

    @asynccontextmanager
    async def other(app: Any) -> AsyncIterator[dict[str, str]]:
        told.append(("begins", cron.running))
        yield {"pool": "open"}
        told.append(("ends", cron.running))

    async def live() -> None:
        async with lifespan(cron, other)(Starlette()) as state:
            told.append((state["pool"], cron.running))

    asyncio.run(live())
    assert told == [("begins", False), ("open", True), ("ends", False)]


def test_an_application_that_fails_stops_its_daemon_and_a_wrong_option_its_start(cron: cronlite.Cronlite) -> None:
    async def fail(**options: Any) -> None:
        async with lifespan(cron, **options)(Starlette()):
            raise RuntimeError("no luck")

    with pytest.raises(RuntimeError, match="no luck"):
        asyncio.run(fail())
    assert not cron.running
    with pytest.raises(cronlite.InvalidInput, match="did you mean 'seats'"):
        asyncio.run(fail(seat=3))


def asked(cron: cronlite.Cronlite) -> tuple[int, Any]:
    async def ask() -> Response:
        return await health_endpoint(cron)(Request({"type": "http"}))

    response = asyncio.run(ask())
    return response.status_code, json.loads(bytes(response.body))


def test_a_probe_hears_200_while_somebody_ticks(cron: cronlite.Cronlite) -> None:
    with cronlite.Cronlite(cron.uri, registry=Registry()) as other:
        other.start()
        wait_until(lambda: health(cron)["healthy"])
        status, report = asked(cron)
    assert (status, report["healthy"], report["store"], report["daemon_here"]) == (200, True, "reachable", False)
    assert 0 <= report["last_tick_seconds_ago"] <= 62


def test_a_probe_hears_200_while_somebody_makes_up_for_minutes(cron: cronlite.Cronlite) -> None:
    now = cron.store.now()
    for minutes, done_at in ((4, now), (3, None)):  # as at a daemon's first start: it does the oldest first
        minute = floor_minute(now) - timedelta(minutes=minutes)
        cron.store.claim_tick(Tick(minute=minute, daemon="d", claimed_at=now, done_at=done_at))
    status, report = asked(cron)
    assert (status, report["healthy"]) == (200, True)


def test_a_probe_hears_503_when_nobody_ever_ticked(cron: cronlite.Cronlite) -> None:
    told = {"healthy": False, "daemon_here": False, "store": "reachable", "last_tick_seconds_ago": None}
    assert asked(cron) == (503, told | {"troubles": {}})


def test_a_probe_hears_503_when_the_last_tick_is_long_ago(
    cron: cronlite.Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    cron.start()
    wait_until(lambda: health(cron)["healthy"])
    cron.stop()
    now = cron.store.now()
    monkeypatch.setattr(SqliteStore, "now", lambda _: now + LONGEST_WITHOUT_TICK + timedelta(seconds=1))
    status, report = asked(cron)
    assert (status, report["healthy"]) == (503, False)
    assert report["last_tick_seconds_ago"] > LONGEST_WITHOUT_TICK.total_seconds()


def test_a_probe_hears_503_and_no_address_when_the_store_is_out_of_reach(
    cron: cronlite.Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> None:
        raise StoreUnavailable(f"{cron.uri} is gone")

    monkeypatch.setattr(SqliteStore, "now", gone)
    assert asked(cron) == (503, {"healthy": False, "daemon_here": False, "store": "unreachable"})
