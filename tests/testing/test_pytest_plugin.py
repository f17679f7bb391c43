"""The pytest plugin, as whoever installs cronlite gets it."""

from __future__ import annotations

from datetime import datetime, timezone
from importlib import metadata

import pytest

import cronlite
from cronlite.testing import START, Rehearsal
from tests.web import readme

pytest_plugins = ["pytester", "cronlite.contrib.pytest"]


def at(day: int, hour: int, minute: int) -> datetime:
    return datetime(2024, 1, day, hour, minute, tzinfo=timezone.utc)


def test_the_fixture_is_a_rehearsal_that_begins_on_a_monday(cronlite_test: Rehearsal) -> None:
    assert cronlite_test.now == START
    assert START.strftime("%A %H:%M") == "Monday 00:00"
    cronlite.schedule(minute=0, hour=9, name="standup", handler="standup")
    cronlite_test.assert_scheduled(name="standup", at=at(1, 9, 0))


@pytest.mark.parametrize("cronlite_start", [at(20, 12, 0)])
def test_the_fixture_begins_when_it_is_told_to(cronlite_test: Rehearsal) -> None:
    assert cronlite_test.now == at(20, 12, 0)


USERS_TEST = """
import cronlite

@cronlite.handler
def fetch(params):
    return params["rows"]

def test_it(cronlite_test):
    cronlite.schedule(params={"rows": 7}, minute=30, hour=2, handler="fetch")
    cronlite_test.advance(hours=3)
    assert [run.result for run in cronlite_test.runs(handler="fetch")] == [7]

def test_nothing_is_left_of_it(cronlite_test):
    assert cronlite_test.cron.schedules() == []
"""


@pytest.fixture
def installed() -> None:
    names = [point.name for point in metadata.distribution("cronlite").entry_points if point.group == "pytest11"]
    assert names == ["cronlite"], "cronlite was installed before it had a plugin: install it again"


@pytest.mark.usefixtures("installed")
def test_installed_it_needs_no_configuration(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USERS_TEST)
    pytester.runpytest_subprocess("-W", "error", "--strict-markers").assert_outcomes(passed=2)


@pytest.mark.usefixtures("installed")
def test_it_can_be_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USERS_TEST)
    result = pytester.runpytest_subprocess("-p", "no:cronlite")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*fixture 'cronlite_test' not found*"])


@pytest.mark.usefixtures("installed")
def test_it_works_beside_coverage(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        jobs="def rows():\n    return 7\n", test_it="import jobs\n" + USERS_TEST.replace("7", "jobs.rows()")
    )
    result = pytester.runpytest_subprocess("-W", "error", "--cov=jobs", "--cov-report=term", "--cov-fail-under=100")
    result.assert_outcomes(passed=2)


@pytest.mark.usefixtures("installed")
def test_loading_it_imports_next_to_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert sorted(n for n in sys.modules if n.split(".")[0] in ("cronlite", "pymongo", "bson", "sqlite3")) == [
                "cronlite", "cronlite.contrib", "cronlite.contrib.pytest", "cronlite.version"
            ]
        """
    )
    # The plugin that measures coverage loads sqlite3.
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:pytest_cov").assert_outcomes(passed=1)


@pytest.mark.usefixtures("installed")
def test_a_failure_shows_where_in_the_handler_it_came_from(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import cronlite

        @cronlite.handler
        def fetch(params):
            return 1 / params["rows"]

        def test_it(cronlite_test):
            cronlite.enqueue("fetch", {"rows": 0}, user="bob")
            cronlite_test.drain()
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "> * return 1 / params*",
            ">*cronlite_test.drain()",
            "E * fetch with {'rows': 0} for 'bob'*: ZeroDivisionError: *",
        ]
    )


@pytest.mark.usefixtures("installed")
def test_the_readmes_example_is_a_test_that_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_jobs=readme.block("test_jobs.py"))
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=2)
