"""Does whatever happens to a child process stay an outcome of its run?"""

import contextlib
import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cronlite.dispatch import children, process
from cronlite.dispatch.child import in_child
from cronlite.dispatch.keeper import Keeper
from cronlite.documents import runs
from cronlite.documents.runs import Run
from cronlite.handlers.output import capture_logs, capture_prints
from cronlite.handlers.registry import Handler
from cronlite.handlers.shell import allow_shell
from tests.dispatch.conftest import DUE, Watched, make_run
from tests.waiting import wait_until


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    """A keeper that ends what is left of this test's children."""
    kept = Keeper()
    yield kept
    kept.close()


def apart(action: str, *, timeout_seconds: float | None = None, **params: Any) -> Run:
    return make_run(action, handler="act_apart", timeout_seconds=timeout_seconds, **params)


def shell(line: str) -> Run:
    run = make_run(handler="shell")
    run.params = {"command": ["/bin/sh", "-c", line]}
    return run


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; an orphan may stay a zombie where nobody waits for it."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()[:1] in ("", "Z")


def pids_in(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()] if path.exists() and "\n" in path.read_text() else []


@pytest.mark.parametrize(
    ("action", "params", "message"),
    [
        ("segfault", {}, "its process was killed by SIGSEGV"),
        ("kill", {}, "its process was killed by SIGKILL (out of memory, or by hand)"),
        ("_exit", {"status": 3}, "its process exited with status 3 before the handler was done"),
        ("_exit", {"status": 0}, "its process exited with status 0 before the handler was done"),
        ("fork and hold", {"exit_status": 4}, "its process exited with status 4 before the handler was done"),
    ],
)
def test_the_death_of_a_child_is_a_failure_that_says_how(
    make_pool: Callable[[int], Watched], action: str, params: dict[str, Any], message: str
) -> None:
    watched = make_pool(1)
    outcome = watched.outcome(apart(action, **params))
    assert (outcome.state, outcome.retriable) == (runs.FAILED, True)
    assert outcome.error == {"type": "ProcessDied", "message": message, "traceback": ""}
    assert watched.outcome(apart("ok", value="next")).result == "next"


def test_a_child_that_closes_its_channel_is_dead(watched: Watched) -> None:
    outcome = watched.outcome(apart("close everything"))
    assert outcome.error is not None
    assert outcome.error["type"] == "ProcessDied"
    assert watched.outcome(apart("ok", value="next")).result == "next"


def test_the_status_of_a_child_is_its_own_however_often_one_dies(make_pool: Callable[[int], Watched]) -> None:
    watched = make_pool(4)
    watched.pool.submit([apart("_exit", status=7) for _ in range(12)])
    messages = {
        outcome.error["message"] for _, outcome in (watched.next() for _ in range(12)) if outcome and outcome.error
    }
    assert messages == {"its process exited with status 7 before the handler was done"}


def test_what_a_child_printed_before_it_died_is_kept(watched: Watched, tmp_path: Path) -> None:
    def busy_until_it_is_dead(run: Run) -> bool:
        (child,) = watched.pool._children._busy
        (tmp_path / "asked").touch()
        wait_until(lambda: child._process.poll() is not None, what="the child to die")
        return True

    watched.mine = busy_until_it_is_dead
    outcome = watched.outcome(apart("ask and die", once=str(tmp_path / "asked")))
    assert outcome.output == "last words\n"
    assert outcome.error is not None
    assert outcome.error["type"] == "ProcessDied"


def test_a_child_over_its_limit_is_killed_with_all_that_it_started(watched: Watched, tmp_path: Path) -> None:
    watched.pool.submit([apart("start", into=str(tmp_path / "pids"), timeout_seconds=600)])
    child, grandchild = wait_until(lambda: pids_in(tmp_path / "pids"), what="the handler to start")
    watched.pool._check_limits(time.monotonic() + 601)
    outcome = watched.next()[1]
    assert outcome is not None
    assert (outcome.state, outcome.retriable) == (runs.TIMED_OUT, True)
    wait_until(lambda: is_gone(child) and is_gone(grandchild), what="both to be gone")
    assert watched.pool.drain(5) == []
    assert (watched.pool.stuck, watched.pool.free) == (0, 2)


