"""How does MongoDB keep the schedules, and find those that may be due?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

from pymongo.errors import DuplicateKeyError, OperationFailure

from cronlite.documents.runs import Changes
from cronlite.documents.schedules import Document
from cronlite.errors import Conflict, shown
from cronlite.store.contract import Clause
from cronlite.store.mongo import failures
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.documents import id_prefix, id_to_store, schedule_from_store, schedule_to_store, update
from cronlite.store.mongo.failures import translated
from cronlite.when.pattern import FIELDS

_PAGE = 250  # small enough that the first ones are soon at hand


class Schedules(Collections):
    """The contract's methods on schedules."""

    @translated
    def add_schedule(self, document: Document) -> None:
        try:
            self._schedules.insert_one(schedule_to_store(document))
        except DuplicateKeyError:
            raise _taken(document) from None

    @translated
    def change_schedule(self, id: str, changes: Changes, unchanged_since: datetime | None) -> bool:
        # None also finds a document without the field.
        unchanged = {"_id": id_to_store(id), "updated_at": unchanged_since}
        try:
            return self._schedules.update_one(unchanged, update(changes)).matched_count == 1
        except DuplicateKeyError:
            raise _taken(changes) from None

    @translated
    def remove_schedule(self, id: str) -> bool:
        return self._schedules.delete_one({"_id": id_to_store(id)}).deleted_count == 1

    @translated
    def schedule(self, id: str) -> Document | None:
        found = self._schedules.find_one({"_id": id_to_store(id)})
        return None if found is None else schedule_from_store(found)

    @translated
    def schedules(
        self,
        *,
        name: str | None = None,
        prefix: str | None = None,
        user: str | None = None,
        handler: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
        by_name: bool = False,
    ) -> Iterator[Document]:
        asked = {"user": user, "handler": handler, "tags": tag}
        restricted: Document = {field: value for field, value in asked.items() if value is not None}
        if name is not None:
            restricted["name"] = {"$eq": name, "$type": "string"}  # the type as in the index, or else it does not serve
        if prefix:
            restricted |= id_prefix(prefix)
        if limit == 0:  # which MongoDB takes for no limit
            return
        if by_name and name is None:
            # Each by an index, where one sort of all would read them all into memory before the first is at hand.
            text = {"$type": "string"}
            named = self._schedules.find({**restricted, "name": text}, batch_size=_PAGE, limit=limit or 0).sort("name")
            nameless = self._schedules.find({**restricted, "name": {"$not": text}}, batch_size=_PAGE, limit=limit or 0)
            yield from map(schedule_from_store, islice(chain(named, nameless.sort("_id")), limit))
            return
        found = self._schedules.find(restricted, batch_size=_PAGE, limit=limit or 0).sort("_id")
        yield from map(schedule_from_store, found)

    @translated
    def expressions(self) -> dict[str, list[Any]]:
        return {field: self._distinct(field) for field in ("tz", *FIELDS)}

    def _distinct(self, field: str) -> list[Any]:
        try:
            return self._schedules.distinct(field)
        except OperationFailure as refused:
            if refused.code != failures.DISTINCT_TOO_BIG:
                raise
        # Slower, but an answer of more than 16 MB comes in parts. Arrays are taken apart, as distinct does.
        groups = self._schedules.aggregate(
            [{"$project": {field: 1}}, {"$unwind": f"${field}"}, {"$group": {"_id": f"${field}"}}], allowDiskUse=True
        )
        return [group["_id"] for group in groups]

    @translated
    def candidates(self, clauses: Sequence[Clause]) -> Iterator[Document]:
        if not clauses:
            return
        query = {"$or": [_alternative(clause) for clause in clauses]}
        if self._due_index is not None:
            try:
                # Left alone, the planner may well choose the index of a single field.
                found = self._schedules.find(query, batch_size=_PAGE).hint(self._due_index)
                yield from map(schedule_from_store, found)
                return
            except OperationFailure as refused:
                if refused.code != failures.BAD_VALUE:
                    raise
                self._due_index = None  # somebody dropped it since
        yield from map(schedule_from_store, self._schedules.find(query, batch_size=_PAGE))


def _alternative(clause: Clause) -> Document:
    # A document written elsewhere may leave fields out, which in MongoDB equals null.
    return {
        "enabled": {"$in": [True, None]},
        "either_day": True if clause.either_day else {"$in": [False, None]},
        "tz": {"$in": _plain(clause.zones)},
        **{field: {"$in": _plain(values)} for field, values in clause.values.items()},
    }


def _plain(values: Sequence[Any]) -> list[Any]:
    # Anything else could mean more than itself here: a regular expression within $in is a pattern.
    return [value for value in values if value is None or isinstance(value, (str, int, float))]


def _taken(document: Document) -> Conflict:
    told = [f"{field} {shown(document[field])}" for field in ("_id", "name") if document.get(field) is not None]
    return Conflict(f"there already is a schedule with the {' or the '.join(told)}; choose another, or change that one")
