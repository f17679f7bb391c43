"""What ran? A list of runs by the filters of `cronlite runs`; those picked are run again, or cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta, timezone

from cronlite.client.app import Cronlite
from cronlite.client.failing import BAD
from cronlite.client.schedules import id_of
from cronlite.documents import runs
from cronlite.documents.runs import Run
from cronlite.errors import CronliteError, Fault, InvalidInput
from cronlite.store.contract import RunQuery, ScheduleQuery
from cronlite.web.exchange import Answer
from cronlite.web.visit import Visit
from cronlite.wording.labels import called
from cronlite.wording.spoken import past

SHOWN = 50
_TAGGED = 1_000
_BAD = "bad"
CHOICES = [("", "All"), (_BAD, "Gone wrong"), *((state, state.replace("_", " ").capitalize()) for state in runs.STATES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a list of runs is restricted to, as it stands in the query."""

    state: str
    schedule: str
    handler: str
    user: str
    tag: str
    since: str
    until: str

    @classmethod
    def of(cls, visit: Visit) -> Filters:
        """Read them."""
        return cls(**{field.name: visit.asked(field.name) for field in fields(cls)})

    def query(self) -> dict[str, object]:
        """Return them as the query of a URL."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def listed(visit: Visit) -> Answer:
    """Show runs, the last queued first."""
    filters = Filters.of(visit)
    query = _asked(visit, filters)
    until, skip = _place(visit.asked("from"))
    if until is not None:
        query = replace(query, until=min(until, query.until or until), skip=skip)
    fetched = list(visit.cron.store.runs(replace(query, limit=SHOWN + 1, brief=True)))
    page, following = fetched[:SHOWN], None
    if len(fetched) > SHOWN:
        following = visit.url("/runs", **filters.query(), **{"from": _behind(page, until, skip)})
    filtered = any(filters.query().values())
    return visit.page(
        "runs.html",
        found=page,
        names=names_of(visit.cron, page),
        filters=filters,
        filtered=filtered,
        states=CHOICES,
        told="" if until is None else "older ones",
        first=visit.url("/runs", **filters.query()) if until is not None else None,
        following=following,
        back=visit.url("/runs", **filters.query(), **{"from": visit.asked("from")}).unescape(),
    )


def _asked(visit: Visit, filters: Filters) -> RunQuery:
    now = visit.now
    of = None
    if filters.tag:
        tagged = visit.cron.store.schedules(ScheduleQuery(tag=filters.tag, limit=_TAGGED))
        of = [str(document["_id"]) for document in tagged]
    begin = past(filters.since, "since", now) if filters.since else None
    return RunQuery(
        schedule=id_of(visit.cron.document, filters.schedule) if filters.schedule else None,
        schedules=of,
        user=filters.user or None,
        handler=filters.handler or None,
        states=_states(filters.state),
        since=begin,
        until=past(filters.until, "until", now) if filters.until else None,
    )


def _states(asked: str) -> Sequence[str] | None:
    if not asked:
        return None
    if asked == _BAD:
        return BAD
    if asked not in runs.STATES:
        raise InvalidInput(Fault("state", asked, "is no state of a run", f"choose one of {', '.join(runs.STATES)}"))
    return [asked]


# Where a page ends: an instant and how many of it the pages before have shown, as thousands may be queued at once.


def _place(asked: str) -> tuple[datetime | None, int]:
    if not asked:
        return None, 0
    milliseconds, _, skip = asked.partition(".")
    if not (milliseconds.isdecimal() and skip.isdecimal() and len(milliseconds) < 15 and len(skip) < 8):
        raise InvalidInput(Fault("from", asked, "is no place in a list", "begin with the first page"))
    return _EPOCH + timedelta(milliseconds=int(milliseconds)), int(skip)


def _behind(page: Sequence[Run], until: datetime | None, skip: int) -> str:
    last = page[-1].queued_at
    end = last + timedelta(milliseconds=1)  # `until` is exclusive
    same = sum(1 for run in page if run.queued_at == last)
    shown = same + (skip if until == end else 0)
    return f"{(end - _EPOCH) // timedelta(milliseconds=1)}.{shown}"


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def names_of(cron: Cronlite, listed: Iterable[Run]) -> dict[str | None, str]:
    """Look up what the schedules of some runs are called now."""
    ids = {run.schedule for run in listed if run.schedule}
    documents = cron.store.schedules(ScheduleQuery(ids=ids)) if ids else ()
    return {each["_id"]: called(each["name"], each["_id"]) for each in documents if isinstance(each.get("name"), str)}


def done(visit: Visit) -> Answer:
    """Retry or cancel the runs that were picked."""
    picked = visit.all_given("id")[:SHOWN]
    act, what = _ACTS.get(visit.given("do"), (None, ""))
    if act is None:
        raise InvalidInput(
            Fault("do", visit.given("do"), "is nothing that is done with runs", "use the page's buttons")
        )
    news = each(visit.cron, act, picked, what)
    return visit.back(news or "No run was picked.")


def _retried(cron: Cronlite, id_: str) -> None:
    cron.retry(id_)


def _cancelled(cron: Cronlite, id_: str) -> None:
    cron.cancel(id_)


_ACTS: dict[str, tuple[Callable[[Cronlite, str], None], str]] = {
    "retry": (_retried, "queued once more"),
    "cancel": (_cancelled, "cancelled"),
}


def each(cron: Cronlite, act: Callable[[Cronlite, str], None], picked: Sequence[str], what: str) -> str:
    """Do something with each that was picked; say of how many it was done, and what kept it from the first other."""
    refused: list[str] = []
    for id_ in picked:
        try:
            act(cron, id_)
        except CronliteError as wrong:
            refused.append(str(wrong))
    count = len(picked) - len(refused)
    news = f"{count} {what}." if count else ""
    return f"{news} {len(refused)} not: {refused[0]}".strip() if refused else news
