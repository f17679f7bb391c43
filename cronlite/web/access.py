"""Who visits the site, and what may they do there?

A token is typed once and exchanged for a signed cookie: no token is ever in a URL, a page or a log. The key of the
signatures is made of the tokens, so that all processes of a site agree, and a new token ends the old sessions.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cronlite.errors import ConfigurationError

SESSION_SECONDS = 12 * 3_600
SHORTEST_TOKEN = 16
LONGEST_NAME = 100

Level = Literal["view", "operate"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever looks at the site: a name for the history of changes, and whether they may change anything."""

    name: str
    may_operate: bool = False


class Tokens:
    """The two tokens of a site, either of which may be missing, and the sessions of those who know one."""

    def __init__(self, view: str | None, operate: str | None, clock: Callable[[], float] = time.time) -> None:
        for name, token in (("view", view), ("operate", operate)):
            if token is not None and (len(token) < SHORTEST_TOKEN or token.strip() != token or not token.isascii()):
                remedy = f"give at least {SHORTEST_TOKEN} ASCII characters, such as those of 'openssl rand -hex 16'"
                raise ConfigurationError(f"the {name} token of the site is too short, or holds outer blanks; {remedy}")
        if view is not None and view == operate:
            raise ConfigurationError("the two tokens of the site are the same; give two, or the operate token alone")
        self._tokens: dict[Level, str] = {}
        if operate is not None:
            self._tokens["operate"] = operate
        if view is not None:
            self._tokens["view"] = view
        self._key = hmac.digest("\n".join(self._tokens.values()).encode(), b"cronlite web session", "sha256")
        self._clock = clock

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def level(self, typed: str) -> Level | None:
        """Tell what a typed token allows; in a time that says nothing of how near it came."""
        # Both are compared, whatever the first says.
        fits = {level: hmac.compare_digest(typed.encode(), token.encode()) for level, token in self._tokens.items()}
        return next((level for level, fit in fits.items() if fit), None)

    def session(self, level: Level, name: str) -> str:
        """Return the cookie of somebody who typed a token."""
        return signed(self._key, [level, name[:LONGEST_NAME], int(self._clock()) + SESSION_SECONDS])

    def visitor(self, cookie: str | None) -> Visitor | None:
        """Return whose cookie it is; None where it is nobody's, or was not made here, or is too old."""
        session = unsigned(self._key, cookie)
        if not isinstance(session, list) or len(session) != 3 or session[2] <= self._clock():
            return None
        return Visitor(session[1], session[0] == "operate")


def signed(key: bytes, value: object) -> str:
    """Write a value so that nobody without the key can write another: for a cookie."""
    text = base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()
    return f"{text}.{_signature(key, text)}"


def unsigned(key: bytes, text: str | None) -> object:
    """Read what `signed` wrote; None for anything else."""
    value, _, signature = (text or "").partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(key, value).encode()):
        return None
    try:
        content: object = json.loads(base64.urlsafe_b64decode(value))
    except (binascii.Error, ValueError):
        return None
    return content


def _signature(key: bytes, text: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).decode().rstrip("=")
