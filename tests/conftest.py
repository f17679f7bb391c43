"""What every test may ask for, and what the machine that they run on may not tell them."""

import contextlib
import os
import random
import signal
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from cronlite.store import open_store
from cronlite.store.contract import Store
from cronlite.store.mongo import connection
from tests.services import MissingService, skip_or_fail
from tests.services.binary import find_mongod
from tests.services.mongod import Mongod, ReplicaSet, existing_server, with_database
from tests.services.rabbitmq import RabbitMQ

MARKED_BY_FIXTURE = {
    "mongod": {"mongod", "mongo_uri", "start_mongod", "replica_set"},
    "rabbitmq": {"rabbitmq", "broker", "own_broker"},
}
IN_MEMORY, ROOM_IN_MEMORY = Path("/dev/shm"), 8 * 1024**3
# What takes long to start is started once: the tests that share it stay with one worker. A mongod is no such thing.
SHARED_BY_ALL = {"rabbitmq", "replica_set"}


def pytest_configure() -> None:
    # A shell ignores SIGINT for what it runs in the background, and nohup SIGHUP: so would whatever the tests start. A
    # handler is not inherited, so that these processes hear the signals, and this one goes on where it did.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, lambda *_: None)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def write_into_memory() -> None:
    """Let the tests, and what they start, write into memory where it has room: they kill processes, and no power.

    To wait for a disk is a good part of what they would do else.
    """
    if "TMPDIR" not in os.environ and IN_MEMORY.is_dir():
        there = os.statvfs(IN_MEMORY)
        if there.f_bavail * there.f_frsize >= ROOM_IN_MEMORY and not there.f_flag & os.ST_NOEXEC:
            os.environ["TMPDIR"] = tempfile.tempdir = str(IN_MEMORY)


write_into_memory()


def pytest_xdist_auto_num_workers() -> int:
    """Tests wait most of their time, so more of them than processors run at once."""
    return min(5 * (os.cpu_count() or 1) // 2, 8)


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    order = os.environ.get("CRONLITE_TEST_ORDER")
    if order is not None:
        random.Random(order).shuffle(items)
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        for mark, fixtures in MARKED_BY_FIXTURE.items():
            if fixtures & asked:
                item.add_marker(mark)
        for shared in SHARED_BY_ALL & asked:
            item.add_marker(pytest.mark.xdist_group(shared))
    if order is None and hasattr(config, "workerinput"):
        # Those that wait come first, so that the last minute is not one worker's alone.
        items.sort(key=lambda item: not any(item.iter_markers("mongod")))
        items.sort(key=lambda item: "/faults/" not in item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Send the report of a worker as UTF-8: half a surrogate pair in it would end the worker, and no other takes over.

    Tests print such text, and it stands in the traceback where one of them fails.
    """
    return in_utf8((yield))


def in_utf8(value: Any) -> Any:
    """Return the parts of a report with all text escaped that UTF-8 cannot write."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {in_utf8(name): in_utf8(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(in_utf8, value))
    return value


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.option.markexpr == "not slow":
        terminalreporter.section("left out")
        terminalreporter.write_line("what takes minutes; it runs with: .venv/bin/pytest -n auto -m slow")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch MongoDB now: inside the first test that needs it, a slow line would run into that test's time limit."""
    needed = any(item.get_closest_marker("mongod") for item in session.items)
    if needed and not session.config.option.collectonly and existing_server() is None:
        with contextlib.suppress(MissingService):  # the tests themselves say so
            find_mongod()


@pytest.fixture(autouse=True)
def _no_environment_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # A monkeypatch of its own: a test's monkeypatch.undo() would let the environment in again.
    with pytest.MonkeyPatch.context() as patch:
        for variable in list(os.environ):
            if variable.startswith("CRONLITE_") and not variable.startswith("CRONLITE_TEST_"):
                patch.delenv(variable)
        for variable in ("STATE_DIRECTORY", "NOTIFY_SOCKET", "JOURNAL_STREAM", "COLUMNS", "LINES"):
            patch.delenv(variable, raising=False)
        home = tmp_path_factory.mktemp("xdg")
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        yield


@pytest.fixture
def time_for_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process wait for MongoDB for longer than an application does: 16 MB take a while at a load of 25."""
    monkeypatch.setattr(connection, "OPERATION_MS", 60_000)


@pytest.fixture
def seed() -> random.Random:
    """Random numbers of this test; a failure shows the seed, and CRONLITE_TEST_SEED repeats it."""
    number = int(os.environ.get("CRONLITE_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"CRONLITE_TEST_SEED={number}")
    return random.Random(number)


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in memory, unless a file of tests has one of its own."""
    opened = open_store("memory:")
    opened.prepare()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def mongod() -> Iterator[Mongod]:
    """One replica set of one for each worker. A test that kills it or loses its data asks for `start_mongod`.

    It removes no expired documents: tests have clocks of their own, and what ends there may long have expired here.
    """
    try:
        server = Mongod(parameters={"ttlMonitorEnabled": 0})
    except MissingService as missing:
        skip_or_fail(missing)
    with server:
        yield server


@pytest.fixture
def mongo_uri(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URI of a fresh database, dropped afterwards.

    It is on the server that CRONLITE_TEST_MONGO_URI names, else, and whenever the test asks for that too, on `mongod`.
    """
    database = f"cronlite_test_{uuid.uuid4().hex[:12]}"
    given = existing_server()
    if given is not None and "mongod" not in request.fixturenames:
        uri = with_database(given, database)
        yield uri
    else:
        server: Mongod = request.getfixturevalue("mongod")
        uri = server.uri_of(database)
        yield uri
        server.make_ready()
        server.stop_failing()
    with MongoClient[dict[str, object]](uri) as client:
        client.drop_database(database)


@pytest.fixture
def start_mongod() -> Iterator[Callable[..., Mongod]]:
    """A function that starts a mongod of this test's own, with the options of `Mongod`; ended with the test."""
    with contextlib.ExitStack() as servers:

        def start(**options: object) -> Mongod:
            try:
                server = Mongod(**options)  # type: ignore[arg-type]
            except MissingService as missing:
                skip_or_fail(missing)
            return servers.enter_context(server)

        yield start


@pytest.fixture(scope="session")
def replica_set() -> Iterator[ReplicaSet]:
    """A replica set of three for the whole session; a test finds it with any member as its primary."""
    try:
        members = ReplicaSet(3)
    except MissingService as missing:
        skip_or_fail(missing)
    with members:
        yield members


def a_broker() -> RabbitMQ:
    try:
        return RabbitMQ()
    except MissingService as missing:
        skip_or_fail(missing)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """One broker for the whole session. A test that stops it makes it ready again; one that kills it has its own."""
    with a_broker() as broker:
        yield broker


@pytest.fixture
def own_broker() -> Iterator[RabbitMQ]:
    """A broker of this test's own, to be killed."""
    with a_broker() as broker:
        yield broker


@pytest.fixture
def broker(rabbitmq: RabbitMQ) -> Iterator[RabbitMQ]:
    """The broker, running, with none of the queues that the tests use."""
    from tests.amqp.queues import empty  # what it imports, few tests need

    rabbitmq.make_ready()
    empty(rabbitmq.uri)
    yield rabbitmq
    rabbitmq.make_ready()
