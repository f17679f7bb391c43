"""Which files do pages refer to?"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from cronlite.web.exchange import Answer

_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_YEAR_SECONDS = 365 * 86_400


class File(NamedTuple):
    """A file, and a mark that changes when it does."""

    body: bytes
    kind: str
    mark: str


@lru_cache(maxsize=1)
def static_files() -> dict[str, File]:
    """Read all of them, by their names."""
    by_name = {}
    for file in (files("cronlite.web") / "static").iterdir():
        if kind := _KINDS.get(file.name.rpartition(".")[2]):
            body = file.read_bytes()
            by_name[file.name] = File(body, kind, hashlib.sha256(body).hexdigest()[:12])
    return by_name


def static(name: str) -> Answer:
    """Answer with one of them."""
    file = static_files().get(name)
    if file is None:
        return Answer.text(404, "There is no such file.")
    kept = [("Cache-Control", f"public, max-age={_YEAR_SECONDS}, immutable")]
    return Answer(body=file.body, kind=file.kind, headers=kept)
