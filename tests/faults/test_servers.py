"""A server that dies, stalls, steps down or loses its answers costs no minute, and nothing runs twice."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.faults.checker import MINUTE
from tests.faults.conftest import quickly
from tests.faults.evidence import Document
from tests.faults.fleet import Fleet
from tests.faults.proxy import Proxy
from tests.faults.rounds import CLAIM, a_database
from tests.services import MissingService, skip_or_fail
from tests.services.mongod import Mongod, ReplicaSet
from tests.services.process import listens
from tests.waiting import wait_until

MakeFleet = Callable[..., Fleet]
StartMongod = Callable[..., Mongod]


def wait_for_minutes(fleet: Fleet, count: int) -> None:
    """Let a fault last for so many fast minutes."""
    begun = fleet.now()
    wait_until(lambda: fleet.now() - begun > count * MINUTE, limit_seconds=90)


def lose_answers(fleet: Fleet, proxy: Proxy, command: str, times: int) -> None:
    """Lose the answers to a command after the commit, so many in a row."""
    for _ in range(2):
        fleet.wait_minutes_from_now(1)
        proxy.lose_answers(command, times)
        wait_until(lambda: not proxy.losing, limit_seconds=60, what=f"the answers to {command} are lost")
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify(f"answer to {command} lost, {times} in a row", f"{len(proxy.lost)} times", last)


def lose_a_claims_answer_and_then_the_way(fleet: Fleet, proxy: Proxy) -> None:
    fleet.wait_minutes_from_now(1)
    proxy.lose_answers("update", holding=CLAIM, then_cut=True)
    wait_until(lambda: proxy.lost, limit_seconds=60, what="the answer is lost")
    wait_for_minutes(fleet, 6)  # all that the store's time limit allows for other tries
    proxy.mend()
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify("answer to a claim lost, then no way to the server", "once", last)


def deliver_a_claim_that_was_given_up(fleet: Fleet, proxy: Proxy) -> None:
    fleet.wait_minutes_from_now(1)
    proxy.lose_answers("update", 2, holding=CLAIM, late_seconds=6)
    last = fleet.wait_minutes_from_now(10)
    fleet.stop_all()
    fleet.verify("a claim comes to the server 6 s late", "twice", last)


LOST = [("insert", 1), ("insert", 2), ("update", 1), ("update", 2), ("update", 3), ("findAndModify", 2)]
LINES: Mapping[str, Callable[[Fleet, Proxy], None]] = {
    "the answer to a claim is lost and then the way to the server": lose_a_claims_answer_and_then_the_way,
    "a claim comes when its daemon has given it up": deliver_a_claim_that_was_given_up,
    **{
        f"the answer to {command} is lost, {times} in a row": partial(lose_answers, command=command, times=times)
        for command, times in LOST
    },
}


@pytest.mark.parametrize("name", quickly(LINES, "the answer to update is lost, 2 in a row"))
def test_a_bad_line(mongod: Mongod, make_fleet: MakeFleet, name: str) -> None:
    with Proxy(mongod.port) as proxy:
        fleet = make_fleet(proxy.uri_of(a_database()), silence_seconds=20)
        fleet.schedule(20)
        fleet.start(seats=1 if "a claim" in name else 20).wait_ready()  # with one, no tick claims on its way
        LINES[name](fleet, proxy)


def test_mongod_is_killed_in_mid_tick(start_mongod: StartMongod, make_fleet: MakeFleet) -> None:
    server = start_mongod()
    fleet = make_fleet(server.uri_of(a_database()))
    fleet.schedule(50)
    for _ in range(2):
        fleet.start().wait_ready()
    for _ in range(2):
        fleet.wait_minutes_from_now(1)
        server.kill()
        server.start()
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify("mongod killed with -9 and started again", "twice", last)


@pytest.mark.slow
def test_mongod_stalls(start_mongod: StartMongod, make_fleet: MakeFleet) -> None:
    server = start_mongod()
    fleet = make_fleet(server.uri_of(a_database()))
    fleet.schedule(50)
    nodes = [fleet.start(), fleet.start()]
    for node in nodes:
        node.wait_ready()
    for seconds in (7, 3):
        fleet.wait_minutes_from_now(1)
        server.pause()
        wait_for_minutes(fleet, seconds)
        server.go_on()
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify("mongod stalled by SIGSTOP", "7 s and 3 s", last)


@pytest.mark.parametrize("method", quickly(["candidates", "claim_runs", "beat", "change_runs"], "claim_runs"))
def test_the_primary_steps_down(replica_set: ReplicaSet, make_fleet: MakeFleet, method: str) -> None:
    fleet = make_fleet(replica_set.uri_of(a_database()))
    fleet.schedule(20)
    node = fleet.start(f"hold before {method} 3")
    node.wait_held("before", method, 3)
    replica_set.step_down()
    node.let_go("before", method, 3)
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify(f"stepdown during {method}", "once", last)


class Guarded(Mongod):
    """A mongod that lets in only whom it knows."""

    guarded = False

    def _command(self) -> list[str | Path]:
        return [*super()._command(), *(["--auth"] if self.guarded else [])]

    def uri_for(self, user: str, password: str, database: str) -> str:
        return f"mongodb://{user}:{password}@{self.address}/{database}?directConnection=true&authSource=admin"


@pytest.fixture
def guarded(start_mongod: StartMongod) -> Iterator[Guarded]:
    """A server with the users owner, reader and (locked out later) nobody, each with the password "right"."""
    start_mongod  # noqa: B018 - skips or fails where there is no MongoDB
    with Guarded(replica_set=None) as server:
        with server.client() as client:
            for user, role in (("owner", "root"), ("writer", "readWriteAnyDatabase"), ("reader", "readAnyDatabase")):
                client.admin.command("createUser", user, pwd="right", roles=[role])
        server.guarded = True
        server.stop()
        server.spawn()  # without its rights nobody may ask whether it is ready
        wait_until(lambda: listens(server.port), what="it listens")
        yield server


@pytest.mark.slow
def test_a_wrong_password_and_one_that_is_changed(guarded: Guarded, make_fleet: MakeFleet) -> None:
    fleet = make_fleet(guarded.uri_for("owner", "right", a_database()))
    wrong = fleet.start(uri=guarded.uri_for("writer", "wrong", "cronlite"))
    wrong.wait_for_line("lets nobody in")
    fleet.schedule(5)
    node = fleet.start()
    node.wait_ready()
    fleet.wait_minutes_from_now(1)
    assert wrong.ended is None
    assert "wrong@" not in wrong.text
    last = fleet.wait_minutes_from_now(1)
    fleet.stop_all()
    assert wrong.text.count("lets nobody in") == 1  # told once, not at every try
    fleet.verify("a wrong password", "1 of 2 daemons", last)


@pytest.mark.slow
def test_a_user_who_may_only_read(guarded: Guarded, make_fleet: MakeFleet) -> None:
    database = a_database()
    fleet = make_fleet(guarded.uri_for("owner", "right", database))
    fleet.schedule(5)
    reader = fleet.start(uri=guarded.uri_for("reader", "right", database))
    reader.wait_for_line("does not allow this user")
    fleet.start().wait_ready()
    fleet.wait_minutes_from_now(1)
    with MongoClient[Document](guarded.uri_for("owner", "right", "admin")) as client:
        client.admin.command("updateUser", "reader", roles=["readWriteAnyDatabase"])
    reader.wait_for_line("answers again")  # without a restart
    last = fleet.wait_minutes_from_now(2)
    assert len(fleet.evidence().daemons) == 2
    fleet.stop_all()
    fleet.verify("a user who may only read, until he may write", "1 of 2 daemons", last)


@pytest.mark.slow
def test_a_user_who_may_only_read_from_now_on(guarded: Guarded, make_fleet: MakeFleet) -> None:
    database = a_database()
    fleet = make_fleet(guarded.uri_for("owner", "right", database))
    fleet.schedule(5)
    node = fleet.start(uri=guarded.uri_for("writer", "right", database))
    fleet.wait_minutes(2)
    with MongoClient[Document](guarded.uri_for("owner", "right", "admin")) as client:
        client.admin.command("updateUser", "writer", roles=["readAnyDatabase"])
        node.wait_for_line("does not allow this user")
        wait_for_minutes(fleet, 4)
        client.admin.command("updateUser", "writer", roles=["readWriteAnyDatabase"])
    node.wait_for_line("answers again")
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify("the right to write is taken away for 4 s", "once", last)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that mounts a disk of a size; only root may."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        asked = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "cronlite-test", folder], check=False)
        if asked.returncode != 0:
            skip_or_fail(MissingService("a small disk can only be mounted by root"))
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Leave no room on a disk; return the file that takes it."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    return filler


def test_the_disk_of_a_file_is_full(small_disk: Callable[[str], Path], make_fleet: MakeFleet) -> None:
    disk = small_disk("4m")
    fleet = make_fleet(f"sqlite:{disk / 'cronlite.db'}")
    fleet.schedule(10)
    nodes = [fleet.start(), fleet.start()]
    for _ in range(2):
        fleet.wait_minutes_from_now(1)
        filler = fill(disk)
        wait_until(lambda: any("is full" in node.text for node in nodes), limit_seconds=60, what="a full disk is told")
        wait_for_minutes(fleet, 3)
        filler.unlink()
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify("the disk of SQLite's file full for 3 s", "twice", last)


@pytest.mark.slow
def test_the_disk_of_a_server_is_full(
    small_disk: Callable[[str], Path], start_mongod: StartMongod, make_fleet: MakeFleet
) -> None:
    disk = small_disk("400m")
    server = start_mongod()
    server.stop()
    shutil.copytree(server.dbpath, disk / "data")
    shutil.rmtree(server.dbpath)
    server.dbpath.symlink_to(disk / "data")
    server.start()
    fleet = make_fleet(server.uri_of(a_database()))
    fleet.schedule(10)
    for _ in range(2):
        fleet.start()
    fleet.wait_minutes(2)
    filler = fill(disk)
    # Its journal has no room for the next file: MongoDB ends itself, or refuses what needs more.
    with MongoClient[Document](server.uri, timeoutMS=2_000) as client, suppress(PyMongoError):
        for _ in range(200):
            client["elsewhere"]["filler"].insert_one({"x": "y" * 1_000_000})
    for node in fleet.nodes:
        node.wait_for_line("fails: ")
    wait_for_minutes(fleet, 3)
    filler.unlink()
    server.make_ready()
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify("the disk of mongod full", "once", last)
