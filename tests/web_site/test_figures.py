"""Can Prometheus scrape the site, and nobody who may not look?"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from cronlite import Cronlite
from cronlite.handlers.registry import Registry
from tests.metrics.scraping import Samples
from tests.web_site.asking import Browser

VIEW, OPERATE = "v" * 16, "o" * 16


@pytest.fixture
def cron() -> Iterator[Cronlite]:
    with Cronlite("memory:", registry=Registry()) as cron:
        cron.schedule("", {}, minute=0, handler="ok", name="nightly", tags=["watched"])
        yield cron


def test_the_site_tells_what_the_store_knows(cron: Cronlite) -> None:
    answer = Browser(cron).get("/metrics")
    found = Samples(answer.text)
    assert answer.headers["content-type"].startswith("text/plain")
    assert found.value("cronlite_schedules", state="enabled") == 1
    assert found.value("cronlite_schedule_last_success_timestamp_seconds", schedule="nightly") == 0
    assert found.value("cronlite_seats") is None


def test_the_site_tells_of_the_daemon_in_its_own_process(cron: Cronlite) -> None:
    cron.start(metrics="0", seats=3, drain_seconds=0)
    assert Samples(Browser(cron).get("/metrics").text).value("cronlite_seats") == 3


@pytest.mark.parametrize("token", [VIEW, OPERATE])
def test_a_program_brings_its_token_with_each_request(cron: Cronlite, token: str) -> None:
    browser = Browser(cron, client="192.0.2.1", view_token=VIEW, operate_token=OPERATE)
    assert browser.get("/metrics").status_code == 303  # to where people sign in
    assert browser.get("/metrics", Authorization=f"Bearer {'x' * 16}").status_code == 303
    assert browser.get("/metrics", Authorization=f"Basic {token}").status_code == 303
    assert browser.get("/metrics", Authorization=f"Bearer {token}").status_code == 200


def test_a_program_with_a_token_changes_nothing(cron: Cronlite) -> None:
    browser = Browser(cron, client="192.0.2.1", operate_token=OPERATE)
    headers = {"Authorization": f"Bearer {OPERATE}", "Content-Type": "application/x-www-form-urlencoded"}
    for origin in ({}, {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8033"}):
        answer = browser.send("POST", "/schedules", headers=headers | origin, body="do=pause&id=nightly")
        assert answer.status_code == 403
    assert cron.get("nightly").enabled


def test_from_elsewhere_nobody_without_a_token_reads_figures(cron: Cronlite) -> None:
    assert Browser(cron, client="192.0.2.1").get("/metrics").status_code == 403


def test_the_extra_is_named_where_it_is_missing(cron: Cronlite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cronlite.metrics.exposition", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = Browser(cron).get("/metrics")
    assert (answer.status_code, "cronlite[metrics]" in answer.text) == (500, True)
