"""Which schedules are there, how did the last runs of each go, and when is the next one? And many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from cronlite.client.app import Cronlite
from cronlite.documents import schedules
from cronlite.documents.changes import Actor
from cronlite.documents.freezes import Frozen
from cronlite.documents.ids import is_object_id
from cronlite.documents.outlines import Outline
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import CronliteError, Fault, InvalidInput
from cronlite.store.contract import ScheduleQuery
from cronlite.web.exchange import Answer
from cronlite.web.visit import Undo, Visit
from cronlite.wording import labels
from cronlite.wording.spoken import coming

SHOWN = 50
OUTLINED = 20
LONGEST_SEARCH = 200
ON, PAUSED = "on", "paused"
CHOICES = [("", "All"), (ON, "On"), (PAUSED, "Paused")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a list of schedules is restricted to, as it stands in the query."""

    search: str
    tag: str
    user: str
    handler: str
    state: str

    @classmethod
    def of(cls, visit: Visit) -> Filters:
        """Read them."""
        return cls(**{field.name: visit.asked(field.name) for field in fields(cls)})

    def query(self) -> dict[str, object]:
        """Return them as the query of a URL."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def asked(self) -> ScheduleQuery:
        """Return them as a query of the store, by name."""
        if self.state not in ("", ON, PAUSED):
            raise InvalidInput(Fault("state", self.state, "is no state of a schedule", f"choose {ON} or {PAUSED}"))
        if not self.search.isprintable() or len(self.search) > LONGEST_SEARCH:
            raise InvalidInput(Fault("search", self.search, "is in no name", "give a part of one"))
        is_id = is_object_id(self.search)
        return ScheduleQuery(
            ids=[self.search] if is_id else None,
            search=None if is_id else self.search or None,
            tag=self.tag or None,
            user=self.user or None,
            handler=self.handler or None,
            enabled=None if not self.state else self.state == ON,
            by_name=True,
        )


@dataclass(slots=True, kw_only=True)
class Row:
    """What a list shows of a schedule; `wrong` says why one cannot be read, and then the rest is missing."""

    id: str
    name: str
    wrong: str = ""
    schedule: Schedule | None = None
    does: str = ""
    line: str = ""
    paused: str = ""
    frozen: str = ""
    following: datetime | None = None
    outlines: Sequence[Outline] = field(default_factory=list)


def listed(visit: Visit) -> Answer:
    """Show schedules by name, and those without a name behind them."""
    filters = Filters.of(visit)
    query = replace(filters.asked(), after=_place(visit), limit=SHOWN + 1)
    documents = list(visit.cron.store.schedules(query))
    page = documents[:SHOWN]
    frozen = Frozen(visit.cron.freezes.in_force(visit.now))
    rows = [_row(document, visit.now, frozen) for document in page]
    last = visit.cron.store.last_outlines([row.id for row in rows if row.schedule], OUTLINED)
    for row in rows:
        row.outlines = last.get(row.id, [])[::-1]
    filtered = any(filters.query().values())
    return visit.page(
        "schedules.html",
        rows=rows,
        filters=filters,
        filtered=filtered,
        states=CHOICES,
        first=visit.url("/schedules", **filters.query()) if query.after else None,
        following=_following(visit, filters, page) if len(documents) > SHOWN else None,
        back=visit.url("/schedules", **filters.query(), **_asked_place(visit)).unescape(),
    )


def _row(document: Document, now: datetime, frozen: Frozen) -> Row:
    row = Row(id=str(document.get("_id")), name=schedules.label(document))
    try:
        schedule = schedules.read(document)
    except InvalidInput as refused:
        row.wrong = str(refused)
        return row
    row.schedule, row.name = schedule, labels.called(schedule.name, schedule.id)
    row.does, row.line = labels.does(schedule.handler, schedule.params), labels.expression(schedule)
    row.paused, row.frozen = labels.paused(schedule, now), labels.frozen(schedule, now, frozen)
    if not row.paused or schedule.paused_until is not None:
        row.following = next(iter(schedule.next_runs(now, 1)), None)
    return row


def _asked_place(visit: Visit) -> dict[str, object]:
    return {"after": visit.asked("after"), "name": visit.asked("name")}


def _place(visit: Visit) -> tuple[str | None, str] | None:
    id_, name = visit.asked("after"), (visit.request.query.get("name") or [""])[-1]
    return (name or None, id_) if id_ else None


def _following(visit: Visit, filters: Filters, page: Sequence[Document]) -> object:
    """Return the URL of what comes behind the last of a page whose id can stand in one."""
    last = next((document for document in reversed(page) if type(document.get("_id")) is str), None)
    if last is None:
        return None
    name = last.get("name")
    place = {"after": last["_id"], "name": name if isinstance(name, str) else None}
    return visit.url("/schedules", **filters.query(), **place)


# many at once

Act = Callable[[Cronlite, str, Actor], object]


def done(visit: Visit) -> Answer:
    """Pause, resume or run the schedules that were picked."""
    asked, picked = visit.given("do"), visit.all_given("id")[:1_000]
    if not picked:
        return visit.back("No schedule was picked.", otherwise="/schedules")
    if asked == "pause":
        return _paused(visit, picked)
    if asked == "resume":
        made, news = each(visit, picked, lambda cron, id_, actor: cron.resume(id_, actor=actor), "resumed")
        return visit.back(news, Undo("/schedules", {"do": ["pause"], "id": made}) if made else None)
    if asked == "run":
        queued: list[str] = []
        made, news = each(visit, picked, lambda cron, id_, _: queued.append(cron.trigger(id_).id), "queued, to run now")
        return visit.back(news, Undo("/runs", {"do": ["cancel"], "id": queued}) if made else None)
    raise InvalidInput(Fault("do", asked, "is nothing that is done with schedules", "use the buttons of the page"))


def _paused(visit: Visit, picked: Sequence[str]) -> Answer:
    until, reason = visit.given("until").strip(), visit.given("reason").strip()
    end = coming(until, "until", visit.now) if until else None

    def pause(cron: Cronlite, id_: str, actor: Actor) -> None:
        cron.pause(id_, until=end, reason=reason, actor=actor)

    made, news = each(visit, picked, pause, "paused")
    return visit.back(news, Undo("/schedules", {"do": ["resume"], "id": made}) if made else None)


def each(visit: Visit, picked: Sequence[str], act: Act, what: str) -> tuple[list[str], str]:
    """Do something with each that was picked; return those done, and a sentence that tells of the others, too."""
    made, refused = [], []
    for id_ in picked:
        try:
            act(visit.cron, id_, visit.actor)
            made.append(id_)
        except CronliteError as wrong:
            refused.append(str(wrong))
    names = f"{len(made)} schedules are" if len(made) != 1 else f"{_called(visit, made[0])} is"
    news = f"{names} {what}." if made else ""
    return made, f"{news} {len(refused)} not: {refused[0]}".strip() if refused else news


def _called(visit: Visit, id_: str) -> str:
    document = visit.cron.store.schedule(id_)
    return schedules.label(document) if document else id_
