"""What is kept of each attempt at a run, so that a success does not hide the failures before it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final

from cronlite.documents import checks
from cronlite.documents.checks import Complaint

CRASHED: Final = "crashed"
CUT_OFF: Final = "cut_off"
MAX_KEPT = 10
MAX_TEXT = 2_000
"""How many characters are kept of an earlier attempt's traceback, and of its output: the last ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at a run.

    `state` is how it ended: "succeeded", "failed", "timed_out", "abandoned", "crashed" (its daemon died) or "cut_off"
    (by a stop, or by what another did to its loop: that costs no retry); or "running".
    """

    number: int
    state: str
    daemon: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: Mapping[str, str] | None = None
    output: str | None = None


def kept(earlier: Sequence[Mapping[str, Any]] | None, ended: Attempt) -> list[Mapping[str, Any]]:
    """Return the attempts to store after one more has ended: the first one, and the newest of the others."""
    error = {name: str(text)[-MAX_TEXT:] for name, text in (ended.error or {}).items()}
    entry = asdict(ended) | {"error": error or None, "output": (ended.output or "")[-MAX_TEXT:] or None}
    entries = [*(earlier or ()), {name: value for name, value in entry.items() if value is not None}]
    return entries[:1] + entries[1:][-(MAX_KEPT - 1) :]


def read(entries: Sequence[Mapping[str, Any]] | None) -> list[Attempt]:
    """Return the attempts that were kept; what somebody else added to them is left out."""
    return [Attempt(**{name: entry[name] for name in _NAMES if name in entry}) for entry in entries or ()]


def check(value: object) -> Complaint:
    """Check for a list of attempts, or none."""
    if value is None or (isinstance(value, list) and all(map(_is_attempt, value))):
        return None
    return "is no list of attempts, each with number and state", "remove the field"


def _is_attempt(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    texts = [entry.get(name) for name in ("daemon", "output")]
    return (
        isinstance(entry.get("number"), int)
        and isinstance(entry.get("state"), str)
        and all(text is None or isinstance(text, str) for text in texts)
        and not any(checks.instant(entry.get(name)) for name in ("started_at", "ended_at"))
        and isinstance(entry.get("error") or {}, dict)
    )


_NAMES = tuple(field.name for field in fields(Attempt))
