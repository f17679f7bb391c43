"""What did a test look for, and what was there instead?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cronlite.documents.runs import Run
from cronlite.documents.schedules import Schedule
from cronlite.errors import shown

MOST = 20


def fits(stored: Schedule | Run, fields: Mapping[str, Any]) -> bool:
    """Tell whether something has the fields that are not None; of params, it may have more."""
    return all(
        value is None or (_has(stored.params, value) if name == "params" else getattr(stored, name) == value)
        for name, value in fields.items()
    )


def wanted(fields: Mapping[str, Any], at: datetime | None) -> str:
    """Name what was looked for."""
    parts = [f"{name}={shown(value, 200)}" for name, value in fields.items() if value is not None]
    return ", ".join([*parts, *([f"at={at.isoformat()}"] if at else [])]) or "any fields at all"


def listed(there: Iterable[str]) -> str:
    """List what there is instead."""
    lines = list(there)
    more = [f"and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return "\n  ".join([f"there are {len(lines)}:", *lines[:MOST], *more]) if lines else "there is none"


def schedule_told(schedule: Schedule) -> str:
    """Put a schedule on one line."""
    name = f"{schedule.name!r} " if schedule.name else ""
    paused = "" if schedule.enabled else ", paused"
    return f"{name}{_call_told(schedule)}, {schedule.describe()}{paused}"


def run_told(run: Run) -> str:
    """Put a run on one line."""
    attempt = f", attempt {run.attempt}" if run.attempt else ""
    ended = f": {run.error.get('type')}: {run.error.get('message')}" if run.error else ""
    why = f": {run.reason}" if run.reason else ""
    key = f", key {run.key!r}" if run.key else ""
    return f"{_call_told(run)}, due at {run.due_at:%Y-%m-%d %H:%M:%S}Z{key}, {run.state}{attempt}{ended}{why}"


def _call_told(call: Schedule | Run) -> str:
    whose = f" for {call.user!r}" if call.user else ""
    return f"{call.handler} with {shown(dict(call.params), 200)}{whose}"


def _has(params: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(name in params and params[name] == value for name, value in wanted.items())
