"""How does an application store, find, change and remove its schedules?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cronlite.client.opened import Opened, aware
from cronlite.daemon import due
from cronlite.documents import checks, schedules
from cronlite.documents.schedules import Document, Schedule, Spelling
from cronlite.errors import Conflict, Fault, InvalidInput, NotFound, shown, suggestion
from cronlite.when import clock
from cronlite.when import pattern as cron_language

SHORTEST_PREFIX = 4


class Scheduling(Opened):
    """What an application does with schedules."""

    def schedule(
        self,
        user: str = "",
        params: Mapping[str, Any] | None = None,
        minute: Spelling = "*",
        hour: Spelling = "*",
        day: Spelling = "*",
        month: Spelling = "*",
        weekday: Spelling = "*",
        *,
        cron: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Schedule:
        """Store a schedule and return it; with the `name` of one that exists, update that one instead.

        Time fields take a number, `"*"` or an expression, as crontab(5) has them, and all must match; `cron` takes a
        whole line instead. `options` are the other fields of a schedule: handler, tz, enabled, overlap, catch_up,
        retries, retry_delay_seconds, timeout_seconds, on_crash, queue, tags, note. Declaring again leaves a paused
        schedule paused unless `enabled` is given.
        """
        fields = {"minute": minute, "hour": hour, "day": day, "month": month, "weekday": weekday}
        given = {"user": user, "params": checks.check_params(params or {})} | fields | options
        if cron is not None:
            given |= _from_line(cron, fields)
        if name is not None:
            given["name"] = name
        new = schedules.new(now=self.now(), **given)
        try:
            self.prepared_store.add_schedule(new.document())
        except Conflict:
            existing = next(self.store.schedules(name=name), None) if name is not None else None
            if existing is None:
                raise
            return self._change(existing, _declared(new, given))
        return new

    def current_schedules(self, at: datetime | None = None) -> list[Schedule]:
        """List the schedules that are due at the minute of an aware instant (default: now)."""
        tick = clock.floor_minute(aware(at, "at") if at else self.now())
        return list(due.due(self.store, tick))

    def schedules(
        self, *, user: str | None = None, handler: str | None = None, tag: str | None = None, name: str | None = None
    ) -> list[Schedule]:
        """List the schedules that can be read, by id; `cronlite doctor` tells of the others."""
        return [s for s in map(_readable, self.store.schedules(user=user, handler=handler, tag=tag, name=name)) if s]

    def get(self, ref: str) -> Schedule:
        """Fetch one schedule by its id, a unique prefix of it, or its name."""
        return schedules.read(self.document(ref))

    def update(self, ref: str, **changes: Any) -> Schedule:
        """Change fields of a schedule; when it is due is counted anew from now if a time field changes.

        `cron` takes a whole line. None gives a field its default back.
        """
        if (line := changes.pop("cron", None)) is not None:
            changes |= _from_line(line, changes)
        if changes.get("params") is not None:
            changes["params"] = checks.check_params(changes["params"])
        return self._change(self.document(ref), changes)

    def remove(self, ref: str) -> str:
        """Delete a schedule and return its id. Runs of it that are queued already still run."""
        id_ = str(self.document(ref)["_id"])
        if not self.store.remove_schedule(id_):
            raise NotFound(f"schedule {id_} is gone already")
        return id_

    def pause(self, ref: str) -> Schedule:
        """Keep a schedule from being due until it is resumed."""
        return self.update(ref, enabled=False)

    def resume(self, ref: str) -> Schedule:
        """Let a paused schedule be due again, from now on."""
        return self.update(ref, enabled=True, active_from=self.now())

    def document(self, ref: str) -> Document:
        """Fetch the stored document of one schedule, readable or not, by id, unique prefix or name."""
        found = self.store.schedule(ref) or next(self.store.schedules(name=ref), None)
        if found is None and len(ref) >= SHORTEST_PREFIX:
            several = list(self.store.schedules(prefix=ref, limit=2))
            if len(several) > 1:
                raise Conflict(f"several schedules begin with {shown(ref)}: give more of the id")
            found = several[0] if several else None
        if found is None:
            names = (str(document["name"]) for document in self.store.schedules(limit=10_000) if "name" in document)
            close = suggestion(ref, names) if ref else ""
            raise NotFound(
                f"no schedule has the id or name {shown(ref)}; {close if 'mean' in close else ''}".rstrip("; ")
            )
        return found

    def _change(self, document: Document, changes: dict[str, Any]) -> Schedule:
        """Change a document as a whole, again from its newest form when somebody else was faster."""
        schedules.refuse_unknown(changes)
        while True:
            now = self.now()
            changed = schedules.read(document | changes | {"updated_at": now})
            stored = changed.document()
            if any(document.get(name) != stored.get(name) for name in schedules.TIME_FIELDS if name in changes):
                changes = {"active_from": now} | changes
                stored |= {"active_from": changes["active_from"]}
            wanted = {name: stored.get(name) for name in (*changes, "updated_at")}
            if self.store.change_schedule(changed.id, wanted, document.get("updated_at")):
                return schedules.read(document | stored)
            document = self.document(changed.id)


def _from_line(line: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Read a cron line into the time fields; it goes with none of them."""
    for name in cron_language.FIELDS:
        if fields.get(name, "*") != "*":
            raise InvalidInput(
                Fault(name, fields[name], "goes with no cron line", "give either the line or the fields")
            )
    pattern = cron_language.parse_line(line)
    return {**pattern.expressions(), "either_day": pattern.either_day}


def _declared(new: Schedule, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what declaring a schedule sets on the one there is: all but its history and, unless said, its pause."""
    kept = {"_id", "created_at", "updated_at", "active_from", *(() if "enabled" in given else ("enabled",))}
    everything = dict.fromkeys(schedules.FIELDS[1:]) | new.document()
    return {name: value for name, value in everything.items() if name not in kept}


def _readable(document: Document) -> Schedule | None:
    try:
        return schedules.read(document)
    except InvalidInput:
        return None
