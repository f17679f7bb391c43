"""How is a field of a document stored as a value in a column, and read back?

NULL is a missing field; an instant is whole milliseconds since 1970 (UTC); what holds objects or lists is JSON. A value
that somebody wrote by hand and that cannot be read so is handed over as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NamedTuple

from cronlite.when.clock import MILLISECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Kind(NamedTuple):
    """How the values of a column are declared, and written and read where they are not stored as they are."""

    declared: str
    write: Callable[[Any], Any] | None = None
    read: Callable[[Any], Any] | None = None


def milliseconds(value: Any) -> Any:
    """Return an instant as it is stored."""
    return (value - _EPOCH) // MILLISECOND if isinstance(value, datetime) else value


def instant(value: Any) -> Any:
    """Return a stored instant; what is none, or later than the year 9999, as it is."""
    if type(value) is not int:
        return value
    try:
        return _EPOCH + MILLISECOND * value
    except OverflowError:
        return value


def _text(value: Any) -> Any:
    # An outcome must not fail because a handler printed half a surrogate pair, which UTF-8 has no bytes for.
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()
    return value


_ENCODER, _DECODER = json.JSONEncoder(ensure_ascii=False, default=dict), json.JSONDecoder()


def _json(value: Any) -> Any:
    return _text(_ENCODER.encode(value))


def _parsed(value: Any) -> Any:
    try:
        return _DECODER.decode(value)
    except (ValueError, TypeError, RecursionError):
        return value


def _truth(value: Any) -> Any:
    return {0: False, 1: True}.get(value, value)


def _attempts(value: Any) -> Any:
    return _json([{name: milliseconds(part) for name, part in entry.items()} for entry in value])


def _parsed_attempts(value: Any) -> Any:
    entries = _parsed(value)
    if isinstance(entries, list):
        for entry in filter(lambda entry: isinstance(entry, dict), entries):
            entry.update({name: instant(part) for name, part in entry.items() if name.endswith("_at")})
    return entries


def _told(value: Any) -> Any:
    return _json({channel: entry | {"told_at": milliseconds(entry["told_at"])} for channel, entry in value.items()})


def _parsed_told(value: Any) -> Any:
    entries = _parsed(value)
    if isinstance(entries, dict):
        for entry in filter(lambda entry: isinstance(entry, dict), entries.values()):
            entry["told_at"] = instant(entry.get("told_at"))
    return entries


KEY = Kind("TEXT NOT NULL UNIQUE")
TEXT = Kind("TEXT")
WORDS = Kind("TEXT", _text)  # of handlers and errors, which nobody has checked
NUMBER = Kind("NUMERIC")
BOOL = Kind("INTEGER", read=_truth)
DATE = Kind("INTEGER", milliseconds, instant)
JSON = Kind("TEXT", _json, _parsed)
ATTEMPTS = Kind("TEXT", _attempts, _parsed_attempts)
TOLD = Kind("TEXT", _told, _parsed_told)
# Without a type SQLite converts nothing: 5 and '5' stay what they are.
SPELLING = Kind("")
