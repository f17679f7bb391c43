"""Which values may be stored? JSON-like ones, which MongoDB and SQLite both give back as they were."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from cronlite.errors import CONTROL, Fault, InvalidInput, shown

# MongoDB nests documents up to 100 deep and holds 16 MB in one (Limits and Thresholds in its manual);
# a run carries its params two levels down and keeps room for its result, error and output.
MAX_DEPTH = 90
LARGEST_PARAMS_BYTES = 15 * 1024 * 1024
# As much as a result. A tick holds thousands of runs in memory, so one user's large params would cost every daemon.
DEFAULT_PARAMS_BYTES = 64 * 1024
PARAMS_VARIABLE = "CRONLITE_MAX_PARAMS_BYTES"
MAX_RESULT_BYTES = 64 * 1024
SET_ASIDE = "set_aside"
_SHORT = (int, float, datetime, type(None))
_INT64 = range(-(2**63), 2**63)
_QUEUE_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,99}\Z", re.ASCII)
_WEB_ADDRESS = re.compile(r"https?://[!-~]+\Z")
_LONGEST_ADDRESS = 1_000
_HANDLER_NAME = re.compile(r"[A-Za-z_][\w.:-]{0,199}\Z", re.ASCII)


# Where a value is: the field, then keys and indexes. It becomes text only in a fault, because that takes time.
Path = tuple[Any, ...]

# A check returns None, or what is wrong and what to do.
Complaint = tuple[str, str] | None
Check = Callable[[Any], Complaint]


def text(limit: int) -> Check:
    """Check for text of at most `limit` characters, with no control characters but line breaks and tabs."""

    def check(value: object) -> Complaint:
        if not isinstance(value, str):
            return "is not text", "give a string"
        if len(value) > limit:
            return f"is longer than {limit} characters", "shorten it"
        if not value.isprintable() and CONTROL.search(value):
            return "holds a control character or half a surrogate pair", "remove it"
        return None

    return check


def label(limit: int) -> Check:
    """Check for text on one line, perhaps empty: it stands in lines of logs, of crontabs and on terminals."""
    fits = text(limit)

    def check(value: object) -> Complaint:
        if isinstance(value, str) and ("\n" in value or "\t" in value):
            return "holds a line break or a tab", "give one line of text"
        return fits(value)

    return check


def line(limit: int) -> Check:
    """Check for a label that is not empty and has no blanks around it."""
    fits = label(limit)

    def check(value: object) -> Complaint:
        if isinstance(value, str) and (not value or value != value.strip()):
            return "is empty, or holds a line break, a tab or outer blanks", "give one line of text"
        return fits(value)

    return check


_tag = line(100)


def handler_name(value: object) -> Complaint:
    """Check for a name that a handler can have."""
    if isinstance(value, str) and _HANDLER_NAME.match(value):
        return None
    return "is no handler name", "give letters, digits, _ . : and -, beginning with a letter, at most 200"


def queue_name(value: object) -> Complaint:
    """Check for a name that a queue can have."""
    if value == SET_ASIDE:
        return "is kept for messages set aside", "choose another name"
    if isinstance(value, str) and _QUEUE_NAME.match(value):
        return None
    return "is no queue name", "give letters, digits, . _ and -, not beginning with . or -, at most 100"


def web_address(value: object) -> Complaint:
    """Check for a URL of http or https that names a host and holds no password, or none."""
    if value is None:
        return None
    remedy = "give https://host/path"
    if not isinstance(value, str) or len(value) > _LONGEST_ADDRESS or not _WEB_ADDRESS.match(value):
        return "is no URL of http or https, in printable ASCII, of at most 1000 characters", remedy
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        has_host = False
    if not has_host or "@" in parts.netloc or parts.fragment:
        return "names no host, or holds a user, a password or a fragment", remedy
    return None


def mapping(value: object) -> Complaint:
    """Check for an object."""
    if isinstance(value, (dict, Mapping)):  # dict first: asking an abstract class takes ten times as long
        return None
    return "is not an object", 'give a mapping, such as {"dataset": "sales"}'


def boolean(value: object) -> Complaint:
    """Check for true or false."""
    return None if isinstance(value, bool) else ("is not a boolean", "give true or false")


def instant(value: object) -> Complaint:
    """Check for an aware datetime, or none."""
    if value is None or (isinstance(value, datetime) and value.tzinfo is not None):
        return None
    return "is not an instant in the years 1 to 9999 with a time zone", "give an aware datetime"


def one_of(*choices: str) -> Check:
    """Check for one of some words."""

    def check(value: object) -> Complaint:
        if isinstance(value, str) and value in choices:
            return None
        return "is not allowed", f"give {', '.join(choices[:-1])} or {choices[-1]}"

    return check


def number(least: float, most: float, *, whole: bool = False, none: bool = False) -> Check:
    """Check for a number in a closed range."""
    kind, kind_name = (int, "a whole number") if whole else ((int, float), "a number")

    def check(value: object) -> Complaint:
        if value is None and none:
            return None
        if isinstance(value, bool) or not isinstance(value, kind):
            return f"is not {kind_name}", f"give {least:g} to {most:g}"
        return None if least <= value <= most else ("is out of range", f"give {least:g} to {most:g}")

    return check


_LIMIT = number(0, LARGEST_PARAMS_BYTES, whole=True)


def tags(value: object) -> Complaint:
    """Check for a list of tags."""
    if isinstance(value, (list, tuple)) and len(value) <= 100 and not any(map(_tag, value)):
        return None
    return "is not a list of tags", "give at most 100 strings of 1 to 100 characters"


_TOO_LARGE = f"store it elsewhere and pass a reference, or set {PARAMS_VARIABLE} for all processes"
_set_bytes: int | None = None


def limit_params(most: int) -> None:
    """Let params take so many bytes in this process. Raises InvalidInput for more than a document can hold."""
    global _set_bytes
    if complaint := _LIMIT(most):
        raise InvalidInput(Fault("max_params_bytes", most, *complaint))
    _set_bytes = most


def max_params_bytes() -> int:
    """Say how many bytes params may take: what was set here, or in the environment, or else 64 KiB."""
    if _set_bytes is not None:
        return _set_bytes
    configured = os.environ.get(PARAMS_VARIABLE)
    if not configured:
        return DEFAULT_PARAMS_BYTES
    most = int(configured) if configured.isdecimal() and len(configured) < 10 else -1
    if complaint := _LIMIT(most):
        raise InvalidInput(Fault(PARAMS_VARIABLE, configured, *complaint))
    return most


def params(value: object) -> Complaint:
    """Check for an object that is not too large to be handed to a handler."""
    if (complaint := mapping(value)) is None and weight(value, most := max_params_bytes()) > most:
        return f"takes more than {most} bytes", _TOO_LARGE
    return complaint


def weight(value: object, most: int) -> int:
    """Return how many bytes of JSON a value takes at least; counting stops once that is more than `most`."""
    total, left = 0, [value]
    while left and total <= most:
        item = left.pop()
        if isinstance(item, str):
            total += len(item) if item.isascii() else len(item.encode("utf-8", "replace"))
        elif isinstance(item, _SHORT):  # before the mappings, which take a while to tell
            total += 1
        elif isinstance(item, (dict, Mapping)):
            total += len(item) + _letters(item)
            left += item.values()
        elif isinstance(item, (list, tuple)):
            total += len(item)
            left += item
        elif isinstance(item, bytes):
            total += len(item)
        else:
            total += 1
    return total


def _letters(keys: Iterable[object]) -> int:
    """Count the characters of keys; those that are no texts, which no store brings, do not count."""
    try:
        return len("".join(keys))  # type: ignore[arg-type]
    except TypeError:
        return sum(len(key) for key in keys if isinstance(key, str))


def check_params(params: object, field: str = "params") -> dict[str, Any]:
    """Return params as they will be stored, or raise InvalidInput naming each value that cannot be."""
    if not isinstance(params, Mapping):
        raise InvalidInput(Fault(field, params, "is not an object", 'give one, such as {"dataset": "sales"}'))
    faults = list(_faults(params, (field,)))
    if not faults:
        size = len(json.dumps(params, ensure_ascii=False, default=dict).encode())
        if size <= (most := max_params_bytes()):
            return dict(params)
        faults = [Fault(field, "…", f"is {size} bytes of JSON, more than {most}", _TOO_LARGE)]
    raise InvalidInput(*faults[:10])


def storable(result: object) -> Any:
    """Return a handler's result if it is small JSON, or else a marker that says why it was not kept."""
    if result is None:
        return None
    try:
        fault = next(_faults(result, ("result",)), None)
        if fault is not None:
            return {"not_stored": str(fault)}
        text = json.dumps(result, ensure_ascii=False)
    except Exception as broken:  # noqa: BLE001 - a result may be of any type, with any behaviour
        return {"not_stored": f"{type(result).__name__}: {type(broken).__name__}"}
    if len(text) > MAX_RESULT_BYTES or len(text.encode()) > MAX_RESULT_BYTES:
        return {"not_stored": f"{len(text.encode())} bytes of JSON is more than {MAX_RESULT_BYTES}"}
    return result


