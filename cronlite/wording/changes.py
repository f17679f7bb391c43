"""How is a change of a schedule said: what it did, and who asked for it?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cronlite.documents.changes import Change, is_left_out
from cronlite.documents.schedules import FIELDS
from cronlite.documents.timing import TIME_FIELDS
from cronlite.wording.values import json_text

SOMEBODY_ELSE = "somebody else"
_DEFAULTS_OF_ENABLED = (True, None)


def by(change: Change) -> str:
    """Say who asked for a change, and by what way: `ann (cli)`."""
    if change.actor is None:
        return SOMEBODY_ELSE
    return f"{change.actor.name} ({change.actor.way})"


def what(change: Change) -> str:
    """Say what a change did: `hour 2 → 3`, or that it added, removed, paused, resumed or restored."""
    words = _what(change)
    return words if change.certain else f"{words}, perhaps: its process ended before it could tell"


def _what(change: Change) -> str:
    before, after = change.before, change.after
    if change.kind != "changed" or before is None or after is None:
        return change.kind
    switched = "enabled" in before and "enabled" in after
    switch = ("resumed" if after["enabled"] in _DEFAULTS_OF_ENABLED else "paused") if switched else ""
    # When it counts from follows from the others, unless it stands alone.
    # What says when comes first, as in all lists of fields.
    fields = sorted(change.fields, key=lambda name: FIELDS.index(name) if name in FIELDS else len(FIELDS))
    fields.sort(key=lambda name: name not in TIME_FIELDS)
    names = [name for name in fields if name != "active_from" and not (switch and name == "enabled")]
    parts = [f"{name} {_value(before, name)} → {_value(after, name)}" for name in names or change.fields[:1]]
    if not change.fields:
        return "changed, in nothing that is kept here"
    return "; ".join([switch, *(parts if names or not switch else [])] if switch else parts)


def _value(fields: Mapping[str, Any], name: str) -> str:
    if name not in fields:
        return "?"  # somebody else has changed it twice
    value = fields[name]
    return "too large to show" if is_left_out(value) else "none" if value is None else json_text(value, indent=None)
