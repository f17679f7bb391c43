"""What do add, list, show, edit, remove, pause and resume do?"""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from cronlite.client.app import Cronlite
from cronlite.documents.schedules import FIELDS
from tests.cli.conftest import Typed


def test_add_prints_the_id_the_description_and_the_next_runs_on_both_clocks(typed: Typed) -> None:
    told = typed("add", "--cron", "30 2 * * mon-fri", "--tz", "Europe/Berlin", "--name", "nightly").stdout
    id_ = typed.json("show", "nightly")["id"]
    first, titles, *runs = told.splitlines()
    assert first == f"added {id_}  nightly: at 02:30 on Monday to Friday (Europe/Berlin)"
    assert "NEXT RUNS" in titles
    assert "UTC" in titles
    assert len(runs) == 5
    assert all(" 02:30 CE" in run and "Z  in " in run for run in runs), told


def test_add_takes_every_field(typed: Typed) -> None:
    options = "--minute 5 --hour 1-3 --day L --month jan --weekday fri#2 --handler h --user u --name n --tz Asia/Tokyo"
    more = "--tag a --tag b --overlap wait --catch-up latest --retries 2 --retry-delay 5m --timeout 1h30m"
    last = ["--on-crash", "abandon", "--note", "two words", "--params", '{"a": [1, null]}', "--disabled"]
    typed("add", *options.split()[:4], "--weekday", "fri", *options.split()[10:], *more.split(), *last)
    stored = typed.json("show", "n")
    wanted = {
        "minute": 5,
        "hour": "1-3",
        "weekday": "fri",
        "handler": "h",
        "user": "u",
        "tz": "Asia/Tokyo",
        "tags": ["a", "b"],
        "overlap": "wait",
        "catch_up": "latest",
        "retries": 2,
        "retry_delay_seconds": 300,
        "timeout_seconds": 5400,
        "on_crash": "abandon",
        "note": "two words",
        "params": {"a": [1, None]},
        "enabled": False,
    }
    assert {name: stored[name] for name in wanted} == wanted


def test_json_of_a_schedule_has_these_keys(typed: Typed) -> None:
    typed("add", "--name", "n", "--minute", "0")
    assert set(typed.json("show", "n")) == {*FIELDS, "description", "paused", "frozen", "next_runs", "faults"}
    assert set(typed.json("list")[0]) == {*FIELDS, "description", "paused", "frozen", "next_runs", "faults"}
    assert typed.json("show", "n")["created_at"].endswith("Z")


def test_params_come_from_a_file_or_from_stdin(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"from": "file"}')
    typed("add", "--name", "f", "--params", f"@{tmp_path / 'p.json'}")
    typed("add", "--name", "s", "--params", "-", input='{"from": "stdin"}')
    assert [typed.json("show", name)["params"]["from"] for name in "fs"] == ["file", "stdin"]


def test_a_dry_run_stores_nothing_and_needs_no_store(tmp_path: Path) -> None:
    nowhere = Typed("mongodb://127.0.0.1:1/x")
    assert nowhere("add", "--cron", "@daily", "--dry-run").stdout.startswith("would add ")
    typed = Typed(f"sqlite:{tmp_path / 'jobs.db'}")
    typed("add", "--cron", "@daily", "--dry-run")
    assert typed.json("list") == []


@pytest.mark.parametrize(("options", "warned"), [
    (["--hour", "2"], True),
    (["--weekday", "mon"], True),
    (["--hour", "2", "--minute", "0"], False),
    (["--hour", "2", "--minute", "*"], False),
    (["--cron", "* 2 * * *"], False),
    ([], False),
])  # fmt: skip
def test_a_coarser_field_without_a_minute_is_warned_of(typed: Typed, options: list[str], warned: bool) -> None:
    assert ("sixty runs an hour" in typed("add", *options).stderr) == warned


