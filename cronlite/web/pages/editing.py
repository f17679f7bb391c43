"""How is a schedule written and changed in a form, with its next runs shown as one types, and no edit lost?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import available_timezones

from cronlite.documents import schedules, timing
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import Conflict, Fault, InvalidInput
from cronlite.web.exchange import Answer
from cronlite.web.pages.schedule import Coming, coming
from cronlite.web.visit import Undo, Visit
from cronlite.when import clock, pattern
from cronlite.wording import labels, spoken
from cronlite.wording.instants import iso
from cronlite.wording.values import json_text

PREVIEWED = 8
TIMES = (*pattern.FIELDS, "every", "either_day", "tz")
_TEXTS = ("name", "user", "handler", "queue", "overlap", "catch_up", "on_crash", "note", "limit", "ping_url")
_NUMBERS = ("retries", "priority")
_SPANS = {"retry_delay": "retry_delay_seconds", "timeout": "timeout_seconds", "deadline": "deadline_seconds"}
_SPANS["late_after"] = "late_after_seconds"
_INSTANTS = ("active_from", "active_until")
# What a list of a few words is chosen from.
CHOICES: Mapping[str, Sequence[tuple[str, str]]] = {
    "overlap": [("skip", "Skip the new run"), ("wait", "Let it wait"), ("allow", "Run both")],
    "catch_up": [("skip", "Leave them out"), ("latest", "Run once for the last"), ("all", "Run each")],
    "on_crash": [("retry", "Try again"), ("abandon", "Give up")],
}

Texts = dict[str, str]
"""A form as it was typed, by the names of its fields."""


def texts_of(schedule: Schedule) -> Texts:
    """Return a schedule as the fields of the form."""
    texts = {name: str(getattr(schedule, name) or "") for name in _TEXTS}
    texts |= {name: str(getattr(schedule, name)) for name in (*pattern.FIELDS, *_NUMBERS)}
    texts |= {short: _span(getattr(schedule, name)) for short, name in _SPANS.items()}
    texts |= {name: "" if (at := getattr(schedule, name)) is None else iso(at) for name in _INSTANTS}
    texts |= {"tz": schedule.tz, "every": schedule.every or "", "either_day": "1" if schedule.either_day else ""}
    return texts | {"params": json_text(schedule.params), "tags": "\n".join(schedule.tags), "line": ""}


def _span(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def _typed(visit: Visit) -> Texts:
    return {name: visit.given(name) if name == "note" else visit.given(name).strip() for name in texts_of(_EMPTY)}


_EMPTY = Schedule(id="new")


def fields_of(texts: Texts, now: datetime) -> dict[str, Any]:
    """Read a form into the fields of a schedule; an empty one has its default. Raises InvalidInput with all faults."""
    faults: list[Fault] = []

    def read(name: str, reader: Callable[[], Any]) -> None:
        try:
            fields[name] = reader()
        except InvalidInput as refused:
            faults.extend(refused.faults)

    fields: dict[str, Any] = {name: texts[name] or None for name in _TEXTS}
    fields |= {
        "user": texts["user"],
        "note": texts["note"],
        "every": texts["every"] or None,
        "tz": texts["tz"] or "UTC",
    }
    fields["tags"] = [tag.strip() for tag in texts["tags"].split("\n") if tag.strip()]
    read("params", lambda: _params(texts["params"]))
    zone = clock.zone("UTC")
    try:
        zone = clock.zone(fields["tz"])
    except InvalidInput as refused:
        faults.extend(refused.faults)
    for name in _NUMBERS:
        read(name, lambda name=name: _number(texts[name], name))  # type: ignore[misc]
    for short, name in _SPANS.items():
        read(name, lambda short=short: _seconds(texts[short], short))  # type: ignore[misc]
    for name in _INSTANTS:
        read(name, lambda name=name: _instant(texts[name], name, now, zone))  # type: ignore[misc]
    try:
        fields |= _times(texts)
    except InvalidInput as refused:
        faults.extend(refused.faults)
    if faults:
        raise InvalidInput(*faults)
    return fields


def _times(texts: Texts) -> dict[str, Any]:
    if texts["line"]:
        return {"every": None, **timing.from_line(texts["line"], {})}
    if texts["every"]:
        return {"every": texts["every"], **dict.fromkeys(pattern.FIELDS, "*"), "either_day": False}
    spelled = {name: _spelling(texts[name] or "*") for name in pattern.FIELDS}
    return {"every": None, **spelled, "either_day": bool(texts["either_day"])}


def _spelling(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else text


def _params(text: str) -> dict[str, Any]:
    remedy = 'give an object such as {"dataset": "sales"}'
    try:
        parsed = json.loads(text or "{}")
    except RecursionError:
        raise InvalidInput(Fault("params", "…", "is nested too deeply", "flatten it")) from None
    except ValueError as wrong:
        raise InvalidInput(Fault("params", text, f"is no JSON ({str(wrong).partition('; ')[0]})", remedy)) from None
    if not isinstance(parsed, dict):
        raise InvalidInput(Fault("params", text, "is no object", remedy))
    return parsed


def _number(text: str, name: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.lstrip("-").isdecimal() and len(text) < 10):
        raise InvalidInput(Fault(name, text, "is no whole number", "give one, such as 3"))
    return int(text)


def _seconds(text: str, name: str) -> float | None:
    if not text:
        return None
    try:
        return spoken.duration(text).total_seconds()
    except ValueError as refused:
        raise InvalidInput(Fault(name, text, "is no duration", str(refused).rpartition("; ")[2])) from None


def _instant(text: str, name: str, now: datetime, zone: tzinfo) -> datetime | None:
    return clock.whole_milliseconds(spoken.coming(text, name, now, zone)) if text else None


# the pages


def asked_to_add(visit: Visit) -> Answer:
    """Show an empty form, or one like a schedule that is there already."""
    texts = texts_of(_EMPTY) | {"minute": "0", "handler": "", "queue": ""}
    if like := visit.asked("like"):
        texts = texts_of(visit.cron.get(like)) | {"name": ""}
    return _form(visit, texts)


def added(visit: Visit) -> Answer:
    """Store a new schedule, or show what it would be."""
    texts = _typed(visit)
    try:
        fields = {name: value for name, value in fields_of(texts, visit.now).items() if value is not None}
        new = schedules.new(now=visit.cron.now(), **fields)
        if visit.given("do") == "preview":
            return _form(visit, texts, drafted=new)
        visit.cron.add(new, actor=visit.actor)
    except (InvalidInput, Conflict) as refused:
        return _form(visit, texts, wrong=_complaints(refused), status=400)
    news = f"{labels.called(new.name, new.id)} is added: {new.describe()}."
    return visit.see("/schedule", news, Undo("/schedule/remove", {"id": [new.id]}), id=new.id)


def asked_to_edit(visit: Visit) -> Answer:
    """Show a schedule in the form."""
    document = visit.cron.document(visit.asked("id"))
    return _form(visit, texts_of(schedules.read(document)), document=document)


def edited(visit: Visit) -> Answer:
    """Store what was changed in the form; what somebody else has changed since it was opened is shown, never lost."""
    document, texts = visit.cron.document(visit.given("id")), _typed(visit)
    stored = schedules.read(document)
    if visit.given("seen") != _seen(document):
        return _form(visit, texts, document=document, theirs=texts_of(stored), status=409)
    try:
        changes = _changes(stored, texts, visit.now)
        if visit.given("do") == "preview":
            return _form(visit, texts, document=document, drafted=_drafted(document, changes))
        if not changes:
            return visit.see("/schedule", "Nothing was changed.", id=stored.id)
        changed = visit.cron.update(
            stored.id,
            actor=visit.actor,
            unchanged_since=document.get("updated_at"),
            **changes,
        )
    except (InvalidInput, Conflict) as refused:
        newest = visit.cron.document(stored.id)
        if newest.get("updated_at") != document.get("updated_at"):
            return _form(visit, texts, document=newest, theirs=texts_of(schedules.read(newest)), status=409)
        return _form(visit, texts, document=document, wrong=_complaints(refused), status=400)
    news = f"{labels.called(changed.name, changed.id)} is changed: {changed.describe()}."
    return visit.see("/schedule", news, Undo("/schedule/undo", {"id": [changed.id]}), id=changed.id)


def previewed(visit: Visit) -> Answer:
    """Show, as a part of a page, what the form would be as a schedule."""
    try:
        if id_ := visit.given("id"):
            document = visit.cron.document(id_)
            drafted = _drafted(document, _changes(schedules.read(document), _typed(visit), visit.now))
        else:
            fields = fields_of(_typed(visit), visit.now)
            drafted = schedules.new(
                now=visit.now, **{name: value for name, value in fields.items() if value is not None}
            )
    except InvalidInput as refused:
        return visit.page("preview.html", preview=None, wrong=_complaints(refused))
    return visit.page("preview.html", preview=_preview(drafted, visit.now), wrong=[])


def _changes(stored: Schedule, texts: Texts, now: datetime) -> dict[str, Any]:
    """Return the fields that are otherwise in the form than stored."""
    old = fields_of(texts_of(stored), now)
    return {name: value for name, value in fields_of(texts, now).items() if value != old.get(name)}


def _drafted(document: Document, changes: Mapping[str, Any]) -> Schedule:
    return schedules.read(document | timing.completed(document.get("every"), changes))


def _seen(document: Document) -> str:
    """Say which state of a schedule a form was opened on."""
    updated = document.get("updated_at")
    return iso(updated) if isinstance(updated, datetime) else "never"


def _complaints(refused: InvalidInput | Conflict) -> list[str]:
    return [str(fault) for fault in refused.faults] if isinstance(refused, InvalidInput) else [str(refused)]


def _form(
    visit: Visit,
    texts: Texts,
    *,
    document: Document | None = None,
    drafted: Schedule | None = None,
    theirs: Texts | None = None,
    wrong: Sequence[str] = (),
    status: int = 200,
) -> Answer:
    if drafted is None and document is not None and not wrong:
        drafted = schedules.read(document)
    return visit.page(
        "edit.html",
        status,
        texts=texts,
        id="" if document is None else str(document["_id"]),
        name="" if document is None else schedules.label(document),
        seen="" if document is None else _seen(document),
        differing=[] if theirs is None else list(_differing(theirs, texts)),
        is_late=theirs is not None,
        wrong=wrong,
        choices=CHOICES,
        handlers=_handlers(visit),
        zones=sorted(available_timezones()),
        preview=None if drafted is None else _preview(drafted, visit.now),
    )


def _differing(theirs: Texts, mine: Texts) -> Iterator[tuple[str, str, str]]:
    """Yield each field that is stored otherwise than it stands in the form."""
    for name, stored in theirs.items():
        if name != "line" and stored != mine[name]:
            yield name, stored, mine[name]


def _preview(schedule: Schedule, now: datetime) -> tuple[str, Sequence[Coming], str]:
    """Say in words when a schedule would be due, list its next runs, and say what is probably not meant."""
    coarser = [name for name in pattern.FIELDS[1:] if getattr(schedule, name) != "*"]
    odd = ""
    if schedule.minute == "*" and coarser and schedule.every is None:
        spelled = " and ".join(f"{name} {getattr(schedule, name)}" for name in coarser)
        odd = f"{spelled} without a minute is sixty runs an hour; minute 0 makes it one."
    return schedule.describe(), coming(schedule, now, PREVIEWED), odd


def _handlers(visit: Visit) -> list[str]:
    known = {name for daemon in visit.cron.store.daemons() for name in daemon.handlers}
    return sorted(known | set(visit.cron.registry.names()))
