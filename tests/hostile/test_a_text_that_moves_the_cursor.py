"""Stored text holds what a terminal obeys: control characters of both sets, and marks that turn the writing direction.

Each command that shows something stored is asked, in tables and as JSON, on a terminal with and without colours.
"""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from cronlite.cli import cli
from cronlite.client.app import Cronlite
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import Run
from cronlite.documents.ticks import Tick
from tests.cli.conftest import runner

OBEYED = "\x1b]0;owned\x07\x1b[2J\x9b31m\x9d0;x\x9c\u202e\u2066\u200f\x7f\r\x08\u2028\u0085"
NOW = datetime.now(timezone.utc).replace(microsecond=0)

COMMANDS = [
    ["list"],
    ["show", "fine"],
    ["show", "broken"],
    ["edit", "fine", "--dry-run", "--retries", "1"],
    ["edit", "broken", "--retries", "1"],
    ["pause", "fine"],
    ["resume", "fine"],
    ["next"],
    ["next", "fine"],
    ["why", "fine", "--at", "MINUTE"],
    ["why", "broken", "--at", "now"],
    ["export-crontab"],
    ["runs"],
    ["runs", "--schedule", "fine"],
    ["log", "r"],
    ["log", OBEYED],
    ["retry", "r"],
    ["cancel", "waits"],
    ["trigger", "fine"],
    ["status"],
    ["doctor"],
    ["remove", "nix" + OBEYED],
    ["remove", "fine", "broken"],
]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A store in which every text is hostile, written past all checks, as another program may."""
    uri = f"sqlite:{tmp_path / 'jobs.db'}"
    shell = {"command": ["/bin/sh", "-c", f"echo {OBEYED}"], OBEYED: OBEYED}
    with Cronlite(uri) as cron:
        store = cron.store
        store.prepare()
        fine: dict[str, Any] = {"_id": "fine", "handler": "shell", "params": shell, "minute": NOW.minute}
        store.add_schedule(fine)
        store.add_schedule(
            {"_id": "broken", "handler": "h", "params": {}, "name": OBEYED, "note": OBEYED, "tz": OBEYED}
        )
        store.add_schedule({"_id": OBEYED, "params": {}, "minute": OBEYED, "user": OBEYED, "tags": [OBEYED]})
        run = Run(id="r", handler="shell", params=shell, due_at=NOW, queued_at=NOW, schedule="fine", state="failed")
        run.error = {"type": OBEYED, "message": OBEYED, "traceback": OBEYED}
        run.output, run.result, run.reason = OBEYED, {OBEYED: OBEYED}, OBEYED
        run.attempt, run.finished_at, run.key = 1, NOW, None
        skipped = Run(
            id=f"s{OBEYED}", handler="h", params={}, due_at=NOW, queued_at=NOW, state="skipped", reason=OBEYED
        )
        waits = Run(id="waits", handler="h", params={}, due_at=NOW, queued_at=NOW, run_at=NOW, queue="default")
        store.add_runs([run, skipped, waits])
        who: dict[str, Any] = {"host": OBEYED, "version": OBEYED, "handlers": [OBEYED, "h"], "trouble": OBEYED}
        store.join(DaemonRecord(id=f"d{OBEYED}", pid=1, seats=1, started_at=NOW, **who))
        store.claim_tick(Tick(minute=NOW.replace(second=0), daemon=OBEYED, claimed_at=NOW))
    return uri


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: ascii(" ".join(words))[:40])
def test_no_command_lets_it_reach_the_terminal(uri: str, words: list[str]) -> None:
    words = [f"{NOW:%Y-%m-%dT%H:%MZ}" if word == "MINUTE" else word for word in words]  # whose name must not tell it
    told = runner().invoke(cli, ["--uri", uri, *words], color=True, env={"COLUMNS": "100"})
    assert isinstance(told.exception, SystemExit) or told.exception is None, repr(told.exception)
    shown = told.stdout + told.stderr
    ours = shown.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", "")
    for colour in range(31, 37):
        ours = ours.replace(f"\x1b[{colour}m", "")
    assert ours.replace("\n", "").replace("\t", "").isprintable(), ascii(ours)
    assert shown


@pytest.mark.parametrize(
    "words", [["list"], ["show", "broken"], ["runs"], ["log", "r"], ["status"], ["doctor"], ["next"]]
)
def test_json_says_it_in_escapes_and_stays_json(uri: str, words: list[str]) -> None:
    told = runner().invoke(cli, ["--uri", uri, *words, "--json"]).stdout
    assert told.replace("\n", "").isprintable()
    assert json.loads(told)


@pytest.mark.parametrize("opening", ['{"a": ', "["])
def test_params_nested_900_deep_end_no_list(uri: str, opening: str) -> None:
    closing = "}" if opening.startswith("{") else "]"
    with Cronlite(uri) as cron, cron.store._write() as connection:  # type: ignore[attr-defined]
        deep = f'{{"p": {opening * 900}1{closing * 900}}}'
        connection.execute("UPDATE schedules SET params = ? WHERE _id = 'fine'", [deep])
        connection.execute("UPDATE runs SET params = ?, result = ? WHERE _id = 'r'", [deep, deep])
    for words in (["list", "--json"], ["show", "fine"], ["show", "fine", "--json"], ["log", "r"], ["runs", "--json"]):
        told = runner().invoke(cli, ["--uri", uri, *words])
        assert told.exit_code == 0, (words, told.output, told.exception)
        assert "nested deeper than 100 levels" in told.stdout
