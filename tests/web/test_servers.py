"""The daemon inside real web servers: however many processes have one, each minute is done once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import cronlite
from cronlite.when.clock import MINUTE, floor_minute
from tests.waiting import wait_until
from tests.web import readme
from tests.web.noting import noted
from tests.web.servers import Server

SCHEDULES = 3
WORKERS = 3

SERVED = "import tests.web.noting\nfrom {module} import app, cron\n"
STARTED = SERVED + "cron.start(drain_seconds=5)\n"
GUNICORN = ("gunicorn", "--workers", str(WORKERS), "--bind", "127.0.0.1:{port}", "--graceful-timeout", "20")
UVICORN = ("uvicorn", "--workers", str(WORKERS), "--port", "{port}", "served:app")

# What is served, how, and how many daemons that makes.
SETUPS: dict[str, tuple[str, tuple[str, ...], int]] = {
    "gunicorn, started in each worker, preloaded": (
        SERVED.format(module="shop"),
        (*GUNICORN, "--preload", "--config", "gunicorn.conf.py", "served:app"),
        WORKERS,
    ),
    "gunicorn, started at import": (STARTED.format(module="shop"), (*GUNICORN, "served:app"), WORKERS),
    "gunicorn, started at import, preloaded": (
        STARTED.format(module="shop"),
        (*GUNICORN, "--preload", "served:app"),
        1,
    ),
    "uvicorn, started by the lifespan": (SERVED.format(module="api"), UVICORN, WORKERS),
}


@pytest.fixture(params=["sqlite", "mongodb"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'jobs.db'}"
    uri: str = request.getfixturevalue("mongo_uri")
    return uri


@pytest.fixture
def cron(uri: str) -> Iterator[cronlite.Cronlite]:
    """A Cronlite that looks on, with every-minute schedules that a first tick has to make up for."""
    with cronlite.Cronlite(uri) as looking_on:
        yield looking_on


def serve(folder: Path, uri: str, setup: str) -> Server:
    code, command, _ = SETUPS[setup]
    readme.write(folder, "shop.py", "api.py")
    if "gunicorn.conf.py" in command:
        readme.write(folder, "gunicorn.conf.py")
    (folder / "served.py").write_text(code)
    return Server(folder, *command, CRONLITE_URI=uri)


def schedule(cron: cronlite.Cronlite, into: Path) -> list[str]:
    made = [cron.schedule("", {"into": str(into)}, handler="note", overlap="allow") for _ in range(SCHEDULES)]
    for one in made:
        cron.update(one.id, active_from=cron.now() - timedelta(minutes=30))
    return [one.id for one in made]


def minutes(notes: list[tuple[str, int]]) -> dict[str, list[datetime]]:
    """List the minutes of each schedule's calls, in order."""
    found = defaultdict(list)
    for run, _ in notes:
        id_, _, minute = run.partition("@")
        found[id_].append(datetime.strptime(minute, "%Y-%m-%dT%H:%MZ"))
    return {id_: sorted(ticks) for id_, ticks in found.items()}


def check_once_a_minute(notes: list[tuple[str, int]], schedules: list[str], at_least: int) -> None:
    done = minutes(notes)
    assert sorted(done) == sorted(schedules)
    for ticks in done.values():
        assert len(ticks) >= at_least
        assert ticks == [ticks[0] + n * MINUTE for n in range(len(ticks))], "once each, and none is missing"


def wait_for_daemons(cron: cronlite.Cronlite, server: Server, number: int) -> None:
    """Wait until so many web processes have started their daemons.

    A process that uvicorn before 0.41 stops while it starts leaves its daemon behind.
    """
    wait_until(lambda: len(cron.store.daemons()) == number, instead=server.log)


def check_stopped(cron: cronlite.Cronlite, server: Server) -> None:
    assert server.stop() == 0, server.log()
    assert "Traceback" not in server.log()
    for left_open in ("Unclosed MongoClient", "unclosed database"):
        assert left_open not in server.log(), server.log()
    assert cron.store.daemons() == [], server.log()
    assert cron.store.owners() == set()


