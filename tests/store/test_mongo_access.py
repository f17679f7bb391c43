"""Whom does a guarded MongoDB let in, and does a password ever show?"""

import logging
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from cronlite.daemon.due import due
from cronlite.errors import ConfigurationError, StoreError, StoreUnavailable
from cronlite.store.contract import ScheduleQuery
from cronlite.store.mongo import MongoStore
from tests.services import MissingService, skip_or_fail
from tests.services.mongod import Mongod
from tests.store.overheard import everything, opened
from tests.store.samples import (
    TICK,
    a_daemon,
    a_run,
    a_schedule,
)

Document = dict[str, Any]
StartMongod = Callable[..., Mongod]
pytestmark = [pytest.mark.mongod, pytest.mark.xdist_group("mongo_access")]  # of one guarded server
PASSWORD = "s3cr3t-Pa55"


class Guarded(Mongod):
    """A lone server that asks for a password."""

    def _command(self) -> list[str | Path]:
        return [*super()._command(), "--auth"]

    def uri_as(self, user: str, password: str = PASSWORD) -> str:
        return f"mongodb://{user}:{password}@{self.address}/app?authSource=admin"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    try:
        server = Guarded(replica_set=None)
    except MissingService as missing:
        skip_or_fail(missing)
    with server:
        with server.client() as client:  # before there is a user, this machine may make one
            client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        with MongoClient[Document](server.uri_as("root")) as client:
            client.admin.command("createUser", "app", pwd=PASSWORD, roles=[{"role": "readWrite", "db": "app"}])
            client.admin.command("createUser", "reader", pwd=PASSWORD, roles=[{"role": "read", "db": "app"}])
        with opened(server.uri_as("root")) as store:
            assert store.prepare() == []
        yield server


def test_a_user_with_the_role_read_write_can_do_all_there_is(guarded: Guarded) -> None:
    with opened(guarded.uri_as("app")) as store:
        assert store.prepare() == []
        everything(store)
        list(due(store, TICK))
        assert store.now().year > 2000
        assert store.watch(0.1) is False


def test_a_wrong_password_is_told_without_showing_it(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with opened(guarded.uri_as("app", "wr0ng")) as store:
        for ask in (store.prepare, lambda: list(store.schedules(ScheduleQuery()))):
            with pytest.raises(StoreUnavailable, match=r"lets nobody in: .*; check the user") as failed:
                ask()
            assert "authSource" in str(failed.value)
            assert "wr0ng" not in "".join(traceback.format_exception(failed.value))
        assert store.address == f"mongodb://app@{guarded.address}/app"
    assert "wr0ng" not in caplog.text


def test_no_password_where_one_is_needed_is_told(guarded: Guarded) -> None:
    told = pytest.raises(StoreUnavailable, match="lets nobody in without a user")
    with opened(guarded.uri_of("app")) as store, told:
        store.add_schedule(a_schedule())


def test_a_user_who_may_only_read_is_told_which_role_is_lacking(guarded: Guarded) -> None:
    with opened(guarded.uri_as("reader")) as store:
        assert list(store.schedules(ScheduleQuery())) == []
        assert store.prepare() == []
        asked: dict[str, Callable[[], object]] = {
            "insert in schedules": lambda: store.add_schedule(a_schedule()),
            "insert in runs": lambda: store.add_runs([a_run()]),
            "findAndModify in daemons": lambda: store.join(a_daemon()),
        }
        for command, ask in asked.items():
            with pytest.raises(StoreError, match=f"{command}; grant the role readWrite") as failed:
                ask()
            assert not isinstance(failed.value, StoreUnavailable)


def test_indexes_that_a_user_may_not_build_are_an_error(guarded: Guarded) -> None:
    with opened(guarded.uri_as("root")) as root, opened(guarded.uri_as("reader")) as reader:
        root._runs.drop_index("cronlite_of_state_and_daemon")
        with pytest.raises(StoreError, match="createIndexes in runs; grant the role readWrite"):
            reader.prepare()
        assert root.prepare() == []
        assert reader.prepare() == []


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("mongodb://host", "names no database"),
        ("mongodb://host/", "names no database"),
        (f"mongodb://user:{PASSWORD}@host", "names no database"),
        (f"mongodb://user:{PASSWORD}/x@host/app", "percent-escaped"),
        (f"mongodb://user:x/{PASSWORD}@host/app", "percent-escaped"),
        (f"mongodb://user:{PASSWORD}@x@host/app", "percent-escaped"),
        (f"mongodb://user:{PASSWORD}?x@host/app", "percent-escaped"),
        (f"mongodb://user:123/{PASSWORD}@host", "an @ behind its host"),
        (f"mongodb://user:{PASSWORD}%zz@host/app", "percent-escaped"),
        (f"mongodb://user:{PASSWORD}@host:port/app", "cannot be read"),
        ("mongodb://host:99999/app", "cannot be read"),
        ("mongodb://host/a b", "cannot be read"),
        ("mongodb://host/app?tlsCAFile=/nowhere/ca.pem", "tlsCAFile=/nowhere/ca.pem"),
        (f"mongodb://user:{PASSWORD}@host/app?tlscafile=/nowhere/ca.pem", "tlscafile=/nowhere/ca.pem"),
        ("mongodb://host/app?tlsCertificateKeyFile=/dev", "tlsCertificateKeyFile=/dev"),
        (f"mongodb://host/app?tlsCAFile={__file__}", f"tlsCAFile={__file__}"),
        ("mongodb://", "cannot be read"),
        ("mongodb:host/app", "cannot be read"),
    ],
)
def test_a_uri_that_cannot_be_used_is_told_without_its_password(uri: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(told)) as failed:
        MongoStore.open(uri)
    assert PASSWORD not in "".join(traceback.format_exception(failed.value))
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mongodb://host/app", "mongodb://host/app"),
        (f"mongodb://user:{PASSWORD}@host:1,other:2/app?w=1&tls=true", "mongodb://user@host:1,other:2/app"),
        ("mongodb://us%40er@host/app?authMechanism=MONGODB-X509", "mongodb://…@host/app"),
        (f"mongodb://host/app?appName={PASSWORD}", "mongodb://host/app"),
        (f"mongodb+srv://user:{PASSWORD}@nowhere.invalid/app", "mongodb+srv://user@nowhere.invalid/app"),
    ],
)
def test_the_address_shows_no_password_and_no_options(uri: str, address: str) -> None:
    with opened(uri) as store:
        assert store.address == address


def test_a_name_that_dns_does_not_know_is_out_of_reach() -> None:
    told = pytest.raises(StoreUnavailable, match=r"nowhere\.invalid")
    with opened("mongodb+srv://nowhere.invalid/app") as store, told:
        store.now()
