"""Is an argument what it has to be? Asked before a store sees it: there, an object could be a query."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from cronlite.documents.runs import STATES
from cronlite.errors import Fault, InvalidInput, suggestion
from cronlite.handlers.registry import Registry
from cronlite.when.clock import utc_second, whole_milliseconds

T = TypeVar("T")

LONGEST = 1_000


def text(value: object, field: str) -> str:
    """Return a text to look for. One that could not have been stored is simply not found."""
    if not isinstance(value, str):
        raise InvalidInput(Fault(field, value, "is not text", "give a string"))
    if len(value) > LONGEST:
        raise InvalidInput(Fault(field, value, f"is longer than {LONGEST} characters", "shorten it"))
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(Fault(field, value, "holds half a surrogate pair", "give valid Unicode")) from None
    return value


def uri_or_none(value: object) -> str | None:
    """Return a URI. The error for something else does not repeat it, since it may hold a password all the same."""
    if value is None or isinstance(value, str):
        return value
    remedy = "give mongodb://host/database, sqlite:PATH or memory:"
    raise InvalidInput(Fault("uri", type(value).__name__, "is no text", remedy))


def text_or_none(value: object, field: str) -> str | None:
    """Return a text to look for; None does not restrict."""
    return None if value is None else text(value, field)


def aware(value: object, field: str) -> datetime:
    """Return an instant as UTC. Raises InvalidInput for one without a time zone."""
    remedy = "give an aware datetime, such as datetime.now(timezone.utc)"
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidInput(Fault(field, value, "is no instant with a time zone", remedy))
    try:
        return value.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidInput(Fault(field, value, "is out of range", "give one in the years 1 to 9999")) from None


def instant(now: datetime, value: object, field: str) -> datetime:
    """Return an instant that was given as such, or as a timedelta from now."""
    if not isinstance(value, timedelta):
        return aware(value, field)
    try:
        return now + value
    except OverflowError:
        raise InvalidInput(Fault(field, value, "is out of range", "give an instant in the years 1 to 9999")) from None


def coming(now: datetime, value: object, field: str) -> datetime:
    """Return an instant that is still to come, given as such or as a timedelta from now."""
    at = whole_milliseconds(instant(now, value, field))
    if at <= now:
        raise InvalidInput(Fault(field, value, "is not to come", f"give an instant after {utc_second(now)}"))
    return at


def count_or_none(value: Any, field: str) -> int | None:
    """Return a number of things; None is all of them."""
    if value is not None and (type(value) is not int or value < 0):
        raise InvalidInput(Fault(field, value, "is no number of things", "give a whole number from 0 on, or None"))
    return None if value is None else int(value)


def states_or_none(state: object) -> Collection[str] | None:
    """Return states of runs to look for, given as one or as a list; None is all of them."""
    if state is None:
        return None
    states = [state] if isinstance(state, str) else state
    if not isinstance(states, (list, tuple, set, frozenset)):
        raise InvalidInput(Fault("state", state, "is no state of a run", "give one, or a list of them"))
    for name in states:
        if name not in STATES:
            remedy = suggestion(name if isinstance(name, str) else "", STATES)
            raise InvalidInput(Fault("state", name, "is no state of a run", remedy))
    return states


def registry_or_none(registry: object) -> Registry | None:
    """Return a registry; None is the default one."""
    return None if registry is None else instance(registry, Registry, "registry")


def instance(value: object, kind: type[T], field: str) -> T:
    """Return what has to be of one class of cronlite's."""
    if isinstance(value, kind):
        return value
    remedy = f"make one with {kind.__module__}.{kind.__name__}(…)"
    raise InvalidInput(Fault(field, value, f"is no {kind.__name__}", remedy))
