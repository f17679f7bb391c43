"""What went wrong, in cronlite's words and on one line, when SQLite refused?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from cronlite.errors import StoreError, StoreUnavailable

BUSY_SECONDS = 5.0

# Python 3.10 tells the reason in these words only.
_KNOWN: tuple[tuple[str, type[StoreError], str], ...] = (
    ("json_each", StoreError, "this Python's SQLite was built without JSON; give it another"),
    ("locked", StoreUnavailable, f"another process has kept it so for {BUSY_SECONDS:g} s; look for one that hangs"),
    ("unable to open", StoreUnavailable, "let this user read and write the file and its folder"),
    ("disk I/O error", StoreUnavailable, "look into the system's log for what its disk says"),
    ("readonly", StoreError, "let this user write the file and its folder"),
    ("is full", StoreUnavailable, "make room on its disk"),
    ("not a database", StoreError, "give the path of another file, or move this one away"),
    ("malformed", StoreError, "restore a copy of it, or mend it with .recover in SQLite's shell"),
    ("no such index", StoreError, "somebody dropped it; start a daemon, which makes it again"),
    ("no such table", StoreError, "somebody dropped it; restore a copy, or move the file away"),
    ("no such column", StoreError, "somebody changed its table; restore a copy, or move the file away"),
)


@contextmanager
def translation(address: str) -> Iterator[None]:
    """Raise StoreUnavailable and StoreError instead of what SQLite raises."""
    try:
        yield
    except sqlite3.Error as error:
        message = str(error)
        kind, remedy = next(((kind, remedy) for words, kind, remedy in _KNOWN if words in message), (StoreError, ""))
        raise kind(f"{address}: {message}; {remedy}" if remedy else f"{address}: {message}") from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise StoreError(f"{address}: a value that SQLite cannot hold: {error}") from error
