"""Which of a schedule's changes happened, what did somebody else change between them, and how was it after each?

Where a store has no transactions, a change is stored *before* its schedule is written: with the `updated_at` at which
it found the schedule, and the one at which it leaves it. Those that happened form a chain down from the schedule as it
is. What is off it was lost to somebody faster, or to the end of its process: it never happened, and is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

from cronlite.documents.changes import Change, Kind, digests
from cronlite.documents.schedules import Document

Digests = dict[str, str]
Values = Mapping[tuple[str, str], Any]
"""What is known to have been in a field, by the field and a digest of that."""

_GONE = object()
"""Stands for the `updated_at` of a schedule that is not there."""


def happened(changes: Sequence[Change], document: Document | None) -> list[Change]:
    """Return those of a schedule's changes that happened, judged by the schedule as it is now.

    Changes are given and returned with the newest first. Where somebody else has written in between, a change that may
    or may not have happened is marked as not `certain`.
    """
    at: Any = _GONE if document is None else document.get("updated_at")
    there = digests(document or {})
    listed: list[Change] = []
    for place, change in enumerate(changes):
        if change.made or _leads_to(change, at):
            listed.append(change)
        elif not _never_came(change, at, there, changes[place + 1 :]):
            listed.append(change if at is not _GONE and _shows(change, there) else replace(change, certain=False))
        else:
            continue
        at, there = (_GONE, {}) if change.before is None else (change.found_at, dict(change.found))
    return listed


def _shows(change: Change, there: Digests) -> bool:
    """Tell whether a schedule still has what a change gave it, though somebody else has written it since."""
    if change.kind != "changed":
        return True  # only what was stored is there, under its id
    left = change.left
    return all(there.get(name) == left.get(name) for name in change.fields)


def _leads_to(change: Change, at: Any) -> bool:
    return change.kind != "removed" and at is not _GONE and change.left_at == at


def _never_came(change: Change, at: Any, there: Digests, older: Sequence[Change]) -> bool:
    """Tell whether a change did not happen: the schedule went on at an instant as if it had not been."""
    if at is _GONE:
        return False
    # Another program may store a schedule without an `updated_at`; then the values have to tell.
    is_as_found = change.before is not None and change.found_at == at and (at is not None or change.found == there)
    return change.kind == "removed" or is_as_found or any(_leads_to(other, at) for other in older)


def with_others(changes: Sequence[Change], document: Document | None, now: datetime) -> Iterator[Change]:
    """Yield the changes of one schedule, the newest first, and between them what somebody else has changed.

    Somebody else was there where a change found other values than the change before it had left.
    """
    values = _values(changes, document)
    there, at = None if document is None else digests(document), now
    for change in changes:
        left = None if change.after is None else change.left
        if there != left:
            yield _by_somebody_else(change, left, there, at, values)
        yield change
        there, at = None if change.before is None else dict(change.found), change.at


def _values(changes: Sequence[Change], document: Document | None) -> Values:
    seen = [document, *chain.from_iterable((change.before, change.after) for change in changes)]
    return {(name, digest): part[name] for part in seen if part for name, digest in digests(part).items()}


def _known(digests_: Digests, values: Values, names: Iterable[str]) -> Document:
    """Return the fields of a schedule that had some digests, as far as their values are known."""
    wanted = {name: digests_.get(name) for name in names}
    return {
        name: None if digest is None else values[name, digest]
        for name, digest in wanted.items()
        if digest is None or (name, digest) in values
    }


def _by_somebody_else(
    change: Change, left: Digests | None, there: Digests | None, at: datetime, values: Values
) -> Change:
    """Return what somebody else did to a schedule after a change, and before an instant."""
    kind: Kind = "removed" if there is None else "added" if left is None else "changed"
    old, new = left or {}, there or {}
    names = [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]
    return Change(
        id="",
        schedule=change.schedule,
        kind=kind,
        at=at,
        name=change.name,
        user=change.user,
        before=None if left is None else _known(old, values, names),
        after=None if there is None else _known(new, values, names),
        found=old,
    )


def back_to(change: Change, changes: Sequence[Change], document: Document) -> tuple[Document, list[str]]:
    """Return the fields that make a schedule what one of its changes left (None removes one).

    Return also the names of the fields whose values at that time are not known any more.
    """
    left, now = change.left, digests(document)
    names = [name for name in dict.fromkeys((*left, *now)) if left.get(name) != now.get(name)]
    fields = _known(left, _values(changes, document), names)
    return fields, [name for name in names if name not in fields]
