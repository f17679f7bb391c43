"""A stranger's name is pointed at this machine's loopback (DNS rebinding), or a stranger asks as if from there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import cronlite
from tests.web_site.asking import Browser, an_empty_cron

REBOUND = [
    "evil.example",
    "evil.example:8033",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8033",
    "evil-localhost",
    "127.0.0.1:evil.example",
    "[::1].evil.example",
    "127.0.0.1@evil.example",
    "0x7f.1.evil",
    "",
    " ",
]


@pytest.fixture
def cron() -> Iterator[cronlite.Cronlite]:
    with an_empty_cron() as opened:
        opened.schedule("u", {}, minute=0, name="secret-name")
        yield opened


@pytest.mark.parametrize("host", REBOUND)
def test_the_site_answers_to_no_name_that_it_was_not_told(cron: cronlite.Cronlite, host: str) -> None:
    for path in ("/", "/schedules", "/static/site.css", "/nowhere", "/sign-in"):
        answer = Browser(cron).send("GET", path, headers={"Host": host})
        assert answer.status_code == 421, path
        assert "secret-name" not in answer.text


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8033", "127.0.0.1:1", "[::1]:8033", "cron.example.", "Cron.Example:443"]
)
def test_the_site_answers_to_its_names(cron: cronlite.Cronlite, host: str) -> None:
    answer = Browser(cron, hosts=["cron.example"]).send("GET", "/schedules", headers={"Host": host})
    assert answer.status_code == 200
    assert "secret-name" in answer.text


@pytest.mark.parametrize("client", ["192.168.1.7", "10.0.0.1", "::ffff:203.0.113.9", "fe80::1", "127.0.0.1.evil", ""])
def test_without_a_token_only_this_machine_is_answered(cron: cronlite.Cronlite, client: str) -> None:
    answer = Browser(cron, client=client).get("/schedules")
    assert answer.status_code == 403
    assert "secret-name" not in answer.text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_proxy_on_this_machine_is_not_taken_for_somebody_at_it(cron: cronlite.Cronlite, header: str) -> None:
    answer = Browser(cron).send("GET", "/schedules", headers={header: "127.0.0.1"})
    assert answer.status_code == 403
