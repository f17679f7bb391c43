"""How is a value said as JSON, whoever stored it?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from cronlite.errors import shown
from cronlite.wording.instants import iso

DEEPEST = 100  # a store that cronlite writes to holds 90 levels at most


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Render a value as JSON that every reader takes: ASCII, instants as ISO 8601 in UTC, foreign values as text."""
    # Of the control characters, this is the one that JSON's ASCII leaves as it is.
    return json.dumps(plain(value), indent=indent, allow_nan=False).replace("\x7f", "\\u007f")


def plain(value: Any, levels: int = DEEPEST) -> Any:
    """Turn a value, foreign ones too, into what JSON can say; what is nested too deeply for that becomes text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, datetime):
        return iso(value)
    if type(value) in (int, float):
        return value if isinstance(value, int) or math.isfinite(value) else str(value)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        if levels == 0:
            return f"[nested deeper than {DEEPEST} levels]"
        if isinstance(value, Mapping):
            return {str(key): plain(item, levels - 1) for key, item in value.items()}
        return [plain(item, levels - 1) for item in value]
    if isinstance(value, (bytes, timedelta, date)):
        return str(value)
    return _foreign(value)


def _foreign(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a value from elsewhere, of any type
        return shown(value)
