"""The list of schedules and the page of one: what is done with many, and what is said of each."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

import cronlite
from cronlite.documents import new_runs, runs
from tests.web_site.asking import Browser, text_of


def test_they_say_what_to_do_first_while_there_is_nothing(browser: Browser) -> None:
    assert "There is no schedule yet. A schedule names a handler" in text_of(browser.get("/schedules"))
    assert "Nothing is here yet. A schedule says what runs and when" in text_of(browser.get("/"))
    assert "No schedule fits." in text_of(browser.get("/schedules?tag=none"))


def test_many_are_paused_at_once_with_a_reason_and_an_end_and_that_is_undone(
    cron: cronlite.Cronlite, browser: Browser
) -> None:
    ids = [cron.schedule("u", {}, minute=0, name=f"n{n}").id for n in range(3)]
    fields = {
        "do": "pause",
        "id": [*ids, "gone"],
        "until": "2h",
        "reason": "inventory",
        "back": "/schedules?user=u",
    }
    answer = browser.post("/schedules", fields)
    assert answer.headers["location"] == "/schedules?user=u"
    page = browser.follow(answer)
    told = text_of(page)
    assert "3 schedules are paused. 1 not: no schedule has the id or name 'gone'" in told
    assert told.count("inventory") == 3
    paused = [cron.get(id_) for id_ in ids]
    assert {one.pause_reason for one in paused if not one.enabled} == {"inventory"}
    assert all(one.paused_until is not None for one in paused)
    undo = {name: html.unescape(value) for name, value in re.findall(r'name="(do|id)" value="([^"]*)"', page.text)[:1]}
    assert undo == {"do": "resume"}
    browser.follow(browser.post("/schedules", undo | {"id": ids}))
    assert all(cron.get(id_).enabled for id_ in ids)


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"do": "pause", "id": "x", "until": "soon"}, "until"), ({"do": "explode", "id": "x"}, "explode"), ({}, "")],
)
def test_what_makes_no_sense_changes_nothing(
    cron: cronlite.Cronlite, browser: Browser, fields: dict[str, str], told: str
) -> None:
    schedule = cron.schedule("u", {}, minute=0, name="n")
    answer = browser.post("/schedules", fields | ({"id": schedule.id} if fields else {}))
    assert answer.status_code == (400 if fields else 303)
    assert told in text_of(answer)
    assert cron.get("n") == schedule


def test_one_that_cannot_be_read_has_a_row_and_a_page(cron: cronlite.Cronlite, browser: Browser) -> None:
    cron.store.add_schedule({"_id": "broken", "handler": "h", "params": {}, "minute": 61, "hour": "x"})
    assert "set aside" in text_of(browser.get("/schedules"))
    page = browser.get("/schedule?id=broken")
    assert page.status_code == 200
    assert "minute" in text_of(page)
    assert '"minute": 61' in text_of(page)
    assert browser.get("/schedule/edit?id=broken").status_code == 400


def test_a_frozen_one_says_until_when_and_why(cron: cronlite.Cronlite, browser: Browser) -> None:
    cron.schedule("u", {}, minute="*/5", name="n", tags=["billing"])
    cron.freezes.add(tag="billing", until=timedelta(hours=9), reason="quarter end")
    assert "quarter end" in text_of(browser.get("/schedules"))
    page = text_of(browser.get("/schedule?id=n"))
    assert "frozen until" in page
    assert "frozen: tag billing" in page, "its next runs say so, too"


def test_its_page_says_why_it_did_not_run_at_a_minute_on_its_own_clock(
    cron: cronlite.Cronlite, browser: Browser
) -> None:
    cron.schedule("u", {}, minute=30, hour=2, tz="Europe/Berlin", name="n")
    page = text_of(browser.get("/schedule?id=n&at=2026-11-21T02:31"))
    assert "Sat 2026-11-21 02:31 CET not due" in page
    assert "minute 31 is not in 30" in page
    assert "is no instant" in text_of(browser.get("/schedule?id=n&at=whenever"))


def test_its_history_names_who_changed_what_and_goes_back_to_any_of_it(
    cron: cronlite.Cronlite, browser: Browser
) -> None:
    cron.schedule("u", {}, minute=30, name="n", note="first", actor="ann")
    cron.update("n", note="second", actor="bob")
    cron.update("n", note="third", actor="eve")
    page = browser.get("/schedule?id=n")
    told = text_of(page)
    assert [name for name in ("ann", "bob", "eve") if name in told] == ["ann", "bob", "eve"]
    assert "second third" in told
    to = re.findall(r'name="to" value="([^"]*)"', page.text)
    browser.follow(browser.post("/schedule/undo", {"id": cron.get("n").id, "to": to[-1]}, page="/schedule?id=n"))
    assert cron.get("n").note == "first"


def test_what_went_wrong_stands_on_the_first_page_until_it_is_put_right(
    cron: cronlite.Cronlite, browser: Browser
) -> None:
    schedule = cron.schedule("u", {}, minute=0, name="nightly")
    now = cron.now()
    run = new_runs.of_schedule(schedule, now, now)
    run.state, run.finished_at, run.error = runs.FAILED, now, {"type": "ValueError", "message": "no luck"}
    cron.store.add_runs([run])
    assert "ValueError: no luck" in text_of(browser.get("/"))
    page = browser.follow(browser.post("/runs", {"do": "retry", "id": run.id, "back": "/"}, page="/"))
    assert "1 queued once more." in text_of(page)
    assert "ValueError: no luck" not in text_of(page), "a run of it is at work"
    again = browser.post("/runs", {"do": "cancel", "id": run.id, "back": "/"}, page="/schedule/add")
    assert "only a queued run can be cancelled" in text_of(browser.follow(again))


def test_what_is_missing_in_the_past_is_made_up_for_once(cron: cronlite.Cronlite, browser: Browser) -> None:
    schedule = cron.schedule("u", {}, name="n")

    def ask(**fields: str) -> str:
        page = f"/schedule?id={schedule.id}"
        answer = browser.post("/schedule/backfill", {"id": schedule.id, **fields}, page=page)
        return text_of(browser.follow(answer) if answer.status_code == 303 else answer)

    whole = {"start": "2026-11-21 02:30", "end": "2026-11-21 02:40"}
    assert "10 runs are queued for the past; 0 times have one" in ask(**whole)
    assert "0 runs are queued for the past; 10 times have one" in ask(**whole)
    assert "from when on" in ask()
    assert len(cron.runs(schedule="n")) == 10
