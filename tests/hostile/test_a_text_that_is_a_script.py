"""Every text that anybody can store is a script, a tag, a link or a template: none of it is more than text on any page.

It is written past all checks, as another program may, and each page is read as a browser reads it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import cronlite
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import Run
from cronlite.handlers.registry import Registry
from cronlite.web.screens import SCREENS
from tests.web_site.asking import Browser

SCRIPT = "</pre></title></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=alert(3)>"
SCRIPT += "{{7*7}}{%raw%}javascript:alert(4)<!--\x00\x1b[2J\u202e\u2066&lt;"
ALERT = "<script>alert(5)</script>"
LARGE = "<b>x</b>\x07" * 1_000_000  # 10 MB
NEEDS = {"/schedule", "/schedule/edit", "/schedule/remove", "/run", "/daemon"}
IDS = ["broken", SCRIPT]
RUN = "<script>alert(1)</script>\"'@"


class Page(HTMLParser):
    """Collects what a browser would run, fetch or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            link = value or ""
            if name.startswith("on") or name in ("style", "srcdoc", "formaction", "background"):
                self.found.append(f"{tag} {name}={link}")
            if name in ("href", "src", "action", "data-preview") and not (link.startswith(("/", "#")) or link == ""):
                self.found.append(f"{tag} {name}={link}")
            if name in ("href", "src", "action") and link.startswith(("//", "/\\")):
                self.found.append(f"{tag} {name}={link}")
        if tag in ("script", "img", "iframe", "object", "embed", "base", "style") and not (
            tag == "script" and dict(attrs).get("src", "").startswith("/static/")  # type: ignore[union-attr]
        ):
            self.found.append(f"{tag} {attrs}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[cronlite.Cronlite]:
    path = tmp_path / "jobs.db"
    with cronlite.Cronlite(f"sqlite:{path}", registry=Registry()) as opened:
        opened.store.prepare()
        now = opened.now()
        opened.schedule("u", {}, minute=0, name="fine")
        fine = opened.get("fine").id
        for state, id_ in (("failed", f"{RUN}1"), ("queued", f"{RUN}2"), ("succeeded", f"{RUN}3")):
            run = Run(id=id_, handler="h", params={}, due_at=now, queued_at=now, run_at=now, schedule=fine, state=state)
            run.attempt, run.started_at = 1, now - timedelta(seconds=1)
            run.finished_at = None if state == "queued" else now
            opened.store.add_runs([run])
        daemon: dict[str, Any] = {"host": SCRIPT, "version": SCRIPT, "trouble": SCRIPT, "handlers": [SCRIPT]}
        opened.store.join(DaemonRecord(id="d", pid=1, started_at=now, seen_at=now, **daemon))
        _spoil(path, fine)
        yield opened


PLAIN = "".join(character for character in SCRIPT if character.isprintable())
SCHEDULE = {"note": PLAIN, "user": PLAIN[:190], "owner": PLAIN[:190], "pause_reason": PLAIN, "name": PLAIN[:190]}
SCHEDULE |= {"tags": json.dumps([PLAIN[:90]]), "params": json.dumps({PLAIN: [PLAIN, {"x": PLAIN}]})}
RAN = {"output": SCRIPT, "reason": SCRIPT, "result": json.dumps({PLAIN: [SCRIPT]})}
RAN |= {"error": json.dumps({"type": SCRIPT, "message": SCRIPT, "traceback": f"{ALERT}{SCRIPT}"})}
BROKEN = dict.fromkeys(("name", "handler", "minute", "tz", "params", "tags", "note", "user"), SCRIPT)


def _spoil(path: Path, fine: str) -> None:
    """Write the text into every column of text, and documents that no check has seen."""
    with sqlite3.connect(path) as file:

        def write(table: str, values: dict[str, Any], where: str) -> None:
            columns = ", ".join(f"{name} = ?" for name in values)
            file.execute(f"UPDATE {table} SET {columns} WHERE {where}", list(values.values()))

        write("schedules", SCHEDULE, "true")
        write("runs", RAN, "true")
        write("runs", {"output": LARGE}, "state = 'succeeded'")
        write("changes", {"actor": PLAIN[:190], "name": SCRIPT, "user": SCRIPT}, "true")
        for id_ in IDS:
            row = BROKEN | {"_id": id_, "name": f"{id_}{SCRIPT}"}
            marks = ", ".join("?" * len(row))
            file.execute(f"INSERT INTO schedules ({', '.join(row)}) VALUES ({marks})", list(row.values()))
    file.close()


def pages(fine: str) -> list[str]:
    found = [path for path, screen in SCREENS.items() if screen.get and path not in NEEDS]
    found += [f"{path}?id={quote(id_)}" for path in NEEDS - {"/run"} for id_ in (fine, *IDS)]
    found += [f"/run?id={quote(id_)}" for id_ in (f"{RUN}1", f"{RUN}2", f"{RUN}3", SCRIPT)]
    found.append(f"/schedule?id={fine}&at={quote(SCRIPT)}")
    asked = {"/runs": ("state", "schedule", "since", "from", "tag"), "/schedules": ("search", "after", "name", "state")}
    found += [f"{path}?{name}={quote(SCRIPT)}" for path, names in asked.items() for name in names]
    return [*found, f"/{quote(SCRIPT)}", f"/sign-in?to={quote(SCRIPT)}"]


def test_it_is_text_on_every_page_and_none_is_large(cron: cronlite.Cronlite) -> None:
    browser = Browser(cron)
    shown: dict[str, Any] = {}
    fine = next(one.id for one in cron.schedules())
    for path in pages(fine):
        answer = browser.get(path)
        page = Page()
        page.feed(answer.text)
        assert page.found == [], path
        assert answer.status_code in (200, 400, 404, 409), (path, answer.status_code)
        assert len(answer.text) < 400_000, path
        controls = {character for character in "".join(page.text) if not character.isprintable()} - set("\n\t ")
        assert controls == set(), path
        shown[path] = answer.text
    run = shown[f"/run?id={quote(f'{RUN}1')}"]
    assert "&lt;script&gt;alert(5)&lt;/script&gt;" in run
    assert "\\x1b[2J\\u202e" in run
    large = shown[f"/run?id={quote(f'{RUN}3')}"]
    assert "characters are not shown" in large
    assert "{{7*7}}" in run


def test_a_list_does_not_even_read_what_is_large(cron: cronlite.Cronlite) -> None:
    fine = next(one.id for one in cron.schedules())
    for path in ("/runs", "/schedules", "/", f"/schedule?id={fine}"):
        assert "<b>x" not in Browser(cron).get(path).text


def test_what_comes_back_in_a_form_is_what_was_stored(cron: cronlite.Cronlite) -> None:
    """Cut or written out, it would be stored so by the next edit."""
    schedule = next(iter(cron.schedules()))
    from tests.web_site.test_editing import form

    fields = form(Browser(cron).get(f"/schedule/edit?id={schedule.id}").text)
    assert fields["note"] == schedule.note
    assert fields["name"] == schedule.name
