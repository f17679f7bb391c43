"""How does MongoDB keep the schedules, and find those that may be due?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from itertools import chain, islice
from typing import Any

from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure

from cronlite.documents.runs import Changes
from cronlite.documents.schedules import Document, taken
from cronlite.store.contract import MAX_TEXTS, Clause, ScheduleQuery, Uncommon
from cronlite.store.grouping import in_order
from cronlite.store.mongo import failures
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.documents import id_prefix, id_to_store, schedule_from_store, schedule_to_store, update
from cronlite.store.mongo.failures import translated, translated_search
from cronlite.store.mongo.indexes import DUE, EXPRESSIONS, OF_ENABLED, PAUSED, Index
from cronlite.when.bits import LONGEST

_PAGE = 250  # small enough that the first ones are soon at hand
_FEW = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_QUERY_CHARACTERS = 4_000_000  # a query may be 16 MB


class Schedules(Collections):
    """The contract's methods on schedules."""

    def __init__(self, client: MongoClient[Document], database: str, address: str) -> None:
        super().__init__(client, database, address)
        self._crowded: set[str] = set()
        """The fields with so many values that those of paused schedules are left out."""

    @translated
    def add_schedule(self, document: Document) -> None:
        try:
            self._schedules.insert_one(schedule_to_store(document))
        except DuplicateKeyError:
            field = "name" if self.schedule(document["_id"]) is None else "_id"
            raise taken(field, document.get(field)) from None

    @translated
    def change_schedule(self, id: str, changes: Changes, unchanged_since: datetime | None) -> bool:
        # None also finds a document without the field.
        unchanged = {"_id": id_to_store(id), "updated_at": unchanged_since}
        try:
            return self._schedules.update_one(unchanged, update(changes)).matched_count == 1
        except DuplicateKeyError:
            raise taken("name", changes.get("name")) from None

    @translated
    def remove_schedule(self, id: str) -> bool:
        return self._schedules.delete_one({"_id": id_to_store(id)}).deleted_count == 1

    @translated
    def schedule(self, id: str) -> Document | None:
        document = self._schedules.find_one({"_id": id_to_store(id)})
        return None if document is None else schedule_from_store(document)

    @translated_search
    def schedules(self, query: ScheduleQuery) -> Iterator[Document]:
        asked = _restrictions(query if not query.by_name else replace(query, search=None))
        name, id_ = query.after or (None, None)
        limit = query.limit or 0
        if query.limit == 0:  # which MongoDB takes for no limit
            return
        if query.by_name and query.name is None:
            # An index yields each part in its order. One sort of all would read all of them before it yields the first.
            text: Document = {"$type": "string"}
            has, begins = ([], []) if not query.search else ([_has(query.search)], [id_prefix(query.search)])
            later = text if name is None else {"$gt": name, **text}
            behind = [_behind(id_)] if name is None and id_ is not None else []
            named = self._schedules.find(_all([*asked, *has, {"name": later}]), batch_size=_PAGE, limit=limit).sort(
                "name"
            )
            without = _all([*asked, *begins, {"name": {"$not": text}}, *behind])
            nameless = self._schedules.find(without, batch_size=_PAGE, limit=limit).sort("_id")
            documents = chain(nameless) if behind else chain(named, nameless)
            yield from map(schedule_from_store, islice(documents, query.limit))
            return
        behind = [] if id_ is None else [_behind(id_)]
        by_id = self._schedules.find(_all([*asked, *behind]), batch_size=_PAGE, limit=limit).sort("_id")
        yield from map(schedule_from_store, by_id)

    @translated_search
    def expressions(self) -> dict[str, list[Any]]:
        return {field: in_order(self._texts(field), MAX_TEXTS) for field in EXPRESSIONS}

    def _texts(self, field: str) -> list[Any]:
        """List the values of a field: of all schedules while they are few, and else of those that are not paused."""
        if field not in self._crowded:
            texts = self._distinct(field)
            if texts is not None and len(texts) <= _FEW:
                return texts
            self._crowded.add(field)
        if self._holds_arrays(field):
            # Through an index that holds arrays, MongoDB skips only for a distinct over all of it.
            texts = self._distinct(field)
            return self._grouped(field, _NOT_DISABLED, unwind=True) if texts is None else texts
        return [
            *self._grouped(field, {"enabled": True}),
            *self._grouped(field, {"enabled": {"$nin": [True, False]}}),  # written elsewhere
            *self._grouped(field, {"enabled": False, "paused_until": {"$gt": _EPOCH}}, PAUSED),
        ]

    def _distinct(self, field: str) -> list[Any] | None:
        """Skip through the values of all schedules; None if there are more than 16 MB of them."""
        try:
            return self._schedules.distinct(field)
        except OperationFailure as refused:
            if refused.code != failures.DISTINCT_TOO_BIG:
                raise
            return None

    def _grouped(
        self, field: str, restricted: Document, index: Index | None = None, *, unwind: bool = False
    ) -> list[Any]:
        pipeline: list[Document] = [
            {"$match": restricted},
            *([{"$unwind": f"${field}"}] if unwind else []),
            {"$group": {"_id": f"${field}"}},
            {"$match": {"_id": {"$gte": "", "$not": {"$regex": f"^.{{{LONGEST + 1}}}", "$options": "s"}}}},
            {"$sort": {"_id": 1}},
            {"$limit": MAX_TEXTS},
        ]
        name = (index or OF_ENABLED[field]).name
        hint = self._hints.get(name)
        options: Document = {} if hint is None else {"hint": hint}
        try:
            return [group["_id"] for group in self._schedules.aggregate(pipeline, allowDiskUse=True, **options)]
        except OperationFailure as refused:
            if refused.code != failures.BAD_VALUE or not self._hints.pop(name, None):
                raise
        return self._grouped(field, restricted, index, unwind=unwind)  # somebody dropped the index since

    def _holds_arrays(self, field: str) -> bool:
        """Tell whether a document written elsewhere has, or once had, an array in a field."""
        hint = self._hints.get(DUE.name)
        if hint is None:
            return True
        asked = {"find": self._schedules.name, "hint": hint}
        explained = self._database.command("explain", asked, verbosity="queryPlanner")
        return bool(_multikey_paths(explained["queryPlanner"]["winningPlan"]).get(field))

    @translated_search
    def candidates(
        self, clauses: Sequence[Clause], uncommon: Sequence[Uncommon] = (), lifted_at: datetime | None = None
    ) -> Iterator[Document]:
        queries = [({"$or": list(part)}, DUE.name) for part in _parts(map(_alternative, clauses))]
        queries += [(_of_uncommon(each), OF_ENABLED[each.field].name) for each in uncommon]
        if lifted_at is not None:
            # This has an index of its own, of the pauses with an end only: most of the time there is nothing in it.
            lifted: Document = {"enabled": False, "paused_until": {"$gt": _EPOCH, "$lte": lifted_at}}
            others = (_alternative(each, lifted) for each in clauses)
            queries += [({"$or": list(part)}, PAUSED.name) for part in _parts(others)]
            queries += [(_of_uncommon(each, lifted), PAUSED.name) for each in uncommon]
        seen: set[str] = set()
        for query, index in queries:
            for document in self._found(query, index):
                if len(queries) > 1:
                    if (id_ := repr(document["_id"])) in seen:
                        continue  # an array may fit several queries
                    seen.add(id_)
                yield schedule_from_store(document)

    def _found(self, query: Document, index: str) -> Iterator[Document]:
        if index in self._hints:
            try:
                # Left alone, the planner may well choose the index of a single field.
                yield from self._schedules.find(query, batch_size=_PAGE).hint(self._hints[index])
                return
            except OperationFailure as refused:
                if refused.code != failures.BAD_VALUE:
                    raise
                self._hints.pop(index, None)  # somebody dropped it since
        yield from self._schedules.find(query, batch_size=_PAGE)


