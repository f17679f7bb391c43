"""`cronlite web` in a process of its own: where it listens, with which tokens, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import httpx
import pytest
from click.testing import CliRunner

from cronlite.cli import cli
from cronlite.client.alarms import Alarms
from tests.waiting import wait_until

TOKEN = "a-token-of-sixteen-characters"


def refused(*arguments: str, **environment: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["--uri", "memory:", "web", *arguments], env=environment)
    return done.exit_code, f"{done.output}{done.exception!r}"


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8033", "[::]:8033", "192.0.2.1:80", "example.com:8033", "127.0.0.1.evil:1"]
)
def test_it_listens_nowhere_else_without_a_token(listen: str) -> None:
    code, told = refused("--listen", listen)
    assert code == 2
    assert "CRONLITE_WEB_OPERATE_TOKEN" in told


@pytest.mark.parametrize("listen", ["8033", "localhost", "localhost:", ":8033", "localhost:99999", "localhost:x"])
def test_an_address_that_is_none_is_refused_with_one_that_is(listen: str) -> None:
    code, told = refused("--listen", listen)
    assert code == 2
    assert "HOST:PORT" in told


def test_a_token_that_is_too_short_or_cannot_be_read_is_refused_and_not_repeated(tmp_path: Path) -> None:
    code, told = refused(CRONLITE_WEB_VIEW_TOKEN="hunter2")
    assert (code, "hunter2" in told) == (2, False), told
    code, told = refused("--operate-token-file", str(tmp_path / "missing"))
    assert (code, "--operate-token-file" in told) == (2, True)


def test_it_is_told_when_a_run_is_overdue_as_daemons_are(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float | None] = []
    watcher = MagicMock()

    def watching(_: Alarms, __: object, late_after_seconds: float | None = None) -> MagicMock:
        limits.append(late_after_seconds)
        return watcher

    monkeypatch.setattr(Alarms, "watching", watching)
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    for asked in (["--late-after", "10m"], []):
        done = CliRunner().invoke(cli, ["--uri", "memory:", "web", *asked])
        assert done.exit_code == 0, done.output
    assert limits == [600, None]
    assert watcher.keep_going.call_count == watcher.stop.call_count == 2


def test_it_serves_until_it_is_told_to_end_and_prints_no_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cronlite", "--uri", f"sqlite:{tmp_path / 'jobs.db'}", "web"]
    command += ["--listen", f"127.0.0.1:{port}", "--view-token-file", str(file)]
    base = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{base}/static/site.css").status_code == 200
        except httpx.TransportError:
            return False

    environment = {name: value for name, value in os.environ.items() if not name.startswith("CRONLITE_")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        wait_until(answers)
        assert httpx.get(f"{base}/schedules").status_code == 303
        httpx.get(f"{base}/sign-in?to=/{TOKEN}")
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=60)[0]
    assert f"{base}/" in told
    assert TOKEN not in told
