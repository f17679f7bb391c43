"""Another page in the same browser sends a form to the site: by hand, by script, in a frame, with tokens it found."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import pytest

import cronlite
from cronlite.web.screens import SCREENS
from tests.web_site.asking import FROM_HERE, HOST, Browser, an_empty_cron

FORMS = [screen.path for screen in SCREENS.values() if screen.post]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": f"http://{HOST}"},  # a sister's page says so, whatever its origin is
    {"Sec-Fetch-Site": "none", "Origin": f"http://{HOST}"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": f"http://{HOST}.evil.example"},
    {"Origin": "http://127.0.0.1:8034"},
    {"Origin": "http://127.0.0.1@evil.example"},
    {"Origin": "http://[::1"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {},
]


@pytest.fixture
def cron() -> Iterator[cronlite.Cronlite]:
    with an_empty_cron() as opened:
        yield opened


@pytest.fixture
def victim(cron: cronlite.Cronlite) -> Browser:
    return Browser(cron)


def token(browser: Browser) -> str:
    found = re.search(r'name="form_token" value="([^"]*)"', browser.get("/schedule/add").text)
    assert found is not None
    return found[1]


def sent(browser: Browser, path: str, given: str | None, headers: Mapping[str, str]) -> int:
    fields = {"handler": "extract", "minute": "0", "id": "x", "do": "run"} | (
        {} if given is None else {"form_token": given}
    )
    return browser.send("POST", path, headers={**FORM, **headers}, body=urlencode(fields)).status_code


@pytest.mark.parametrize("path", FORMS)
def test_it_is_refused_wherever_it_says_that_it_comes_from(cron: cronlite.Cronlite, victim: Browser, path: str) -> None:
    good = token(victim)
    for headers in FOREIGN:
        assert sent(victim, path, good, headers) == 403, headers
    assert cron.schedules() == []


@pytest.mark.parametrize("path", FORMS)
def test_it_is_refused_without_the_token_of_this_browser(cron: cronlite.Cronlite, victim: Browser, path: str) -> None:
    good, attackers = token(victim), token(Browser(cron))
    for given in (None, "", ".", attackers, good[:-1], f"{good}x", f"x{good}", good.replace(".", ""), "é"):
        assert sent(victim, path, given, FROM_HERE) == 403, given
    victim.cookies.clear()
    assert sent(victim, path, good, FROM_HERE) == 403, "the cookie of the token is missing"
    assert cron.schedules() == []


def test_it_is_no_form_of_another_kind(cron: cronlite.Cronlite, victim: Browser) -> None:
    good = token(victim)
    body = urlencode({"handler": "extract", "form_token": good})
    for kind in ("text/plain", "application/json", "multipart/form-data; boundary=x", ""):
        answer = victim.send("POST", "/schedule/add", headers={**FROM_HERE, "Content-Type": kind}, body=body)
        assert answer.status_code == 415, kind
    assert cron.schedules() == []


def test_nothing_is_changed_by_a_link_or_a_picture(cron: cronlite.Cronlite, victim: Browser) -> None:
    good = token(victim)
    schedule = cron.schedule("u", {}, minute=0, name="n")
    fields = {"handler": "extract", "minute": "0", "id": schedule.id, "do": "pause", "form_token": good}
    for path in FORMS:
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
            victim.send(method, f"{path}?{urlencode(fields)}", headers=FROM_HERE)
    assert cron.schedules() == [schedule]


def test_the_page_is_in_no_frame_and_its_cookies_are_for_itself_only(victim: Browser) -> None:
    answer = victim.get("/schedule/add")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    cookies = answer.headers.get_list("set-cookie")
    assert cookies
    assert all("HttpOnly" in cookie and "SameSite=Strict" in cookie for cookie in cookies)


def test_a_form_from_the_site_itself_is_taken(cron: cronlite.Cronlite, victim: Browser) -> None:
    assert sent(victim, "/schedule/add", token(victim), FROM_HERE) == 303
    assert len(cron.schedules()) == 1
