"""The site: how long does each page take over a great many schedules and runs, and how many queries?

A page is made in this process, gates and template included, without a network. The load ahead, which pages share, is
counted beside them; what that takes has a row of its own.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from statistics import median
from urllib.error import URLError
from urllib.request import urlopen

from cronlite.documents import runs
from cronlite.documents.runs import Run
from cronlite.store import open_store
from cronlite.store.contract import ScheduleQuery
from cronlite.web import charted
from cronlite.web.access import Visitor
from cronlite.web.exchange import Request
from cronlite.web.serving import Pages
from tests.bench import stored
from tests.bench.children import ROOT
from tests.bench.rows import Row, Target
from tests.bench.scale import TICKS, ticked
from tests.bench.setting import Setting, say
from tests.bench.sizes import filled
from tests.services.process import free_port
from tests.waiting import wait_until
from tests.web.browsing import a_browser
from tests.web.queries import Queries

DAYS = 30
BUSY_EVERY = 25  # of so many runs one is of the busy schedule
MOST_MS = 100
MOST_QUERIES = 40


def measure(setting: Setting) -> list[Row]:
    rows: list[Row] = []
    schedules, kept = setting.sizes.site_schedules, setting.sizes.site_runs
    for side, opened in setting.stores.items():
        with opened() as uri:
            say(f"site: storing {schedules:,} schedules and {kept:,} runs ({side})")
            stored.fill(uri, stored.mixed(schedules, 0, TICKS, timedelta(0)))
            busy = _fill(uri, kept)
            say(f"site: pages ({side})")
            anew = _measured(uri, "/ahead", {}, setting.sizes.repeats, anew=True)[0]
            rows.append(
                _row("page /ahead, the load counted anew (all pages share that)", side, anew, "ms", 10 * MOST_MS)
            )
            for page, query in _pages(busy).items():
                milliseconds, queries = _measured(uri, page, query, setting.sizes.repeats)
                over = f"over {schedules:,} schedules and {kept:,} runs"
                rows.append(_row(f"page {page} {over}", side, milliseconds, "ms", MOST_MS))
                rows.append(_row(f"page {page}, queries", side, [float(queries)], "", MOST_QUERIES))
    beside = _beside(setting) if setting.sizes.browsers else []
    return sorted([*rows, *beside], key=lambda row: row.what)


def _beside(setting: Setting) -> list[Row]:
    """Do the same ticks alone, and beside a site that three browsers have open."""
    rows: list[Row] = []
    due, repeats = setting.sizes.due, setting.sizes.repeats
    for side, opened in setting.stores.items():
        with opened() as uri:
            stored.fill(uri, stored.mixed(setting.sizes.site_schedules, due, TICKS, timedelta(0)))
            say(f"site: ticks without and with three browsers ({side})")
            alone = [ticked(uri, due) for _ in range(repeats)]
            with _three_browsers(uri):
                beside = [ticked(uri, due) for _ in range(repeats)]
        what = f"a tick of {due} due of {setting.sizes.site_schedules:,}"
        rows.append(Row(benchmark="site", what=f"{what}, the site closed", side=side, values=alone, unit="ms"))
        rows.append(
            Row(
                benchmark="site",
                what=f"{what}, the site open in three browsers",
                side=side,
                values=beside,
                unit="ms",
                ratio=median(beside) / median(alone),
                ratio_to="closed",
                target=Target(most=1.5, of="ratio"),
            )
        )
    return rows


@contextmanager
def _three_browsers(uri: str) -> Iterator[None]:
    """Serve a site in a process of its own, and keep three of its pages open, which refresh themselves."""
    listen = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "cronlite", "--uri", uri, "web", "--listen", listen]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(listen), limit_seconds=120, what="the site")
        with a_browser() as browser:
            for path in ("/", "/schedules", "/ahead"):
                browser.new_page().goto(f"http://{listen}{path}", timeout=120_000)
            yield
    finally:
        process.terminate()
        process.wait()


def _answers(listen: str) -> bool:
    try:
        with urlopen(f"http://{listen}/freezes", timeout=60):
            return True
    except URLError:
        return False


def _row(what: str, side: str, values: list[float], unit: str, most: float) -> Row:
    return Row(benchmark="site", what=what, side=side, values=values, unit=unit, target=Target(most=most))


def _pages(busy: str) -> dict[str, dict[str, str]]:
    """Name the pages, each with the query that it is asked with."""
    alone = ("/", "/schedules", "/runs", "/ahead", "/daemons", "/doctor", "/freezes", "/alarms", "/changes")
    of_schedule = {"id": busy}
    return {
        **{path: {} for path in alone},
        "/schedule": of_schedule,
        "/schedule/edit": of_schedule,
        "/run": {"id": f"{busy}#0"},
    }


def _fill(uri: str, count: int) -> str:
    """Store runs of the last thirty days: most of them of any schedule, some of one; return the id of that."""
    store = open_store(uri)
    ids = [str(document["_id"]) for document in store.schedules(ScheduleQuery())]
    now = store.now()
    store.close()
    filled(uri, _runs(ids, now, count)).close()
    return ids[0]


def _runs(ids: list[str], now: datetime, count: int) -> Iterator[Run]:
    step = timedelta(days=DAYS) / count
    for number in range(count):
        schedule = ids[0] if number % BUSY_EVERY == 0 else ids[number % len(ids)]
        due = now - step * (number + 1)
        state = runs.FAILED if number % 100 == 7 else runs.SKIPPED if number % 200 == 9 else runs.SUCCEEDED
        yield Run(
            id=f"{schedule}#{number}",
            handler="default",
            params={},
            user="alice",
            due_at=due,
            queued_at=due,
            schedule=schedule,
            state=state,
            attempt=1,
            daemon="d1",
            started_at=due,
            finished_at=due + timedelta(seconds=number % 90),
            expires_at=now + timedelta(days=DAYS),
            output="42 rows\n" * 50,
        )


def _measured(
    uri: str, page: str, query: dict[str, str], repeats: int, *, anew: bool = False
) -> tuple[list[float], int]:
    """Ask for a page several times; return the milliseconds of each, and the queries of the last."""
    heard = Queries()
    milliseconds = []
    with heard.of(uri) as cron:
        pages = Pages(cron, names=None)
        asked = {name: [value] for name, value in query.items()}
        request = Request(method="GET", path=page, query=asked, client="127.0.0.1")
        for _ in range(repeats + 1):
            if anew:
                charted.forecasts.forget(cron)
            heard.count, started = 0, time.perf_counter()
            answer = pages.answer(request, Visitor("bench", may_operate=True))
            milliseconds.append((time.perf_counter() - started) * 1_000)
            if answer.status != 200:
                raise RuntimeError(f"{page}: {answer.status}")
    return milliseconds[1:], heard.count  # the first reads templates, and opens connections
