"""An id, a filter or a path asks for more than a document: another file, a query, a pattern, or too much."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

import cronlite
from cronlite.web.exchange import MAX_BODY_BYTES
from tests.web_site.asking import FROM_HERE, Browser, an_empty_cron

TRICKS = [
    "../site.py",
    "..%2fsite.py",
    "%2e%2e/%2e%2e/etc/passwd",
    "....//site.py",
    "/etc/passwd",
    "site.css/../../site.py",
    "site.css%00.py",
    "",
    ".",
]
IDS = [
    "",
    "*",
    ".*",
    "$ne",
    '{"$ne": null}',
    "a/b",
    "../..",
    "n\x00",
    "%",
    "' OR 1=1 --",
    "x" * 20_000,
    "é\u202e",
    "\ud800",
]


@pytest.fixture
def cron() -> Iterator[cronlite.Cronlite]:
    with an_empty_cron() as opened:
        opened.schedule("u", {}, minute=0, name="n")
        yield opened


@pytest.mark.parametrize("trick", TRICKS)
def test_no_file_but_the_pages_own_is_read(cron: cronlite.Cronlite, trick: str) -> None:
    answer = Browser(cron).get(f"/static/{trick}")
    assert answer.status_code == 404
    assert "import" not in answer.text


@pytest.mark.parametrize("id_", IDS)
def test_an_id_is_nothing_but_an_id(cron: cronlite.Cronlite, id_: str) -> None:
    asked = quote(id_.encode("utf-8", "surrogatepass"))
    for path in ("/schedule", "/schedule/edit", "/schedule/remove", "/run"):
        assert Browser(cron).get(f"{path}?id={asked}").status_code in (400, 404), path
    for name in ("user", "handler", "schedule", "tag"):
        answer = Browser(cron).get(f"/runs?{name}={asked or '%20x'}")
        assert answer.status_code == 400 or "No run fits." in answer.text


@pytest.mark.parametrize("asked", ["id[$ne]=1", "id=a&id=b", "id", "&&&", "=", "id=%ff%fe", "id=%00"])
def test_a_query_is_read_as_text(cron: cronlite.Cronlite, asked: str) -> None:
    assert Browser(cron).get(f"/schedule?{asked}").status_code in (400, 404)


def test_a_document_with_slashes_in_its_id_has_a_page(cron: cronlite.Cronlite) -> None:
    id_ = "../a/b?c=d#e&f%2F;"
    cron.store.add_schedule({"_id": id_, "handler": "h", "params": {}, "minute": 0})
    listed = Browser(cron).get("/schedules").text
    assert f"/schedule?id={quote(id_, safe='')}".replace("&", "&amp;") in listed
    assert Browser(cron).get(f"/schedule?id={quote(id_, safe='')}").status_code == 200


def test_there_is_an_end_to_what_is_read(cron: cronlite.Cronlite) -> None:
    browser = Browser(cron)
    assert browser.send("POST", "/schedule/add", headers=FROM_HERE, body="x" * (MAX_BODY_BYTES + 1)).status_code == 413
    assert browser.send("POST", "/schedule/add", headers=FROM_HERE, body="a=b&" * 6_000).status_code == 400
    assert browser.get(f"/runs?{'&'.join(f'a{n}=1' for n in range(6_000))}").status_code == 400
