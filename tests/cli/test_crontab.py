"""import-crontab and export-crontab: what is stored, what a second import changes, and what is said."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cronlite import Cronlite
from cronlite.cli import cli
from cronlite.cli.crontab import is_system, machine_zone
from cronlite.errors import ConfigurationError
from cronlite.handlers.registry import Registry
from cronlite.handlers.shell import allow_shell
from tests.cli.conftest import Typed
from tests.cli.terminal import Terminal

SERVER = Path(__file__).parent.parent / "crontab" / "server.crontab"


class Machine:
    """A store on a file, a crontab, and the command line."""

    def __init__(self, folder: Path, uri: str = "") -> None:
        self.uri = uri or f"sqlite:{folder / 'cronlite.db'}"
        self.file = folder / "crontab"

    def run(self, *args: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, ["--uri", self.uri, *args], input=stdin)

    def imported(self, text: str, *options: str) -> Result:
        self.file.write_text(text)
        return self.run("import-crontab", str(self.file), "--tz", "UTC", *options)

    def plan(self, text: str, *options: str) -> Any:
        return json.loads(self.imported(text, "--json", *options).stdout)

    def stored(self) -> dict[str, Any]:
        """Return the schedules by their commands."""
        with Cronlite(self.uri) as cron:
            return {schedule.params["command"][-1]: schedule for schedule in cron.schedules()}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def actions(plan: Any) -> list[tuple[int, str]]:
    return [(line["line"], line["action"]) for line in plan["lines"]]


def test_each_line_becomes_a_shell_schedule(machine: Machine) -> None:
    done = machine.imported("A=1\n# why\n5 4 * * * x\n", "--tag", "srv", "--tag", "night", "--user", "alice")
    assert done.exit_code == 0, done.output
    assert "1 new, 0 changed, 0 unchanged, 0 refused" in done.stdout
    assert "--allow-shell" in done.stderr
    schedule = machine.stored()["x"]
    assert (schedule.minute, schedule.hour, schedule.note, schedule.user) == (5, 4, "why", "alice")
    assert (schedule.handler, schedule.params["env"], schedule.tags) == ("shell", {"A": "1"}, ("srv", "night"))
    assert schedule.name.startswith("crontab:alice:")


def test_a_dry_run_shows_the_plan_and_stores_nothing(machine: Machine) -> None:
    done = machine.imported("MAILTO=ops\n5 4 * * * x%y\n\n@reboot z\n", "--dry-run")
    assert done.exit_code == 2
    assert "   2  new      in " in done.stdout
    assert "at 04:05 every day  x < text" in done.stdout
    assert "line 1: MAILTO brings no mail here" in done.stdout
    assert "line 4 is refused: @reboot z\n    @reboot is no time; have the service manager run it" in done.stdout
    assert "nothing was stored" in done.stderr
    assert machine.stored() == {}


def test_one_refused_line_keeps_the_whole_crontab_out(machine: Machine) -> None:
    assert machine.imported("@reboot z\n5 4 * * * x\n").exit_code == 2
    assert machine.stored() == {}


def test_the_other_lines_are_imported_if_asked_for(machine: Machine) -> None:
    done = machine.imported("@reboot z\n5 4 * * * x\n", "--skip-refused")
    assert done.exit_code == 0
    assert "line 1 is refused" in done.stdout
    assert list(machine.stored()) == ["x"]


def test_importing_twice_changes_nothing(machine: Machine) -> None:
    text = SERVER.read_text()
    assert set(actions(machine.plan(text))) >= {(13, "add"), (41, "add")}
    before = machine.stored()
    assert {action for _, action in actions(machine.plan(text))} == {"keep"}
    assert machine.stored() == before


def test_a_schedule_keeps_the_line_that_it_was_imported_from(machine: Machine) -> None:
    machine.imported("# why\n5 4 * * * x\n")
    origin = machine.stored()["x"].origin
    assert (origin["source"], origin["line"]) == (str(machine.file.resolve()), 2)
    machine.imported("\n\n# why\n5 4 * * * x\n")
    assert machine.stored()["x"].origin == {**origin, "line": 4}
    name = machine.stored()["x"].name
    with Cronlite(machine.uri) as cron:  # said again by the application, it still comes from there
        assert cron.schedule(params={"command": ["/bin/sh", "-c", "x"]}, handler="shell", name=name).origin


def test_a_renamed_schedule_is_still_that_line(machine: Machine) -> None:
    machine.imported("30 2 * * * x\n")
    machine.run("edit", machine.stored()["x"].name, "--name", "db-dump")
    plan = machine.plan("30 3 * * * x\n")
    assert [(line["action"], line["name"]) for line in plan["lines"]] == [("change", "db-dump")]
    with Cronlite(machine.uri) as cron:
        (only,) = cron.schedules()
    assert (only.name, only.hour) == ("db-dump", 3)


def test_a_line_that_gets_a_name_later_is_still_the_same_schedule(machine: Machine) -> None:
    machine.imported("30 2 * * * x\n")
    assert actions(machine.plan("#cronlite: name db-dump\n30 2 * * * x\n")) == [(2, "change")]
    with Cronlite(machine.uri) as cron:
        assert [schedule.name for schedule in cron.schedules()] == ["db-dump"]


def test_a_crontab_that_was_moved_is_still_the_same_one(machine: Machine) -> None:
    machine.imported("30 2 * * * x\n40 2 * * * y\n")
    before = machine.stored()
    machine.file = machine.file.rename(machine.file.with_name("moved"))
    plan = machine.plan("30 2 * * * x\n40 2 * * * y\n")
    assert actions(plan) == [(1, "keep"), (2, "keep")]
    assert all("imported before from a file that is gone" in remark["text"] for remark in plan["remarks"])
    assert {key: each.id for key, each in machine.stored().items()} == {key: each.id for key, each in before.items()}
    assert machine.stored()["x"].origin["source"] == str(machine.file.resolve())
    assert machine.plan("30 2 * * * x\n40 2 * * * y\n")["remarks"] == []


def test_mongodb_keeps_where_a_schedule_came_from_as_well(mongo_uri: str, tmp_path: Path) -> None:
    machine, text = Machine(tmp_path, mongo_uri), "30 2 * * * x\n40 2 * * * y\n"
    assert actions(machine.plan(text)) == [(1, "add"), (2, "add")]
    imported = {command: schedule.id for command, schedule in machine.stored().items()}
    machine.run("edit", machine.stored()["x"].name, "--name", "db-dump")

    def same_schedules(*, imported_as: Path) -> bool:
        machine.file = imported_as
        return actions(machine.plan(text)) == [(1, "keep"), (2, "keep")] and imported == {
            command: schedule.id for command, schedule in machine.stored().items()
        }

    assert same_schedules(imported_as=machine.file)
    link, moved = tmp_path / "link", tmp_path / "moved"
    link.symlink_to(machine.file)
    assert same_schedules(imported_as=link)
    assert same_schedules(imported_as=(tmp_path / "crontab").rename(moved))
    assert same_schedules(imported_as=moved)
    assert machine.stored()["x"].name == "db-dump"
    assert machine.stored()["x"].origin["source"] == str(moved.resolve())


def test_a_copy_of_a_crontab_is_warned_of(machine: Machine) -> None:
    machine.imported("30 2 * * * x\n")
    name = machine.stored()["x"].name
    machine.file = machine.file.with_name("copy")
    plan = machine.plan("30 2 * * * x\n0 5 * * * x -v\n", "--dry-run")
    assert actions(plan) == [(1, "add"), (2, "add")]
    assert [remark["text"] for remark in plan["remarks"]] == [
        f"same time and command as {name!r}, beside which it would run"
    ]


def test_what_was_imported_by_an_older_version_gets_its_origin(machine: Machine) -> None:
    machine.imported("30 2 * * * x\n")
    with Cronlite(machine.uri) as cron:
        document = cron.document(machine.stored()["x"].id)
        cron.store.change_schedule(document["_id"], {"origin": None}, document["updated_at"])
    assert machine.stored()["x"].origin is None
    assert actions(machine.plan("30 2 * * * x\n")) == [(1, "keep")]
    assert machine.stored()["x"].origin["line"] == 1


def test_another_spelling_of_the_same_minutes_is_no_change(machine: Machine) -> None:
    machine.imported("0/5 1,3/6 * * 1-5 x\n")
    written = machine.run("export-crontab").stdout
    assert "0-59/5 1,3-23/6" in written
    assert {action for _, action in actions(machine.plan(written))} == {"keep"}
    assert actions(machine.plan("0-59/5 1,3-23/6 * * mon-fri x\n")) == [(1, "keep")]
    assert actions(machine.plan("*/5 1,3-23/6 * * mon-fri x\n")) == [(1, "change")]  # follows the clock


def test_a_name_in_the_table_works_as_a_name(machine: Machine) -> None:
    done = machine.imported("30 2 * * * x\n")
    (name,) = [word for word in done.stdout.split() if word.startswith("crontab:")]
    assert machine.run("show", name).exit_code == 0


def test_a_crontab_never_takes_over_another_users_schedule(machine: Machine) -> None:
    machine.imported("#cronlite: name nightly\n5 4 * * * x\n", "--user", "root")
    plan = machine.plan("#cronlite: name nightly\n5 4 * * * y\n5 5 * * * z\n61 * * * * w\n", "--user", "bob")
    assert actions(plan) == [(2, "refuse"), (3, "add"), (4, "refuse")]
    assert "another user's" in plan["lines"][0]["reason"]
    assert list(machine.stored()) == ["x"]


def test_a_refused_line_names_the_way_past_it(machine: Machine) -> None:
    assert "leave them out with --skip-refused" in machine.imported("@reboot z\n5 4 * * * x\n").stderr


def test_a_changed_line_changes_its_schedule_and_nothing_of_cronlites_own(machine: Machine) -> None:
    machine.imported("5 4 * * * x\n")
    before = machine.stored()["x"]
    machine.run("edit", before.id, "--overlap", "wait", "--retries", "3")
    machine.run("pause", before.id)
    plan = machine.plan("# why\nCRON_TZ=Asia/Tokyo\n# how\n5 6 * * * x\n")
    assert actions(plan) == [(4, "change")]
    assert plan["lines"][0]["changes"] == ["hour", "note", "tz"]
    after = machine.stored()["x"]
    assert (after.id, after.hour, after.tz, after.note) == (before.id, 6, "Asia/Tokyo", "how")
    assert (after.overlap, after.retries, after.enabled) == ("wait", 3, False)


def test_tags_are_added_to_what_is_there(machine: Machine) -> None:
    machine.imported("5 4 * * * x\n", "--tag", "a")
    assert actions(machine.plan("5 4 * * * x\n", "--tag", "b")) == [(1, "change")]
    assert actions(machine.plan("5 4 * * * x\n", "--tag", "a")) == [(1, "keep")]
    assert machine.stored()["x"].tags == ("a", "b")


def test_a_line_that_is_gone_stays_scheduled_and_is_told(machine: Machine) -> None:
    machine.imported("5 4 * * * x\n5 4 * * * y\n")
    done = machine.imported("5 4 * * * y\n")
    assert "no longer in this crontab, and still scheduled: crontab:" in done.stderr
    assert set(machine.stored()) == {"x", "y"}


def test_a_schedule_of_another_handler_is_never_made_a_command(machine: Machine) -> None:
    with Cronlite(machine.uri) as cron:
        cron.schedule("", {"command": ["", "", "mine"]}, handler="extract", name="nightly")
    plan = machine.plan("#cronlite: name nightly\n5 4 * * * x\n", "--skip-refused")
    assert actions(plan) == [(2, "refuse")]
    assert "handler 'extract'" in plan["lines"][0]["reason"]
    assert list(machine.stored()) == ["mine"]


def test_a_schedule_that_cannot_be_read_is_left_alone(machine: Machine) -> None:
    machine.imported("#cronlite: name n\n5 4 * * * x\n")
    with Cronlite(machine.uri) as cron:
        document = cron.document("n")
        assert cron.store.change_schedule(document["_id"], {"minute": 99}, document["updated_at"])
    plan = machine.plan("#cronlite: name n\n5 4 * * * x\n")
    assert actions(plan) == [(2, "refuse")]
    assert "cannot be read" in plan["lines"][0]["reason"]


def test_a_system_crontab_has_users(machine: Machine) -> None:
    machine.imported("5 4 * * * root x\n", "--system")
    assert machine.stored()["x"].user == "root"
    refused = machine.imported("5 4 * * * root x\n", "--system", "--user", "alice")
    assert refused.exit_code == 2
    assert "leave --user out" in refused.stderr


@pytest.mark.parametrize(
    ("file", "system"),
    [("/etc/crontab", True), ("/etc/cron.d/php", True), ("/etc/cron.d/x/y", False), ("crontab", False), ("-", False)],
)
def test_the_systems_own_crontabs_are_known_by_their_place(file: str, system: bool) -> None:
    assert is_system(file) is system


def test_a_system_crontab_is_one_by_whatever_path_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    etc, elsewhere = tmp_path / "etc", tmp_path / "srv"
    (etc / "cron.d").mkdir(parents=True)
    elsewhere.mkdir()
    for file in (etc / "crontab", etc / "cron.d" / "php", elsewhere / "app"):
        file.write_text("")
    (etc / "cron.d" / "app").symlink_to(elsewhere / "app")
    (tmp_path / "link").symlink_to(etc / "crontab")
    monkeypatch.chdir(etc)
    for name in ("crontab", "./crontab", "../etc/crontab", "cron.d/php", "cron.d/app"):
        assert is_system(name, etc), name
    for path in (tmp_path / "link", elsewhere / "app", etc / "crontab"):
        assert is_system(str(path), etc), path
    assert not is_system(str(elsewhere / "other"), etc)


def test_a_crontab_comes_from_stdin(machine: Machine) -> None:
    for action in ("add", "keep"):
        done = machine.run("import-crontab", "-", "--json", stdin="@daily x")
        plan = json.loads(done.stdout)
        assert (plan["source"], actions(plan)) == ("stdin", [(1, action)])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["/nowhere/crontab"], "/nowhere/crontab"),
        (["-", "--tz", "Europe/Berln"], "did you mean 'Europe/Berlin'"),
    ],
)
def test_what_cannot_be_read_at_all_is_a_fault_of_usage(machine: Machine, options: list[str], told: str) -> None:
    done = machine.run("import-crontab", *options, stdin="@daily x")
    assert done.exit_code == 2
    assert told in done.stderr


def test_what_is_far_too_large_is_no_crontab(machine: Machine) -> None:
    done = machine.run("import-crontab", "-", stdin=b"x" * (16 * 1024 * 1024 + 1))
    assert done.exit_code == 2
    assert "that is no crontab" in done.stderr


def test_a_crontab_is_written_back_and_read_as_what_it_was(machine: Machine) -> None:
    machine.imported(SERVER.read_text(), "--tag", "srv")
    written = machine.run("export-crontab", "--tag", "srv").stdout
    assert written.count("\n#cronlite: name crontab:") == 17
    before = machine.stored()
    machine.run("remove", *(schedule.name for schedule in before.values()))
    assert {action for _, action in actions(machine.plan(written))} == {"add"}
    after = machine.stored()
    for command, schedule in before.items():
        undated: Any = dict.fromkeys(("created_at", "updated_at", "active_from"), schedule.created_at) | {
            "origin": None
        }
        assert after[command].changed(**undated).document() | {"_id": schedule.id, "tags": ["srv"]} == {
            **schedule.changed(**undated).document()
        }


def test_an_exported_crontab_changes_nothing_when_it_is_imported(machine: Machine) -> None:
    machine.imported(SERVER.read_text())
    assert {action for _, action in actions(machine.plan(machine.run("export-crontab").stdout))} == {"keep"}


def test_an_export_can_be_of_one_user(machine: Machine) -> None:
    machine.imported("@daily x\n", "--user", "alice")
    machine.imported("@daily y\n", "--user", "bob")
    assert "\n0 0 * * * x\n" in machine.run("export-crontab", "--user", "alice").stdout
    assert " y\n" not in machine.run("export-crontab", "--user", "alice").stdout
    assert "\n0 0 * * * bob y\n" in machine.run("export-crontab", "--system").stdout


def test_an_export_tells_of_what_cannot_be_read(machine: Machine) -> None:
    machine.imported("#cronlite: name n\n5 4 * * * x\n")
    with Cronlite(machine.uri) as cron:
        document = cron.document("n")
        cron.store.change_schedule(document["_id"], {"minute": 99}, document["updated_at"])
    assert "1 cannot be read" in machine.run("export-crontab").stderr


def test_an_imported_line_runs_as_cron_would_run_it(machine: Machine, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    line = r"0 0 1 1 * cat - > got; echo $SHELL $GREETING $PWD 5\% >> got%one%%two \% three"
    text = f"SHELL=/bin/bash\nHOME={home}\nGREETING='hello  '\n#cronlite: name n\n{line}\n"
    assert machine.imported(text).exit_code == 0
    registry = Registry()
    allow_shell(registry)
    with Cronlite(machine.uri, registry=registry) as cron:
        cron.start()
        run = cron.trigger("n").wait(60)
    assert run.state == "succeeded", run
    assert (home / "got").read_text() == f"one\n\ntwo % three\n/bin/bash hello {home} 5%\n"


# the machine's zone


def test_the_machines_zone_is_where_its_localtime_leads(tmp_path: Path) -> None:
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    assert machine_zone(tmp_path) == "Europe/Berlin"


def test_the_machines_zone_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "localtime").write_bytes(b"TZif2")
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert machine_zone(tmp_path) == "Asia/Tokyo"


def test_a_machine_that_says_nothing_is_in_utc(tmp_path: Path) -> None:
    assert machine_zone(tmp_path) == "UTC"


@pytest.mark.parametrize("named", ["", "Mars/Olympus"])
def test_a_zone_that_cannot_be_found_out_must_be_given(tmp_path: Path, named: str) -> None:
    (tmp_path / "localtime").write_bytes(b"TZif2")
    if named:
        (tmp_path / "timezone").write_text(named)
    with pytest.raises(ConfigurationError, match="give --tz"):
        machine_zone(tmp_path)


def test_an_export_is_exact_in_a_file_and_nothing_in_it_is_obeyed_by_a_terminal(
    cron: Cronlite, typed: Typed, tmp_path: Path
) -> None:
    command = "echo '\u200f'"  # a mark that turns the direction of writing; control characters go into no crontab
    cron.schedule(minute=0, handler="shell", params={"command": ["/bin/sh", "-c", command]}, name="right to left")
    assert f"\n0 * * * * {command}\n" in typed("export-crontab").stdout
    words = [sys.executable, "-m", "cronlite", "--uri", typed.uri, "export-crontab"]
    with Terminal(words, {**os.environ, "TERM": "xterm"}, str(tmp_path)) as terminal:
        shown = terminal.wait_for_end()
    assert "0 * * * * echo '\\u200f'" in shown
    assert "\u200f" not in shown
