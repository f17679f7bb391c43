"""Do the screens beside the lists show what there is, say what to do first, and do what their forms say?

Ahead, Daemons, Doctor, Freezes and limits, Changes, Alarms.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

pytest.importorskip("jinja2")

from cronlite import Cronlite
from cronlite.documents import alarms as alarm_documents
from cronlite.documents.changes import Actor
from cronlite.documents.ticks import Tick
from cronlite.errors import CronliteError, InvalidInput
from cronlite.store.contract import ScheduleQuery
from cronlite.web import charted
from cronlite.web.access import Visitor
from cronlite.web.exchange import Answer, Request
from cronlite.web.screens import SCREENS
from cronlite.web.visit import Visit
from cronlite.when.clock import MINUTE, floor_minute
from tests.store.samples import a_daemon, a_foreign_schedule, a_running
from tests.waiting import wait_until

_ALL = ScheduleQuery()

EMPTY = {
    "/ahead": "Nothing is due in the coming week",
    "/daemons": "No daemon is alive",
    "/freezes": "Nothing is frozen",
    "/alarms": "No alarm is open",
    "/changes": "No schedule has been changed yet",
}


@pytest.fixture
def cron() -> Iterator[Cronlite]:
    with Cronlite("memory:") as cron:
        cron.store.prepare()
        yield cron


class Site:
    """Asks for pages as somebody who may change things, or may not."""

    def __init__(self, cron: Cronlite, *, may_operate: bool = True) -> None:
        self._cron, self._visitor = cron, Visitor("ann", may_operate=may_operate)

    def get(self, path: str, **query: str) -> str:
        page = SCREENS[path].get
        assert page is not None
        answer = page(self._visit("GET", path, query={name: [value] for name, value in query.items()}))
        assert answer.status == 200
        return re.sub(r"\s+", " ", html.unescape(answer.body.decode()))

    def post(self, path: str, **form: str) -> Answer:
        page = SCREENS[path].post
        assert page is not None
        answer = page(self._visit("POST", path, form={name: [value] for name, value in form.items()}))
        assert answer.status == 303
        return answer

    def _visit(self, method: str, path: str, **fields: dict[str, list[str]]) -> Visit:
        return Visit(cron=self._cron, request=Request(method=method, path=path, **fields), visitor=self._visitor)  # type: ignore[arg-type]


@pytest.fixture
def site(cron: Cronlite) -> Site:
    return Site(cron)


@pytest.mark.parametrize("path", EMPTY)
def test_an_empty_store_is_told_what_to_do_first(site: Site, path: str) -> None:
    assert EMPTY[path] in site.get(path)


def test_who_may_only_look_sees_no_button(cron: Cronlite) -> None:
    cron.freezes.add(tag="billing")
    cron.limits.set("warehouse", 3)
    cron.store.raise_alarms([an_alarm(cron)])
    cron.schedule(name="gone")
    cron.remove("gone")
    looking = Site(cron, may_operate=False)
    for path in (*EMPTY, "/doctor"):
        assert "<button" not in looking.get(path), path


def test_ahead_names_the_worst_minute_what_makes_it_and_who_is_due_then(cron: Cronlite, site: Site) -> None:
    for number in range(3):
        cron.schedule(name=f"noon-{number}", minute=0, hour=12)
    cron.schedule(name="rare", every="2h")
    told = site.get("/ahead")
    assert "3 schedules: At 12:00 every day" in re.sub(r"<[^>]*>", "", told)
    assert "worst minute is 12:00 UTC with 4" in told
    listed = site.get("/ahead", at="12:00")
    assert all(f">noon-{number}<" in listed for number in range(3))
    assert "No schedule is due at that minute" in site.get("/ahead", at="12:01")
    with pytest.raises(InvalidInput):
        site.get("/ahead", at="noonish")


def test_daemons_shows_who_is_alive_at_what_and_in_what_trouble(cron: Cronlite, site: Site) -> None:
    now = cron.now()
    cron.store.join(a_daemon("d1", host="app-1", started_at=now, ticked_at=now, seats=8, handlers=["extract"]))
    cron.store.join(a_daemon("d2", host="app-2", started_at=now, ticked_at=now))
    cron.store.beat("d1", running=3, stuck=0, ticked_at=now)
    cron.store.beat("d2", running=0, stuck=0, trouble="the broker cannot be reached", ticked_at=now)
    run = a_running("lane", daemon="d1")
    cron.store.add_runs([run])
    told = site.get("/daemons")
    assert "3 of 12" in told
    assert told.index("app-2") < told.index("app-1")  # trouble first
    assert "the broker cannot be reached" in told
    assert run.id in site.get("/daemon", id="d1")
    assert "A daemon that is gone" in site.get("/daemon", id="nobody")


def test_daemons_shows_gaps_of_the_last_day(cron: Cronlite, site: Site) -> None:
    first = floor_minute(cron.now()) - 90 * MINUTE
    gap = {"from_at": first, "to_at": first + 20 * MINUTE, "skipped": 7, "done_at": cron.now()}
    cron.store.claim_tick(Tick(minute=first + MINUTE / 2, daemon="d1", claimed_at=cron.now(), **gap))  # type: ignore[arg-type]
    told = site.get("/daemons")
    assert f"{first:%H:%M}Z" in told
    assert re.search(r'class="number">7<', told)


def test_the_doctor_looks_once_and_his_findings_stay_until_he_looks_again(cron: Cronlite, site: Site) -> None:
    cron.store.add_schedule(a_foreign_schedule(minute=75))
    wait_until(lambda: "is set aside" in site.get("/doctor"), what="the doctor", interval_seconds=0.05)
    cron.store.remove_schedule(next(iter(cron.store.schedules(_ALL)))["_id"])
    assert "is set aside" in site.get("/doctor")
    site.post("/doctor")
    wait_until(lambda: "is set aside" not in site.get("/doctor"), what="the doctor again", interval_seconds=0.05)


def test_a_freeze_is_made_shown_and_thawed_under_the_visitors_name(cron: Cronlite, site: Site) -> None:
    site.post("/freezes", do="freeze", tag="billing", until="2h", reason="the warehouse moves", then="run", hold="yes")
    (freeze,) = cron.freezes.list()
    assert (freeze.tag, freeze.reason, freeze.afterwards, freeze.hold) == (
        "billing",
        "the warehouse moves",
        "run",
        True,
    )
    assert (freeze.actor, freeze.way) == ("ann", "web")
    assert freeze.until_at is not None
    assert timedelta(minutes=119) < freeze.until_at - cron.now() <= timedelta(minutes=120)
    told = site.get("/freezes")
    assert "In force" in told
    assert "the warehouse moves" in told
    site.post("/freezes", do="thaw", id=freeze.id)
    assert cron.freezes.list() == []
    assert "Over" in site.get("/freezes")


def test_a_freeze_that_begins_later_is_to_come(cron: Cronlite, site: Site) -> None:
    site.post("/freezes", do="freeze", start="1h", user="eve")
    site.post("/freezes", do="freeze", start="tomorrow 22:00", until="06:00", user="ann")
    (night,) = (freeze for freeze in cron.freezes.list() if freeze.user == "ann")
    assert night.until_at is not None
    assert night.until_at - night.from_at == timedelta(hours=8)
    assert "To come" in site.get("/freezes")
    assert not list(cron.freezes.in_force())


def test_a_freeze_of_all_is_what_an_empty_form_means(cron: Cronlite, site: Site) -> None:
    site.post("/freezes", do="freeze")
    (freeze,) = cron.freezes.list()
    assert freeze.picks() == "all schedules"


@pytest.mark.parametrize(
    "form",
    [{"do": "freeze", "until": "when it is done"}, {"do": "limit", "name": "x", "most": "-1"}, {"do": "rm"}, {}],
)
def test_a_form_with_nonsense_is_refused(cron: Cronlite, site: Site, form: dict[str, str]) -> None:
    with pytest.raises(CronliteError):
        site.post("/freezes", **form)
    assert cron.freezes.list() == []
    assert cron.limits.list() == []


def test_a_limit_is_set_shown_and_removed(cron: Cronlite, site: Site) -> None:
    site.post("/freezes", do="limit", name="warehouse", most="3")
    assert [(limit.name, limit.most, limit.changed_by) for limit in cron.limits.list()] == [("warehouse", 3, "ann")]
    assert "warehouse" in site.get("/freezes")
    site.post("/freezes", do="unlimit", name="warehouse")
    assert cron.limits.list() == []


def test_changes_tells_who_changed_what_and_gives_back_what_was_removed(cron: Cronlite, site: Site) -> None:
    schedule = cron.schedule(name="nightly", minute=30, hour=2, actor=Actor("carol", "cli"))
    cron.update("nightly", minute=45, actor=Actor("bob", "web"))
    cron.remove("nightly", actor=Actor("eve", "api"))
    told = site.get("/changes")
    for words in ("carol", "bob", "eve", "cli", "minute", "30", "45"):
        assert words in told
    assert "Removed, and not there again" in told
    site.post("/changes", id=schedule.id)
    assert cron.get("nightly").minute == 45
    assert cron.history.of("nightly")[0].actor == Actor("ann", "web")
    assert "Removed, and not there again" not in site.get("/changes")


def an_alarm(cron: Cronlite) -> alarm_documents.Alarm:
    return alarm_documents.new(
        "failed", "nightly", "nightly failed: no such dataset", now=cron.now(), detail="line 1\nline 2"
    )


def test_an_alarm_is_shown_until_somebody_looks_after_it(cron: Cronlite, site: Site) -> None:
    alarm = an_alarm(cron)
    cron.store.raise_alarms([alarm])
    told = site.get("/alarms")
    assert "nightly failed: no such dataset" in told
    assert "line 2" in told
    site.post("/alarms", id=alarm.id)
    assert cron.alarms.get(alarm.id).acked_by == "ann"
    assert "ann looks after it" in site.get("/alarms")


def test_the_load_ahead_is_counted_once_and_then_beside_the_pages(cron: Cronlite, site: Site) -> None:
    cron.schedule(name="noon", minute=0, hour=12)
    assert "1 run is due in 24 hours" in site.get("/ahead")
    cron.schedule(name="noon-too", minute=0, hour=12)
    assert "1 run is due in 24 hours" in site.get("/ahead")
    made_at, seen = charted.forecasts._kept[cron]
    charted.forecasts._kept[cron] = made_at - charted.FRESH, seen
    wait_until(lambda: "2 runs are due in 24 hours" in site.get("/ahead"), what="the load", interval_seconds=0.05)
    made_at, seen = charted.forecasts._kept[cron]
    cron.schedule(name="noon-as-well", minute=0, hour=12)
    charted.forecasts._kept[cron] = made_at - charted.STALE, seen
    assert "3 runs are due in 24 hours" in site.get("/ahead")
