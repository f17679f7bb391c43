"""What went wrong, in cronlite's words and on one line, when MongoDB or the way to it failed?"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    InvalidOperation,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
)

from cronlite.errors import StoreError, StoreTooSlow, StoreUnavailable

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
BAD_VALUE = 2
UNAUTHORIZED = 13
AUTHENTICATION_FAILED = 18
MAX_TIME_EXPIRED = 50
INDEX_OPTIONS_CONFLICT = 85
INDEX_KEY_SPECS_CONFLICT = 86
CANNOT_INDEX_PARALLEL_ARRAYS = 171
BSON_OBJECT_TOO_LARGE = 10334
DUPLICATE_KEY = 11000
OUT_OF_DISK_SPACE = 14031
DISTINCT_TOO_BIG = 17217
# Of one write among many: out of time, or the server is shutting down or handing over to another.
_PASSING = frozenset({MAX_TIME_EXPIRED, 91, 189, 262, 10107, 11600, 11602, 13435})

_LONGEST = 300
_TOO_SLOW = (
    "took too long to find what was asked for; ask for less (one schedule or user, fewer days), and see whether"
    " 'cronlite doctor' tells of a missing index"
)
_COMMAND = re.compile(r"execute command \{ (\w+): \"([^\"]*)\"")


class _Server(Protocol):
    @property
    def address(self) -> str: ...

    def answers(self) -> bool: ...


Self = TypeVar("Self", bound=_Server)
P = ParamSpec("P")
R = TypeVar("R")


def translated(method: Callable[Concatenate[Self, P], R]) -> Callable[Concatenate[Self, P], R]:
    """Let a method of the store, a generator too, raise StoreUnavailable and StoreError instead of pymongo's errors."""
    return _within(lambda store: translation(store.address), method)


def translated_search(method: Callable[Concatenate[Self, P], R]) -> Callable[Concatenate[Self, P], R]:
    """Do the same for a method that may look at any number of documents: it may also raise StoreTooSlow."""
    return _within(_search, method)


def _within(
    within: Callable[[Self], AbstractContextManager[None]], method: Callable[Concatenate[Self, P], R]
) -> Callable[Concatenate[Self, P], R]:
    if inspect.isgeneratorfunction(method):

        @wraps(method)
        def stream(store: Self, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
            with within(store):
                yield from cast("Iterator[Any]", method(store, *args, **kwargs))

        return cast("Callable[Concatenate[Self, P], R]", stream)

    @wraps(method)
    def call(store: Self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with within(store):
            return method(store, *args, **kwargs)

    return cast("Callable[Concatenate[Self, P], R]", call)


@contextmanager
def _search(store: _Server) -> Iterator[None]:
    with translation(store.address):
        try:
            yield
        except PyMongoError as error:
            # Whichever comes first, the server's notice of its time limit or the end of ours.
            if _code(error) == MAX_TIME_EXPIRED or (isinstance(error, NetworkTimeout) and store.answers()):
                raise StoreTooSlow(f"{store.address} {_TOO_SLOW}") from error
            raise


@contextmanager
def translation(address: str) -> Iterator[None]:
    """Turn the errors of pymongo and bson into cronlite's."""
    try:
        yield
    except BulkWriteError as error:
        # As the cause it would show the documents themselves, megabytes perhaps, in every log.
        raise in_our_words(error, address) from None
    except (PyMongoError, BSONError) as error:
        raise in_our_words(error, address) from error


def in_our_words(error: Exception, address: str) -> StoreError:
    """Return the error to raise instead: StoreUnavailable if trying again later may help."""
    text, code = one_line(error), _code(error)
    # From the second time on, pymongo only says that it found no server, and repeats the first reason.
    if code == AUTHENTICATION_FAILED or "Authentication failed" in text:
        return StoreUnavailable(f"{address} lets nobody in: {text}; check the user, the password and authSource")
    if code == UNAUTHORIZED:
        return _unauthorized(text, address)
    if code == OUT_OF_DISK_SPACE or "No space left on device" in text:
        # Somebody may make space: an outcome that cannot be written now is kept, and written then.
        return StoreUnavailable(f"{address} has no space left on its disk: {text}; free some")
    if isinstance(error, WaitQueueTimeoutError):
        return StoreUnavailable(
            f"{address} was not asked: no connection got free in time; raise maxPoolSize in the URI"
        )
    if code in _PASSING or _may_pass(error):
        return StoreUnavailable(f"{address} cannot be reached: {text}")
    if isinstance(error, InvalidOperation):
        return StoreError(f"{address} cannot be used: {text}")
    return StoreError(f"{address} refused: {text}")


def one_line(error: Exception) -> str:
    """Return the server's or the driver's own words, on one line and not too many."""
    text = str(error).partition(", full error:")[0]
    if isinstance(error, BulkWriteError):
        text = str(_first_of_many(error).get("errmsg", text))
    # What follows is a description of the whole topology.
    text = text.partition(", Timeout:")[0].partition(" (configured timeouts:")[0]
    text = " ".join(text.split()).rstrip(".")
    text = text if text.isprintable() else text.encode("ascii", "backslashreplace").decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def refusals(error: BulkWriteError, *expected: int) -> dict[int, str]:
    """Return the places of the writes that were refused, and why; raise the error again unless all were expected."""
    refused = error.details["writeErrors"]
    if error.details.get("writeConcernErrors") or any(each["code"] not in expected for each in refused):
        raise error
    return {each["index"]: "" if each["code"] == DUPLICATE_KEY else str(each["errmsg"]) for each in refused}


def _first_of_many(error: BulkWriteError) -> Mapping[str, Any]:
    errors = error.details.get("writeErrors") or error.details.get("writeConcernErrors") or [{}]
    first: Mapping[str, Any] = errors[0]
    return first


def _code(error: Exception) -> int | None:
    if isinstance(error, BulkWriteError):
        return _first_of_many(error).get("code")
    return error.code if isinstance(error, OperationFailure) else None


def _may_pass(error: Exception) -> bool:
    if isinstance(error, BulkWriteError):
        # The writes landed, but not on the majority, or not known to be there.
        return bool(error.details.get("writeConcernErrors"))
    if isinstance(error, (ConnectionFailure, ConfigurationError)):
        # The latter, once the URI was read: a name that DNS does not know, perhaps not yet.
        return True
    return isinstance(error, PyMongoError) and (error.timeout or error.has_error_label("RetryableWriteError"))


def _unauthorized(text: str, address: str) -> StoreError:
    if "requires authentication" in text:
        return StoreUnavailable(f"{address} lets nobody in without a user: {text}; put user:password@ into the URI")
    named = _COMMAND.search(text)
    command = f"{named[1]} in {named[2]}" if named else text
    return StoreError(f"{address} does not allow this user: {command}; grant the role readWrite on that database")
