"""A server that dies, stalls, steps down or loses its answers costs no minute, and nothing runs twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.faults.checker import MINUTE
from tests.faults.fleet import Fleet
from tests.faults.proxy import Proxy
from tests.faults.rounds import a_database
from tests.services.mongod import Mongod, ReplicaSet
from tests.waiting import wait_until

MakeFleet = Callable[..., Fleet]
StartMongod = Callable[..., Mongod]


@pytest.fixture
def proxy(mongod: Mongod) -> Iterator[Proxy]:
    with Proxy(mongod.port) as relay:
        yield relay


def wait_for_minutes(fleet: Fleet, count: int) -> None:
    """Let a fault last for so many fast minutes."""
    begun = fleet.now()
    wait_until(lambda: fleet.now() - begun > count * MINUTE, limit_seconds=60)


@pytest.mark.parametrize(
    ("command", "times"),
    [("insert", 1), ("insert", 2), ("update", 1), ("update", 2), ("update", 3), ("findAndModify", 2)],
)
def test_answers_are_lost_after_the_commit(
    mongod: Mongod, proxy: Proxy, make_fleet: MakeFleet, command: str, times: int
) -> None:
    fleet = make_fleet(proxy.uri_of(a_database()))
    fleet.schedule(20)
    node = fleet.start()
    node.wait_ready()
    for _ in range(4):
        fleet.wait_minutes_from_now(1)
        proxy.lose_answers(command, times)
        wait_until(lambda: not proxy.losing, limit_seconds=20, what=f"the answers to {command} are lost")
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify(f"answer to {command} lost, {times} in a row", f"{len(proxy.lost)} times", last)


CLAIM = b"\x07claim\x00"  # the element by which a claim's update is known


def test_the_answer_to_a_claim_is_lost_and_then_the_way_to_the_server(
    mongod: Mongod, proxy: Proxy, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(proxy.uri_of(a_database()), silence_seconds=20)
    fleet.schedule(20)
    node = fleet.start()
    node.wait_ready()
    fleet.wait_minutes_from_now(1)
    proxy.lose_answers("update", holding=CLAIM, then_cut=True)
    wait_until(lambda: proxy.lost, limit_seconds=20, what="the answer is lost")
    wait_for_minutes(fleet, 6)  # all that the store's time limit allows for other tries
    proxy.mend()
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify("answer to a claim lost, then no way to the server", "once", last)


def test_a_claim_reaches_the_server_when_its_daemon_has_given_it_up(
    mongod: Mongod, proxy: Proxy, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(proxy.uri_of(a_database()), silence_seconds=20)
    fleet.schedule(20)
    node = fleet.start()
    node.wait_ready()
    fleet.wait_minutes_from_now(1)
    proxy.lose_answers("update", 2, holding=CLAIM, late_seconds=6)
    last = fleet.wait_minutes_from_now(10)
    fleet.stop_all()
    fleet.verify("a claim comes to the server 6 s late", "twice", last)


def test_mongod_is_killed_in_mid_tick(start_mongod: StartMongod, make_fleet: MakeFleet) -> None:
    server = start_mongod()
    fleet = make_fleet(server.uri_of(a_database()))
    fleet.schedule(50)
    for _ in range(2):
        fleet.start().wait_ready()
    for _ in range(3):
        fleet.wait_minutes_from_now(1)
        server.kill()
        server.start()
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify("mongod killed with -9 and started again", "3 times", last, lost_leases=True)


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
    fleet.verify("mongod stalled by SIGSTOP", "7 s and 3 s", last, lost_leases=True)


@pytest.mark.parametrize("method", ["candidates", "claim_runs", "beat", "change_runs"])
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
