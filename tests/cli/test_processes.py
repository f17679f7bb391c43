"""What does a real process do: exit codes, streams, pipes, signals, and the demo?"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cronlite.client.app import Cronlite
from tests.cli.conftest import Typed
from tests.waiting import wait_until

CRONLITE = [sys.executable, "-m", "cronlite"]
HANDLERS = """
import time
import cronlite

@cronlite.handler
def greet(params):
    print("hello", params["who"])

@cronlite.handler
def sleep(params):
    time.sleep(params["seconds"])
"""


def ran(*words: str, input: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CRONLITE, *words], input=input, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def started(*words: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    process = subprocess.Popen([*CRONLITE, *words], stdout=pipe, stderr=pipe, text=True, cwd=cwd)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def daemon(uri: str, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a daemon with the handlers above, and wait until it is on the store's list."""
    (folder / "tasks.py").write_text(HANDLERS)
    with started("--uri", uri, "-A", "tasks", "run", *options, cwd=folder) as process, Cronlite(uri) as cron:
        wait_until(lambda: process.poll() is not None or cron.store.daemons(), what="the daemon")
        assert process.poll() is None, process.communicate()
        yield process


def test_help_imports_next_to_nothing() -> None:
    code = "import sys; from cronlite.cli import cli\ntry: cli.main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(told.splitlines()[-1].split())
    heavy = {
        "pymongo",
        "bson",
        "sqlite3",
        "asyncio",
        "logging",
        "logging.config",
        "zoneinfo",
        "cronlite.client.app",
        "socket",
    }
    assert not loaded & heavy


def test_reading_a_file_imports_no_driver_of_a_server(uri: str) -> None:
    code = f"import sys; from cronlite.cli import cli\ntry: cli.main(['--uri', {uri!r}, 'list'])\n"
    code += "except SystemExit: print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not set(told.splitlines()[-1].split()) & {"pymongo", "bson", "asyncio", "multiprocessing"}


def test_exit_codes_and_streams(uri: str) -> None:
    good = ran("--uri", uri, "add", "--hour", "2", "--name", "n", "--json")
    assert good.returncode == 0
    assert json.loads(good.stdout)["name"] == "n"
    assert "warning" in good.stderr
    for words, code in (
        (["--uri", uri, "show", "nix"], 1),
        (["--uri", uri, "add", "--minute", "60"], 2),
        (["--uri", "mongodb://127.0.0.1:1/x?timeoutMS=200", "list"], 3),
        (["--version"], 0),
        ([], 2),
    ):
        result = ran(*words)
        assert result.returncode == code, result
        assert "Traceback" not in result.stderr


def test_a_reader_that_has_seen_enough_ends_it_quietly(uri: str) -> None:
    with Cronlite(uri) as cron:
        for number in range(500):  # more than the 64 KiB that a pipe holds
            cron.schedule("u" * 190, name=f"schedule-{number:04}")
    for command in (["list"], ["list", "--json"], ["next", "-n", "5000"]):
        line = shlex.join([*CRONLITE, "--uri", uri, *command])
        result = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{line} | head -n 1"], capture_output=True, text=True, check=False
        )
        assert "Traceback" not in result.stderr
        assert "error" not in result.stderr
        assert result.returncode == 0
        assert result.stdout.count("\n") == 1


