"""How is a schedule stored, found and changed, whoever else does so at the same time?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

from cronlite.client.actors import actor_of
from cronlite.client.opened import Opened
from cronlite.documents import checks, schedules, timing
from cronlite.documents.changes import Actor, of_write
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import Conflict, InvalidInput, NotFound, shown
from cronlite.handlers.registry import Registry
from cronlite.logger import logger
from cronlite.plans.comparing import declare as declare_over
from cronlite.store.contract import ScheduleQuery, Write
from cronlite.when import clock

log = logger("cronlite")


def declare(opened: Opened, fields: Mapping[str, Any], actor: Actor) -> Schedule:
    """Store a schedule; with the name of one of the same user, change that one. Raises Conflict for another user's."""
    new = schedules.new(now=opened.now(), **fields)
    existing = None if new.name is None else named(opened, new.name)
    if existing is None:
        try:
            add(opened, new, actor)
            return new
        except Conflict:  # another process was faster
            existing = None if new.name is None else named(opened, new.name)
            if existing is None:
                raise
    if fields.get("owner") is not None and existing.get("owner") not in (None, fields["owner"]):
        problem = f"the name {shown(new.name)} is that of a schedule of {shown(existing['owner'])}"
        raise Conflict(f"{problem}, and not of {shown(fields['owner'])}; choose another")
    return change(opened, existing, declare_over(new, fields), actor, of_user=new.user)


def declare_handlers(opened: Opened, registry: Registry) -> None:
    """Store the schedules that stand in the code beside their handlers; log those that cannot be stored.

    Any number of processes may do this at every start: a schedule that has not changed is not written.
    """
    for fields in registry.declared():
        try:
            declare(opened, settled({**fields, "owner": schedules.CODE}), actor_of(None))
        except (Conflict, InvalidInput) as refused:
            log.warning("the schedule of handler %r is not stored: %s", fields["handler"], refused)


def add(opened: Opened, new: Schedule, actor: Actor, *, again: bool = False) -> None:
    """Store a new schedule, or one that was removed `again`. Raises Conflict when its name is taken, QuotaExceeded."""
    store, document = opened.prepared_store, new.document()
    opened.door.params(new.user, new.params)
    at = new.updated_at if again and new.updated_at is not None else opened.now()
    change = of_write(actor, at, None, document)
    with opened.door.one_more("schedules", new.user, store.count_schedules):
        refusals = store.write_schedules([Write(replace(change, kind="restored") if again else change, document)])
    if refusal := refusals.get(new.id):
        field = "name" if refusal == "name" else "_id"
        raise schedules.taken(field, document.get(field))


def remove(opened: Opened, document: Document, actor: Actor) -> None:
    """Delete a schedule, whatever it has become meanwhile. Raises NotFound when it is gone already."""
    id_ = str(document["_id"])
    at = opened.now()
    while True:
        at = after(document, max(opened.now(), at))
        if not opened.prepared_store.write_schedules([Write.of(of_write(actor, at, document, None), document)]):
            return
        newest = opened.store.schedule(id_)
        if newest is None:
            raise NotFound(f"schedule {id_} is gone already")
        document, at = newest, at + clock.MILLISECOND


def find(opened: Opened, ref: str) -> Document:
    """Fetch the document of the schedule with an id or a name. Raises NotFound."""
    document = opened.store.schedule(ref) or named(opened, ref)
    if document is None:
        raise NotFound(f"no schedule has the id or name {shown(ref)}")
    return document


def id_of(find: Callable[[str], Document], ref: str) -> str:
    """Return the id of the schedule with an id or a name; of one that was removed, only the id is left."""
    try:
        return str(find(ref)["_id"])
    except NotFound:
        return ref


def named(opened: Opened, name: str) -> Document | None:
    """Fetch the document of the schedule with a name."""
    return next(opened.store.schedules(ScheduleQuery(name=name)), None)


def change(
    opened: Opened,
    document: Document,
    changes: Mapping[str, Any],
    actor: Actor,
    *,
    of_user: str | None = None,
    once: bool = False,
) -> Schedule:
    """Change a document as a whole; where somebody else was faster, change what they left, unless it is for `once`.

    Raises Conflict where somebody else was faster than a change for `once`, where the schedule is none `of_user`, and
    where its new name is taken. A document that has all of the changes already is not written.
    """
    schedules.refuse_unknown(changes)
    asked, at = changes, opened.now()
    while True:
        changes = timing.completed(document.get("every"), asked)
        owner = document.get("user") or ""
        if of_user is not None and owner != of_user:
            raise Conflict(f"the name {shown(document.get('name'))} is that of another user's schedule; choose another")
        if of_user is not None and _has(document, changes):
            return schedules.read(document)
        now = at = after(document, max(opened.now(), at))
        wanted, left = changed(document, changes, now)
        schedule = schedules.read(left)
        if "params" in changes:
            opened.door.params(schedule.user, schedule.params)
        with _room_for(opened, schedule, owner):
            refusals = opened.prepared_store.write_schedules(
                [Write.of(of_write(actor, now, document, left), document, wanted)]
            )
        if not refusals:
            return schedule
        if refusals[schedule.id] == "name":
            raise schedules.taken("name", wanted.get("name"))
        if once:
            raise overtaken(document)
        document, at = find(opened, schedule.id), at + clock.MILLISECOND


def overtaken(document: Document) -> Conflict:
    """Return the error for a change that was made up on an older state of a schedule."""
    return Conflict(f"schedule {schedules.label(document)} was changed by somebody else meanwhile; look at it again")


def changed(document: Document, changes: Mapping[str, Any], now: datetime) -> tuple[Document, Document]:
    """Return the fields to set so that a document has some changes (None removes one), and the document after that.

    When it is due is counted anew if a time field changes. Raises InvalidInput.
    """
    stored = schedules.read(document | dict(changes) | {"updated_at": now}).document()
    if any(document.get(name) != stored.get(name) for name in timing.TIME_FIELDS if name in changes):
        active_from = max(now, stored.get("active_from", now))
        changes = {"active_from": active_from, **changes}
        stored |= {"active_from": changes["active_from"]}
    wanted = {name: stored.get(name) for name in (*changes, "updated_at")}
    return wanted, {name: value for name, value in (document | wanted).items() if value is not None}


def after(document: Document, now: datetime) -> datetime:
    """Return `now`, or the first instant after the last change of a document, if that is later."""
    updated = document.get("updated_at")
    try:
        return max(now, updated + clock.MILLISECOND) if isinstance(updated, datetime) else now
    except OverflowError:  # another program wrote an `updated_at` at the end of time
        return now


def _room_for(opened: Opened, changed: Schedule, owner: str) -> AbstractContextManager[None]:
    """Let a schedule change hands if its new user may have one more."""
    if changed.user == owner:
        return nullcontext()
    return opened.door.one_more("schedules", changed.user, opened.store.count_schedules)


def _has(document: Document, changes: Mapping[str, Any]) -> bool:
    """Tell whether a document would be the same after some changes."""
    try:
        return schedules.read(document) == schedules.read(document | dict(changes))
    except InvalidInput:
        return False


def settled(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes as the fields of a document: a cron line as its five fields, and params as they are stored."""
    fields = dict(changes)
    if (line := fields.pop("cron", None)) is not None:
        fields |= timing.from_line(line, fields)
    if fields.get("params") is not None:
        fields["params"] = checks.check_params(fields["params"])
    return fields
