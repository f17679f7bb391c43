"""The end of a process that has the daemon inside: what is at work then ends well, or is given back at no cost."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cronlite.client.app import Cronlite
from cronlite.documents.runs import Run
from tests.waiting import wait_until
from tests.web import readme
from tests.web.servers import Server

ROOT = Path(__file__).parents[2]

# Handlers that are at work when the drain begins, and need more of Python only then.
HANDLERS = """
import asyncio, concurrent.futures, logging, pathlib, threading, time
import cronlite

draining = threading.Event()

class Drain(logging.Handler):
    def emit(self, record):
        if "nothing more is claimed" in record.getMessage():
            draining.set()

logging.getLogger("cronlite.daemon").addHandler(Drain())
logging.getLogger("cronlite.daemon").setLevel(logging.INFO)

def work():
    return "worked"

def begun():
    pathlib.Path(f"begun-{cronlite.current_run().handler}").touch()

async def drained():
    begun()
    while not draining.is_set():
        await asyncio.sleep(0.01)

@cronlite.handler
async def to_thread(params):
    await drained()
    return await asyncio.to_thread(work)

@cronlite.handler
async def in_executor(params):
    await drained()
    return await asyncio.get_running_loop().run_in_executor(None, work)

@cronlite.handler
def in_pool(params):
    begun()
    draining.wait(60)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return pool.submit(work).result()

@cronlite.handler
def in_thread(params):
    begun()
    draining.wait(60)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return "worked"

@cronlite.handler
def asks_the_store(params):
    begun()
    draining.wait(60)
    return "worked" if cron.schedules() == [] else ""

@cronlite.handler
def endless(params):
    begun()
    time.sleep(3600)

@cronlite.handler
async def endless_async(params):
    begun()
    await asyncio.sleep(3600)
"""
NAMES = ("to_thread", "in_executor", "in_pool", "in_thread", "asks_the_store")

SCRIPT = """
import time
import shop
from pathlib import Path

shop.cron.start(drain_seconds={drain_seconds})
for name in {names!r}:
    shop.cron.enqueue(name)
while not all(Path(f"begun-{{name}}").exists() for name in {names!r}):
    time.sleep(0.01)
{end}
"""


def ended(folder: Path, names: tuple[str, ...], drain_seconds: float, end: str = "") -> list[Run]:
    """Run a script that ends while handlers are at work; return their runs, and what it said if that is needed."""
    (folder / "shop.py").write_text(textwrap.dedent(HANDLERS) + "\ncron = cronlite.Cronlite()\n")
    (folder / "program.py").write_text(SCRIPT.format(names=names, drain_seconds=drain_seconds, end=end))
    uri = f"sqlite:{folder / 'jobs.db'}"
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "CRONLITE_URI": uri},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    with Cronlite(uri) as cron:
        assert cron.store.daemons() == [], done.stderr
        return cron.runs()


def ended_well(runs: list[Run]) -> bool:
    """Tell whether they all ended, at the first attempt.

    The first releases of Python 3.12 start no thread for anybody by then; what needs one goes back at no cost.
    """
    assert {(run.attempt, run.failures, run.crashes) for run in runs} == {(1, 0, 0)}
    given_back = dict.fromkeys(NAMES, ("queued", None)) if sys.version_info[:2] == (3, 12) else {}
    return all(state in (("succeeded", "worked"), given_back.get(name)) for name, state in told(runs).items())


def told(runs: list[Run]) -> dict[str, tuple[str, object]]:
    return {run.handler: (run.state, run.result if run.error is None else run.error) for run in runs}


@pytest.mark.parametrize("end", ["", "shop.cron.close()", "import sys; sys.exit()"])
def test_a_script_that_ends_lets_its_runs_end_whatever_of_python_they_still_need(tmp_path: Path, end: str) -> None:
    runs = ended(tmp_path, NAMES, 60, end)
    assert ended_well(runs), told(runs)


def test_what_outlives_the_drain_of_a_script_is_given_back_at_no_cost(tmp_path: Path) -> None:
    runs = ended(tmp_path, ("endless", "endless_async"), 0.1)
    assert {(run.state, run.failures, run.crashes) for run in runs} == {("queued", 0, 0)}
    assert [[attempt.state for attempt in run.attempts] for run in runs] == [["cut_off"], ["cut_off"]]


@pytest.mark.parametrize(
    "kind", [("sync",), ("gthread", "--threads", "2"), ("sync", "--preload")], ids=["sync", "gthread", "preload"]
)
def test_gunicorn_as_the_readme_has_it_lets_runs_end(tmp_path: Path, kind: tuple[str, ...]) -> None:
    readme.write(tmp_path, "shop.py", "gunicorn.conf.py")
    (tmp_path / "shop.py").write_text((tmp_path / "shop.py").read_text() + textwrap.dedent(HANDLERS))
    uri = f"sqlite:{tmp_path / 'jobs.db'}"
    command = ("--worker-class", *kind, "--bind", "127.0.0.1:{port}", "--config", "gunicorn.conf.py", "shop:app")
    with Server(tmp_path, "gunicorn", *command, CRONLITE_URI=uri) as server, Cronlite(uri) as cron:
        for name in NAMES:
            cron.enqueue(name)
        wait_until(
            lambda: all((tmp_path / f"begun-{name}").exists() for name in NAMES), what="all begin", instead=server.log
        )
        assert server.stop() == 0
        runs = cron.runs()
        assert ended_well(runs), (told(runs), server.log())
        assert cron.store.daemons() == []
