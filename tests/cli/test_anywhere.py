"""--uri, -A and --config mean the same before a command and behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest

from cronlite.cli import COMMANDS, cli
from cronlite.cli.anywhere import Anywhere
from cronlite.client.app import Cronlite
from tests.cli.conftest import runner

APPLICATION = """
import cronlite

@cronlite.handler
def extract(params): ...
"""


def typed(*words: str, code: int = 0, **environment: str) -> str:
    result = runner().invoke(cli, [*words], env=environment)
    assert result.exit_code == code, f"exit {result.exit_code}: {result.output}\n{result.exception!r}"
    return f"{result.stdout}{result.stderr}"


@pytest.fixture
def uri(uri: str) -> str:
    with Cronlite(uri) as cron:
        cron.schedule(name="nightly", handler="extract", minute=0)
    return uri


def test_the_uri_may_stand_behind_the_command(uri: str) -> None:
    assert "nightly" in typed("list", "--uri", uri)
    assert "nightly" in typed("show", f"--uri={uri}", "nightly")
    assert "nightly" in typed("--uri", "memory:", "list", "--uri", uri), "the one nearest to the command counts"
    assert "nightly" in typed("list", "--uri", uri, CRONLITE_URI="memory:")
    assert "None" not in typed("alarms", "list", "--uri", uri, code=2) + typed("alarms", "--uri", uri)


def test_an_option_that_takes_the_word_for_its_value_keeps_it(uri: str) -> None:
    typed("edit", "nightly", "--note", "--uri", "--uri", uri)
    with Cronlite(uri) as cron:
        assert cron.get("nightly").note == "--uri"


def test_the_application_may_stand_behind_the_command(uri: str, application: Callable[[str], str]) -> None:
    module = application(APPLICATION)
    told = typed("--uri", uri, "enqueue", "extrakt", "-A", module)
    assert f"{module} has no handler 'extrakt'; did you mean 'extract'?" in told
    assert "no_such_module" in typed("list", "--uri", uri, "-Ano_such_module", code=2)


def test_a_file_may_stand_behind_the_command(uri: str, tmp_path: Path) -> None:
    file = tmp_path / "cronlite.toml"
    file.write_text(f'uri = "{uri}"\n[list]\njson = true\n[quota]\nschedules = 1\n')
    assert typed("list", "--config", str(file)).startswith("[")
    assert typed("list", "--config", str(file), CRONLITE_URI="memory:") == typed("list", "--json", "--uri", "memory:")
    assert "the quota" in typed("add", "--user", "eve", "--minute", "0", "--config", str(file)) + typed(
        "add", "--user", "eve", "--minute", "1", "--config", str(file), code=1
    )
    assert "nope.toml" in typed("list", "--config", str(tmp_path / "nope.toml"), code=2)


def test_no_command_has_an_option_of_its_own_by_these_names() -> None:
    context = click.Context(cli)
    for name in (name for commands in COMMANDS.values() for name in commands):
        command = cli.get_command(context, name)
        assert command is not None
        spelled = [word for param in command.params for word in param.opts]
        assert len([word for word in spelled if word in ("--uri", "-A", "--app", "--config")]) == 4, name
        assert {one.envvar for one in command.params if isinstance(one, Anywhere)} == {None}
