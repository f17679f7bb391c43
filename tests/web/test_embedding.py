"""The daemon as threads of another program: started, woken and stopped, beside signals, forks and child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cronlite
from cronlite.dispatch import child
from cronlite.handlers.registry import Registry
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[cronlite.Cronlite]:
    registry = Registry()
    registry.add("greet", lambda params: f"hello {params['name']}")
    with cronlite.Cronlite(f"sqlite:{tmp_path / 'jobs.db'}", registry=registry) as opened:
        yield opened


def script(folder: Path, code: str, *, uri: str | None = None) -> str:
    """Run a program of its own; return what it printed. Whatever it warns of is an error."""
    # Python 3.12 warns of each fork in a process with threads, which is the very thing to be shown.
    quiet = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    (folder / "program.py").write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, *quiet, "program.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "CRONLITE_URI": uri or f"sqlite:{folder / 'jobs.db'}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr, done.stderr
    return done.stdout


def test_it_runs_what_is_queued_from_start_to_stop_and_can_be_started_again(cron: cronlite.Cronlite) -> None:
    for name in ("ann", "bob"):
        cron.start(seats=2)
        cron.start(seats=2)
        running = [cron.running]
        assert cron.enqueue("greet", {"name": name}).wait(60).result == f"hello {name}"
        assert cron.stop() == []
        assert [*running, cron.running] == [True, False]
        assert cron.store.daemons() == []
    assert cron.stop() == []


def test_it_takes_no_signals(cron: cronlite.Cronlite) -> None:
    def taken() -> dict[int, Any]:
        return {number: signal.getsignal(number) for number in signal.valid_signals()}

    before, wake_up = taken(), signal.set_wakeup_fd(-1)
    cron.start()
    cron.enqueue("greet", {"name": "ann"}).wait(60)
    assert taken() == before
    cron.stop()
    assert taken() == before
    assert signal.set_wakeup_fd(wake_up) == -1


def test_a_wrong_option_is_refused_and_nothing_is_started(cron: cronlite.Cronlite) -> None:
    with pytest.raises(cronlite.InvalidInput, match="did you mean 'seats'"):
        cron.start(seets=3)  # type: ignore[call-arg]
    assert not cron.running


def test_wake_without_a_daemon_does_nothing(cron: cronlite.Cronlite) -> None:
    cron.wake()
    assert cron.enqueue("greet", {"name": "ann"}).state == "queued"


def test_stop_tells_of_handlers_that_go_on_and_lets_them_be(cron: cronlite.Cronlite) -> None:
    begun, gate = threading.Event(), threading.Event()

    def hold(params: Any) -> None:
        begun.set()
        gate.wait(20)

    cron.registry.add("hold", hold)
    cron.start(drain_seconds=0.1)
    handle = cron.enqueue("hold")
    assert begun.wait(60)
    assert [run.id for run in cron.stop()] == [handle.id]
    gate.set()


def test_what_a_run_logs_is_kept_with_it_and_stdout_is_left_alone(cron: cronlite.Cronlite) -> None:
    def tell(params: Any) -> None:
        import logging

        logging.getLogger("shop").warning("out of stock")

    cron.registry.add("tell", tell)
    stdout = sys.stdout
    cron.start()
    assert sys.stdout is stdout
    output = cron.enqueue("tell").wait(60).output
    assert output is not None
    assert "WARNING out of stock" in output


def test_nothing_is_started_in_the_child_process_of_a_handler(
    cron: cronlite.Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(child._state, "in_child", True)
    cron.start()
    assert not cron.running
    assert cron.store.daemons() == []


def test_a_handler_in_a_child_process_may_be_in_the_module_that_starts_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        textwrap.dedent("""
        import os
        import cronlite

        cron = cronlite.Cronlite()

        @cronlite.handler(isolation="process")
        def where(params):
            return [os.getpid(), cron.running, len(cron.store.daemons())]

        cron.start()
        """)
    )
    code = """
    import os
    from shop import cron

    pid, running, daemons = cron.enqueue("where").wait(60).result
    print(pid != os.getpid(), running, daemons)
    cron.close()
    """
    assert script(tmp_path, code) == "True False 1\n"


def test_at_exit_it_is_stopped_and_running_handlers_are_waited_for(tmp_path: Path) -> None:
    code = """
    import time
    import cronlite

    cron = cronlite.Cronlite()

    @cronlite.handler
    def slow(params):
        begun.append(1)
        time.sleep(1)

    begun = []
    cron.start()
    cron.enqueue("slow")
    while not begun:
        time.sleep(0.01)
    """
    script(tmp_path, code)
    with cronlite.Cronlite(f"sqlite:{tmp_path / 'jobs.db'}") as cron:
        assert [run.state for run in cron.runs()] == ["succeeded"]
        assert cron.store.daemons() == []


FORKED = """
import os
import cronlite