def _restrictions(query: ScheduleQuery) -> list[Document]:
    """Return the conditions of a query, all of which have to hold."""
    asked: Document = {"user": query.user, "handler": query.handler, "tags": query.tag, "owner": query.owner}
    if query.name is not None:
        # With the type that the index is restricted to: without it, MongoDB does not use that index.
        asked["name"] = {"$eq": query.name, "$type": "string"}
    if query.names is not None:
        asked["name"] = {"$in": list(query.names), "$type": "string"}
    if query.enabled is not None:
        asked["enabled"] = {"$ne": False} if query.enabled else False
    if query.ids is not None:
        asked["_id"] = {"$in": list(map(id_to_store, query.ids))}
    conditions = [{field: value} for field, value in asked.items() if value is not None]
    if query.prefix:
        conditions.append(id_prefix(query.prefix))
    if query.search is not None:
        nameless = {"$and": [{"name": {"$not": {"$type": "string"}}}, id_prefix(query.search)]}
        conditions.append({"$or": [_has(query.search), nameless]})
    return conditions


def _all(conditions: Sequence[Document]) -> Document:
    return {"$and": conditions} if conditions else {}


def _has(text: str) -> Document:
    """Return the condition for a name with a text in it: the one pattern, in which each character stands for itself.

    It is compared with the entries of the index, and reads no document: a fifth of what comparing by $indexOfCP takes.
    """
    return {"name": {"$regex": re.escape(text), "$options": "i"}}


