"""Which schedule or run does somebody at a terminal mean, who types the beginning of its id?

Only here: in an application's hands a beginning would let its users try out what ids there are.
"""

from __future__ import annotations

from cronlite.client.app import Cronlite
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Document
from cronlite.errors import Conflict, InvalidInput, NotFound, shown, suggestion
from cronlite.store.contract import RunQuery

SHORTEST_PREFIX = 4
_NAMES_LOOKED_AT = 10_000


def schedule_document(cron: Cronlite, ref: str) -> Document:
    """Fetch the document of the schedule with an id, a name, or a unique beginning of an id."""
    try:
        return cron.document(ref)
    except NotFound:
        begun = list(cron.store.schedules(prefix=ref, limit=2)) if len(ref) >= SHORTEST_PREFIX else []
    if len(begun) > 1:
        raise Conflict(f"several schedules begin with {shown(ref)}: give more of the id")
    if begun:
        return begun[0]
    names = (document["name"] for document in cron.store.schedules(limit=_NAMES_LOOKED_AT) if "name" in document)
    close = suggestion(ref, map(str, names)) if ref else ""
    raise NotFound(f"no schedule has the id or name {shown(ref)}; {close if 'mean' in close else ''}".rstrip("; "))


def schedule_id(cron: Cronlite, ref: str) -> str:
    """Return the id of the schedule with an id, a name, or a unique beginning of an id."""
    return str(schedule_document(cron, ref)["_id"])


def run_named(cron: Cronlite, ref: str) -> Run:
    """Fetch the run with an id, a unique beginning of one, or NAME@MINUTE."""
    name, at, minute = ref.rpartition("@")
    document = next(cron.store.schedules(name=name), None) if name else None
    ref = f"{document['_id']}{at}{minute}" if document else ref
    try:
        return cron.run_of(ref)
    except (NotFound, InvalidInput):
        begun = list(cron.store.runs(RunQuery(prefix=ref, limit=2))) if len(ref) >= SHORTEST_PREFIX else []
    if len(begun) > 1:
        raise Conflict(f"several runs begin with {shown(ref)}: give more of the id")
    if not begun:
        raise NotFound(f"no run has the id {shown(ref)}; 'cronlite runs' lists them")
    return begun[0]
