"""Where does a handler's work go that it leaves behind, and for whom?"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cronlite import Cronlite
from cronlite.client import default
from cronlite.testing import Rehearsal
from tests.client.chains import registry
from tests.waiting import wait_until

STATE = "XDG_STATE_HOME"


@pytest.fixture
def cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cronlite]:
    """A Cronlite on a file that nothing but its daemon knows of, found by a path that is a relative one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(default, "_default", None)
    with Cronlite("sqlite:jobs.db", registry=registry) as cron:
        yield cron
    assert default._default is None
    assert not Path(os.environ[STATE]).exists(), "something went to the default file"


def ended(cron: Cronlite, count: int = 1) -> list[str]:
    """Wait for the runs that were left behind; return for whom they were."""

    def found() -> list[str]:
        runs = cron.runs(handler="end", state="succeeded")
        return [run.user for run in runs] if len(runs) == count else []

    return wait_until(found, instead=lambda: [(run.handler, run.state, run.error, run.output) for run in cron.runs()])


@pytest.mark.parametrize("how", ["plainly", "through_to_thread", "plainly_in_a_child", "through_to_thread_in_a_child"])
def test_what_a_handler_enqueues_goes_to_its_own_store_for_its_own_user(cron: Cronlite, how: str) -> None:
    cron.start(drain_seconds=5)
    cron.enqueue(how, {}, user="alice")
    assert ended(cron) == ["alice"]


def test_an_async_handler_and_its_threads_do_so_too(cron: Cronlite) -> None:
    cron.start(drain_seconds=5)
    cron.enqueue("on_the_loop", {}, user="alice")
    assert ended(cron, 2) == ["alice", "alice"]


def test_a_thread_that_a_handler_starts_in_a_child_process_finds_the_store(cron: Cronlite) -> None:
    cron.start(drain_seconds=5)
    cron.enqueue("in_a_thread_of_its_own_in_a_child", {}, user="alice")
    assert ended(cron) == [""], "it is outside of the run, and for nobody"


def test_another_user_can_be_told_and_nobody(cron: Cronlite) -> None:
    cron.start(drain_seconds=5)
    for told in ("bob", ""):
        cron.enqueue("plainly", {"told": told}, user="alice")
    assert sorted(ended(cron, 2)) == ["", "bob"]


def test_a_schedule_made_in_a_run_is_for_its_user(cron: Cronlite) -> None:
    cron.start(drain_seconds=5)
    assert cron.enqueue("by_a_schedule", {}, user="alice").wait(60).state == "succeeded"
    assert cron.get("made in a run").user == "alice"


def test_a_child_process_tells_that_it_cannot_reach_a_store_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "_default", None)
    with Cronlite("memory:", registry=registry) as cron:
        cron.start(drain_seconds=5)
        run = cron.enqueue("plainly_in_a_child", {}).wait(60)
    assert run.state == "failed"
    assert run.error is not None
    assert "in the memory of its daemon" in run.error["message"]


@pytest.mark.parametrize("in_pool", [False, True])
def test_a_rehearsal_is_where_its_handlers_work_goes(in_pool: bool) -> None:
    with Rehearsal(registry=registry, in_pool=in_pool) as rehearsal:
        for how in ("plainly", "through_to_thread", "on_the_loop"):
            rehearsal.cron.enqueue(how, {}, user="alice")
        rehearsal.drain()
        assert [run.result for run in rehearsal.runs(handler="end")] == ["alice"] * 4


def test_the_process_of_a_daemon_works_on_its_store_from_wherever(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import cronlite\nfrom tests.client.chains import in_a_thread_of_its_own, end\n"
        "cronlite.handler(in_a_thread_of_its_own)\ncronlite.handler(end)\n"
    )
    command = [sys.executable, "-m", "cronlite", "--uri", f"sqlite:{tmp_path / 'jobs.db'}", "-A", "app", "run"]
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    environment = os.environ | {"PYTHONPATH": path, STATE: str(tmp_path / "state")}
    with Cronlite(f"sqlite:{tmp_path / 'jobs.db'}") as cron:
        daemon = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
        try:
            cron.enqueue("in_a_thread_of_its_own")
            assert ended(cron) == [""]
        finally:
            daemon.terminate()
            daemon.communicate(timeout=60)
    assert not (tmp_path / "state").exists()
