"""A command line to type at, on a file of the test's own."""

import inspect
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cronlite.cli import cli
from cronlite.client.app import Cronlite
from cronlite.handlers.registry import Registry, default_registry
from cronlite.store.contract import ScheduleQuery


def runner() -> CliRunner:
    """Return a runner that keeps stderr apart, which before click 8.2 had to be asked for."""
    apart = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
    return CliRunner(**apart)  # type: ignore[arg-type]


def stored(uri: str) -> tuple[list[Any], list[Any]]:
    """Return the schedules and the runs that a store has."""
    with Cronlite(uri) as cron:
        return list(cron.store.schedules(ScheduleQuery())), cron.runs()


class Typed:
    """Types commands in this process, on one store; every answer is held against the exit code expected."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __call__(self, *words: str, code: int = 0, input: str | None = None, **environment: str) -> Result:
        result = runner().invoke(cli, ["--uri", self.uri, *words], input=input, env=environment)
        assert result.exit_code == code, f"exit {result.exit_code}: {result.output}\n{result.exception!r}"
        assert "Traceback" not in result.stderr, result.stderr
        return result

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code).stdout)


@pytest.fixture
def clock_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A function that sets this machine's clock to a zone."""

    def of(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield of
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def machine_on_utc(clock_of: Callable[[str], None]) -> None:
    clock_of("UTC")


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path / 'jobs.db'}"


@pytest.fixture
def typed(uri: str) -> Typed:
    return Typed(uri)


@pytest.fixture
def cron(uri: str) -> Iterator[Cronlite]:
    """The same store, as an application sees it; its handlers are `double` and `boom`."""
    registry = Registry()

    @registry.handler
    def double(params: dict[str, int]) -> int:
        print(f"doubling {params.get('n')}")
        return 2 * params.get("n", 0)

    @registry.handler
    def boom(params: object) -> None:
        raise ValueError("no such \x1b[31mdataset")

    with Cronlite(uri, registry=registry) as cron:
        cron.store.prepare()
        yield cron


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A function that writes a module into the working directory and returns its name.

    The handlers that it registers are forgotten with the test.
    """
    monkeypatch.setattr(default_registry, "_handlers", {})
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def written(source: str) -> str:
        name = f"app_{abs(hash((source, str(tmp_path)))):x}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return written
