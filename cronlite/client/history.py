"""Who changed which schedule, when, and how is that taken back?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from cronlite.client import schedules as requests
from cronlite.client.actors import actor_of
from cronlite.client.arguments import count_or_none, text
from cronlite.client.opened import Opened
from cronlite.documents import history, schedules
from cronlite.documents.changes import MOST, Actor, Change, digests, is_left_out
from cronlite.documents.schedules import Document, Schedule
from cronlite.documents.timing import TIME_FIELDS
from cronlite.errors import Conflict, InvalidInput, NotFound, shown
from cronlite.store.contract import ChangeQuery, ScheduleQuery
from cronlite.when.clock import MILLISECOND

_PAGE = 500


class History:
    """The changes of schedules that were made through cronlite; kept for a year, at most 1,000 of each schedule.

    What somebody else has changed shows because a schedule differs from what its last change left. Such entries have no
    actor and no id.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def of(self, id: str, limit: int | None = None) -> list[Change]:
        """List the changes of the schedule with an id or a name, the newest first; an id also of one that is gone."""
        document, changes = self._read(text(id, "id"))
        seen = history.with_others(changes, document, self._opened.now())
        return list(islice(seen, count_or_none(limit, "limit")))

    def latest(self, limit: int | None = 100) -> list[Change]:
        """List the last changes of all schedules that are made through cronlite, the newest first."""
        changes = self._opened.store.changes(ChangeQuery(limit=count_or_none(limit, "limit")))
        return self._happened(changes)

    def removed(self, limit: int | None = 100) -> list[Change]:
        """List the removals of schedules that are gone, the last removed first."""
        limit = count_or_none(limit, "limit")
        gone: dict[str, Change] = {}
        query = ChangeQuery(kind="removed", limit=_PAGE)
        while (limit is None or len(gone) < limit) and (page := self._opened.store.changes(query)):
            there = self._documents([change.schedule for change in page])
            for change in page:
                if change.schedule not in there:
                    gone.setdefault(change.schedule, replace(change, certain=change.made))
            query = replace(query, behind=(page[-1].at, page[-1].id))
        return list(islice(gone.values(), limit))

    def knows(self, id: str) -> bool:
        """Tell whether there is or was a schedule with an id or a name."""
        try:
            self._read(text(id, "id"))
        except NotFound:
            return False
        return True

    def undone(self, id: str, to: str | None = None) -> Schedule:
        """Return what `undo` would make of a schedule, without doing so. Raises what that raises."""
        document, fields = self._back(text(id, "id"), to)
        return schedules.read({name: value for name, value in (document | fields).items() if value is not None})

    def undo(self, id: str, to: str | None = None, *, actor: Actor | str | None = None) -> Schedule:
        """Take the last change of a schedule back, or all since the change `to` (its id), and return the schedule.

        That is a change as well, and can be undone. Raises Conflict where somebody else has changed the same fields
        since, and NotFound where there is nothing to take back.
        """
        document, fields = self._back(text(id, "id"), to)
        if not fields:
            return self.restore(id, actor=actor)
        return requests.change(self._opened, document, fields, actor_of(actor))

    def restore(self, id: str, *, actor: Actor | str | None = None) -> Schedule:
        """Store a schedule again that was removed, under its id and its name; it counts from now on.

        Raises NotFound where no removal of it is known, and Conflict when it is there, or its name is another's.
        """
        document, changes = self._read(text(id, "id"))
        if document is not None:
            raise Conflict(f"schedule {shown(id)} is there; 'undo' takes its last change back")
        try:
            schedule = schedules.read(self._as_removed(id, changes))
        except InvalidInput as refused:
            raise Conflict(f"schedule {shown(id)} cannot be read as it was when it was removed: {refused}") from None
        requests.add(self._opened, schedule, actor_of(actor), again=True)
        return schedule

    def _back(self, id: str, to: str | None) -> tuple[Document, dict[str, Any]]:
        """Return a schedule, and the fields that take its last change back; of one that is gone, what to store."""
        document, changes = self._read(id)
        if document is None and to is None:
            return self._as_removed(id, changes), {}
        if document is None:
            raise Conflict(f"schedule {shown(id)} was removed; restore it first")
        fields = _back_by_one(document, changes) if to is None else _back_to(document, changes, text(to, "to"))
        return document, _from_now_on(fields, document, self._opened.now())

    def _as_removed(self, id: str, changes: Sequence[Change]) -> Document:
        """Return the document of a schedule as it was when it was removed, but active only from now on."""
        last = next((change for change in changes if change.kind == "removed"), None)
        if last is None or last.before is None:
            raise NotFound(f"no removed schedule has the id or name {shown(id)}")
        _require_whole(last.before)
        now = max(self._opened.now(), last.at + MILLISECOND)  # no two changes leave it at the same instant
        kept = {name: value for name, value in last.before.items() if value is not None}
        active_from = kept.get("active_from")
        since = max(now, active_from) if isinstance(active_from, datetime) else now
        return {**kept, "_id": last.schedule, "updated_at": now, "active_from": since}

    def _read(self, ref: str) -> tuple[Document | None, list[Change]]:
        """Fetch a schedule, if it is there, and the changes of it that happened."""
        store = self._opened.store
        document = store.schedule(ref) or requests.named(self._opened, ref)
        id_ = ref if document is None else str(document["_id"])
        changes = store.changes(ChangeQuery(schedule=id_, limit=MOST))
        if document is None and not changes and (last := self._last_named(ref)) is not None:
            changes = store.changes(ChangeQuery(schedule=last.schedule, limit=MOST))
        if document is None and not changes:
            raise NotFound(f"no schedule has or had the id or name {shown(ref)}")
        return document, history.happened(changes, document)

    def _last_named(self, name: str) -> Change | None:
        """Return the last removal of a schedule with a name."""
        removals = self._opened.store.changes(ChangeQuery(kind="removed", name=name, limit=_PAGE))
        there = self._documents([change.schedule for change in removals])
        return next((change for change in removals if change.schedule not in there), None)

    def _happened(self, noted: Sequence[Change]) -> list[Change]:
        by_schedule: dict[str, list[Change]] = defaultdict(list)
        for change in noted:
            by_schedule[change.schedule].append(change)
        there = self._documents(list(by_schedule))
        happened = {
            change.id: change
            for id_, changes in by_schedule.items()
            for change in history.happened(changes, there.get(id_))
            if change.certain or len(changes) > 1  # most likely it was never stored, because its process was cut off
        }
        return [happened[change.id] for change in noted if change.id in happened]

    def _documents(self, ids: Sequence[str]) -> dict[str, Document]:
        documents = self._opened.store.schedules(ScheduleQuery(ids=ids))
        return {str(document["_id"]): document for document in documents}


