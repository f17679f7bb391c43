"""Which trace does a run belong to, in the words of W3C's Trace Context (https://www.w3.org/TR/trace-context/)?"""

from __future__ import annotations

import re

_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def readable(value: object) -> str | None:
    """Return a `traceparent`; None for whatever else somebody stored: no run is worse for it."""
    return value if isinstance(value, str) and _FORM.fullmatch(value) else None
