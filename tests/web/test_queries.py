"""Does each page ask a bounded number of queries, however much is stored?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

pytest.importorskip("jinja2")

from cronlite import Cronlite
from cronlite.documents import runs
from cronlite.store.contract import Store
from cronlite.web import charted
from cronlite.web.access import Visitor
from cronlite.web.exchange import Request
from cronlite.web.screens import SCREENS
from cronlite.web.serving import Pages
from tests.store.samples import a_daemon, a_run_in, a_schedule
from tests.web.queries import Queries

MOST = 40
ONE = "schedule-0"
ASKED = {
    "/schedule": {"id": ONE},
    "/schedule/edit": {"id": ONE},
    "/schedule/remove": {"id": ONE},
    "/run": {"id": "run-0"},
    "/daemon": {"id": "d1"},
    "/output": {"id": "run-0"},
}
PAGES = [path for path, screen in SCREENS.items() if screen.get and not screen.is_open]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("mongod", marks=pytest.mark.mongod)])
def counted(request: pytest.FixtureRequest) -> Iterator[tuple[Cronlite, Queries]]:
    queries = Queries()
    uri = "memory:" if request.param == "sqlite" else request.getfixturevalue("mongod").uri_of("cronlite_test_queries")
    with queries.of(uri) as cron:
        yield cron, queries
        if request.param == "mongod":
            cron.store._client.drop_database("cronlite_test_queries")  # type: ignore[attr-defined]


def fill(store: Store, numbers: range) -> None:
    now, every = datetime.now(timezone.utc), list[runs.Run]()
    for number in numbers:
        named = a_schedule(name=f"name-{number:04}", minute=number % 60)
        store.add_schedule({**named, "_id": f"schedule-{number}"})
        ended = {"started_at": now, "finished_at": now, "attempt": 1, "queued_at": now - timedelta(minutes=number)}
        states = (runs.SUCCEEDED, runs.FAILED)
        made = [a_run_in(f"schedule-{number}", state=state, due_at=now, **ended) for state in states]
        for place, run in enumerate(made):
            run.id = f"run-{number}" if not place else f"failed-{number}"
        every += made
    store.add_runs(every)


def test_no_page_asks_more_where_more_is_stored(counted: tuple[Cronlite, Queries]) -> None:
    cron, queries = counted
    cron.store.join(a_daemon("d1", started_at=cron.now(), ticked_at=cron.now()))
    pages = Pages(cron, names=None)

    def asked(path: str) -> int:
        charted.forecasts.forget(cron)
        query = {name: [value] for name, value in ASKED.get(path, {}).items()}
        queries.count = 0
        answer = pages.answer(Request(method="GET", path=path, query=query, client="127.0.0.1"), Visitor("ann", True))
        assert answer.status == 200, path
        return queries.count

    fill(cron.store, range(220))
    few = {
        path: asked(path) for path in PAGES if path not in ("/doctor", "/metrics")
    }  # which ask in threads of their own
    fill(cron.store, range(220, 500))
    many = {path: asked(path) for path in few}
    assert many == few
    assert max(many.values()) <= MOST, many
