"""Somebody guesses a token, makes a cookie, uses another's session, or looks for tokens in logs and URLs."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

import cronlite
from cronlite.errors import ConfigurationError
from cronlite.web import access, site
from cronlite.web.access import SESSION_SECONDS, Tokens
from tests.web_site.asking import Browser, an_empty_cron, text_of

VIEW, OPERATE = "view-0123456789abcdef", "operate-0123456789abcdef"
PAGES = ["/", "/schedules", "/runs", "/schedule/add", "/schedule?id=n", "/doctor", "/changes"]


@pytest.fixture
def cron() -> Iterator[cronlite.Cronlite]:
    with an_empty_cron() as opened:
        opened.schedule("u", {}, minute=0, name="n", note="secret-note")
        yield opened


@pytest.fixture
def stranger(cron: cronlite.Cronlite) -> Browser:
    return Browser(cron, client="203.0.113.9", view_token=VIEW, operate_token=OPERATE)


def sign_in(browser: Browser, token: str, to: str = "") -> str:
    answer = browser.post("/sign-in", {"token": token, "name": "Ann", "to": to})
    return str(answer.headers["location"]) if answer.status_code == 303 else ""


@pytest.mark.parametrize("path", PAGES)
def test_nobody_is_shown_anything_before_signing_in(stranger: Browser, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 303
    assert urlsplit(answer.headers["location"]).path == "/sign-in"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "wrong", ["", " ", VIEW[:-1], VIEW + "x", VIEW.upper(), "é" * 30, "x" * 100_000, f"{VIEW}\n{OPERATE}"]
)
def test_a_guess_is_refused(stranger: Browser, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cronlite.web.pages.signing._AFTER_A_WRONG_ONE_SECONDS", 0)
    assert sign_in(stranger, wrong) == ""
    assert stranger.get("/schedules").status_code == 303


def test_whoever_may_look_changes_nothing(cron: cronlite.Cronlite, stranger: Browser) -> None:
    sign_in(stranger, VIEW)
    page = stranger.get("/schedule?id=n")
    assert "secret-note" in page.text
    assert "Run now" not in text_of(page)
    (schedule,) = cron.schedules()
    answer = stranger.post("/schedules", {"do": "pause", "id": schedule.id}, page="/sign-in")
    assert answer.status_code == 403
    assert cron.get("n").enabled


def test_whoever_may_operate_does_so_under_the_name_that_was_given(cron: cronlite.Cronlite, stranger: Browser) -> None:
    assert sign_in(stranger, OPERATE, to="/schedule?id=n") == "/schedule?id=n"
    (schedule,) = cron.schedules()
    stranger.follow(stranger.post("/schedules", {"do": "pause", "id": schedule.id, "reason": "inventory"}))
    assert not cron.get("n").enabled
    actor = cron.history.of("n")[0].actor
    assert actor is not None
    assert (actor.name, actor.way) == ("Ann", "web")


def test_with_the_read_only_site_the_operate_token_changes_nothing(cron: cronlite.Cronlite) -> None:
    browser = Browser(cron, operate_token=OPERATE, read_only=True)
    sign_in(browser, OPERATE)
    assert browser.post("/schedules", {"do": "pause", "id": cron.get("n").id}, page="/sign-in").status_code == 403
    assert cron.get("n").enabled


def test_a_session_that_was_made_up_changed_or_is_old_is_nobodys() -> None:
    now = 1_000_000.0
    tokens = Tokens(VIEW, OPERATE, clock=lambda: now)
    good = tokens.session("view", "Ann")
    assert tokens.visitor(good) == access.Visitor("Ann", may_operate=False)
    value, _, signature = good.partition(".")
    raised = base64.urlsafe_b64encode(json.dumps(["operate", "Ann", now + 99]).encode()).decode()
    other = Tokens(VIEW, "another-operate-token").session("operate", "Eve")
    for cookie in (
        None,
        "",
        ".",
        value,
        f"{value}.",
        f"{raised}.{signature}",
        f"{raised}.",
        good[:-1],
        other,
        "é.é",
        "a.b.c",
    ):
        assert tokens.visitor(cookie) is None, cookie
    now += SESSION_SECONDS + 1
    assert tokens.visitor(good) is None


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n//evil",
    ],
)
def test_a_link_to_sign_in_leads_to_no_other_site(stranger: Browser, to: str) -> None:
    assert sign_in(stranger, OPERATE, to=to) == "/"


def test_no_token_is_in_a_url_a_page_a_cookie_or_a_log(
    stranger: Browser,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cronlite.web.pages.signing._AFTER_A_WRONG_ONE_SECONDS", 0)
    caplog.set_level(logging.DEBUG)
    typo = f"{OPERATE}-typed-wrong"
    seen = [sign_in(stranger, typo), stranger.post("/sign-in", {"token": typo}).text, sign_in(stranger, OPERATE)]
    for path in PAGES:
        answer = stranger.get(path)
        seen += [answer.text, str(answer.headers)]
    out, err = capfd.readouterr()
    seen += [caplog.text, out, err, str(stranger.cookies)]
    for text in seen:
        assert VIEW not in text
        assert OPERATE not in text


def test_signing_out_ends_the_session_in_this_browser(stranger: Browser) -> None:
    sign_in(stranger, VIEW)
    assert stranger.get("/schedules").status_code == 200
    stranger.post("/sign-out", {}, page="/schedules")
    assert stranger.get("/schedules").status_code == 303


@pytest.mark.parametrize(
    ("view", "operate"),
    [("short", None), (None, "x" * 15), (VIEW, VIEW), (f" {VIEW}", None), ("é" * 20, None), ("", OPERATE)],
)
def test_a_token_that_protects_nothing_is_refused_at_the_start(
    cron: cronlite.Cronlite, view: str | None, operate: str | None
) -> None:
    with pytest.raises(ConfigurationError, match="token"):
        site(cron, view_token=view, operate_token=operate)


def test_a_link_from_elsewhere_asks_once_more_so_that_the_session_is_found(stranger: Browser) -> None:
    sign_in(stranger, VIEW)
    session = stranger.cookies
    stranger.cookies = type(session)()  # a strict cookie does not come along
    answer = stranger.send("GET", "/schedules", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text
    assert "secret" not in answer.text
