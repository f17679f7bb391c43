"""Schedules in a file, typed: checked, planned, applied, exported."""

from __future__ import annotations

from pathlib import Path

import pytest

from cronlite.cli import cli
from cronlite.client.app import Cronlite
from tests.cli.conftest import Typed, runner

FILE = """owner = "billing"

[schedules.invoices]
cron = "30 2 * * *"
handler = "invoice"

[schedules.reminders]
every = "90m"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "schedules.toml"
    path.write_text(FILE)
    return path


def test_a_file_is_planned_then_applied_then_there_is_nothing_to_do(typed: Typed, file: Path, cron: Cronlite) -> None:
    told = typed("plan", str(file), code=4).stdout
    assert "2 new, 0 changed, 0 unchanged" in told
    assert "02:30" in told
    assert typed("apply", str(file), "--dry-run").stdout == told
    assert cron.schedules() == []
    assert typed("apply", str(file), CRONLITE_ACTOR="ann").stdout == told
    assert typed("plan", str(file)).stdout == "0 new, 0 changed, 2 unchanged\n"
    (entry,) = typed.json("history", "invoices")
    assert (entry["actor"], entry["way"]) == ("schedules.toml, by ann", "file")
    typed("edit", "invoices", "--hour", "5")
    assert "hour 5 → 2" in typed("plan", str(file), code=4).stdout
    step = next(step for step in typed.json("plan", str(file), code=4)["steps"] if step["action"] == "change")
    assert (step["name"], step["line"], step["changes"]["hour"]) == ("invoices", 3, [5, 2])


def test_what_is_wanted_no_more_is_told_and_removed_with_prune_only(typed: Typed, file: Path, cron: Cronlite) -> None:
    typed("apply", str(file))
    file.write_text(FILE.partition("[schedules.reminders]")[0])
    result = typed("plan", str(file))
    assert "reminders; --prune removes them" in result.stderr
    assert typed.json("plan", str(file))["leftovers"] == ["reminders"]
    assert "1 removed" in typed("plan", str(file), "--prune", code=4).stdout
    typed("apply", str(file), "--prune")
    assert [schedule.name for schedule in cron.schedules()] == ["invoices"]


def test_a_schedule_that_somebody_made_is_left_alone_unless_adopted(typed: Typed, file: Path, cron: Cronlite) -> None:
    made = cron.schedule("eve", minute=1, name="invoices")
    for words in (("plan",), ("apply",), ("apply", "--dry-run")):
        told = typed(*words, str(file), code=1).stdout
        assert "invoices (line 3) is refused" in told
    assert cron.schedules() == [made]
    assert typed.json("plan", str(file), code=1)["refusals"][0]["name"] == "invoices"
    typed("apply", str(file), "--adopt")
    assert (cron.get("invoices").id, cron.get("invoices").owner) == (made.id, "billing")


def test_check_needs_no_store_and_tells_all_faults_with_their_lines(file: Path) -> None:
    words = ["--uri", "mongodb://127.0.0.1:1/none", "plan", "--check", str(file)]
    done = runner().invoke(cli, words)
    assert (done.exit_code, "2 schedules of 'billing'" in done.stdout) == (0, True)
    file.write_text(FILE.replace("30 2 *", "61 2 *").replace("every", "evry"))
    done = runner().invoke(cli, words)
    assert done.exit_code == 2
    faults = [line for line in done.stderr.splitlines() if "error" in line]
    assert [("line 4: invoices.cron" in faults[0]), ("line 8: reminders.evry" in faults[1])] == [True, True]
    assert "did you mean 'every'" in faults[1]


@pytest.mark.parametrize("name", ["all.toml", "all.yaml"])
def test_an_export_is_adopted_and_then_there_is_nothing_to_do(
    typed: Typed, cron: Cronlite, tmp_path: Path, name: str
) -> None:
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    cron.schedule("eve", {"a": [1, None, "x"]}, cron="5 4 * * mon", name="one", tz="Europe/Berlin", tags=["t"])
    cron.schedule("bob", every="2h", name="two", note="several\nlines", enabled=False)
    nameless = cron.schedule("bob", minute=7)
    cron.declare([{"name": "code's", "minute": 5}], owner="sales")
    path = tmp_path / name
    result = typed("export", str(path))
    assert nameless.id in result.stderr
    assert result.stdout == f"wrote 3 schedules to {path}\n"
    assert "--force" in typed("export", str(path), code=2).stderr
    assert typed("plan", str(path), code=1).stdout.count("is refused") == 3
    before = {schedule.name: (schedule.id, schedule.params, schedule.enabled) for schedule in cron.schedules()}
    typed("apply", "--adopt", str(path))
    assert {schedule.name: (schedule.id, schedule.params, schedule.enabled) for schedule in cron.schedules()} == before
    assert typed("plan", str(path)).stdout == "0 new, 0 changed, 3 unchanged\n"
    assert cron.get("one").owner == "all"
    typed("export", "--force", "--owner", "all", "--tag", "t", str(path))
    assert "one" in path.read_text()
    assert "two" not in path.read_text()
    assert "owner" in typed("export", "-").stdout


def test_a_file_that_cannot_be_had(typed: Typed, tmp_path: Path) -> None:
    assert "does not exist" in typed("plan", str(tmp_path / "none.toml"), code=2).stderr
    assert "owner" in typed("apply", "-", code=2, input="").stderr
    assert "no field" in typed("plan", "-", code=2, input='owner="a"\n[schedules.x]\nminut = 1\n').stderr