@pytest.mark.parametrize("command", [["list"], ["status"], ["list", "--json"]])
def test_a_reader_that_is_gone_from_the_start_does_no_harm(
    uri: str, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # nothing would be left for the last flush
    Typed(uri)("add", "--name", "n")
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [*CRONLITE, "--uri", uri, *command], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert result.stderr == ""
    assert result.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_answer_that_cannot_be_written_is_a_failure(uri: str) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run([*CRONLITE, "--uri", uri, "status"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "No space left" in result.stderr


def test_text_that_the_locale_cannot_say_is_written_out(uri: str) -> None:
    with Cronlite(uri) as cron:
        cron.schedule("日本", name="n")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    result = subprocess.run([*CRONLITE, "--uri", uri, "list"], capture_output=True, text=True, env=environment)
    assert result.returncode == 0
    assert "\\u65e5" in result.stdout


def test_words_that_are_no_utf_8(uri: str) -> None:
    result = subprocess.run([*CRONLITE, "--uri", uri, "add", "--user", b"\xff"], capture_output=True, check=False)
    assert result.returncode == 2
    assert b"is no UTF-8 text" in result.stderr


def test_the_daemon_runs_what_is_asked_for_and_stops_at_sigterm(uri: str, tmp_path: Path) -> None:
    with daemon(uri, tmp_path) as process:
        told = ran("--uri", uri, "enqueue", "greet", "--params", '{"who": "you"}', "--wait")
        assert told.returncode == 0, told
        assert "hello you" in told.stdout
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert out == "hello you\n"
    assert "SIGTERM received: stopping" in err
    assert "Traceback" not in err


def test_a_handler_that_outlives_the_drain_is_given_back_with_exit_code_0(uri: str, tmp_path: Path) -> None:
    typed = Typed(uri)
    with daemon(uri, tmp_path, "--drain-seconds", "0.2") as process:
        id_ = typed.json("enqueue", "sleep", "--params", '{"seconds": 60}')["id"]
        wait_until(lambda: typed.json("log", id_)["state"] == "running", what="the run to start")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0
    told = typed.json("log", id_)
    assert (told["state"], told["failures"], told["crashes"]) == ("queued", 0, 0)


def test_json_logs_are_one_object_a_line(uri: str, tmp_path: Path) -> None:
    with daemon(uri, tmp_path, "--log-format", "json") as process:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert all("message" in json.loads(line) for line in err.splitlines()), err


def test_a_daemon_without_handlers_says_how_to_get_some(uri: str, tmp_path: Path) -> None:
    with started("--uri", uri, "run", cwd=tmp_path) as process:
        assert process.stderr is not None
        assert "@cronlite.handler" in process.stderr.readline()


def test_a_daemon_waits_for_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    with started("--uri", "mongodb://127.0.0.1:1/x?timeoutMS=200", "run", "--seats", "0", cwd=tmp_path) as process:
        assert process.stderr is not None
        assert "trying again" in process.stderr.readline()
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_systemd_hears_when_the_daemon_is_ready(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with daemon(uri, tmp_path):
            heard = iter(lambda: systemd.recv(4096).decode(), None)
            assert any(message.startswith("READY=1\nSTATUS=") for message in heard)


def test_waiting_for_a_daemon_is_said_and_can_be_broken_off(uri: str, tmp_path: Path) -> None:
    with started("--uri", uri, "enqueue", "greet", "--wait", cwd=tmp_path) as process:
        assert process.stderr is not None
        assert "no daemon is alive" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob("cronlite-demo-*"))


def demo_in(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder)}


def test_a_demo_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*CRONLITE, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=demo_in(tmp_path)
    )
    assert process.stdout is not None
    wait_until(lambda: "A daemon wakes" in (process.stdout or sys.stdin).readline(), what="the wait for the minute")
    assert leftovers(tmp_path)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not leftovers(tmp_path)


@pytest.mark.slow
def test_the_demo(tmp_path: Path) -> None:
    result = subprocess.run(
        [*CRONLITE, "demo"], capture_output=True, text=True, timeout=100, env=demo_in(tmp_path), check=False
    )
    assert result.returncode == 0, result
    assert result.stderr == ""
    assert "\nHello, world!\n" in result.stdout
    assert "The run is on record: succeeded" in result.stdout
    assert "cronlite -A tasks run" in result.stdout
    assert not leftovers(tmp_path)


def test_the_application_next_to_the_terminal_is_found(
    uri: str, tmp_path: Path, application: Callable[[str], str]
) -> None:
    name = application(HANDLERS)
    assert ran("--uri", uri, "-A", name, "add", "--handler", "gret").stderr.endswith("did you mean 'greet'?\n")
