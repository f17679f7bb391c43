"""In Chromium: what is typed is previewed, what is in view is kept fresh, and what is in use is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright")

import cronlite
from cronlite.handlers.registry import Registry
from tests.services import MissingService, skip_or_fail
from tests.web.browsing import a_browser, looking, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.xdist_group("chromium")
SOONER = "const old = setTimeout; window.setTimeout = (what, ms) => old(what, ms === 5000 ? 100 : ms);"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for these tests, and for no longer: meanwhile this thread can run no asyncio."""
    try:
        with a_browser() as started:
            yield started
    except MissingService as missing:
        skip_or_fail(missing)


@pytest.fixture
def cron() -> Iterator[cronlite.Cronlite]:
    with cronlite.Cronlite("memory:", registry=Registry()) as opened:
        opened.store.prepare()
        yield opened


@pytest.fixture
def base(cron: cronlite.Cronlite) -> Iterator[str]:
    with served(cron) as address:
        yield address


@pytest.fixture
def page(chromium: Browser, base: str) -> Iterator[Page]:
    with looking(chromium, base) as looker:
        looker.page.add_init_script(SOONER)
        yield looker.page
        assert looker.complaints == []


def test_the_next_runs_are_previewed_as_one_types_and_the_schedule_is_added_and_removed_again(
    cron: cronlite.Cronlite, page: Page, base: str
) -> None:
    page.goto(f"{base}/schedule/add")
    page.locator("[name=handler]").fill("extract")
    page.locator("[name=minute]").fill("30")
    page.locator("[name=hour]").fill("2")
    page.locator("[name=tz]").fill("Europe/Berlin")
    page.locator("#preview").get_by_text("at 02:30 every day (Europe/Berlin)").wait_for()
    page.locator("[name=hour]").fill("25")
    page.locator("#preview").get_by_text("out of range").wait_for()
    page.locator("[name=hour]").fill("2")
    page.get_by_role("button", name="Add it").click()
    page.get_by_role("status").get_by_text("is added").wait_for()
    (schedule,) = cron.schedules()
    assert (schedule.hour, schedule.tz) == (2, "Europe/Berlin")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("status").get_by_text("is removed").wait_for()
    assert cron.schedules() == []


def test_a_list_is_kept_fresh_but_not_under_somebodys_hands(cron: cronlite.Cronlite, page: Page, base: str) -> None:
    one = cron.schedule("u", {}, minute=0, name="one")
    page.goto(f"{base}/schedules")
    two = cron.schedule("u", {}, minute=0, name="two")
    page.get_by_role("link", name="two").wait_for()

    page.get_by_label("Pick one").check()
    page.get_by_role("heading", name="Schedules").click()  # neither the pointer nor the focus is on the list any more
    cron.schedule("u", {}, minute=0, name="three")
    with page.expect_response(f"{base}/schedules"):  # asked, and
        pass
    with page.expect_response(f"{base}/schedules"):  # asked again, so that the first answer was dealt with
        pass
    assert page.get_by_role("link", name="three").count() == 0
    assert page.get_by_label("Pick one").is_checked()

    page.get_by_role("button", name="Run now").click()
    page.get_by_role("status").get_by_text("one is queued").wait_for()
    page.get_by_role("link", name="three").wait_for()
    assert [run.schedule for run in cron.runs()] == [one.id]
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("1 cancelled.").wait_for()
    assert [run.state for run in cron.runs()] == ["cancelled"]
    assert cron.get("two") == two


def test_a_page_that_nobody_sees_asks_for_nothing(page: Page, base: str) -> None:
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.away === true })")
    page.goto(f"{base}/")
    with page.expect_response(f"{base}/"):
        pass
    page.evaluate("window.away = true")
    asked: list[str] = []
    page.wait_for_timeout(200)  # what was under way ends
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(500)
    assert asked == []


@pytest.mark.parametrize("script", [pytest.param(True, marks=pytest.mark.slow), False])
def test_all_is_done_by_keyboard_alone_with_and_without_script(
    cron: cronlite.Cronlite, chromium: Browser, base: str, script: bool
) -> None:
    cron.schedule("u", {}, minute=0, name="nightly")
    with looking(chromium, base, script=script, width=360) as looker:
        page = looker.page
        page.goto(f"{base}/schedule?id=nightly")

        def skip() -> None:
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.id") == "main"

        def to(name: str, role: str = "button") -> None:
            wanted = page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]
            for _ in range(60):
                page.keyboard.press("Tab")
                if wanted.evaluate("element => element === document.activeElement"):
                    return
            raise AssertionError(f"{name} is not reached")

        skip()
        to("Run now")
        page.keyboard.press("Enter")
        page.get_by_text("nightly is queued, to run now.").wait_for()
        assert [run.state for run in cron.runs()] == ["queued"]
        skip()
        to("Edit", "link")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Edit nightly").wait_for()
        skip()
        to("Note", "textbox")
        page.keyboard.type("typed")
        to("Preview")
        page.keyboard.press("Enter")
        page.get_by_text("at minute 0 of every hour").first.wait_for()
        skip()
        to("Save")
        page.keyboard.press("Enter")
        page.get_by_text("nightly is changed").wait_for()
        assert cron.get("nightly").note == "typed"


@pytest.mark.parametrize("path", ["/schedule?id=nightly", "/schedules"])
def test_what_is_unfolded_is_within_a_telephone(
    cron: cronlite.Cronlite, chromium: Browser, base: str, path: str
) -> None:
    cron.schedule("u", {}, minute=0, name="nightly")
    with looking(chromium, base, width=360) as looker:
        looker.page.goto(base + path)
        looker.page.locator("summary", has_text="Pause").click()
        box = looker.page.locator("details[open] > .fieldset").bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= box["x"] + box["width"] <= 360


def test_a_browser_sends_no_form_of_another_site(cron: cronlite.Cronlite, chromium: Browser, base: str) -> None:
    """A page of another origin (another port of this machine) sends what the site's own page would."""
    schedule = cron.schedule("u", {}, minute=0, name="nightly")
    with looking(chromium, base) as looker:
        looker.page.goto(f"{base}/schedule/add")  # the cookie of its forms is there
        looker.page.route(
            "http://localhost:9/evil",
            lambda route: route.fulfill(
                content_type="text/html",
                body=f'<form method=post action="{base}/schedules"><input name=do value=pause>'
                f'<input name=id value="{schedule.id}"><button>Win</button></form>',
            ),
        )
        looker.page.goto("http://localhost:9/evil")
        looker.page.get_by_role("button", name="Win").click()
        looker.page.get_by_text("The form is refused").wait_for()
    assert cron.get("nightly").enabled
