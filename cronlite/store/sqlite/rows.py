"""How does a document become a row of a table, and a row a document?

One column for each field, under its name; `columns` says how its values are stored.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cronlite.errors import StoreError
from cronlite.store.sqlite.columns import Kind

MAX_VARIABLES = 8_000 if sqlite3.sqlite_version_info >= (3, 32) else 999  # of one statement
_KEYWORDS = ("limit",)
# One variable for a list of any length.
IN_LIST = "IN (SELECT value FROM json_each(?))"


def listed(values: Iterable[Any]) -> str:
    """Return the variable of an IN_LIST."""
    return json.dumps(list(values), ensure_ascii=False)


def quoted(name: str) -> str:
    """Return the name of a column as statements have it."""
    return f'"{name}"' if name in _KEYWORDS else name


@dataclass(frozen=True)
class Table:
    """A table of documents, and how a document becomes a row of it and a row a document."""

    name: str
    columns: Mapping[str, Kind]

    @property
    def create(self) -> str:
        """The statement that makes it.

        Its rowid is declared because VACUUM may number undeclared ones anew, under the hands of whoever holds some.
        """
        columns = "".join(f", {quoted(name)} {kind.declared}".rstrip() for name, kind in self.columns.items())
        return f"CREATE TABLE {self.name} (rowid INTEGER PRIMARY KEY{columns})"

    @property
    def names(self) -> str:
        """The columns of a document, in the order in which `row` gives and `document` takes them."""
        return ", ".join(map(quoted, self.columns))

    @property
    def select(self) -> str:
        """The beginning of a query for documents."""
        return f"SELECT {self.names} FROM {self.name}"

    @property
    def select_rows(self) -> str:
        """The query for a list of rows: the number of each, then its document."""
        return f"SELECT rowid, {self.names} FROM {self.name} WHERE rowid {IN_LIST}"

    @property
    def rows_at_once(self) -> int:
        """How many rows one statement can insert."""
        return MAX_VARIABLES // len(self.columns)

    def insert(self, rows: int = 1, *, replace: bool = False) -> str:
        """Return the statement that inserts rows, their values in one list, be it in place of what they clash with."""
        verb = "REPLACE" if replace else "INSERT"
        row = f"({', '.join('?' * len(self.columns))})"
        return f"{verb} INTO {self.name} ({self.names}) VALUES {', '.join([row] * rows)}"

    def row(self, document: Mapping[str, Any]) -> list[Any]:
        """Return the values to insert."""
        row: list[Any] = [None] * len(self.columns)
        try:
            for (
                name,
                value,
            ) in document.items():  # fewer steps than over the columns: a document has half of them at most
                place, write = self._places[name]
                row[place] = write(value) if write and value is not None else value
        except KeyError:
            self._refuse_unknown(document)
            raise
        return row

    def document(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return the document of a selected row."""
        return {
            name: read(value) if read else value
            for (name, read), value in zip(self._readers, row, strict=True)
            if value is not None
        }

    def values(self, changes: Mapping[str, Any]) -> list[Any]:
        """Return the values of some fields, as they are stored."""
        self._refuse_unknown(changes)
        return _written((self.columns[name].write, value) for name, value in changes.items())

    @cached_property
    def _places(self) -> dict[str, tuple[int, Callable[[Any], Any] | None]]:
        return {name: (place, kind.write) for place, (name, kind) in enumerate(self.columns.items())}

    @cached_property
    def _readers(self) -> list[tuple[str, Callable[[Any], Any] | None]]:
        return [(name, kind.read) for name, kind in self.columns.items()]

    def update(self, names: Iterable[str]) -> str:
        """Return the beginning of the statement that sets these columns."""
        return f"UPDATE {self.name} SET {', '.join(f'{quoted(name)} = ?' for name in names)}"

    def _refuse_unknown(self, document: Mapping[str, Any]) -> None:
        if not document.keys() <= self.columns.keys():
            unknown = ", ".join(sorted(map(str, document.keys() - self.columns.keys())))
            raise StoreError(f"the table {self.name} has no column for {unknown}")


def _written(cells: Iterable[tuple[Callable[[Any], Any] | None, Any]]) -> list[Any]:
    return [write(value) if write and value is not None else value for write, value in cells]
