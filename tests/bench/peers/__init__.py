"""Which other schedulers can be measured on this machine, and how are they installed and called?"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench.children import Child, ChildFailed

HERE = Path(__file__).parent
INSTALL_SECONDS = 300
BURST_LIMIT_SECONDS = 180
AHEAD_SECONDS = 5
TO_START_SECONDS = 12
FILLED_PER_SECOND = 2_000


Answer = dict[str, Any]


class CannotInstall(Exception):
    """This machine cannot have a peer; the message says why, in one line."""


class Agenda:
    """Agenda 6 on its MongoDB backend with w:1, spread over twenty job names, looking five seconds ahead."""

    name = "Agenda"

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "agenda"
        self._folder.mkdir()
        if not (shutil.which("node") and shutil.which("npm")):
            raise CannotInstall("there is no node and npm")
        (self._folder / "package.json").write_text('{"private": true, "type": "module"}')
        run_installer(
            ["npm", "install", "--no-audit", "--no-fund", "agenda@6", "@agendajs/mongo-backend"], self._folder
        )
        shutil.copy(HERE / "agenda_side.mjs", self._folder)
        told = json.loads((self._folder / "node_modules" / "agenda" / "package.json").read_text())
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        self.version = f"{told['version']} on node {node}"

    def burst(self, uri: str, count: int) -> Answer:
        """Run jobs that come due 4.9 s after its start, and tell when the last was called, and saved as finished."""
        uri += "&w=1" if "?" in uri else "?w=1"
        self._call("fill", uri=uri, due=count)
        return self._call("burst", uri=uri, due=count, limit_seconds=BURST_LIMIT_SECONDS)

    def _call(self, what: str, **settings: Any) -> Answer:
        answer: Answer = Child(["node", "agenda_side.mjs", what, json.dumps(settings)], self._folder).answer()
        return answer


class APScheduler:
    """APScheduler 3.11 on its MongoDB job store."""

    name = "APScheduler"

    def __init__(self, folder: Path) -> None:
        venv = folder / "apscheduler"
        self._python = venv / "bin" / "python"
        run_installer([sys.executable, "-m", "venv", venv], folder)
        quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
        run_installer([self._python, "-m", "pip", *quiet, "install", "apscheduler==3.11.*", "pymongo"], folder)
        ask = "from importlib.metadata import version; print(version('apscheduler'))"
        self.version = subprocess.run(
            [self._python, "-c", ask], capture_output=True, text=True, check=True
        ).stdout.strip()

    def fill(self, uri: str, count: int, due_at: float) -> None:
        """Store as many jobs, all due at an instant of Unix time."""
        self._call("fill", uri, stored=count, due_at=due_at)

    def burst(self, uri: str, count: int) -> Answer:
        """Run jobs that come due when it has been ready for five seconds and more, and tell when the last was called.

        It keeps no record of that.
        """
        due_at = time.time() + TO_START_SECONDS + count / FILLED_PER_SECOND
        self.fill(uri, count, due_at)
        answer = self._call("burst", uri, stored=count, due_at=due_at, limit_seconds=BURST_LIMIT_SECONDS)
        if answer["ready_seconds_before"] < AHEAD_SECONDS:
            raise ChildFailed(f"APScheduler was ready only {answer['ready_seconds_before']:.1f} s before its jobs")
        return answer

    def idle(self, uri: str, settle_seconds: float, seconds: float) -> Answer:
        """Run with nothing due, and tell CPU seconds and MB."""
        return self._call("idle", uri, settle_seconds=settle_seconds, seconds=seconds)

    def _call(self, what: str, uri: str, **settings: Any) -> Answer:
        settings |= {"uri": uri, "database": urlsplit(uri).path.strip("/")}
        answer: Answer = Child([self._python, HERE / "apscheduler_side.py", what, json.dumps(settings)]).answer()
        return answer


Peer = Agenda | APScheduler


def install(folder: Path) -> tuple[list[Peer], dict[str, str]]:
    """Install what can be; return the peers, and the version of each or why it is left out."""
    found: list[Peer] = []
    told: dict[str, str] = {}
    for kind in (Agenda, APScheduler):
        try:
            peer = kind(folder)
        except CannotInstall as why:
            told[kind.name] = f"left out: {why}"
        else:
            found.append(peer)
            told[kind.name] = peer.version
    return found, told


def run_installer(command: Sequence[str | Path], folder: Path) -> None:
    """Run a command that may take a while. Raises CannotInstall with its last words."""
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as failed:
        why = (failed.stderr or failed.stdout).strip().splitlines()
        raise CannotInstall(f"{Path(command[0]).name}: {why[-1] if why else failed.returncode}") from failed
    except subprocess.TimeoutExpired as failed:
        raise CannotInstall(f"installing it took more than {INSTALL_SECONDS} s") from failed
    except OSError as failed:
        raise CannotInstall(str(failed)) from failed
