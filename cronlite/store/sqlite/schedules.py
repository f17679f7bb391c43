"""How does SQLite keep the schedules, and find those that may be due?"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

from cronlite.documents.runs import Changes
from cronlite.documents.schedules import Document, taken
from cronlite.store.contract import MAX_TEXTS, Clause, ScheduleQuery, Uncommon
from cronlite.store.grouping import in_order
from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import BY_ID, BY_NAME, Order, Tables
from cronlite.store.sqlite.indexes import (
    DUE_DEFAULTS,
    EXPRESSIONS,
    LAST_CHARACTER,
    PAUSED_FOR_A_TIME,
    distinct,
    or_default,
)
from cronlite.store.sqlite.rows import IN_LIST, listed
from cronlite.store.sqlite.tables import SCHEDULES
from cronlite.when.bits import LONGEST

# SQLite looks into the index once for each combination of listed values. A plus before a column keeps it out of these:
# SQLite then compares it in the entries that it finds by the others. The days always have a plus, and so have, from the
# right on, the columns that would make too many combinations.
_LOOKED_UP = ("every", "tz", "month", "minute", "hour")
_LOOKS = 20_000
_OTHERS = 100
_PAGE = 250  # small enough that the first ones are soon at hand


class Schedules(Tables):
    """The contract's methods on schedules."""

    def add_schedule(self, document: Document) -> None:
        row = SCHEDULES.row(document)
        with self._write() as connection:
            try:
                connection.execute(SCHEDULES.insert(), row)
            except sqlite3.IntegrityError:
                same = connection.execute("SELECT 1 FROM schedules WHERE _id = ?", [document["_id"]]).fetchone()
                field = "_id" if same else "name"
                raise taken(field, document.get(field)) from None

    def change_schedule(self, id: str, changes: Changes, unchanged_since: datetime | None) -> bool:
        values = [*SCHEDULES.values(changes), id, milliseconds(unchanged_since)]
        with self._write() as connection:
            try:
                statement = f"{SCHEDULES.update(changes)} WHERE _id = ? AND updated_at IS ?"
                return connection.execute(statement, values).rowcount == 1
            except sqlite3.IntegrityError:
                raise taken("name", changes.get("name")) from None

    def remove_schedule(self, id: str) -> bool:
        return self._change("DELETE FROM schedules WHERE _id = ?", [id]) == 1

    def schedule(self, id: str) -> Document | None:
        rows = self._read(f"{SCHEDULES.select} WHERE _id = ?", [id])
        return SCHEDULES.document(rows[0]) if rows else None

    def schedules(self, query: ScheduleQuery) -> Iterator[Document]:
        terms, values = _restrictions(query)
        documents = chain.from_iterable(
            self._pages(SCHEDULES, [*part, *terms], [*places, *values], order, _PAGE)
            for part, places, order in _parts(query)
        )
        tagged = (document for document in documents if query.tag is None or query.tag in _tags(document))
        return islice(tagged, query.limit)

    def expressions(self) -> dict[str, list[Any]]:
        texts = {column: [value for (value,) in self._read(expressions_query(column))] for column in EXPRESSIONS}
        if self._read(f"SELECT 1 FROM schedules WHERE {PAUSED_FOR_A_TIME} LIMIT 1"):
            for column, values in texts.items():
                of_paused = self._read(expressions_query(column, PAUSED_FOR_A_TIME))
                texts[column] = in_order([*values, *(value for (value,) in of_paused)], MAX_TEXTS)
        return texts

    def candidates(
        self, clauses: Sequence[Clause], uncommon: Sequence[Uncommon] = (), lifted_at: datetime | None = None
    ) -> Iterator[Document]:
        lifted = milliseconds(lifted_at)
        # Where no pause has ended, the queries for such schedules are left out: they look once for each combination.
        lifts = [lifted] if self._read(_ANY_LIFTED, [lifted]) else []
        queries = [query for end in (None, *lifts) for query in _queries(clauses, uncommon, end)]
        rowids = dict.fromkeys(rowid for query in queries for (rowid,) in self._read(*query))
        return self._stream(SCHEDULES, rowids)


_ANY_LIFTED = f"SELECT 1 FROM schedules WHERE {PAUSED_FOR_A_TIME} AND paused_until <= ? LIMIT 1"


def _queries(
    clauses: Sequence[Clause], uncommon: Sequence[Uncommon], lifted: int | None
) -> Iterator[tuple[str, list[Any]]]:
    return chain((due_query(each, lifted) for each in clauses), (uncommon_query(each, lifted) for each in uncommon))


def expressions_query(column: str, which: str = f"{or_default('enabled')} = 1") -> str:
    """Return the query for a column's values in schedules that are not paused: a few others, then the texts."""
    # Numbers sort before texts, and bytes behind them.
    others = distinct("schedules", column, f"{which} AND {column} < ''")
    texts = distinct("schedules", column, f"{which} AND {column} < x''", ">= ''")
    return (
        f"SELECT * FROM ({others} LIMIT {_OTHERS}) UNION ALL"
        f" SELECT * FROM ({texts} AND length(value) <= {LONGEST} LIMIT {MAX_TEXTS})"
    )


