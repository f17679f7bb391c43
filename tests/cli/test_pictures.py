"""How do the lists look on a terminal of 80 and of 120 columns? As the pictures in the folder beside this file.

CRONLITE_TEST_DRAW=1 draws them anew, for somebody to look at.
"""

import os
import re
import sys
from pathlib import Path

import pytest

from cronlite.client.app import Cronlite
from tests.cli.conftest import Typed
from tests.cli.pictured import LONG, NOW, fill
from tests.cli.terminal import Terminal

PICTURES = Path(__file__).parent / "pictures"
LISTS = {
    "list": ["list"],
    "runs": ["runs"],
    "failed": ["runs", "--failed", "--since", "yesterday 22:00", "--until", "06:00"],
    "next": ["next"],
    "tonight": ["next", "--until", "tomorrow 04:00"],
    "status": ["status"],
}


@pytest.fixture
def typed(cron: Cronlite, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setattr(type(cron.store), "now", lambda _: NOW)
    monkeypatch.setattr(type(cron.store), "address", "sqlite:jobs.db")
    fill(cron)
    return typed


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_looks_so(typed: Typed, columns: int, name: str) -> None:
    told = typed(*LISTS[name], COLUMNS=str(columns)).stdout
    picture = PICTURES / f"{name}-{columns}.txt"
    if os.environ.get("CRONLITE_TEST_DRAW"):
        picture.write_text(told)
    assert told == picture.read_text()
    assert max(map(len, told.splitlines())) <= columns


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120])
@pytest.mark.parametrize("name", LISTS)
def test_no_list_is_wider_than_its_terminal_and_state_and_time_are_always_there(
    typed: Typed, columns: int, name: str
) -> None:
    told = typed(*LISTS[name], COLUMNS=str(columns)).stdout
    assert max(map(len, told.splitlines())) <= columns, told
    if columns >= 80 and name in ("list", "runs", "failed"):
        assert "failed  " in told, told
        assert re.search(r"\d\d:\d\d(Z|…)", told), told


_AT_THAT_INSTANT = """
import sys
from datetime import datetime, timezone
import cronlite.store.sqlite as file
file.SqliteStore.now = lambda _: datetime.fromtimestamp({now}, timezone.utc)
from cronlite.cli import cli
cli.main(["--uri", *sys.argv[1:]], prog_name="cronlite")
"""


@pytest.mark.parametrize("name", ["list", "runs"])
def test_a_real_terminal_of_80_columns_shows_the_picture_in_colours(
    typed: Typed, uri: str, tmp_path: Path, name: str
) -> None:
    assert len(LONG) >= 75
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    environment["TERM"] = "xterm"
    script = _AT_THAT_INSTANT.format(now=NOW.timestamp())
    with Terminal([sys.executable, "-c", script, uri, *LISTS[name]], environment, str(tmp_path), 80) as terminal:
        shown = terminal.wait_for_end()
    assert "\x1b[" in shown
    assert re.sub("\x1b\\[[0-9;]*m", "", shown) == (PICTURES / f"{name}-80.txt").read_text()
