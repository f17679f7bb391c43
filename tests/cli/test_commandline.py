"""What is true of every command: help, environment, configuration, completion, colour?"""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

from cronlite.cli import COMMANDS, cli, render
from tests.cli.conftest import Typed, runner

NAMES = [name for commands in COMMANDS.values() for name in commands]


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert isinstance(found, click.Command)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_that_fits_80_columns(name: str) -> None:
    told = runner().invoke(cli, [name, "--help"], terminal_width=80)
    assert told.exit_code == 0
    assert max(map(len, told.output.splitlines())) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_the_summary_in_the_group_is_that_of_the_command(name: str) -> None:
    summaries = {name: told for commands in COMMANDS.values() for name, (_, told) in commands.items()}
    assert (command(name).help or "").startswith(summaries[name].rstrip(".")), command(name).help
    assert command(name).name == name


def test_help_of_the_group_fits_80_columns() -> None:
    told = runner().invoke(cli, ["--help"], terminal_width=80).output
    assert max(map(len, told.splitlines())) <= 80
    assert "Exit codes: 0 " in told


def test_nothing_at_all_gets_the_help_and_is_no_success() -> None:
    told = runner().invoke(cli, [])
    assert told.exit_code == 2
    assert told.stdout.startswith("Usage: cronlite ")
    assert "Missing command" in runner().invoke(cli, ["--uri", "memory:"]).stderr


@pytest.mark.parametrize(("typo", "meant"), [("lst", "list"), ("statsu", "status"), ("triger", "trigger")])
def test_a_mistyped_command_is_suggested(typed: Typed, typo: str, meant: str) -> None:
    assert f"did you mean '{meant}'?" in typed(typo, code=2).stderr


def test_a_mistyped_option_is_suggested(typed: Typed) -> None:
    assert "--minute" in typed("add", "--minutes", "5", code=2).stderr


def test_options_come_from_the_environment(uri: str) -> None:
    shell = runner()
    variables = {"CRONLITE_URI": uri, "CRONLITE_ADD_USER": "alice", "CRONLITE_LIST_JSON": "1"}
    assert shell.invoke(cli, ["add", "--name", "n"], env=variables).exit_code == 0
    assert json.loads(shell.invoke(cli, ["list"], env=variables).stdout)[0]["user"] == "alice"


def test_variables_are_called_as_the_options_are() -> None:
    found = {option.envvar for name in NAMES for option in command(name).params if isinstance(option, click.Option)}
    assert {"CRONLITE_SEATS", "CRONLITE_LOG_FORMAT", "CRONLITE_ENQUEUE_IN", "CRONLITE_NEXT_FROM"} <= found
    assert {"CRONLITE_RUNS_STATE", "CRONLITE_LIST_JSON", "CRONLITE_ADD_TAG", "CRONLITE_NEXT_COUNT"} <= found


def test_an_option_counts_before_the_environment_and_that_before_the_file(uri: str, tmp_path: Path) -> None:
    config = tmp_path / "cronlite.toml"
    config.write_text(f'uri = "{uri}"\n[add]\nuser = "file"\ntag = ["a", "b"]\nretries = 3\n[list]\njson = true\n')
    shell = runner()
    given = ["--config", str(config)]
    assert shell.invoke(cli, [*given, "add", "--name", "1"]).exit_code == 0
    assert shell.invoke(cli, [*given, "add", "--name", "2"], env={"CRONLITE_ADD_USER": "environment"}).exit_code == 0
    option = ["add", "--name", "3", "--user", "option"]
    assert shell.invoke(cli, [*given, *option], env={"CRONLITE_ADD_USER": "environment"}).exit_code == 0
    listed = json.loads(shell.invoke(cli, ["list"], env={"CRONLITE_CONFIG": str(config)}).stdout)
    assert [one["user"] for one in listed] == ["file", "environment", "option"]
    assert listed[0]["tags"] == ["a", "b"]
    assert listed[0]["retries"] == 3


@pytest.mark.parametrize(("text", "told"), [
    ('urii = "x"', "did you mean 'uri'?"),
    ("[rn]\nseats = 1", "did you mean 'run'?"),
    ("[run]\nseat = 1", "did you mean 'seats'?"),
    ("[run]\nseats = [1]", "seats is [1]; give a text or a number"),
    ("[run]\nallow-shell = 1", "give true or false"),
    ('[add]\ntag = "x"', "give a list of texts"),
    ("[run]\nseats = 1979-05-27", "give a text or a number"),
    ("uri = ", "is no TOML"),
    ("\x00", "is no TOML"),
    ("run = 5", "did you mean"),
    ('[run]\nseats = "many"', "'many' is not a valid integer"),
    ("[run]\nseats = 100000", "seats: 100000 is out of range"),
    ("config = 'x'", "is no key"),
])  # fmt: skip
def test_a_configuration_file_with_a_mistake_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    result = runner().invoke(cli, ["--config", str(tmp_path / "c.toml"), "--uri", "memory:", "run"])
    assert result.exit_code == 2, result.output
    assert told in result.stderr or "run' is no key" in result.stderr


