"""How does a store come to have the schedules that an owner wants, whoever else sees to that at the same time?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime

from cronlite.client import schedules as requests
from cronlite.client.opened import Opened
from cronlite.documents import schedules
from cronlite.documents.changes import Actor, of_write
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import Conflict
from cronlite.plans.comparing import Plan, Step, compare, names_of
from cronlite.plans.reading import Wish
from cronlite.store.contract import ScheduleQuery, Write
from cronlite.store.grouping import batches

ROUNDS = 10
_LOOKED_UP = 5_000
_WRITTEN = 1_000


def plan(opened: Opened, wish: Wish, *, adopt: bool = False, prune: bool = False) -> Plan:
    """Say what is to be done so that an owner has the schedules that are wanted; nothing is written."""
    return compare(wish, _stored(opened, wish), adopt=adopt, prune=prune)


def apply(opened: Opened, wish: Wish, actor: Actor, *, adopt: bool = False, prune: bool = False) -> Plan:
    """Do it, and return what was to be done. Nothing is done where something is refused.

    Others may do so at the same time, and any of them may end half-way: each round goes by what is there then, until
    nothing is left to do. Raises Conflict where somebody else keeps wanting something else of the same owner.
    """
    first = todo = plan(opened, wish, adopt=adopt, prune=prune)
    for _ in range(ROUNDS):
        if todo.refusals or not todo.to_do:
            break
        for steps in batches(todo.to_do, _WRITTEN):
            _write(opened, steps, actor)
        todo = plan(opened, wish, adopt=adopt, prune=prune)
    if todo.refusals and todo is not first:
        raise refused(todo)
    if todo.to_do and not todo.refusals:
        others = f"somebody else wants the schedules of {wish.owner!r} to be others, at the same time"
        raise Conflict(f"{others}; apply one of the two again")
    return first


def declare(opened: Opened, wish: Wish, actor: Actor, *, adopt: bool, prune: bool) -> list[Schedule]:
    """Do it, and return the schedules that were wanted, or raise Conflict with all that is refused."""
    done = apply(opened, wish, actor, adopt=adopt, prune=prune)
    if done.refusals:
        raise refused(done)
    there = {document["name"]: document for document in _stored(opened, wish) if "name" in document}
    return [schedules.read(there[schedule.name]) for schedule in wish.schedules if schedule.name in there]


def refused(plan: Plan) -> Conflict:
    """Return the error that tells of all that is refused."""
    return Conflict("; ".join(f"{refusal.name}: {refusal.reason}; {refusal.remedy}" for refusal in plan.refusals))


def _stored(opened: Opened, wish: Wish) -> Iterator[Document]:
    yield from opened.store.schedules(ScheduleQuery(owner=wish.owner))
    for names in batches(names_of(wish), _LOOKED_UP):
        yield from opened.store.schedules(ScheduleQuery(names=names))


def _write(opened: Opened, steps: Sequence[Step], actor: Actor) -> None:
    """Write some steps; what somebody else was faster with is left for the next round."""
    store, now = opened.prepared_store, opened.now()
    writes = [_write_of(step, actor, now) for step in steps]
    coming: Counter[str] = Counter()
    for write, step in zip(writes, steps, strict=True):
        user, before = write.change.user, (step.document or {}).get("user") or ""
        if step.action == "add" or (step.action == "change" and user != before):
            coming[user] += 1
        if write.document is not None and write.document.get("params") is not None:
            opened.door.params(user, write.document["params"])
    with ExitStack() as admitted:
        for user, count in coming.items():
            admitted.enter_context(opened.door.more("schedules", user, store.count_schedules, count))
        # What is removed first, so that its name is free.
        store.write_schedules(sorted(writes, key=lambda write: write.document is not None))


def _write_of(step: Step, actor: Actor, now: datetime) -> Write:
    document = step.document
    if document is None:
        added = schedules.new(now=now, **step.fields).document()
        return Write(of_write(actor, now, None, added), added)
    if step.action == "remove":
        return Write.of(of_write(actor, requests.after(document, now), document, None), document)
    wanted, left = requests.changed(document, step.fields, requests.after(document, now))
    return Write.of(of_write(actor, left["updated_at"], document, left), document, wanted)
