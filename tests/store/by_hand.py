"""How do the tests look into a SQLite file, and change it, as another program would?"""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from cronlite.store.contract import RunQuery
from cronlite.store.sqlite import SqliteStore


def by_hand(path: Path, statement: str, *values: Any) -> list[Any]:
    """Run a statement as another program would."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def run_ids(store: SqliteStore) -> set[str]:
    return {run.id for run in store.runs(RunQuery())}
