"""The list of runs: its filters, its pages, what is done with those that were picked."""

from __future__ import annotations

import html
import re

import cronlite
from cronlite.client.runs import on_demand
from tests.web_site.asking import Browser, text_of


def shown_ids(page: str) -> list[str]:
    return re.findall(r'href="/run\?id=([0-9a-f]{45})"', page)


def test_it_says_what_to_do_while_nothing_has_run(browser: Browser) -> None:
    assert "Nothing has run yet." in text_of(browser.get("/runs"))


def test_its_pages_show_each_run_once_however_many_were_queued_at_the_same_instant(
    cron: cronlite.Cronlite, browser: Browser
) -> None:
    now = cron.now()
    queued = [on_demand(now, "extract", {}, "") for _ in range(120)]
    assert cron.store.add_runs(queued) == set()
    wanted = [run.id for run in queued]
    found: list[str] = []
    path: str | None = "/runs?handler=extract"
    while path:
        page = browser.get(path).text
        found += shown_ids(page)
        following = re.search(r'rel="next" href="([^"]*)"', page)
        path = html.unescape(following[1]) if following else None
    assert sorted(found) == sorted(wanted)
