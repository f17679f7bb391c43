"""How does a process do without some of cronlite's guarantees, to see what they cost?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pymongo import WriteConcern

from cronlite.store.grouping import SharedChange, shared
from cronlite.store.mongo import connection
from cronlite.store.mongo import runs as mongo_runs


def leave_out(promises: Iterable[str]) -> None:
    """Let this process, for as long as it lives, write without waiting for a "majority", or without "fences"."""
    if "majority" in promises:
        vars(connection)["_WRITE_CONCERN"] = WriteConcern(w=1)
    if "fences" in promises:
        vars(mongo_runs)["shared"] = _unfenced


def _unfenced(given: Any) -> list[SharedChange]:
    return [one._replace(fence={}) for one in shared(given)]
