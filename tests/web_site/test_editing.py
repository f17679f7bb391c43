"""Schedules are written and changed in forms: what was typed, what is undone, and who was faster."""

from __future__ import annotations

import html
import re
from datetime import datetime, timezone
from typing import Any

import pytest

import cronlite
from tests.web_site.asking import Browser, text_of

_FIELD = re.compile(r'<input[^>]*name="([^"]+)" value="([^"]*)"|<textarea name="([^"]+)"[^>]*>([^<]*)</textarea>')
_CHOSEN = re.compile(r'<select name="([^"]+)">.*?<option value="([^"]*)" selected>', re.DOTALL)


def form(page: str) -> dict[str, str]:
    """Return the fields of the form to edit a schedule, as a browser would send them untouched."""
    inputs = {one or two: html.unescape(value or text) for one, value, two, text in _FIELD.findall(page)}
    if "checked" not in page:
        inputs.pop("either_day", None)
    return {**inputs, **dict(_CHOSEN.findall(page))}


NEWS: dict[str, Any] = {
    "name": "news",
    "handler": "extract",
    "minute": "*/5",
    "hour": "8-18",
    "weekday": "mon-fri",
    "tz": "Europe/Berlin",
    "overlap": "wait",
    "catch_up": "latest",
    "retries": 3,
    "retry_delay_seconds": 0.25,
    "timeout_seconds": 5400,
    "tags": ["a, b", "c"],
    "note": "one\ntwo",
    "active_until": datetime(2031, 1, 1, 0, 0, 0, 250_000, tzinfo=timezone.utc),
}


@pytest.fixture
def news(cron: cronlite.Cronlite) -> cronlite.Schedule:
    return cron.schedule("bob", {"dataset": "news", "deep": [{"<b>": "ü\n"}]}, **NEWS)


def test_a_form_that_is_sent_untouched_changes_nothing(
    cron: cronlite.Cronlite, browser: Browser, news: cronlite.Schedule
) -> None:
    fields = form(browser.get(f"/schedule/edit?id={news.id}").text)
    answer = browser.post("/schedule/edit", fields, page=f"/schedule/edit?id={news.id}")
    assert "Nothing was changed." in text_of(browser.follow(answer))
    assert cron.get(news.id) == news


def test_what_is_typed_is_stored_with_who_typed_it_and_can_be_undone(
    cron: cronlite.Cronlite, browser: Browser, news: cronlite.Schedule
) -> None:
    path = f"/schedule/edit?id={news.id}"
    typed = {"line": "30 2 1,15 * fri", "tags": "x\ny", "timeout": "", "params": '{"n": 1}', "retries": "0"}
    answer = browser.post("/schedule/edit", form(browser.get(path).text) | typed, page=path)
    page = browser.follow(answer)
    assert "news is changed" in text_of(page)
    changed = cron.get(news.id)
    assert (changed.minute, changed.day, changed.either_day, changed.tags) == (30, "1,15", True, ("x", "y"))
    assert (changed.timeout_seconds, changed.params, changed.retries) == (None, {"n": 1}, 0)
    actor = cron.history.of(news.id)[0].actor
    assert actor is not None
    assert actor.way == "web"
    undo = browser.post("/schedule/undo", {"id": news.id}, page=f"/schedule?id={news.id}")
    assert "as it was before" in text_of(browser.follow(undo))
    assert cron.get(news.id).hour == "8-18"


def test_an_edit_never_overwrites_one_that_was_faster_but_shows_both(
    cron: cronlite.Cronlite, browser: Browser, news: cronlite.Schedule
) -> None:
    path = f"/schedule/edit?id={news.id}"
    opened = form(browser.get(path).text)
    cron.update(news.id, note="theirs", hour=4)
    answer = browser.post("/schedule/edit", opened | {"note": "mine"}, page=path)
    assert answer.status_code == 409
    assert "Somebody else has changed it" in text_of(answer)
    assert "theirs" in answer.text
    assert cron.get(news.id).note == "theirs"
    again = form(answer.text)
    assert again["note"] == "mine"
    browser.follow(browser.post("/schedule/edit", again | {"hour": "4"}, page=path))
    assert (cron.get(news.id).note, cron.get(news.id).hour) == ("mine", 4)


def test_every_fault_of_a_form_is_told_at_once_and_nothing_is_lost(browser: Browser) -> None:
    typed = {
        "handler": "no name!",
        "params": "[1]",
        "minute": "61",
        "tz": "Mars/Base",
        "timeout": "soon",
        "note": "kept",
    }
    answer = browser.post("/schedule/add", typed)
    assert answer.status_code == 400
    told = text_of(answer)
    for wrong in ("params", "timeout", "Mars/Base"):
        assert wrong in told
    assert form(answer.text)["note"] == "kept"


def test_a_schedule_is_added_removed_and_brought_back(cron: cronlite.Cronlite, browser: Browser) -> None:
    added = browser.follow(browser.post("/schedule/add", {"name": "n", "handler": "extract", "line": "@daily"}))
    assert "n is added: at 00:00 every day." in text_of(added)
    (schedule,) = cron.schedules()
    asked = browser.get(f"/schedule/remove?id={schedule.id}")
    assert "Remove n?" in text_of(asked)
    removed = browser.follow(
        browser.post("/schedule/remove", {"id": schedule.id}, page=f"/schedule/remove?id={schedule.id}")
    )
    assert cron.schedules() == []
    assert 'action="/schedule/restore"' in removed.text, "an undo is offered"
    browser.follow(browser.post("/schedule/restore", {"id": schedule.id}, page="/schedule/add"))
    assert [one.name for one in cron.schedules()] == ["n"]


@pytest.mark.parametrize("preview", ["/schedule/preview", "/schedule/add"])
def test_the_next_runs_are_shown_before_anything_is_stored(
    cron: cronlite.Cronlite, browser: Browser, preview: str
) -> None:
    typed = {"handler": "extract", "hour": "2", "tz": "Europe/Berlin", "do": "preview"}
    shown = text_of(browser.post(preview, typed, page="/schedule/add"))
    assert "sixty runs an hour" in shown
    assert " 02:00 CE" in shown
    assert cron.schedules() == []