def due_query(clause: Clause, lifted: int | None = None) -> tuple[str, list[Any]]:
    """Return the query for the enabled schedules of one alternative, and its variables.

    With `lifted` it is for the others, whose pause ended by that instant.
    """
    lists = _lists(clause)
    looks, looked_up = 1, set()
    for column in _LOOKED_UP:
        looks *= len(lists.get(column, ()))
        if column not in lists or looks > _LOOKS:
            break
        looked_up.add(column)
    which, _, variables = _which(lifted)
    index = "schedules_due_every" if lifted is None else "schedules_paused_due"
    terms = [which, f"{or_default('either_day')} = {int(clause.either_day)}"]
    terms += [f"{'' if column in looked_up else '+'}{or_default(column)} {IN_LIST}" for column in lists]
    variables += [listed(_plain(column, values)) for column, values in lists.items()]
    # Left alone after an ANALYZE, SQLite may well read the whole table instead.
    return f"SELECT rowid FROM schedules INDEXED BY {index} WHERE {' AND '.join(terms)}", variables


def uncommon_query(uncommon: Uncommon, lifted: int | None = None) -> tuple[str, list[Any]]:
    """Return the query for the enabled schedules of a further alternative, and its variables."""
    which, kind, variables = _which(lifted)
    alternatives = []
    variables.append(listed(uncommon.texts) if uncommon.after is None else uncommon.after)
    for clause in uncommon.clauses:
        lists = _lists(clause)
        terms = [f"+{or_default(column)} {IN_LIST}" for column in lists]
        alternatives.append(" AND ".join([*terms, f"+{or_default('either_day')} = {int(clause.either_day)}"]))
        variables += [listed(_plain(column, values)) for column, values in lists.items()]
    texts = f"{uncommon.field} {IN_LIST}" if uncommon.after is None else f"{uncommon.field} > ?"
    where = f"{which} AND {texts} AND ({' OR '.join(alternatives)})"
    return f"SELECT rowid FROM schedules INDEXED BY {kind}_{uncommon.field} WHERE {where}", variables


def _which(lifted: int | None) -> tuple[str, str, list[Any]]:
    """Return the term for the enabled schedules, or those whose pause has ended; how its indexes begin; its values."""
    if lifted is None:
        return f"{or_default('enabled')} = 1", "schedules_enabled", []
    return f"{PAUSED_FOR_A_TIME} AND +{or_default('enabled')} = 0 AND paused_until <= ?", "schedules_paused", [lifted]


def _lists(clause: Clause) -> dict[str, Sequence[Any]]:
    """Return the values that are listed for each column that a clause restricts."""
    return {**({} if clause.zones is None else {"tz": clause.zones}), **clause.values}


def _plain(column: str, values: Sequence[Any]) -> list[Any]:
    stored = (DUE_DEFAULTS[column] if value is None else value for value in values)
    return [value for value in stored if isinstance(value, (str, int, float))]


def _restrictions(query: ScheduleQuery) -> tuple[list[str], list[Any]]:
    """Return the terms of a query, and their variables."""
    asked: dict[str, Any] = {"name = ?": query.name, "user = ?": query.user, "handler = ?": query.handler}
    asked |= {"_id >= ?": query.prefix, "_id < ?": query.prefix + LAST_CHARACTER} if query.prefix else {}
    asked[f"{or_default('enabled')} = ?"] = query.enabled
    asked["owner = ?"] = query.owner
    asked |= {f"{column} {IN_LIST}": listed(texts) for column, texts in _any_of(query).items()}
    terms = [term for term, value in asked.items() if value is not None]
    values = [value for value in asked.values() if value is not None]
    if query.search is not None:
        terms.append("(instr(lower(name), lower(?)) OR name IS NULL AND _id >= ? AND _id < ?)")
        values += [query.search, query.search, query.search + LAST_CHARACTER]
    if query.tag is not None:
        # Most others are left out before their JSON is read; one written elsewhere may have its letters escaped.
        terms.append("(instr(tags, ?) OR instr(tags, '\\u'))")
        values.append(json.dumps(query.tag, ensure_ascii=False))
    return terms, values


def _any_of(query: ScheduleQuery) -> dict[str, Collection[str]]:
    asked = {"_id": query.ids, "name": query.names}
    return {column: texts for column, texts in asked.items() if texts is not None}


def _parts(query: ScheduleQuery) -> list[tuple[list[str], list[Any], Order]]:
    """Part the schedules by the orders in which they are listed: the terms and variables of each, and the order."""
    name, id_ = query.after or (None, None)
    behind, place = (["_id > ?"], [id_]) if id_ is not None and (name is None or not query.by_name) else ([], [])
    if not query.by_name:
        return [(behind, place, BY_ID)]
    # The plus keeps SQLite from sorting all the nameless ones for each page.
    nameless: tuple[list[str], list[Any], Order] = (["+name IS NULL", *behind], place, BY_ID)
    if behind:
        return [nameless]
    later, names = ([], []) if name is None else (["name > ?"], [name])
    return [(["name IS NOT NULL", *later], names, BY_NAME), nameless]


def _tags(document: Document) -> list[Any]:
    tags = document.get("tags")
    return tags if isinstance(tags, list) else []
