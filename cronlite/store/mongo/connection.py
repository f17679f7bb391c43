"""How is a MongoDB talked to: with which options, time limits and guarantees, whatever the URI says?"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from urllib.parse import parse_qsl, unquote_plus

import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from cronlite.documents.schedules import Document
from cronlite.errors import ConfigurationError

OPERATION_MS = 5_000
_PING_SECONDS = 1.0

# One date beyond the year 9999, or one text that is no UTF-8, would make the whole batch of a find() unreadable.
CODEC: CodecOptions[Document] = CodecOptions(
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
# Schedules and runs come by the thousand, and pymongo takes longer for aware instants than for all the rest of them:
# theirs are UTC without saying so, until `documents` adds that.
NAIVE = CODEC.with_options(tz_aware=False)
# With a weaker concern, a server that is killed forgets what it acknowledged; on a standalone one the journal decides.
_WRITE_CONCERN = WriteConcern(w="majority", j=True)
_FILES = ("tlscafile", "tlscertificatekeyfile", "tlscrlfile")
_ESCAPE = "a user or password with one of : / ? # [ ] @ % has to be percent-escaped"


class Collections:
    """The collections, read from the primary and written so that nothing acknowledged is lost.

    pymongo's clients do not survive a fork: a child process opens a store of its own.
    """

    def __init__(self, client: MongoClient[Document], database: str, address: str) -> None:
        self.address = address
        self._client = client
        self._database = client.get_database(
            database,
            codec_options=CODEC,
            write_concern=_WRITE_CONCERN,
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern(),
        )
        self._schedules: Collection[Document] = self._database.get_collection("schedules", NAIVE)
        self._runs: Collection[Document] = self._database.get_collection("runs", NAIVE)
        self._ticks: Collection[Document] = self._database["ticks"]
        self._daemons: Collection[Document] = self._database["daemons"]
        self._alarms: Collection[Document] = self._database["alarms"]
        self._duties: Collection[Document] = self._database["duties"]
        self._limits: Collection[Document] = self._database["limits"]
        self._hints: dict[str, str] = {}
        """The names of indexes on schedules that are known to be there, by the names that they have here."""

    def within(self, seconds: float) -> AbstractContextManager[None]:
        return pymongo.timeout(max(seconds, 0.001))  # which takes 0 for no limit

    def answers(self) -> bool:
        """Tell whether the server is there at all, within a second."""
        with suppress(PyMongoError), pymongo.timeout(_PING_SECONDS):
            self._client.admin.command("ping")
            return True
        return False


def connect(uri: str) -> tuple[MongoClient[Document], str, str]:
    """Return a client, the database's name, and the address to show. Nothing is sent yet.

    Raises ConfigurationError. Where a URI has a user, its text repeats nothing of what pymongo says: with the escaping
    wrong, that can be a piece of the password.
    """
    scheme, _, rest = uri.partition("://")
    authority, _, path = rest.partition("?")[0].partition("/")
    try:
        client = MongoClient[Document](
            uri,
            connect=False,
            appname="cronlite",
            timeoutMS=_limit(uri),  # for the choice of a server, too
        )
        database = client.get_default_database().name if path else ""
    except (OSError, PyMongoError, ValueError, TypeError) as refused:
        if files := _unusable_files(uri):
            remedy = f"give {files} as a readable PEM file"
            raise ConfigurationError(f"a file that the MongoDB URI names cannot be used; {remedy}") from None
        reason = "" if "@" in uri else f": {refused}"
        raise ConfigurationError(f"the MongoDB URI cannot be read{reason}; {_ESCAPE}") from None
    if not database or "@" in unquote_plus(path):
        client.close()
        wrong = "holds an @ behind its host" if database else "names no database"
        raise ConfigurationError(f"the MongoDB URI {wrong}; give mongodb://host/database ({_ESCAPE})")
    userinfo, at, hosts = authority.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    # A user without a password may be a token.
    return client, database, f"{scheme}://{user if colon else '…' if at else ''}{at}{hosts}/{database}"


def _unusable_files(uri: str) -> str:
    """Name the options of a URI that was refused whose files cannot be read, or else all that name a file."""
    named = {name: Path(value) for name, value in parse_qsl(uri.partition("?")[2]) if name.lower() in _FILES}
    missing = {name: file for name, file in named.items() if not (file.is_file() and os.access(file, os.R_OK))}
    return " and ".join(f"{name}={file}" for name, file in (missing or named).items())


def _limit(uri: str) -> int:
    """Return our time limit in milliseconds, or the URI's own where that is shorter."""
    options = {name.lower(): value for name, value in parse_qsl(uri.partition("?")[2])}
    own = options.get("timeoutms", "")
    return min(OPERATION_MS, int(own)) if own.isdecimal() and int(own) else OPERATION_MS