@pytest.mark.parametrize(
    "setup", [pytest.param(setup, marks=[pytest.mark.slow] * ("at import" in setup)) for setup in SETUPS]
)
def test_the_minutes_of_the_grace_are_done_once_by_all_web_processes_together(
    setup: str, cron: cronlite.Cronlite, tmp_path: Path
) -> None:
    into = tmp_path / "notes"
    schedules = schedule(cron, into)
    with serve(tmp_path, cron.uri, setup) as server:
        server.wait_for_answers()
        wait_for_daemons(cron, server, SETUPS[setup][2])
        wait_until(lambda: len(noted(into)) >= 5 * SCHEDULES, instead=server.log)
        wait_until(lambda: not cron.runs(state=["queued", "running"]))
        check_stopped(cron, server)
    check_once_a_minute(noted(into), schedules, at_least=5)


@pytest.mark.slow
def test_a_minute_is_done_once_as_it_comes(cron: cronlite.Cronlite, tmp_path: Path) -> None:
    into = tmp_path / "notes"
    schedules = schedule(cron, into)
    next_minute = floor_minute(cron.now()) + MINUTE
    with serve(tmp_path, cron.uri, "gunicorn, started in each worker, preloaded") as server:
        wait_until(
            lambda: len(noted(into)) >= 6 * SCHEDULES and cron.now() > next_minute, limit_seconds=90, instead=server.log
        )
        server.wait_for_answers()
        check_stopped(cron, server)
    check_once_a_minute(noted(into), schedules, at_least=6)
    (tick,) = (tick for tick in cron.store.ledger(next_minute, cron.now()) if tick.minute == next_minute)
    assert tick.done_at is not None
    assert tick.done_at - tick.minute < timedelta(seconds=3)


def test_a_request_leaves_work_behind_and_its_record_says_who_asked(uri: str, tmp_path: Path) -> None:
    with serve(tmp_path, uri, "gunicorn, started in each worker, preloaded") as server:
        server.wait_for_answers()
        asked = [server.post("/orders", {"order": n}, **{"X-Customer": f"customer {n}"}) for n in range(20)]
        assert {status for status, _ in asked} == {202}, server.log()

        def ended() -> list[Any]:
            found = [
                server.get(f"/runs/{answer['run']}", **{"X-Customer": f"customer {n}"})[1]
                for n, (_, answer) in enumerate(asked)
            ]
            return found if all(one["state"] not in ("queued", "running") for one in found) else []

        assert wait_until(ended, instead=server.log) == [
            {"state": "succeeded", "result": {"sent": True}, "for": f"customer {n}"} for n in range(20)
        ]
        assert server.get(f"/runs/{asked[0][1]['run']}", **{"X-Customer": "customer 1"})[0] == 404
        assert server.stop() == 0


def test_fastapi_runs_what_a_request_asked_for_and_tells_a_probe_how_it_is(uri: str, tmp_path: Path) -> None:
    with serve(tmp_path, uri, "uvicorn, started by the lifespan") as server, cronlite.Cronlite(uri) as cron:
        wait_for_daemons(cron, server, WORKERS)
        server.wait_for_answers()
        status, answer = server.post("/orders/7?customer=bob")
        assert status == 202
        run = wait_until(lambda: next(iter(cron.runs(state="succeeded")), None), instead=server.log)
        assert (run.id, run.user, run.result) == (answer["run"], "bob", {"sent": 7})
        wait_until(
            lambda: server.get("/health")[0] == 200, what="the first tick", instead=lambda: server.get("/health")
        )
        report = server.get("/health")[1]
        assert (report["healthy"], report["store"], report["daemon_here"]) == (True, "reachable", True)
        assert 0 <= report["last_tick_seconds_ago"] < 70
        check_stopped(cron, server)
