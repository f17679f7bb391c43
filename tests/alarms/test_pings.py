"""Do pings reach who is meant, in bounded time, and nobody else?"""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from cronlite.alarms import pings
from cronlite.alarms.calls import Caller
from cronlite.alarms.pings import FAIL, START, SUCCESS, Ping, Pinger, ping, rid
from tests.alarms.receivers import Healthchecks, Web, web_server
from tests.waiting import wait_until

ANYWHERE = Caller(allow_private=True, seconds=5)
CHECK = "/ping/5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as serving:
        yield serving


def test_a_run_is_pinged_as_healthchecks_has_it() -> None:
    with web_server(Healthchecks()) as serving:
        assert isinstance(serving, Healthchecks)
        for event, body in ((START, ""), (FAIL, "it is down"), (SUCCESS, "")):
            one = ping(serving.url(CHECK), event, "nightly@2026-11-21T02:30Z", body)
            ANYWHERE.call(one.url, one.body)
        assert serving.pings == [("start", ""), ("fail", "it is down"), ("success", "")]
        assert {request.query["rid"][0] for request in serving.received} == {rid("nightly@2026-11-21T02:30Z")}
        assert [request.method for request in serving.received] == ["GET", "POST", "GET"]


def test_a_query_of_a_url_stays_and_stands_behind_the_path() -> None:
    assert ping("https://h/p?a=1", START, "r").url == f"https://h/p/start?a=1&rid={rid('r')}"
    assert ping("https://h/p/", SUCCESS, "r").url == f"https://h/p/?rid={rid('r')}"


def test_pings_of_a_host_go_in_order_and_nobody_waits(web: Web) -> None:
    web.waits = threading.Event()
    pinger = Pinger(ANYWHERE.call, time.monotonic, waiting=10)
    for number in range(100):
        pinger.add(Ping(web.url(f"/{number}")))
    assert pinger.dropped >= 89, "what waits is bounded"
    web.waits.set()
    pinger.close(10)
    assert [one.place for one in web.received] == [f"/{number}" for number in range(len(web.received))]


def test_a_dead_host_rests_and_an_answer_of_500_is_no_death(web: Web) -> None:
    now = [0.0]
    called: list[str] = []

    def call(url: str, body: bytes) -> int:
        called.append(url)
        return Caller(allow_private=True, seconds=2).call(url, body)

    pinger = Pinger(call, lambda: now[0])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dead = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    for _ in range(3):
        pinger.send(Ping(dead))
    assert called == [dead]
    now[0] = pings.REST_SECONDS + 1
    pinger.send(Ping(dead))
    assert called == [dead, dead]
    web.answers["/"] = (500, {})
    pinger.send(Ping(web.url()))
    pinger.send(Ping(web.url()))
    assert len(web.received) == 2


def test_a_thread_that_had_nothing_to_do_is_followed_by_another(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pings, "_IDLE_SECONDS", 0.01)
    pinger = Pinger(ANYWHERE.call, time.monotonic)
    for number in range(3):
        pinger.add(Ping(web.url(f"/{number}")))
        wait_until(lambda number=number: len(web.received) == number + 1, what="the ping")  # type: ignore[misc]
        wait_until(lambda: all(lane._thread is None for lane in pinger._lanes), what="the end of the thread")