def _back_by_one(document: Document, changes: Sequence[Change]) -> dict[str, Any]:
    """Return the fields that take the last change back."""
    last = changes[0] if changes else None
    if last is None or last.kind != "changed":
        raise NotFound(
            f"schedule {schedules.label(document)} has no change to take back"
            + ("; it was only added: 'remove' deletes it" if last else ", since cronlite keeps a history")
        )
    left, now = last.left, digests(document)
    touched = [name for name in last.fields if now.get(name) != left.get(name)]
    if touched:
        problem = f"somebody else has changed {', '.join(touched)} of it since its last change"
        raise Conflict(f"{problem}; 'history' shows it, and 'undo --to' goes back to one of its changes all the same")
    before = dict(last.before or {})
    _require_whole(before)
    return before


def _back_to(document: Document, changes: Sequence[Change], to: str) -> dict[str, Any]:
    """Return the fields that make a schedule what one of its changes left."""
    places = [place for place, change in enumerate(changes) if to in (change.id, change.id.rpartition("@")[2])]
    if not places or changes[places[0]].kind == "removed":
        raise NotFound(f"schedule {schedules.label(document)} has no change {shown(to)}; 'history' lists them")
    fields, unknown = history.back_to(changes[places[0]], changes, document)
    if unknown:
        problem = f"of {', '.join(unknown)} it is not known any more what that change left"
        raise Conflict(f"{problem}: somebody else has changed it twice since; 'edit' sets it")
    _require_whole(fields)
    if not fields.keys() - {"active_from"}:  # since when it counts, it never goes back to
        raise NotFound(f"schedule {schedules.label(document)} is as that change left it")
    return fields


def _require_whole(fields: Mapping[str, Any]) -> None:
    if lost := [name for name, value in fields.items() if is_left_out(value)]:
        raise Conflict(f"{', '.join(lost)} of it was too large to be kept in its history, and cannot be brought back")


def _from_now_on(fields: dict[str, Any], document: Document, now: datetime) -> dict[str, Any]:
    """Keep minutes of the past from becoming due when a schedule gets back what it had."""
    if fields.get("enabled") is False or not any(name in fields for name in ("enabled", *TIME_FIELDS)):
        return fields
    active_from = fields.get("active_from") or document.get("active_from")
    return {**fields, "active_from": max(now, active_from) if isinstance(active_from, datetime) else now}
