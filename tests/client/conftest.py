"""On which stores do an application's requests run?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cronlite import Cronlite
from tests.store.conftest import empty
from tests.store.conftest import mongo_database as mongo_database


@pytest.fixture
def prepared_mongo_uri(mongo_database: str) -> str:
    """An empty database whose indexes are there: to build them takes longer than most tests."""
    empty(mongo_database)
    return mongo_database


@pytest.fixture(params=["file", pytest.param("mongodb", marks=pytest.mark.mongod)])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URI of a file, and of a MongoDB."""
    if request.param == "mongodb":
        return str(request.getfixturevalue("prepared_mongo_uri"))
    return f"sqlite:{tmp_path / 'x.db'}"


@pytest.fixture
def cron(uri: str) -> Iterator[Cronlite]:
    with Cronlite(uri) as cron:
        yield cron