def test_a_taken_name_is_a_conflict(typed: Typed) -> None:
    typed("add", "--name", "n", "--params", '{"first": true}')
    assert "'n'" in typed("add", "--name", "n", code=1).stderr
    assert typed.json("show", "n")["params"] == {"first": True}


def test_edit_changes_what_is_named_and_nothing_else(typed: Typed) -> None:
    typed("add", "--name", "n", "--minute", "5", "--user", "u", "--timeout", "10", "--tag", "a", "--tag", "b")
    before = typed.json("show", "n")
    typed("edit", "n", "--hour", "3", "--timeout", "none", "--tag", "c")
    after = typed.json("show", "n")
    assert (after["hour"], after["timeout_seconds"], after["tags"]) == (3, None, ["c"])
    changing = {"hour", "timeout_seconds", "tags", "updated_at", "active_from", "description", "next_runs"}
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }


def test_edit_with_a_dry_run_changes_nothing(typed: Typed) -> None:
    typed("add", "--name", "n", "--minute", "5")
    assert "05:00 " in typed("edit", "n", "--minute", "0", "--hour", "5", "--dry-run").stdout
    assert typed.json("show", "n")["minute"] == 5


def test_edit_takes_a_whole_line_and_its_day_rule(typed: Typed) -> None:
    typed("add", "--name", "n", "--minute", "5")
    typed("edit", "n", "--cron", "0 0 1 * mon")
    assert typed.json("show", "n")["either_day"] is True
    assert "(either day)" in typed("list").stdout


def test_list_filters(typed: Typed) -> None:
    typed("add", "--name", "nightly-a", "--tag", "etl", "--user", "alice")
    typed("add", "--name", "nightly-b", "--handler", "h", "--disabled")
    typed("add", "--name", "hourly", "--tag", "etl")

    def names(*options: str) -> set[str]:
        return {schedule["name"] for schedule in typed.json("list", *options)}

    assert names("--tag", "etl") == {"nightly-a", "hourly"}
    assert names("--match", "nightly-*") == {"nightly-a", "nightly-b"}
    assert names("--user", "alice") == {"nightly-a"}
    assert names("--handler", "h") == {"nightly-b"}
    assert names("--disabled") == {"nightly-b"}
    assert names("--enabled") == {"nightly-a", "hourly"}
    assert "no schedule fits" in typed("list", "--match", "nix").stderr


def test_an_empty_list_says_how_to_go_on(typed: Typed) -> None:
    result = typed("list")
    assert result.stdout == ""
    assert "cronlite add" in result.stderr


def test_pause_by_tag_and_resume_by_name(typed: Typed) -> None:
    for name in ("a", "b"):
        typed("add", "--name", name, "--tag", "etl")
    typed("add", "--name", "c")
    typed("pause", "--tag", "etl", "--yes")
    assert [s["enabled"] for s in typed.json("list")] == [False, False, True]
    assert "next run" in typed("resume", "b").stdout
    assert "paused" in typed("show", "a").stdout
    assert typed.json("show", "b")["enabled"]
    assert "name schedules" in typed("pause", code=2).stderr


def test_removing_several_goes_on_after_one_that_is_not_there(typed: Typed) -> None:
    typed("add", "--name", "a")
    typed("add", "--name", "b")
    result = typed("remove", "a", "nix", "b", code=1)
    assert "'nix'" in result.stderr
    assert typed.json("list") == []


def test_a_name_that_is_taken_is_what_add_and_edit_complain_of(typed: Typed) -> None:
    typed("add", "--name", "n", "--minute", "0")
    typed("add", "--name", "m", "--minute", "0")
    for words in (["add", "--name", "n", "--minute", "0"], ["edit", "m", "--name", "n"]):
        assert typed(*words, code=1).stderr == (
            "cronlite: error: there already is a schedule with the name 'n'; choose another, or change that one\n"
        )


