"""What the tests of faults ask for, and the table that they end with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults import report, rounds
from tests.faults.fleet import Fleet

MONGOD = pytest.param("mongod", marks=pytest.mark.mongod)
MONGOD_QUICKLY = pytest.mark.parametrize(
    "any_fleet", [MONGOD, pytest.param("sqlite", marks=pytest.mark.slow)], indirect=True
)
"""On a file too, but in the long run of the tests: where a fault lasts, and what it tries hardly knows the store."""


def quickly(cases: Iterable[str], *quick: str) -> list[Any]:
    """Leave all but some cases of a test to the long run, as one kind of fault after the other takes its seconds."""
    return [pytest.param(case, marks=() if case in quick else pytest.mark.slow) for case in cases]


FOLDER = Path(__file__).parent
ROW = "a row of the table of faults"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == FOLDER:
            item.add_marker("faults")


@pytest.fixture(autouse=True)
def _report(request: pytest.FixtureRequest) -> Iterator[None]:
    """Send the rows that a test adds with its own report, as it may run in another process than prints the table."""
    yield
    request.node.user_properties.extend((ROW, tuple(row)) for row in report.ROWS)
    report.ROWS.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [told for told in terminalreporter.getreports("") if told.when == "teardown"]
    rows = [report.Row(*value) for told in reports for name, value in told.user_properties if name == ROW]
    if rows:
        terminalreporter.section("faults")
        terminalreporter.write_line(report.table(rows))


@pytest.fixture
def make_fleet() -> Iterator[Callable[..., Fleet]]:
    """A function that makes a fleet on a store, watched for final runs that change; ended with the test."""
    with ExitStack() as opened:

        def make(uri: str, **settings: object) -> Fleet:
            return opened.enter_context(rounds.fleet_on(uri, **settings))

        yield make


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet], mongo_uri: str) -> Fleet:
    """A fleet on a fresh database of a real server."""
    return make_fleet(mongo_uri)


@pytest.fixture(params=[MONGOD, "sqlite"])
def any_fleet(request: pytest.FixtureRequest, make_fleet: Callable[..., Fleet], tmp_path: Path) -> Fleet:
    """A fleet on each kind of store."""
    if request.param == "mongod":
        return make_fleet(request.getfixturevalue("mongo_uri"))
    return make_fleet(f"sqlite:{tmp_path / 'cronlite.db'}")
