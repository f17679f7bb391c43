"""How the tests of faults are run: several at a time, in threads, with the table of faults at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults import report
from tests.faults.stage import Stage
from tests.services import MissingService, skip_or_fail
from tests.services.mongod import Mongod

FOLDER = Path(__file__).parent
Plays = dict[str, "Future[list[str]]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker("faults")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if report.ROWS:
        terminalreporter.section("faults")
        terminalreporter.write_line(report.table(report.ROWS))


@pytest.fixture(scope="session")
def plays(request: pytest.FixtureRequest, mongod: Mongod) -> Iterator[Plays]:
    """The tests with a stage that this session will ask for, begun in their order as threads are free."""
    threads = ThreadPoolExecutor(int(os.environ.get("CRONLITE_TEST_STAGES") or 2 * (os.cpu_count() or 1)))
    items = [item for item in request.session.items if "stage" in getattr(item, "fixturenames", ())]
    yield {item.nodeid: threads.submit(play, item, mongod) for item in items}
    threads.shutdown(cancel_futures=True)


def play(item: pytest.Item, mongod: Mongod) -> list[str]:
    """Run a test on its stage; return what it has to tell, or raise it with what went wrong."""
    assert isinstance(item, pytest.Function)
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    stage = Stage(mongod)
    try:
        with stage:
            item.obj(stage=stage, **parameters)
    except AssertionError as broken:
        raise AssertionError("\n".join([*stage.told, str(broken)])) from broken
    return stage.told


@pytest.fixture
def stage(plays: Plays) -> None:
    """What tests in this folder ask for so as to be run ahead; they get a Stage of their own."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a test that runs ahead, instead of calling it."""
    if "stage" not in pyfuncitem.fixturenames:
        return None
    plays: Plays = pyfuncitem.funcargs["plays"] if "plays" in pyfuncitem.funcargs else _plays(pyfuncitem)
    try:
        print("\n".join(plays[pyfuncitem.nodeid].result()))
    except MissingService as missing:
        skip_or_fail(missing)
    return True


def _plays(item: pytest.Function) -> Plays:
    found: Plays = item._request.getfixturevalue("plays")
    return found