def test_a_stopped_child_is_killed_at_its_limit(watched: Watched) -> None:
    pid = watched.outcome(apart("pid")).result
    os.kill(pid, signal.SIGSTOP)
    assert watched.outcome(apart("ok", timeout_seconds=0.2)).state == runs.TIMED_OUT


def test_a_child_begins_while_another_thread_changes_the_environment(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            for number in range(5):
                monkeypatch.setitem(os.environ, f"CHANGING_{number}", "x")
            monkeypatch.undo()

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(20):
            process.Child(keeper).bury()
    finally:
        over.set()
        changing.join()


def test_a_late_cut_does_not_hit_the_next_call(keeper: Keeper) -> None:
    child = process.Child(keeper)
    try:
        late_cut = child.begin()
        run = Run(id="r", handler="act", params={"action": "pid"}, due_at=DUE, queued_at=DUE)
        handler = Handler("act", __import__("tests.dispatch.acting", fromlist=["act"]).act, "process")
        first = child.call(children._request(run, handler, None), lambda: True)
        late_cut()
        child.begin()
        late_cut()
        assert child.call(children._request(run, handler, None), lambda: True).result == first.result
    finally:
        child.dismiss()


def test_a_child_is_kept_for_the_next_run(make_pool: Callable[[int], Watched]) -> None:
    watched = make_pool(1)
    first, second = (watched.outcome(apart("pid")).result for _ in range(2))
    assert first == second != os.getpid()


def test_what_handlers_leak_goes_with_the_child(
    make_pool: Callable[[int], Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "RUNS_PER_CHILD", 2)
    watched = make_pool(1)
    first = watched.outcome(apart("pid")).result
    assert watched.outcome(apart("leak", count=50)).state == runs.SUCCEEDED
    assert watched.outcome(apart("pid")).result != first
    assert is_gone(first)


def test_an_idle_child_is_let_go_but_not_what_it_left_in_the_background(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "IDLE_SECONDS", 0.2)
    pid = watched.outcome(apart("pid")).result
    watched.outcome(apart("start in background", into=str(tmp_path / "pid")))
    (left,) = pids_in(tmp_path / "pid")
    try:
        wait_until(lambda: is_gone(pid), what="the child to be let go")
        assert not is_gone(left)
    finally:
        os.kill(left, signal.SIGKILL)
    assert watched.outcome(apart("ok", value="next")).result == "next"


def test_a_child_that_does_not_go_is_killed_but_not_what_it_left_in_the_background(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_LEAVE_SECONDS", 0.05)
    monkeypatch.setattr(children, "IDLE_SECONDS", 0.2)
    pid = watched.outcome(apart("pid")).result
    watched.outcome(apart("start in background", into=str(tmp_path / "pid")))
    (left,) = pids_in(tmp_path / "pid")
    try:
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: is_gone(pid), what="the child to be let go")
        assert not is_gone(left)
    finally:
        os.kill(left, signal.SIGKILL)


def test_an_idle_child_that_died_is_replaced(watched: Watched) -> None:
    pid = watched.outcome(apart("pid")).result
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid))
    assert watched.outcome(apart("ok", value="next")).result == "next"


def test_closing_the_pool_ends_its_children(watched: Watched, tmp_path: Path) -> None:
    idle = watched.outcome(apart("pid")).result
    watched.pool.submit([apart("start", into=str(tmp_path / "a")), apart("start", into=str(tmp_path / "b"))])
    started: list[int] = []
    for name in ("a", "b"):
        started += wait_until(lambda name=name: pids_in(tmp_path / name), what="the handler to start")  # type: ignore[misc]
    watched.pool.close()
    wait_until(lambda: all(map(is_gone, [idle, *started])), what="all of them to be gone")
    assert watched.silent()


DAEMON = """
import sys, time
from cronlite.dispatch import children
from tests.dispatch.conftest import Watched, make_run
watched = Watched(1)
children.IDLE_SECONDS = 0.1
watched.pool.submit([make_run(sys.argv[1], handler="act_apart", into=sys.argv[2])])
time.sleep(60)
"""


UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
from tests.dispatch.conftest import Watched, make_run
watched = Watched(2)
print(watched.outcome(make_run("print", handler="act_apart", text="through the pipe")).output, end="")
print(watched.outcome(make_run("ok", handler="act_apart", value="through the channel")).result)
watched.pool.close()
"""


def test_a_child_of_a_daemon_under_gevent_works_as_any_other() -> None:
    done = subprocess.run([sys.executable, "-c", UNDER_GEVENT], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-2:] == ["through the pipe", "through the channel"], done.stderr


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[[str], list[int]]]:
    """A function that lets a daemon's handler do something, kills the daemon with -9, and returns what was started."""
    with contextlib.ExitStack() as daemons:

        def killed(action: str, *, when: Callable[[list[int]], bool] = bool) -> list[int]:
            command = [sys.executable, "-c", DAEMON, action, str(tmp_path / "pids")]
            running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            daemons.callback(running.wait)
            daemons.callback(running.kill)
            started = wait_until(lambda: pids_in(tmp_path / "pids"), what="the handler to start")
            wait_until(lambda: when(started), what="the moment to kill it")
            running.kill()
            return started

        yield killed


@pytest.mark.parametrize("action", ["start", "start and hold the interpreter"])
def test_children_die_with_their_daemon(daemon: Callable[[str], list[int]], action: str) -> None:
    started = daemon(action)
    wait_until(lambda: all(map(is_gone, started)), what="the child and the grandchild to be gone")


def test_what_an_idle_child_left_in_the_background_dies_with_the_daemon(daemon: Callable[..., list[int]]) -> None:
    _, left = daemon("leave in background", when=lambda started: is_gone(started[0]))
    wait_until(lambda: is_gone(left), what="the background process to be gone")


def test_what_a_child_left_in_the_background_ends_with_the_pool(watched: Watched, tmp_path: Path) -> None:
    watched.outcome(apart("start in background", into=str(tmp_path / "pid")))
    (left,) = pids_in(tmp_path / "pid")
    assert not is_gone(left)
    watched.pool.close()
    wait_until(lambda: is_gone(left), what="the background process to be gone")


def test_a_keeper_that_was_killed_is_replaced_and_knows_what_the_first_one_knew(keeper: Keeper) -> None:
    sleepers = [subprocess.Popen(["sleep", "3600"], start_new_session=True) for _ in range(2)]
    try:
        keeper.add(sleepers[0].pid)
        first = keeper.pid
        assert first
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: is_gone(first), what="the keeper to be gone")
        keeper.add(sleepers[1].pid)
        assert keeper.pid != first
        keeper.close()
        assert [sleeper.wait(60) for sleeper in sleepers] == [-signal.SIGKILL, -signal.SIGKILL]
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def test_a_keeper_leaves_alone_what_was_taken_back(keeper: Keeper) -> None:
    with subprocess.Popen(["sleep", "3600"], start_new_session=True) as sleeper:
        keeper.add(sleeper.pid)
        keeper.remove(sleeper.pid)
        keeper.close()
        assert sleeper.poll() is None
        sleeper.kill()


