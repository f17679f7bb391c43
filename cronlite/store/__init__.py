"""Where is everything kept, and which store does a URI name?

`contract` says what a store must do; the packages `mongo` and `sqlite` do it, each in the same modules: `schedules`,
`ticks` and `daemons`; `runs` to write, claim and close runs; `listing` to find a few of millions; `lanes` for those
that wait for each other. `grouping` joins the changes of many runs into few writes.
"""

from __future__ import annotations

import re
from pathlib import Path

from cronlite.errors import ConfigurationError, shown, suggestion
from cronlite.store.contract import Store

__all__ = ["Store", "from_anywhere", "open_store"]

_KINDS = ("mongodb", "mongodb+srv", "sqlite", "memory")
_EXAMPLES = "mongodb://host/database, sqlite:PATH or memory:"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(?=:)")


def open_store(uri: str) -> Store:
    """Open the store of a URI: `mongodb://host/database`, `mongodb+srv://…`, `sqlite:PATH` or `memory:`.

    A server is not asked yet. Raises ConfigurationError for a URI that cannot be used; its text shows no password.
    """
    scheme = _SCHEME.match(uri)
    kind = scheme[0].lower() if scheme else ""
    if kind in ("mongodb", "mongodb+srv"):
        from cronlite.store.mongo import MongoStore  # pymongo is slow to import, and the other stores go without

        return MongoStore.open(kind + uri[len(kind) :])
    if kind in ("sqlite", "memory"):
        from cronlite.store.sqlite import SqliteStore

        return SqliteStore(_path(uri))
    if not kind:
        meant = f"sqlite:{shown(uri).strip(chr(39))} for a file" if uri and "@" not in uri else _EXAMPLES
        raise ConfigurationError(f"the store's URI has no scheme; give {meant}")
    # Whatever follows the scheme may hold a password, so it is not repeated.
    raise ConfigurationError(
        f"no store is called {kind!r}: {suggestion(kind, _KINDS) or 'it is unknown'}; give {_EXAMPLES}"
    )


def from_anywhere(uri: str) -> str:
    """Return the URI that names the same store from any working directory; one that cannot be used as it is."""
    try:
        path = _path(uri) if uri.lower().startswith("sqlite:") else None
    except ConfigurationError:
        return uri
    return f"sqlite:{path.absolute()}" if path else uri


def _path(uri: str) -> Path | None:
    kind, _, path = uri.partition(":")
    if kind.lower() == "memory":
        if path.strip("/"):
            raise ConfigurationError("memory: is followed by nothing; give sqlite:PATH to keep the data in a file")
        return None
    if path.startswith("//"):
        path = path[2:]
        if not path.startswith("/"):
            raise ConfigurationError("sqlite:// is followed by an absolute path; give sqlite:PATH for a relative one")
    if not path or path.startswith(":") or "\0" in path:
        raise ConfigurationError("sqlite: names no file; give sqlite:PATH, or memory: to keep nothing")
    try:
        return Path(f"/{path.lstrip('/')}" if path.startswith("/") else path).expanduser()
    except RuntimeError:
        raise ConfigurationError("the store's URI names the home of a user who has none; give the whole path") from None
