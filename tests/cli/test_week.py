"""Is the history that 'demo --web' shows one that cronlite made, with all that a week may bring?"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest

from cronlite import Cronlite
from cronlite.cli import week
from cronlite.documents import runs
from cronlite.testing import Rehearsal
from tests.cli.test_processes import CRONLITE
from tests.waiting import wait_until

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    work = week.Work()
    with Rehearsal(NOW, registry=work.registry) as rehearsal:
        work.spend = lambda seconds: week.crank(rehearsal, seconds)
        week.store_schedules(rehearsal.cron)
        yield rehearsal


def test_what_the_made_up_handlers_take_is_the_clocks_time(rehearsal: Rehearsal) -> None:
    run = rehearsal.cron.enqueue("export", {"dataset": "sales"}, user="finance")
    rehearsal.drain()
    assert run.run.finished_at is not None
    assert run.run.started_at is not None
    assert timedelta(seconds=20) <= run.run.finished_at - run.run.started_at <= timedelta(seconds=55)
    assert (run.run.output or "").count("\n") == 5


def test_an_hour_of_it_has_successes_and_its_schedules_are_due(rehearsal: Rehearsal, seed: random.Random) -> None:
    assert seed is not None
    rehearsal.advance(minutes=45, raising=False)
    states = Counter(run.state for run in rehearsal.runs(schedule="prices"))
    assert states.total() == 9
    assert states[runs.SUCCEEDED] >= 5


def test_the_copy_has_all_of_it_and_a_daemon_can_go_on(rehearsal: Rehearsal, tmp_path: Path) -> None:
    from cronlite.store.sqlite import SqliteStore

    rehearsal.advance(minutes=12, raising=False)
    store = rehearsal.cron.store
    assert isinstance(store, SqliteStore)
    path = tmp_path / "copy.db"
    store.copy(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with Cronlite(f"sqlite:{path}") as cron:
        assert cron.runs(limit=None) == rehearsal.cron.runs(limit=None)
        assert cron.schedules() == rehearsal.cron.schedules()
        assert cron.store.prepare() == []
        cron.enqueue("ping")
    with pytest.raises(FileExistsError):
        store.copy(path)


@pytest.mark.slow
def test_a_week_has_failures_retries_skips_missed_minutes_and_a_gap(tmp_path: Path) -> None:
    days: list[int] = []
    week.make(tmp_path / "week.db", NOW, told=days.append)
    assert days == [1, 2, 3, 4, 5, 6, 7]
    with Cronlite(f"sqlite:{tmp_path / 'week.db'}") as cron:
        made = cron.runs(limit=None)
        states = Counter(run.state for run in made)
        assert {runs.SUCCEEDED, runs.FAILED, runs.SKIPPED} <= states.keys()
        assert any(run.state == runs.SUCCEEDED and run.attempt > 1 for run in made)
        assert min(run.queued_at for run in made) < NOW - timedelta(days=6, hours=20)
        (gap,) = [tick for tick in cron.store.ledger(NOW - timedelta(days=8), NOW) if tick.is_gap]
        assert gap.last - gap.first > timedelta(hours=2)
        ways = {change.actor.way for change in cron.history.latest() if change.actor}
        assert ways == {"api", "cli", "web"}
        assert cron.get("newsletter").pause_reason


@pytest.mark.slow
def test_the_site_of_the_demo_is_there_and_leaves_nothing_behind() -> None:
    pytest.importorskip("uvicorn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [*CRONLITE, "demo", "--web", "--listen", listen], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        wait_until(lambda: _answers(listen) or process.poll() is not None, limit_seconds=300, what="the site")
        page = httpx.get(f"http://{listen}/").text
        assert "runs in the last 24 hours" in page
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    folder = Path(told.split("sqlite:")[1].split()[0]).parent
    assert not folder.exists(), told
    assert "Traceback" not in told, told


def _answers(listen: str) -> bool:
    try:
        return httpx.get(f"http://{listen}/").is_success
    except httpx.TransportError:
        return False


def test_without_the_extra_it_says_what_to_install() -> None:
    without = "import sys; sys.modules['uvicorn'] = None; sys.argv = ['cronlite', 'demo', '--web']"
    code = f"{without}\nfrom cronlite.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'cronlite[web]'" in done.stderr