def _behind(id_: str) -> Document:
    """Return the condition for the ids that sort behind another: a comparison finds those of its own kind only."""
    stored = id_to_store(id_)
    later = ["bool", "date"] if isinstance(stored, ObjectId) else ["object", "binData", "objectId"]
    return {"$or": [{"_id": {"$gt": stored}}, *({"_id": {"$type": kind}} for kind in later)]}


# A document written elsewhere may leave fields out, which in MongoDB equals null.
_ENABLED: Document = {"enabled": {"$in": [True, None]}}


def _alternative(clause: Clause, which: Document = _ENABLED) -> Document:
    return {
        **which,
        "either_day": True if clause.either_day else {"$in": [False, None]},
        **({} if clause.zones is None else {"tz": {"$in": _plain(clause.zones)}}),
        **{field: {"$in": _plain(values)} for field, values in clause.values.items()},
    }


# As one interval on either side of false, which needs no look at the documents, unlike null.
_NOT_DISABLED: Document = {"enabled": {"$ne": False}}


def _of_uncommon(uncommon: Uncommon, lifted: Document | None = None) -> Document:
    texts: Document = {"$in": list(uncommon.texts)} if uncommon.after is None else {"$gt": uncommon.after}
    # As $or, the planner would look up all of the texts for each clause.
    any_clause = [{"$nor": [_alternative(clause, lifted or _ENABLED) for clause in uncommon.clauses]}]
    return {**(lifted or _NOT_DISABLED), uncommon.field: texts, "$nor": any_clause}


def _parts(alternatives: Iterable[Document]) -> Iterator[list[Document]]:
    """Cut the alternatives of a query into lists that fit into one each."""
    part: list[Document] = []
    room = _QUERY_CHARACTERS
    for alternative in alternatives:
        needed = sum(_size(restriction) for restriction in alternative.values())
        if part and needed > room:
            yield part
            part, room = [], _QUERY_CHARACTERS
        part.append(alternative)
        room -= needed
    if part:
        yield part


def _size(restriction: Any) -> int:
    listed = restriction.get("$in", ()) if isinstance(restriction, dict) else ()
    # In BSON each comes with its place in the list as a text.
    return sum(12 + len(value) if isinstance(value, str) else 20 for value in listed)


def _multikey_paths(plan: Document) -> Document:
    """Find which of the keys of an index hold arrays, in the plan of a query by it."""
    while "multiKeyPaths" not in plan and isinstance(plan.get("inputStage"), dict):
        plan = plan["inputStage"]
    paths: Document = plan.get("multiKeyPaths", {})
    return paths


def _plain(values: Sequence[Any]) -> list[Any]:
    # Other types could mean more than themselves here: a regular expression within $in is taken for a pattern.
    return [value for value in values if value is None or isinstance(value, (str, int, float))]
