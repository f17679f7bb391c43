"""The rules of the house: modules import downwards, importing is light, every public name is documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import cronlite

PACKAGE = Path(cronlite.__file__).parent
pytestmark = pytest.mark.xdist_group("architecture")  # every module is parsed once

# A room may import those of its own floor and of the floors below it.
FLOORS = [
    ["errors", "logger", "version"],
    ["when"],
    ["documents"],
    ["store", "handlers"],
    ["dispatch", "crontab", "plans", "alarms", "metrics", "wording"],
    ["daemon"],
    ["client"],
    ["web"],
    ["cli", "testing"],
    ["contrib", "__main__"],
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@cache
def tree_of(path: Path) -> ast.Module:
    """Return what a file holds, each node with its parent."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    return tree


@cache
def imports(path: Path, *, at_run_time: bool = False) -> list[str]:
    """List the cronlite modules that a file imports; those inside functions only `at_run_time`."""
    return list(_imports(tree_of(path), at_run_time))


def _imports(tree: ast.Module, at_run_time: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Import, ast.ImportFrom)) or (_is_deferred(node) and not at_run_time):
            continue
        if isinstance(node, ast.Import):
            yield from (
                alias.name.removeprefix("cronlite.") for alias in node.names if alias.name.startswith("cronlite.")
            )
        elif node.module == "cronlite":
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif node.module and node.module.startswith("cronlite."):
            module = node.module.removeprefix("cronlite.")
            inner = [f"{module}.{alias.name}" for alias in node.names if f"{module}.{alias.name}" in MODULES]
            yield from inner or [module]


def _is_deferred(node: ast.AST) -> bool:
    while node := getattr(node, "parent", None):  # type: ignore[assignment]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return True
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return True
    return False


def test_every_room_has_a_floor() -> None:
    assert {name.split(".")[0] for name in MODULES if name} - set(FLOOR) == set()
    assert set(FLOOR) - {name.split(".")[0] for name in MODULES} == set()


def test_modules_import_only_downwards() -> None:
    upwards = [
        f"{name} -> {imported}"
        for name, path in MODULES.items()
        if name
        for imported in imports(path, at_run_time=True)
        if FLOOR[imported.split(".")[0]] > FLOOR[name.split(".")[0]]
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: {i for i in imports(path) if i != name} for name, path in MODULES.items()}
    list(TopologicalSorter(graph).static_order())


def test_dispatch_never_sees_a_store_and_the_daemon_never_a_backend() -> None:
    seen = {name: set(imports(path, at_run_time=True)) for name, path in MODULES.items()}
    for name in MODULES:
        if name.startswith("dispatch"):
            assert not any(imported.startswith("store") for imported in seen[name]), name
        elif name and name.split(".")[0] not in ("store", "client", "cli"):
            assert not any(i.startswith("store") and not i.startswith("store.contract") for i in seen[name]), name


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import cronlite", ["pymongo", "bson", "kombu", "sqlite3", "asyncio", "click", "logging", "zoneinfo"]),
        ("from cronlite import Cronlite, Schedule, handler", ["pymongo", "bson", "kombu", "click"]),
        ("from cronlite.store import open_store; open_store('memory:').close()", ["pymongo", "bson", "kombu"]),
    ],
)
def test_importing_stays_light(statement: str, heavy: list[str]) -> None:
    probe = f"import sys; {statement}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_surface_is_the_one_that_was_promised() -> None:
    assert sorted(cronlite.__all__) == dir(cronlite)
    for name in cronlite.__all__:
        assert getattr(cronlite, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = cronlite.nonsense


def test_every_public_name_is_documented() -> None:
    undocumented = []
    for name in cronlite.__all__:
        thing = getattr(cronlite, name)
        members = vars(thing).items() if inspect.isclass(thing) else ()
        for label, part in [(name, thing), *((f"{name}.{m}", p) for m, p in members if not m.startswith("_"))]:
            if (inspect.isclass(part) or callable(part) or isinstance(part, property)) and not inspect.getdoc(part):
                undocumented.append(label)
    assert undocumented == []


def test_no_module_sends_its_reader_to_a_page_that_is_not_here() -> None:
    assert [name for name, path in MODULES.items() if "DESIGN" in path.read_text()] == []


def test_every_module_opens_by_saying_what_it_answers() -> None:
    silent = [name for name, path in MODULES.items() if not ast.get_docstring(tree_of(path))]
    assert silent == []