def _faults(value: object, path: Path) -> Iterator[Fault]:
    if len(path) > MAX_DEPTH:
        yield Fault(_place(path[:4]), "…", f"is nested deeper than {MAX_DEPTH}, or contains itself", "flatten it")
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int):
        if value not in _INT64:
            yield Fault(_place(path), "a whole number", "is outside 64 bits", "give it as a string")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield Fault(_place(path), value, "is not a JSON number", "give null or a string")
    elif isinstance(value, str):
        yield from _text_faults(value, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _key_faults(key, path)
            yield from _faults(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _faults(item, (*path, index))
    else:
        remedy = "give strings, numbers, true, false, null, lists, objects"
        yield Fault(_place(path), value, f"is a {type(value).__name__}, not JSON", remedy)


def _place(path: Path) -> str:
    first, *rest = path
    steps = (f"[{step}]" if isinstance(step, int) else f".{shown(step).strip(chr(39))}" for step in rest)
    return f"{first}{''.join(steps)}"


def _text_faults(text: str, path: Path) -> Iterator[Fault]:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            yield Fault(_place(path), text, "holds half a surrogate pair, which is no UTF-8", "give valid Unicode")


def _key_faults(key: object, path: Path) -> Iterator[Fault]:
    if not isinstance(key, str):
        yield Fault(_place(path), key, "as a key is not a string", "quote it")
    elif key.startswith("$") or "." in key:
        yield Fault(
            _place(path), key, "as a key starts with $ or holds a dot, which MongoDB cannot address", "rename it"
        )
    elif "\0" in key:
        yield Fault(_place(path), key, "as a key holds a NUL, which MongoDB refuses", "rename it")
    else:
        yield from _text_faults(key, path)