def test_schedules_that_share_their_times_begin_and_end_each_for_itself(typed: Typed, cron: Cronlite) -> None:
    now = cron.now()
    cron.schedule(minute=0, name="plain")
    cron.schedule(minute=0, name="later", active_from=now + timedelta(days=300))
    cron.schedule(minute=0, name="over", active_from=now - timedelta(days=2), active_until=now - timedelta(days=1))
    later, over, plain = typed("list", COLUMNS="120").stdout.splitlines()[1:]
    assert re.search(r", in \d+ (s|min) ", plain), plain
    assert re.search(r", in (299|300) d ", later), later
    assert "never" in over


def test_a_prefix_of_an_id_names_its_schedule_if_only_one_has_it(typed: Typed) -> None:
    typed("add", "--name", "a")
    id_ = typed.json("show", "a")["id"]
    assert typed.json("show", id_[:23])["name"] == "a"
    typed("add", "--name", "b")
    assert "several" in typed("show", id_[:4], code=1).stderr


def test_a_name_that_is_nearly_right_is_suggested(typed: Typed) -> None:
    typed("add", "--name", "nightly")
    assert "did you mean 'nightly'?" in typed("show", "nightli", code=1).stderr


def test_a_document_that_cannot_be_read_is_shown_with_its_faults(typed: Typed, cron: Cronlite) -> None:
    cron.store.add_schedule({"_id": "bad", "name": "bad", "params": {}, "minute": "banana", "tz": "Mars/Base"})
    typed("add", "--name", "good")
    listed = typed("list")
    assert "good" in listed.stdout
    assert "1 cannot be read (bad)" in listed.stderr
    shown = typed("show", "bad")
    assert "banana" in shown.stdout
    assert "Mars/Base" in shown.stderr
    told = typed.json("show", "bad")
    assert (told["id"], len(told["faults"])) == ("bad", 2)
    typed("edit", "bad", "--minute", "5", "--tz", "UTC")
    assert typed.json("show", "bad")["minute"] == 5


def test_an_unknown_handler_is_hinted_at_but_stored(typed: Typed, application: object) -> None:
    name = application("import cronlite\n@cronlite.handler\ndef extract_it(params): ...\n")  # type: ignore[operator]
    told = typed("-A", name, "add", "--handler", "extract_itt", "--name", "n").stderr
    assert "did you mean 'extract_it'?" in told
    assert "did you mean" not in typed("-A", name, "add", "--handler", "extract_it").stderr
    assert typed.json("show", "n")["handler"] == "extract_itt"


def test_all_of_stdout_is_one_document(typed: Typed) -> None:
    result = typed("add", "--hour", "2", "--json")
    assert json.loads(result.stdout)["hour"] == 2
    assert "warning" in result.stderr


def test_an_interval_is_added_edited_and_shown(typed: Typed) -> None:
    assert ": every 10 seconds" in typed("add", "--name", "n", "--every", "10s").stdout
    assert "every 10s" in typed("list").stdout
    [first, second] = typed.json("next", "n", "-n", "2")
    assert {first["at"][-7:], second["at"][-7:]} < {f"{second}0.000Z" for second in range(6)}
    assert typed("edit", "n", "--minute", "5").stdout.startswith("changed")
    assert (typed.json("show", "n")["every"], typed.json("show", "n")["minute"]) == (None, 5)
    assert "every 90 minutes" in typed("edit", "n", "--every", "90m", "--dry-run").stdout
    typed("edit", "n", "--every", "24h")
    assert (typed.json("show", "n")["every"], typed.json("show", "n")["minute"]) == ("1d", "*")
    assert typed.json("why", "n", "--at", "2026-11-21 02:30")["verdict"] == "not_due"
    typed("edit", "n", "--every", "", "--hour", "3")
    assert typed.json("show", "n")["every"] is None


def test_an_interval_that_is_none_is_refused_with_a_way_out(typed: Typed) -> None:
    assert "every: '90s' is not of whole minutes" in typed("add", "--every", "90s", code=2).stderr
    assert "leave --every out" in typed("add", "--every", "10s", "--cron", "* * * * *", code=2).stderr
