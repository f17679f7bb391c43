"""The same pages in FastAPI, in Starlette, in Django, and on their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount

import cronlite
from cronlite.web import site
from cronlite.web.access import Visitor
from cronlite.web.asgi import Allowed
from tests.web_site.asking import Browser, text_of


def by_header(request: Request) -> Allowed:
    name = request.headers.get("x-remote-user")
    return Visitor(name, may_operate=name == "olga") if name else None


def test_it_is_mounted_in_fastapi_under_a_prefix_with_its_own_idea_of_who_may_what(cron: cronlite.Cronlite) -> None:
    app = FastAPI()
    app.mount("/ops/cron", site(cron, authorize=by_header, hosts=["shop.example"]))
    schedule = cron.schedule("u", {}, minute=0, name="nightly")
    browser = Browser(cron, app=app, client="203.0.113.9", base="http://shop.example")
    assert browser.get("/ops/cron/schedules").status_code == 403
    page = browser.get("/ops/cron/schedules", x_remote_user="sam")
    assert "nightly" in text_of(page)
    assert "looks only" in text_of(page)
    links = re.findall(r'(?:href|src|action)="([^"#][^"]*)"', page.text)
    assert links
    assert all(link.startswith("/ops/cron/") for link in links)
    assert schedule.id in "".join(links)
    style = next(link for link in links if "site.css" in link)
    assert browser.get(style, x_remote_user="sam").headers["content-type"].startswith("text/css")
    cookies = browser.get("/ops/cron/schedule/add", x_remote_user="olga").headers.get_list("set-cookie")
    assert all("Path=/ops/cron;" in cookie for cookie in cookies)


def test_authorize_may_be_asynchronous_and_say_it_in_a_word(cron: cronlite.Cronlite) -> None:
    async def authorize(request: Request) -> Allowed:
        return "operate" if request.url.path.endswith("add") else "view"

    app = Starlette(routes=[Mount("/cron", site(cron, authorize=authorize))])
    browser = Browser(cron, app=app)
    assert "Add a schedule" in text_of(browser.get("/cron/schedule/add"))
    assert "looks only" in text_of(browser.get("/cron/"))


def test_a_page_that_fails_is_told_without_its_reasons_and_the_next_one_is_answered(
    cron: cronlite.Cronlite, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("secret reason")

    monkeypatch.setattr(type(cron.store), "daemons", fail)
    answer = browser.get("/")
    assert answer.status_code == 500
    assert "secret reason" not in answer.text
    assert browser.get("/runs").status_code == 200


def test_a_store_out_of_reach_is_told_as_such(cron: cronlite.Cronlite, browser: Browser) -> None:
    browser.get("/")
    cron.store.close()
    answer = browser.get("/runs")
    assert answer.status_code == 503


def test_a_store_that_was_never_reached_is_told_as_such_too() -> None:
    with cronlite.Cronlite("mongodb://127.0.0.1:9/nowhere?timeoutMS=300") as away:
        answer = Browser(away).get("/runs")
    assert answer.status_code == 503
    assert "127.0.0.1:9" in text_of(answer)


def test_django_serves_it_to_staff_and_lets_those_with_the_permission_change_something(tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path / 'jobs.db'}"
    done = subprocess.run(
        [sys.executable, "-m", "tests.web_site.django_site", uri], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["stranger"] == [302, "/accounts/login/?next=/ops/cron/schedules"]
    assert seen["not staff"] == 302
    assert seen["page"][:2] == [200, True]
    assert "frame-ancestors 'none'" in seen["page"][2]
    assert all(link.startswith("/ops/cron/") for link in seen["links"])
    assert all(part in seen["cookie"] for part in ("HttpOnly", "SameSite=Strict", "Path=/ops/cron"))
    assert seen["style"].startswith("text/css")
    assert (seen["staff's form"], seen["foreign form"], seen["form without token"]) == (403, 403, 403)
    assert seen["form"] == [303, False]
    assert seen["actor"] == ["olga", "web"]
    assert seen["told"]
    assert seen["rebound"] == 400


@pytest.mark.parametrize("missing", ["jinja2", "starlette", "uvicorn"])
def test_without_the_extra_the_error_names_what_to_install(missing: str) -> None:
    told = f"import sys; sys.modules[{missing!r}] = None; from cronlite.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", told, "--uri", "memory:", "web"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "pip install 'cronlite[web]'" in done.stderr
    assert f"({missing}" in done.stderr


def test_the_function_stays_what_it_is_however_often_it_is_imported(cron: cronlite.Cronlite) -> None:
    """A module of the same name would take its place in the package once it is imported."""
    from cronlite import web

    site(cron)
    assert web.site is site
