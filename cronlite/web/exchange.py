"""What does a browser ask, and what is it answered: without any framework?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

HTML = "text/html; charset=utf-8"
MAX_BODY_BYTES = 1024 * 1024
_MAX_FIELDS = 5_000
FORM = "application/x-www-form-urlencoded"

Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a browser asks. `path` is the one below `root`, under which the site is mounted; header names are small."""

    method: str
    path: str
    root: str = ""
    query: Fields = field(default_factory=dict)
    form: Fields = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""
    secure: bool = False

    @cached_property
    def cookies(self) -> dict[str, str]:
        """The cookies that came with it."""
        pairs = (pair.partition("=") for pair in self.headers.get("cookie", "").split(";"))
        return {name.strip(): value.strip() for name, _, value in pairs}


@dataclass(kw_only=True)
class Answer:
    """What a browser is answered; `stream` takes the place of the body where it comes bit by bit.

    An empty bit says to wait a second before the next one is asked for.
    """

    status: int = 200
    body: bytes = b""
    kind: str = HTML
    headers: list[tuple[str, str]] = field(default_factory=list)
    stream: Iterator[bytes] | None = None

    @classmethod
    def text(cls, status: int, text: str) -> Answer:
        """Answer in a line of plain text."""
        return cls(status=status, body=f"{text}\n".encode(), kind="text/plain; charset=utf-8")

    @classmethod
    def json(cls, value: Any) -> Answer:
        """Answer with JSON."""
        return cls(body=json.dumps(value).encode(), kind="application/json")

    def at_once(self) -> Answer:
        """Return what is answered instead where nothing is sent bit by bit: browsers do not come back for a 204."""
        if self.stream is None:
            return self
        if callable(close := getattr(self.stream, "close", None)):
            close()
        return Answer(status=204, headers=self.headers)

    def with_cookie(self, name: str, value: str, *, path: str, secure: bool, seconds: int | None = None) -> None:
        """Set a cookie that no script reads and no other site sends; without `seconds`, until the browser is closed."""
        parts = [f"{name}={value}", f"Path={path}", "HttpOnly", "SameSite=Strict"]
        parts += [f"Max-Age={seconds}"] if seconds is not None else []
        self.headers.append(("Set-Cookie", "; ".join(parts + (["Secure"] if secure else []))))


def fields_of(encoded: bytes) -> Fields:
    """Read a query, or the body of a form. Raises ValueError for one with too many fields."""
    parsed = parse_qs(encoded.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    # Browsers end the lines of a text area so; stored texts have line feeds only.
    return {name: [value.replace("\r\n", "\n") for value in values] for name, values in parsed.items()}
