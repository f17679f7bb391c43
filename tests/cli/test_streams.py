"""Each command with closed, broken and full streams: no traceback, the right exit code, and the work done once."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cronlite.cli import COMMANDS
from cronlite.client.app import Cronlite
from cronlite.documents.freezes import Freeze
from tests.cli.conftest import Typed

CRONLITE = [sys.executable, "-m", "cronlite"]

# What each command is given here; those that serve, or run for a minute, have tests of their own.
WORDS = {
    "add": ["--minute", "0", "--hour", "*/2"],
    "list": [],
    "show": ["n"],
    "edit": ["n", "--note", "x"],
    "remove": ["r1", "r2"],
    "pause": ["n"],
    "resume": ["n"],
    "history": ["n"],
    "undo": ["undone"],
    "removed": [],
    "restore": ["gone"],
    "freeze": ["--all", "--until", "1h"],
    "freezes": [],
    "thaw": ["f1", "f2"],
    "next": ["-n", "3"],
    "why": ["n", "--at", "now"],
    "plan": ["-"],
    "apply": ["-"],
    "export": ["-"],
    "import-crontab": ["-", "--tz", "UTC"],
    "export-crontab": [],
    "trigger": ["n"],
    "backfill": ["n", "--from", "3d"],
    "enqueue": ["h", "--params", "-"],
    "runs": [],
    "log": ["done"],
    "retry": ["done"],
    "cancel": ["c1", "c2"],
    "limit": ["api", "3"],
    "limits": [],
    "status": [],
    "alarms": [],
    "check": [],
    "doctor": [],
    "completion": ["bash"],
}
SERVE = {"run", "worker", "demo", "web"}

# Starts each command in a process of its own, with its streams as the shell would leave them, and tells how it ended.
DRIVER = """
import importlib, json, os, pkgutil, sys, tempfile
import cronlite.cli, cronlite.store.sqlite
for module in pkgutil.iter_modules(cronlite.cli.__path__, "cronlite.cli."):
    importlib.import_module(module.name)

def closed(number):
    os.close(number)
    setattr(sys, ("stdin", "stdout", "stderr")[number], None)  # as the interpreter has it, started so

def at(path, number, flags=os.O_WRONLY):
    os.dup2(os.open(path, flags), number)

def broken(number):
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, number)

STATES = {
    "all closed": lambda: [closed(n) for n in (0, 1, 2)],
    "stdout closed": lambda: closed(1),
    "stdout broken": lambda: broken(1),
    "stdout full": lambda: at("/dev/full", 1),
    "stdout not for writing": lambda: at("/dev/null", 1, os.O_RDONLY),
    "stderr closed": lambda: closed(2),
    "stderr broken": lambda: broken(2),
    "stderr full": lambda: at("/dev/full", 2),
    "stdin closed": lambda: closed(0),
    "stdin a folder": lambda: at("/", 0, os.O_RDONLY),
}
uri, state, commands = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
ended = {}
for name, words in commands.items():
    told = tempfile.TemporaryFile()
    child = os.fork()
    if child == 0:
        at("/dev/null", 0, os.O_RDONLY)
        at("/dev/null", 1)
        os.dup2(told.fileno(), 2)
        STATES[state]()
        sys.argv = ["cronlite", "--uri", uri, name, *words]
        cronlite.cli.main()
    _, status = os.waitpid(child, 0)
    told.seek(0)
    ended[name] = [os.waitstatus_to_exitcode(status), told.read().decode()]
print(json.dumps(ended))
"""


@pytest.fixture
def uri(uri: str) -> str:
    """A store with something for each command to act on."""
    with Cronlite(uri) as cron:
        for name in ("n", "r1", "r2", "undone", "gone"):
            cron.schedule("u", name=name, cron="0 3 * * *", overlap="allow")
        cron.update("undone", note="x")
        cron.remove("gone")
        for id in ("f1", "f2"):
            cron.store.add_freeze(Freeze(id=id, from_at=cron.now()))
        for key in ("done", "c1", "c2"):
            run = cron.store.run(cron.enqueue("h").id)
            assert run is not None
            run.id = key
            cron.store.add_runs([run])
        cron.cancel("done")
    return uri


def ends(uri: str, state: str) -> dict[str, tuple[int, str]]:
    arguments = [uri, state, json.dumps(WORDS)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return {name: tuple(end) for name, end in json.loads(done.stdout).items()}


def test_every_command_is_here() -> None:
    assert {name for commands in COMMANDS.values() for name in commands} == {*WORDS, *SERVE}


WRONG_WITHOUT = ("enqueue", "plan", "apply")
NO_INPUT = {"import-crontab": 0, **dict.fromkeys(WRONG_WITHOUT, 2)}  # of nothing they make nothing, or an error
OUT_OF_ORDER = {"check": 2, "doctor": 1, "status": 1}  # because no daemon is alive
UNHEARD = dict.fromkeys(WORDS, 1) | dict.fromkeys(WRONG_WITHOUT, 2)


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        *((state, {}) for state in ("all closed", "stderr broken")),
        *(
            pytest.param(state, {}, marks=pytest.mark.slow)
            for state in ("stdin closed", "stdout closed", "stdout broken", "stderr closed", "stderr full")
        ),
        pytest.param("stdin a folder", {"import-crontab": 2}, marks=pytest.mark.slow),
        ("stdout full", UNHEARD),
        pytest.param("stdout not for writing", UNHEARD, marks=pytest.mark.slow),
    ],
)
def test_no_command_minds_its_streams(uri: str, state: str, codes: dict[str, int]) -> None:
    if "full" in state and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    ended = ends(uri, state)
    wanted = dict.fromkeys(WORDS, 0) | NO_INPUT | OUT_OF_ORDER | codes
    if state == "stdout broken":
        wanted |= dict.fromkeys(OUT_OF_ORDER, 0)  # nobody hears how it went
    assert {name: code for name, (code, _) in ended.items()} == wanted, ended
    for name, (_, told) in ended.items():
        assert "Traceback" not in told, (name, told)
        assert "Exception ignored" not in told, (name, told)
    if state == "stdout full":
        assert "is changed all the same" in ended["add"][1]
    with Cronlite(uri) as cron:  # what was asked for was done, to all that were named
        assert {schedule.name for schedule in cron.schedules()} == {"n", "undone", "gone", None}
        assert {run.id for run in cron.runs(state="cancelled")} == {"done", "c1", "c2"}


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_real_process_without_its_streams(uri: str, closing: str) -> None:
    line = f"{shlex.join([*CRONLITE, '--uri', uri, 'add', '--name', 'new', '--hour', '2'])} {closing}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done
    assert Typed(uri).json("show", "new")["hour"] == 2


def test_no_file_takes_the_place_of_a_closed_stream(uri: str, tmp_path: Path) -> None:
    """What is printed would be written into it."""
    (tmp_path / "app.py").write_text("import os\nkept = open('kept', 'w')\nassert kept.fileno() > 2, kept.fileno()\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    line = f"{shlex.join([*CRONLITE, '--uri', uri, '-A', 'app', 'list'])} >&- 2>&- <&-"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0
    assert (tmp_path / "kept").read_text() == ""


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["add", "--help"], []])
def test_help_that_nobody_reads_ends_quietly(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*CRONLITE, *words], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_python_m_cronlite_is_the_command() -> None:
    told: Any = subprocess.run([*CRONLITE, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("cronlite ")
