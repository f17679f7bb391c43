"""What a page asks of its store: as much of many documents as of few."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

import cronlite
from cronlite.documents import new_runs, runs
from cronlite.handlers.registry import Registry
from cronlite.store.sqlite import SqliteStore
from cronlite.web.pages import schedules as listed
from tests.web_site.asking import Browser

MOST = 60
"""Statements of one page: SQLite reads the runs of each state apart, so that a list of all states takes nine."""


def filled(cron: cronlite.Cronlite, count: int) -> str:
    """Store so many schedules, with ten runs each, and some failed runs on demand; return the id of one."""
    cron.store.prepare()
    now = cron.now()
    made = [cron.schedule("u", {}, minute=n % 60, hour=3, name=f"n{n}", tags=["t"]) for n in range(count)]
    found = []
    for schedule in made:
        for n in range(10):
            run = new_runs.of_schedule(schedule, now - timedelta(minutes=n), now - timedelta(minutes=n))
            run.state, run.attempt, run.started_at, run.finished_at = ("failed", "succeeded")[n % 2], 1, now, now
            found.append(run)
    for n in range(20):
        single = runs.Run(id=f"single{n}", handler="h", params={}, due_at=now, queued_at=now, state="failed")
        single.finished_at = now
        found.append(single)
    cron.store.add_runs(found)
    return made[0].id


@pytest.fixture
def asked() -> Iterator[Callable[[int], dict[str, int]]]:
    """Counts the statements of each page over a store with so many schedules."""
    opened = []

    def count(schedules: int) -> dict[str, int]:
        cron = cronlite.Cronlite("memory:", registry=Registry())
        opened.append(cron)
        id_ = filled(cron, schedules)
        browser = Browser(cron)
        browser.get("/runs")  # asks for the time, once in half a minute
        statements: list[str] = []
        assert isinstance(cron.store, SqliteStore)
        cron.store._connected().set_trace_callback(statements.append)
        found = {}
        for path in pages(id_):
            statements.clear()
            answer = browser.get(path)
            assert answer.status_code == 200, path
            found[path] = len(statements)
        return {path.replace(id_, "ID"): number for path, number in found.items()}

    yield count
    for cron in opened:
        cron.close()


def pages(id_: str) -> list[str]:
    lists = [
        "/",
        "/schedules",
        "/schedules?search=n",
        "/schedules?tag=t",
        "/schedules?state=on",
        "/runs",
        "/runs?state=bad",
    ]
    return [
        *lists,
        "/runs?tag=t",
        f"/runs?schedule={id_}",
        f"/schedule?id={id_}",
        f"/schedule/edit?id={id_}",
        "/run?id=single0",
    ]


def test_a_page_asks_as_little_of_many_documents_as_of_few(asked: Callable[[int], dict[str, int]]) -> None:
    few, many = asked(listed.SHOWN + 1), asked(4 * listed.SHOWN)
    assert few == many
    assert max(many.values()) <= MOST, many


def test_all_schedules_are_found_page_by_page(cron: cronlite.Cronlite, browser: Browser) -> None:
    for n in range(2 * listed.SHOWN + 7):
        cron.schedule("u", {}, minute=0, name=f"n{n}" if n % 3 else None)
    found: list[str] = []
    path = "/schedules"
    while path:
        page = browser.get(path).text
        found += re.findall(r'class="name" href="/schedule\?id=([0-9a-f]{24})"', page)
        following = re.search(r'rel="next" href="([^"]*)"', page)
        path = html.unescape(following[1]) if following else ""
    assert sorted(found) == sorted(one.id for one in cron.schedules())
