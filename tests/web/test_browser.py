"""What does a real browser say of each screen: of its errors, its policy, what does not fit, what some cannot use?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright")
pytest.importorskip("uvicorn")

from cronlite import Cronlite
from cronlite.cli import week
from cronlite.documents import alarms, runs, transitions
from cronlite.documents.runs import Run
from cronlite.store.sqlite import SqliteStore
from cronlite.testing import Rehearsal
from cronlite.web.pages import output
from tests.services import MissingService, skip_or_fail
from tests.store.samples import a_daemon, a_foreign_schedule, a_run
from tests.waiting import wait_until
from tests.web.browsing import Looker, a_browser, looking, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.xdist_group("browser")  # one for all
TEXT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7*7 }} " + "w" * 150
HOSTILE = f"\x1b[2J\u202e{TEXT}"
_FOCUSED = """(({ outlineStyle, boxShadow }, e) => [e.outerHTML.slice(0, 99), outlineStyle, boxShadow])
  (getComputedStyle(document.activeElement), document.activeElement)"""
_PRINTED = "document.querySelector('[data-follow] pre')?.textContent"
COMBINATIONS = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 360)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all of these tests, and for no longer: meanwhile this thread can run no asyncio."""
    try:
        with a_browser() as started:
            yield started
    except MissingService as missing:
        skip_or_fail(missing)


@pytest.fixture(scope="module")
def cron(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cronlite]:
    """A store with an hour of history, hostile texts in it, and something on each screen."""
    path = tmp_path_factory.mktemp("browser") / "site.db"
    work, now = week.Work(), Cronlite("memory:").now()
    with Rehearsal(now - timedelta(hours=1), registry=work.registry) as rehearsal:
        work.spend = lambda seconds: week.crank(rehearsal, seconds)
        week.store_schedules(rehearsal.cron)
        rehearsal.advance(minutes=25, raising=False)
        store = rehearsal.cron.store
        assert isinstance(store, SqliteStore)
        store.copy(path)
    with Cronlite(f"sqlite:{path}", registry=work.registry) as cron:
        _fill(cron)
        yield cron


def _fill(cron: Cronlite) -> None:
    now, store = cron.now(), cron.store
    cron.schedule(
        TEXT[:20], {"text": HOSTILE}, name=TEXT[:150], note=TEXT, tags=["<script>alert(3)</script>"], every="1m"
    )
    store.add_schedule(a_foreign_schedule(minute=HOSTILE))
    store.join(a_daemon("d1", host=HOSTILE, started_at=now, ticked_at=now))
    store.beat("d1", running=1, stuck=1, trouble=HOSTILE, ticked_at=now)
    error = {"type": "ValueError", "message": HOSTILE, "traceback": f"{HOSTILE}\n" * 5}
    ended = {"due_at": now, "queued_at": now, "started_at": now, "finished_at": now, "attempt": 1}
    store.add_runs(
        [
            a_run("failed", state=runs.FAILED, error=error, output=HOSTILE * 50, user=TEXT[:40], **ended),
            running("running", cron),
        ]
    )
    cron.freezes.add(tag="billing", reason=TEXT)
    cron.limits.set("warehouse", 3)
    store.raise_alarms([alarms.new("failed", "x", HOSTILE, now=now, detail=HOSTILE)])
    cron.schedule(name="gone")
    cron.remove("gone")


def running(id: str, cron: Cronlite) -> Run:
    now = cron.now()
    begun = {"due_at": now, "queued_at": now, "started_at": now, "daemon": "d1", "attempt": 1}
    return a_run(id, state=runs.RUNNING, **begun)


@pytest.fixture(scope="module")
def base(cron: Cronlite) -> Iterator[str]:
    with served(cron) as address:
        yield address


@pytest.fixture(scope="module")
def screens(cron: Cronlite) -> list[str]:
    ids = [schedule.id for schedule in cron.schedules() if schedule.name in ("prices", TEXT[:150])]
    return [
        *("/", "/schedules", "/runs", "/ahead", "/ahead?at=12:00", "/daemons", "/daemon?id=d1", "/doctor", "/changes"),
        *("/freezes", "/alarms", "/run?id=failed", "/run?id=running", "/schedule/add", "/nothing-is-here"),
        *(f"/schedule{page}?id={id_}" for id_ in ids for page in ("", "/edit", "/remove")),
    ]


def complaints(looker: Looker, path: str, *, with_axe: bool) -> list[str]:
    """Open a page, and list all that a browser and axe-core say against it."""
    looker.complaints.clear()
    looker.go(path)
    found = [*looker.violations(), *looker.complaints]
    if path == "/nothing-is-here":
        found = [one for one in found if "404" not in one]
    found += [f"{overflow} px too wide"] if (overflow := looker.overflow()) > 0 else []
    return [f"{path}: {one}" for one in [*found, *(looker.serious() if with_axe else [])]]