cron = cronlite.Cronlite()

@cronlite.handler
def where(params):
    return os.getpid()

{before}
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        {inside}
        sys.exit()
    children.append(child)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
{after}
"""


@pytest.fixture(params=["sqlite", "mongodb"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'jobs.db'}"
    uri: str = request.getfixturevalue("mongo_uri")
    return uri


def test_processes_forked_off_have_their_own_daemon_connection_and_ids(tmp_path: Path, uri: str) -> None:
    code = FORKED.format(
        before="import sys; parents = cron.store; cron.enqueue('where').state",
        inside="""
        assert cron.store is not parents
        handles = [cron.enqueue("where") for _ in range(50)]
        cron.start()
        assert cron.running
        for handle in handles:
            handle.wait(60)
        """.strip(),
        after="assert cron.store is parents; print(len(cron.runs(state='succeeded', limit=None)))",
    )
    assert script(tmp_path, code, uri=uri) == "151\n"


def test_processes_forked_off_make_ids_of_their_own(tmp_path: Path) -> None:
    code = FORKED.format(
        before="""
import sys
from cronlite.documents.ids import new_id

def tell():
    os.write(1, f"{new_id()[8:18]} ".encode())
""",
        inside="tell()",
        after="tell()",
    )
    made = script(tmp_path, code).split()
    assert len(made) == len(set(made)) == 4


def test_a_daemon_started_before_the_fork_goes_on_in_the_parent_and_serves_all(tmp_path: Path, uri: str) -> None:
    # A fork in the instant in which pymongo makes a monitor leaves the child with half of one, of which it complains at
    # its exit; so the daemon is given the time to connect.
    code = FORKED.format(
        before="""
import sys, time
cron.start()
parent = os.getpid()
while not cron.store.daemons():
    time.sleep(0.01)
""",
        inside="assert not cron.running; assert cron.enqueue('where').wait(60).result == parent; cron.stop()",
        after="assert cron.running; print(len(cron.store.daemons())); cron.stop(); print(len(cron.store.daemons()))",
    )
    assert script(tmp_path, code, uri=uri) == "1\n0\n"


def test_a_fork_while_another_thread_opens_the_store_does_not_lock_the_child_out(tmp_path: Path) -> None:
    code = """
    import os, signal, sys, threading
    import cronlite, cronlite.client.opened

    cron = cronlite.Cronlite()
    opening, forked = threading.Event(), threading.Event()
    real = cronlite.client.opened.open_store

    def slow(uri):
        opening.set()
        forked.wait(60)
        return real(uri)

    cronlite.client.opened.open_store = slow
    thread = threading.Thread(target=lambda: cron.store)
    thread.start()
    opening.wait(60)
    child = os.fork()
    if not child:
        signal.alarm(10)
        cronlite.client.opened.open_store = real
        print(cron.runs(), flush=True)
        os._exit(0)
    forked.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    cron.close()
    """
    assert script(tmp_path, code) == "[]\n"


def test_the_start_of_a_store_that_is_out_of_reach_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "mounted later"
    registry = Registry()
    registry.add("greet", lambda _: "hello")
    cron = cronlite.Cronlite(f"sqlite:{folder / 'jobs.db'}", registry=registry)
    folder.write_text("in the way")
    cron.start()
    folder.unlink()
    wait_until(lambda: (folder / "jobs.db").exists())
    assert cron.enqueue("greet").wait(60).result == "hello"
    cron.close()
