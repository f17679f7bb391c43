"""How many of a thing are there, in words?"""

from __future__ import annotations


def counted(count: int, what: str, many: str = "", *, thousands: str = "") -> str:
    """Say how many there are of something; `many` is its plural, where more than an `s` is added to `what`."""
    return f"{count:{thousands}} {what if count == 1 else many or f'{what}s'}"