def test_no_screen_complains_overflows_or_shuts_anybody_out(browser: Browser, base: str, screens: list[str]) -> None:
    with looking(browser, base, scheme="dark", width=360) as looker:
        assert [one for path in screens for one in complaints(looker, path, with_axe=True)] == []


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), COMBINATIONS)
def test_every_screen_in_each_light_at_each_width(
    browser: Browser, base: str, screens: list[str], scheme: str, width: int
) -> None:
    with looking(browser, base, scheme=scheme, width=width) as looker:
        assert [one for path in screens for one in complaints(looker, path, with_axe=True)] == []


def _shows(page: Page, text: str) -> bool:
    return bool(page.evaluate(_PRINTED) == text)


def test_the_page_of_a_run_shows_what_it_prints_as_it_comes(browser: Browser, base: str, cron: Cronlite) -> None:
    run = running("followed", cron)
    cron.store.add_runs([run])
    with looking(browser, base) as looker:
        page = looker.go("/run?id=followed")
        wait_until(lambda: cron.run_of("followed").watched_until, what="somebody follows it")
        for text in ("one\n", "one\n<b>two</b>\n"):
            cron.store.change_runs([(run, {"output": text, "output_attempt": 1})])
            wait_until(partial(_shows, page, text), what=text, instead=lambda: page.evaluate(_PRINTED))
        cron.store.change_runs(
            [(run, transitions.closed(runs.SUCCEEDED, cron.now(), output="one\n<b>two</b>\nthree\n"))]
        )
        page.wait_for_selector("[data-follow]", state="detached")
        assert "three" in page.content()
        assert looker.complaints == []


@pytest.mark.slow
def test_whoever_finds_no_place_to_follow_sees_it_when_the_page_refreshes(
    browser: Browser, base: str, cron: Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_places", output.places(0))
    run = running("crowded", cron)
    cron.store.add_runs([run])
    with looking(browser, base) as looker:
        page = looker.go("/run?id=crowded")
        cron.store.change_runs([(run, {"output": "one\n", "output_attempt": 1})])
        wait_until(partial(_shows, page, "one\n"), what="its output", instead=lambda: page.evaluate(_PRINTED))


# by keyboard, and without script


@pytest.mark.slow
def test_every_screen_can_be_reached_and_left_by_keyboard_alone(browser: Browser, base: str) -> None:
    with looking(browser, base) as looker:
        page = looker.go("/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        bar = page.evaluate("[...document.querySelectorAll('.bar nav a')].map((a) => a.getAttribute('href'))")
        for place, path in enumerate(bar):
            looker.go("/")
            for _ in range(3 + place):  # the link that skips the bar, the brand, and those before it
                page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.getAttribute('href')") == path
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            with page.expect_navigation():
                page.keyboard.press("Enter")
            assert page.url == base + path


@pytest.mark.slow
def test_whatever_has_the_focus_shows_it(browser: Browser, base: str, screens: list[str]) -> None:
    with looking(browser, base) as looker:
        for path in screens:
            page = looker.go(path)
            for _ in range(40):
                page.keyboard.press("Tab")
                what, outline, shadow = page.evaluate(_FOCUSED)
                if what.startswith("<body"):
                    break
                assert outline != "none" or shadow != "none", (path, what)


@pytest.mark.slow
def test_without_script_each_screen_is_whole_and_its_forms_work(
    browser: Browser, base: str, screens: list[str], cron: Cronlite
) -> None:
    cron.schedule(name="to-pause", minute=1)
    with looking(browser, base, script=False) as looker:
        for path in screens:
            assert looker.go(path).locator("h1").count() == 1, path
        page = looker.go("/freezes")
        page.locator("input[name=tag]").fill("by-hand")
        page.get_by_role("button", name="Freeze", exact=True).click()
        assert any(freeze.tag == "by-hand" for freeze in cron.freezes.list())
        page = looker.go(f"/schedule?id={cron.get('to-pause').id}")
        page.get_by_role("button", name="Run now").click()
        assert cron.runs(schedule="to-pause")


@pytest.mark.slow
@pytest.mark.mongod
def test_a_server_that_restarts_leaves_no_page_broken(
    browser: Browser, start_mongod: Callable[..., object], tmp_path: Path
) -> None:
    from tests.services.mongod import Mongod

    server = start_mongod()
    assert isinstance(server, Mongod)
    work = week.Work()
    with Cronlite(server.uri_of("site"), registry=work.registry) as cron:
        week.store_schedules(cron)
        cron.start(seats=2, drain_seconds=1)
        with served(cron) as base, looking(browser, base) as looker:
            page = looker.go("/")
            server.kill()
            assert page.goto(f"{base}/runs").status == 503  # type: ignore[union-attr]
            assert "cannot be reached" in page.content()
            assert looker.violations() == []
            server.start()
            wait_until(lambda: page.goto(f"{base}/runs").status == 200, what="the site is back")  # type: ignore[union-attr]
            looker.complaints.clear()
            looker.go("/")
            assert looker.complaints == []
        cron.stop()