def test_completion_completes_names_and_handlers(
    typed: Typed, application: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cronlite.cli.session.COMPLETION_SECONDS", 60)
    typed("add", "--name", "nightly-a")
    typed("add", "--name", "hourly")
    app = application("import cronlite\n@cronlite.handler\ndef extract_c(params): ...\n")

    def completed(words: str, incomplete: str) -> list[str]:
        line = f"cronlite --uri {typed.uri} -A {app} {words} {incomplete}"
        environment = {
            "_CRONLITE_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - bool(incomplete)),
        }
        told = runner().invoke(cli, [], env=environment, prog_name="cronlite")
        return [one.split(",", 1)[1] for one in told.stdout.splitlines()]

    assert completed("show", "night") == ["nightly-a"]
    assert completed("enqueue", "extract_") == ["extract_c"]
    assert completed("", "stat") == ["status"]
    assert completed("runs --state", "suc") == ["succeeded"]
    assert completed("add --tz", "Europe/Ber") == ["Europe/Berlin"]


def test_completion_is_silent_where_the_store_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cronlite.cli.session.COMPLETION_SECONDS", 0.2)
    environment = {
        "_CRONLITE_COMPLETE": "bash_complete",
        "COMP_WORDS": "cronlite --uri mongodb://127.0.0.1:1/x?timeoutMS=200 show n",
        "COMP_CWORD": "4",
    }
    told = runner().invoke(cli, [], env=environment, prog_name="cronlite")
    assert told.output.strip() == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "_CRONLITE_COMPLETE" in runner().invoke(cli, ["completion", shell]).stdout
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert "_CRONLITE_COMPLETE" in runner().invoke(cli, ["completion"]).stdout


def test_colour_is_for_terminals_only_and_can_be_switched_off(typed: Typed, uri: str) -> None:
    typed("add", "--name", "n", "--disabled")
    assert "\x1b" not in typed("show", "n").stdout
    coloured = runner().invoke(cli, ["--uri", uri, "show", "n"], color=True)
    assert "\x1b" in coloured.stdout
    plain = runner().invoke(cli, ["--uri", uri, "show", "n"], color=True, env={"NO_COLOR": "1"})
    assert "\x1b" not in plain.stdout


@pytest.mark.parametrize(("source", "words", "told"), [
    ("raise RuntimeError('on\\nimport')", "{}", "importing"),
    ("import nothing_of_that_name", "{}", "No module named 'nothing_of_that_name'"),
    ("x = 5", "{}:x", "neither a module, a Cronlite nor a Registry"),
    ("cronn = 5", "{}:cron", "did you mean 'cronn'?"),
    ("import cronlite\na, b = cronlite.Cronlite('memory:'), cronlite.Cronlite('memory:')", "{}", "several"),
    ("def (", "{}", "SyntaxError"),
])  # fmt: skip
def test_an_application_that_cannot_be_used_is_exit_code_2(
    typed: Typed, application: Callable[[str], str], source: str, words: str, told: str
) -> None:
    result = typed("-A", words.format(application(source)), "list", code=2)
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_application_brings_its_store_unless_another_is_named(
    uri: str, tmp_path: Path, application: Callable[[str], str]
) -> None:
    other = Typed(f"sqlite:{tmp_path / 'other.db'}")
    app = application(f"import cronlite\ncron = cronlite.Cronlite({uri!r})\n")
    for target in (app, f"{app}:cron"):
        assert runner().invoke(cli, ["-A", target, "add", "--name", target.replace(":", "-")]).exit_code == 0
    assert len(Typed(uri).json("list")) == 2
    assert other.json("-A", app, "list") == []


def test_a_registry_is_an_application_too(typed: Typed, application: Callable[[str], str]) -> None:
    app = application("from cronlite.handlers import Registry\nmine = Registry()\n")
    assert "it has no handler at all" in typed("-A", f"{app}:mine", "add", "--handler", "h").stderr


def test_foreign_values_do_not_break_json() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    values: dict[Any, Any] = {"naive": datetime(2026, 1, 1), 5: b"\xff", "nan": float("nan"), "odd": Odd(), "s": {1}}
    told = json.loads(render.json_text(values | {"big": 10**30, "half": "\ud800", "early": datetime.min}))
    assert told["naive"] == "2026-01-01T00:00:00.000Z"
    assert told["nan"] == "nan"
    assert told["s"] == [1]
    assert told["big"] == 10**30
