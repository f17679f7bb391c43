"""What names a document? Ids that sort by age and read the same on every store."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import threading
import time
from datetime import datetime, timezone

_per_process = secrets.token_hex(5)
_COUNTER = itertools.count(secrets.randbelow(1 << 20))
_OBJECT_ID = re.compile(r"[0-9a-f]{24}\Z")


def new_id() -> str:
    """Make an id of 24 hexadecimal digits, laid out as an ObjectId: seconds, five random bytes, a counter.

    Ids of one process sort in the order in which they were made.
    """
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{_per_process}{next(_COUNTER) & 0xFFFFFF:06x}"


def new_run_id() -> str:
    """Make an id for a run on demand: 13 hexadecimal digits of microseconds since 1970, then 128 random bits.

    Ids of one process sort in the order in which they were made. Nobody can guess one.
    """
    global _last_microsecond
    with _making:
        _last_microsecond = max(time.time_ns() // 1_000, _last_microsecond + 1)
        return f"{_last_microsecond:013x}{secrets.token_hex(16)}"


_making, _last_microsecond = threading.Lock(), 0


def _renew() -> None:
    global _per_process, _making
    _per_process, _making = secrets.token_hex(5), threading.Lock()


# Web workers that were forked off one process would all go on with the same ids.
os.register_at_fork(after_in_child=_renew)


def is_object_id(text: str) -> bool:
    """Tell whether a text is an ObjectId written out."""
    return _OBJECT_ID.match(text) is not None


def made_at(text: str) -> datetime | None:
    """Read off when an ObjectId was made; None for any other id."""
    if not is_object_id(text):
        return None
    return datetime.fromtimestamp(int(text[:8], 16), timezone.utc)