@pytest.mark.parametrize("lacking", ["EMFILE", "EAGAIN", "ENOMEM"])
def test_a_run_that_the_system_has_no_process_for_is_given_back(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(getattr(errno, lacking), "there is none left")

    monkeypatch.setattr(children, "_SCARCE_SECONDS", 0.0)
    with monkeypatch.context() as scarce:
        scarce.setattr(subprocess, "Popen", refuse)
        watched.pool.submit([apart("ok")])
        assert watched.next()[1] is None, "given back, not failed"
    assert watched.outcome(apart("ok", value="next")).result == "next"


@pytest.mark.parametrize(
    ("lacking", "error"),
    [
        ("threading.Thread.start", 'RuntimeError("can\'t start new thread")'),
        ("subprocess.Popen", 'BlockingIOError(11, "Resource temporarily unavailable")'),
    ],
    ids=["a thread", "a process"],
)
def test_a_child_that_the_system_has_nothing_left_for_gives_its_run_back(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, lacking: str, error: str
) -> None:
    allow_shell(watched.pool._registry)
    monkeypatch.setattr(children, "_SCARCE_SECONDS", 0.0)
    refusing = f"import threading, subprocess; {lacking} = lambda *_, **__: (_ for _ in ()).throw({error}); "
    with monkeypatch.context() as scarce:
        scarce.setattr(process, "_BOOT", process._BOOT.replace("serve(int", f"{refusing}serve(int"))
        watched.pool.submit([run := shell("true")])
        assert watched.next() == (run, None), "given back, not failed"
    assert watched.pool.trouble
    assert watched.outcome(shell("exit 0")).state == runs.SUCCEEDED


def test_too_few_file_descriptors_cost_no_run_its_outcome_and_leak_none(make_pool: Callable[[int], Watched]) -> None:
    monitored = Path("/proc/self/fd")
    watched = make_pool(4)
    watched.outcome(apart("ok"))  # whatever is opened once is open
    before = len(list(monitored.iterdir()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(children, "_SCARCE_SECONDS", 0.0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before + 8, hard))
        try:
            watched.pool.submit([apart("ok") for _ in range(12)])
            ended = [watched.next()[1] for _ in range(12)]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {outcome and outcome.state for outcome in ended} <= {None, runs.SUCCEEDED}
    watched.pool.close()
    assert len(list(monitored.iterdir())) <= before


@pytest.mark.parametrize("name", ["json", "socket", "logging", "contextvars"])
def test_a_child_imports_what_it_needs_itself_from_nowhere_else(
    make_pool: Callable[[int], Watched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert make_pool(1).outcome(apart("ok", value="right")).result == "right"
    assert not (tmp_path / "ran").exists()


def test_each_run_finds_the_streams_and_the_folder_as_they_were(
    make_pool: Callable[[int], Watched], tmp_path: Path
) -> None:
    watched = make_pool(1)
    watched.outcome(apart("chdir", path=str(tmp_path)))
    assert watched.outcome(apart("cwd")).result == os.fspath(Path.cwd())
    watched.outcome(apart("close stdout", descriptors=True))
    assert watched.outcome(apart("print", text="still here")).output == "still here\n"
    watched.outcome(apart("replace stdout"))
    assert watched.outcome(apart("print", text="and here", error=True)).output == "and here\n"


def test_output_past_sys_stdout_is_seen_and_undecodable_bytes_are_replaced(watched: Watched) -> None:
    assert watched.outcome(apart("write", text="straight\n")).output == "straight\n"


def test_output_comes_through_without_a_stdout(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert watched.outcome(apart("print", text="said")).output == "said\n"


def test_an_error_is_logged_with_its_traceback(watched: Watched) -> None:
    with capture_logs(), capture_prints():
        output = watched.outcome(apart("log error")).output
    assert output is not None
    assert " ERROR it failed\n" in output
    assert output.endswith("ValueError: inner\n")


def test_log_levels_are_the_daemons(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("ERROR")
    watched.outcome(apart("log", message="not worth it"))
    assert "not worth it" not in caplog.text


def test_params_that_are_no_json_are_a_failure_for_good(watched: Watched) -> None:
    outcome = watched.outcome(apart("ok", value=DUE))
    assert (outcome.state, outcome.retriable) == (runs.FAILED, False)
    assert outcome.error is not None
    assert "no JSON: Object of type datetime" in outcome.error["message"]


def test_large_params_arrive(watched: Watched) -> None:
    assert watched.outcome(apart("length", text="ü" * 5_000_000)).result == 5_000_000


def test_a_function_that_cannot_be_imported_is_a_failure(watched: Watched) -> None:
    watched.pool._registry._handlers["act_apart"] = Handler("act_apart", wait_until_moved, "process")
    outcome = watched.outcome(apart("ok"))
    assert outcome.error is not None
    assert outcome.error["message"] == "No module named 'tests.elsewhere'"


def wait_until_moved(params: object) -> None: ...


wait_until_moved.__module__ = "tests.elsewhere"


def test_not_knowing_whether_a_run_is_still_mine_means_no(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    def broken(run: Run) -> bool:
        raise OSError("no store")

    watched.mine = broken
    assert watched.outcome(apart("not mine")).result == "right"
    assert "no store" in caplog.text


def test_the_late_word_of_a_thread_left_behind_is_nobodys(make_pool: Callable[[int], Watched], tmp_path: Path) -> None:
    watched = make_pool(1)
    watched.outcome(apart("leave a thread", into=str(tmp_path / "answer")))
    watched.outcome(apart("open the gate"))
    wait_until((tmp_path / "answer").exists, what="the thread to ask")
    assert wait_until((tmp_path / "answer").read_text) == "False"
    assert watched.outcome(apart("ok", value="next")).result == "next"


def test_a_thread_left_behind_may_ask_when_nobody_listens(make_pool: Callable[[int], Watched], tmp_path: Path) -> None:
    watched = make_pool(1)
    watched.outcome(apart("leave a thread asking", into=str(tmp_path / "answer"), when=str(tmp_path / "over")))
    (tmp_path / "over").touch()
    wait_until((tmp_path / "answer").exists, what="the thread to ask")
    assert watched.outcome(apart("run")).result["mine"] is True
    assert wait_until((tmp_path / "answer").read_text) == "False"


def test_what_comes_together_with_an_outcome_is_answered(keeper: Keeper) -> None:
    child, (ours, theirs) = process.Child(keeper), socket.socketpair()
    real, child._channel = child._channel, ours
    try:
        said: list[dict[str, Any]] = [{"outcome": {"state": runs.SUCCEEDED}}, {"ask": 1}, {"ask": 1}]
        theirs.sendall(b"".join(map(process.line, said)))
        child.begin()
        assert child.call(b"", lambda: True).state == runs.SUCCEEDED
        assert theirs.recv(1_000) == 2 * process.line({"mine": False})
        theirs.sendall(b"".join(map(process.line, said)))
        theirs.shutdown(socket.SHUT_RD)
        told = child._outcome(bytes.decode, lambda: True)
        assert told.state == runs.SUCCEEDED, "even if nobody hears the answer"
    finally:
        real.close()
        theirs.close()
        child.bury()


def test_a_fork_of_a_child_says_nothing(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    assert watched.outcome(apart("fork and return")).result == "parent"
    assert watched.outcome(apart("ok", value="next")).result == "next"
    assert caplog.text == ""


def test_a_child_knows_that_it_is_one(watched: Watched) -> None:
    assert watched.outcome(apart("in child")).result is True
    assert in_child() is False


def test_a_shell_command_is_killed_at_its_limit_with_all_that_it_started(
    make_pool: Callable[[int], Watched], tmp_path: Path
) -> None:
    watched = make_pool(1)
    allow_shell(watched.pool._registry)
    line = f"sleep 3600 & echo started; echo $$ $! > {tmp_path / 'pids'}; wait"
    run = make_run(handler="shell", timeout_seconds=600)
    run.params = {"command": ["/bin/sh", "-c", line]}
    watched.pool.submit([run])
    started = wait_until(lambda: pids_in(tmp_path / "pids"), what="the command to start")
    watched.pool._check_limits(time.monotonic() + 601)
    outcome = watched.next()[1]
    assert outcome is not None
    assert (outcome.state, outcome.output) == (runs.TIMED_OUT, "started\n")
    wait_until(lambda: all(map(is_gone, started)), what="shell and sleep to be gone")


@pytest.mark.parametrize(
    "params", [{"command": ["no-such-command"]}, {"command": "date"}, {"command": ["ls"], "cwd": "/no"}]
)
def test_a_shell_command_that_cannot_be_begun_shows_none_of_our_own_code(
    watched: Watched, params: dict[str, object]
) -> None:
    allow_shell(watched.pool._registry)
    run = make_run(handler="shell")
    run.params = params
    error = watched.outcome(run).error
    assert error is not None
    assert "Traceback" not in error["traceback"]
    assert "shell.py" not in str(error)


def test_a_shell_command_that_fails_says_why(watched: Watched) -> None:
    allow_shell(watched.pool._registry)
    outcome = watched.outcome(shell("echo out; echo; echo no such host >&2; exit 3"))
    assert outcome.error is not None
    assert outcome.error["type"] == "cronlite.handlers.shell.CommandFailed"
    assert outcome.error["message"] == "exit status 3: no such host"
    assert outcome.error["traceback"] == "exit status 3\nno such host"
    assert outcome.output is not None
    assert sorted(outcome.output.split("\n")) == ["", "", "no such host", "out"]
