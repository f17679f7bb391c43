"""Is what gets registered what will be called, and is everything else refused with a reason?"""

import errno
import functools
import importlib
import importlib.metadata
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cronlite.errors import ConfigurationError, CronliteError, InvalidInput
from cronlite.handlers.loading import ENTRY_POINTS, load, load_entry_points
from cronlite.handlers.registry import Registry, current_run, default_registry
from cronlite.handlers.shell import CommandFailed, allow_shell, shell_handler
from cronlite.handlers.shortage import NotStarted


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory whose modules are forgotten afterwards."""
    known, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def at_the_top(params: Any) -> Any:
    return params


async def at_the_top_async(params: Any) -> Any:
    return params


def test_a_function_is_registered_under_its_own_name_and_stays_callable(registry: Registry) -> None:
    @registry.handler
    def extract(params: dict[str, int]) -> int:
        return params["rows"]

    assert extract({"rows": 3}) == 3
    found = registry.get("extract")
    assert found is not None
    assert (found.function, found.isolation, found.is_async) == (extract, "thread", False)


def test_a_name_can_be_given(registry: Registry) -> None:
    registry.handler("etl.extract:v2")(at_the_top)
    registry.handler()(at_the_top)
    registry.handler(name="apart", isolation="process")(at_the_top)
    assert registry.names() == ["apart", "at_the_top", "etl.extract:v2"]
    assert registry.get("other") is None


@pytest.mark.parametrize("function", [at_the_top_async, functools.partial(at_the_top_async)])
def test_coroutine_functions_are_known_as_such(registry: Registry, function: Callable[..., Any]) -> None:
    assert registry.add("extract", function).is_async


def test_a_partial_needs_a_name(registry: Registry) -> None:
    unnamed = functools.partial(at_the_top)
    with pytest.raises(InvalidInput, match=r'which has no name of its own; give one: @cronlite\.handler\("name"\)'):
        registry.handler(unnamed)
    assert registry.names() == []
    assert registry.handler("rows")(unnamed) is unnamed
    assert registry.name_of(unnamed) == "rows"


def test_a_partial_that_was_given_a_name_has_one(registry: Registry) -> None:
    registry.handler(functools.update_wrapper(functools.partial(at_the_top), at_the_top))
    assert registry.names() == ["at_the_top"]


def test_objects_that_can_be_called_will_do(registry: Registry) -> None:
    class Extract:
        async def __call__(self, params: Any) -> None: ...

    assert registry.add("extract", Extract()).is_async
    assert not registry.add("length", len).is_async


@pytest.mark.parametrize(
    ("name", "function", "isolation", "told"),
    [
        ("", at_the_top, "thread", "name: '' is no handler name"),
        ("two words", at_the_top, "thread", "name: 'two words' is no handler name"),
        (5, at_the_top, "thread", "name: 5 is no handler name"),
        ("x", at_the_top, "proces", "isolation: 'proces' is not known; did you mean 'process'?"),
        ("x", at_the_top, None, "isolation: None is not known; give thread or process"),
        ("x", "extract", "thread", "handler: 'extract' cannot be called"),
        ("x", lambda: None, "thread", "too many positional arguments"),
        ("x", lambda one, two: None, "thread", "missing a required argument: 'two'"),  # noqa: ARG005
        ("x", lambda *, params: None, "thread", "cannot be called with params alone"),  # noqa: ARG005
        ("x", lambda params: (yield), "thread", "is a generator"),  # noqa: ARG005
        ("x", at_the_top_async, "process", "isolation: 'process' goes with no async def"),
        ("x", lambda params: None, "process", "which a child process cannot import; move it to the top"),  # noqa: ARG005
        ("x", functools.partial(at_the_top), "process", "has no name that a child process could import"),
    ],
)
def test_what_cannot_be_a_handler_is_refused(
    registry: Registry, name: Any, function: Any, isolation: Any, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told.replace("?", r"\?")):
        registry.add(name, function, isolation=isolation)
    assert registry.names() == []


def test_a_function_of_the_main_script_cannot_run_in_a_child(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_the_top, "__module__", "__main__")
    with pytest.raises(InvalidInput, match="is in __main__, which a child process cannot import; move it to a module"):
        registry.add("extract", at_the_top, isolation="process")


def test_all_faults_are_told_at_once(registry: Registry) -> None:
    with pytest.raises(InvalidInput) as refused:
        registry.add("two words", lambda: None, isolation="proces")  # type: ignore[arg-type, misc]
    assert [fault.field for fault in refused.value.faults] == ["name", "isolation", "handler"]


def test_a_name_taken_by_another_function_is_refused_with_both_places(registry: Registry) -> None:
    registry.add("extract", at_the_top)
    with pytest.raises(ConfigurationError) as refused:
        registry.add("extract", at_the_top_async)
    told = str(refused.value)
    assert "'extract' is registered twice" in told
    assert f"tests.handlers.test_registry.at_the_top ({__file__}:{at_the_top.__code__.co_firstlineno})" in told
    assert f"tests.handlers.test_registry.at_the_top_async ({__file__}:" in told
    found = registry.get("extract")
    assert found is not None
    assert found.function is at_the_top


def test_two_lambdas_are_two_functions(registry: Registry) -> None:
    registry.add("extract", lambda params: params)
    with pytest.raises(ConfigurationError):
        registry.add("extract", lambda params: [params])


def test_a_module_may_be_imported_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_registry, "_handlers", {})
    (folder / "jobs.py").write_text("import cronlite\n@cronlite.handler\ndef extract(params): return 1\n")
    (jobs,) = load("jobs")
    first = default_registry.get("extract")
    importlib.reload(jobs)
    second = default_registry.get("extract")
    assert first is not None
    assert second is not None
    assert first.function is not second.function
    del sys.modules["jobs"]
    source = (folder / "jobs.py").read_text()
    exec(compile(source, str(folder / "jobs.py"), "exec"), {"__name__": "__main__"})  # as `python jobs.py` would


def test_load_finds_modules_of_the_working_directory_and_their_objects(folder: Path) -> None:
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").write_text("")
    (folder / "shop" / "jobs.py").write_text("class app:\n    cron = 5\n")
    module, cron = load("shop.jobs", "shop.jobs:app.cron")
    assert (module.__name__, cron) == ("shop.jobs", 5)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("jbs", "no module named 'jbs' in {folder} or on the import path; did you mean 'jobs'?"),
        ("nothing_like_it", "no module named 'nothing_like_it' in {folder} or on the import path"),
        (
            "jobs.py",
            "no module named 'jobs.py' in {folder} or on the import path; give the module, not the file: 'jobs'",
        ),
        ("jobs.more", "no module named 'jobs.more' in {folder} or on the import path; did you mean 'jobs'?"),
        ("jobs:ap", "'jobs' has no 'ap'; did you mean 'app'?"),
        ("jobs:app.nope", "'jobs' has no 'app.nope'"),
        ("needs", "importing 'needs' failed: ModuleNotFoundError: No module named 'not_there' ({folder}/needs.py:1)"),
        ("broken", "importing 'broken' failed: ValueError: two lines ({folder}/broken.py:2)"),
        ("exits", "importing 'exits' failed: SystemExit: 3 ({folder}/exits.py:1)"),
        ("typo", "importing 'typo' failed: SyntaxError: invalid syntax ({folder}/typo.py:2)"),
        ("", "'' names no application; give module or module:object"),
        ("jobs:", "'jobs:' names no application; give module or module:object"),
        ("../jobs", "'../jobs' names no application; give module or module:object"),
        ("jobs:app()", "'jobs:app()' names no application; give module or module:object"),
    ],
)
def test_an_application_that_cannot_be_imported_is_an_error_of_one_line(folder: Path, target: str, told: str) -> None:
    (folder / "jobs.py").write_text("app = 5\n")
    (folder / "needs.py").write_text("import not_there\n")
    (folder / "broken.py").write_text("def fail():\n    raise ValueError('two\\nlines')\nfail()\n")
    (folder / "exits.py").write_text("raise SystemExit(3)\n")
    (folder / "typo.py").write_text("fine = 1\nfine fine\n")
    with pytest.raises(ConfigurationError) as refused:
        load(target)
    assert str(refused.value) == told.format(folder=folder)


class Offered(importlib.metadata.EntryPoint):
    """An entry point of a distribution that needs no installing."""

    @property
    def dist(self) -> Any:  # type: ignore[override]
        return type("Distribution", (), {"metadata": {"Name": "shop-jobs"}, "version": "1.2"})


def test_entry_points_offer_modules_and_functions_and_broken_ones_are_named(
    folder: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_registry, "_handlers", {})
    (folder / "offered.py").write_text(
        "import cronlite\n@cronlite.handler\ndef extract(params): ...\ndef load(params): ...\ndef bad(): ...\n"
    )
    sys.path.insert(0, str(folder))
    values = {"a": "offered", "loads": "offered:load", "b": "offered:bad", "c": "gone:f", "d": "offered:extrct"}
    entries = [Offered(name, value, ENTRY_POINTS) for name, value in values.items()]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries)  # noqa: ARG005
    broken = load_entry_points(registry)
    assert default_registry.names() == ["extract"]
    assert registry.names() == ["loads"]
    assert [line.partition(": ")[0] for line in broken] == [
        f"entry point {name!r} of shop-jobs 1.2" for name in ("b", "c", "d")
    ]
    assert "cannot be called with params alone" in broken[0]
    assert "no module named 'gone'" in broken[1]
    assert "did you mean 'extract'?" in broken[2]


def test_there_is_no_current_run_outside_of_one() -> None:
    with pytest.raises(CronliteError, match="outside of a run"):
        current_run()


def test_the_shell_exists_only_where_it_is_allowed(registry: Registry) -> None:
    assert registry.get("shell") is None
    allow_shell(registry)
    found = registry.get("shell")
    assert found is not None
    assert (found.function, found.isolation) == (shell_handler, "process")


def test_a_command_gets_its_words_environment_folder_and_input(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["/bin/sh", "-c", 'echo "$0" "$GREETING" "$HOME"; pwd; cat', "one; two"]
    params = {"command": words, "env": {"GREETING": "hé"}, "cwd": str(tmp_path), "stdin": "line 1\nline 2\n"}
    assert shell_handler(params) is None  # type: ignore[func-returns-value]
    assert capfd.readouterr().out == f"one; two hé {os.environ['HOME']}\n{tmp_path}\nline 1\nline 2\n"


def test_a_command_that_reads_nothing_may_be_given_much(capfd: pytest.CaptureFixture[str]) -> None:
    shell_handler({"command": ["true"], "stdin": "x" * 1_000_000})
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("exit 3", "exit status 3"),
        ("echo first >&2; echo 'no such host' >&2; exit 1", "exit status 1: no such host"),
        ("kill -TERM $$", "killed by SIGTERM"),
        ("printf '\\377' >&2; exit 9", "exit status 9: �"),
    ],
)
def test_a_command_that_fails_says_how(line: str, told: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        shell_handler({"command": ["/bin/sh", "-c", line]})
    assert str(failed.value) == told


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandFailed, match=r"cannot be started: .*no-such-command"):
        shell_handler({"command": ["no-such-command"]})


def test_a_command_runs_where_the_system_grants_no_thread(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    much = "x" * 1_000_000
    shell_handler({"command": ["/bin/sh", "-c", "cat >&2; echo done"], "stdin": much})
    assert capfd.readouterr() == ("done\n", much)
    with pytest.raises(CommandFailed) as failed:
        shell_handler({"command": ["/bin/sh", "-c", "echo 'no such host' >&2; exit 3"]})
    assert str(failed.value) == "exit status 3"
    assert capfd.readouterr().err == "no such host\n", "told in the output all the same"


@pytest.mark.parametrize("lacking", ["fork", "pipe"])
def test_a_command_that_the_system_has_no_room_for_is_not_started(
    monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(*{"fork": (subprocess, "Popen"), "pipe": (os, "pipe")}[lacking], refuse)
    with pytest.raises(NotStarted):
        shell_handler({"command": ["true"]})


def test_a_background_process_that_keeps_stderr_open_holds_up_nothing(tmp_path: Path) -> None:
    shell_handler({"command": ["/bin/sh", "-c", f"sleep 60 & echo $! > {tmp_path / 'pid'}"]})
    os.kill(int((tmp_path / "pid").read_text()), 9)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, "params.command: None is no list of texts; give one, such as"),
        ({"command": "ls -l"}, "params.command: 'ls -l' is no list of texts"),
        ({"command": []}, r"params.command: \[\] is no list of texts"),
        ({"command": ["ls", 5]}, "params.command"),
        ({"command": ["ls\0"]}, "params.command"),
        ({"command": ["ls"], "env": {"A": 5}}, "params.env: {'A': 5} is no object of texts"),
        ({"command": ["ls"], "env": {"A=B": "5"}}, "params.env"),
        ({"command": ["ls"], "env": None}, "params.env"),
        ({"command": ["ls"], "cwd": 5}, "params.cwd: 5 is no path"),
        ({"command": ["ls"], "stdin": 5}, "params.stdin: 5 is not text"),
        (
            {"comand": ["ls"]},
            r"params.comand: \['ls'\] is not known to shell; did you mean 'command'\?; params.command",
        ),
    ],
)
def test_params_of_the_shell_are_checked(params: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        shell_handler(params)
