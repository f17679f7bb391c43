"""On which stores does a test run?"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import mongomock
import mongomock.codec_options
import mongomock.collection
import mongomock.store
import pytest
from pymongo import MongoClient

from cronlite.store import open_store
from cronlite.store.contract import Store
from cronlite.store.mongo import MongoStore
from tests.services.mongod import Mongod, existing_server, with_database

T = TypeVar("T")

COLLECTIONS = ("schedules", "runs", "ticks", "daemons", "changes", "alarms", "duties", "limits", "freezes")
MONGOD = pytest.param("mongod", marks=pytest.mark.mongod)
Open = Callable[[], Store]
"""Opens one more store on the data of this test."""


@pytest.fixture(scope="session")
def mongo_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URI of a database that the tests of the contract share; its indexes are built once."""
    database = f"cronlite_test_{uuid.uuid4().hex[:12]}"
    given = existing_server()
    if given is not None:
        uri = with_database(given, database)
    else:
        server: Mongod = request.getfixturevalue("mongod")
        uri = server.uri_of(database)
    store = open_store(uri)
    assert store.prepare() == []
    store.close()
    yield uri
    with MongoClient[dict[str, Any]](uri) as client:
        client.drop_database(database)


@pytest.fixture(params=["sqlite", "mongomock", MONGOD])
def open_another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as opened:
        yield _opener(request, tmp_path, opened)


@pytest.fixture
def store(open_another: Open) -> Store:
    """Every kind of store, empty."""
    return open_another()


@pytest.fixture(params=["sqlite", MONGOD])
def open_rival(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens stores that stand a race; mongomock's operations are not atomic."""
    with ExitStack() as opened:
        yield _opener(request, tmp_path, opened)


def _opener(request: pytest.FixtureRequest, folder: Path, opened: ExitStack) -> Open:
    if request.param == "mongomock":
        stand_in = mongomock_client()

        def make() -> Store:
            return MongoStore(stand_in, "cronlite", "mongomock:")

    else:
        uri = f"sqlite:{folder / 'cronlite.db'}"
        if request.param == "mongod":
            uri = request.getfixturevalue("mongo_database")
            empty(uri)

        def make() -> Store:
            return open_store(uri)

    def open_one() -> Store:
        store = make()
        opened.callback(store.close)
        assert store.prepare() == []
        return store

    return open_one


def all_at_once(stores: Sequence[Store], do: Callable[[Store, int], T]) -> list[T]:
    """Let each store do it at the same time, each with its number."""
    with ThreadPoolExecutor(len(stores)) as pool:
        return list(pool.map(do, stores, range(len(stores))))


def empty(uri: str) -> None:
    """Delete all documents, and leave the indexes."""
    with MongoClient[dict[str, Any]](uri) as client:
        for name in COLLECTIONS:
            client.get_default_database()[name].delete_many({})


def mongomock_client() -> Any:
    """Make a stand-in for a server, with what mongomock 4.3 lacks beside pymongo 4.11 and later."""
    return mongomock.MongoClient()


def _without_order(add_update: Callable[..., Any]) -> Callable[..., Any]:
    def add(builder: Any, *args: Any, sort: None = None, hint: object = None, **options: Any) -> Any:
        return add_update(builder, *args, **options)

    return add


_Bulk: Any = mongomock.collection.BulkOperationBuilder
_Bulk.add_update = _without_order(_Bulk.add_update)
# Samples of a fixed day would expire one day; the real server of the tests deletes nothing by itself, either.
mongomock.store.CollectionStore._remove_expired_documents = lambda _: None  # type: ignore[method-assign]
# It refuses unicode_decode_error_handler, which means nothing to documents that were never BSON.
mongomock.codec_options.is_supported = lambda options: options
