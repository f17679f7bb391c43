"""Where are the figures served, to whom, and what comes of clients that misbehave?"""

from __future__ import annotations

import errno
import logging
import socket
import socketserver
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from cronlite.daemon.options import Options
from cronlite.errors import ConfigurationError, InvalidInput
from cronlite.metrics import address, endpoint
from cronlite.metrics.endpoint import MAX_AT_ONCE, Endpoint
from cronlite.metrics.exposition import Exposition
from cronlite.store.contract import Store
from tests.metrics.scraping import Samples, scraped
from tests.waiting import wait_until


@pytest.fixture
def served(store: Store) -> Iterator[Endpoint]:
    one = Endpoint("0", Exposition(store))
    one.start()
    yield one
    one.close()


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("9464", "127.0.0.1", 9464),
        (":9464", "127.0.0.1", 9464),
        ("0.0.0.0:9464", "0.0.0.0", 9464),
        ("[::1]:9464", "::1", 9464),
        ("localhost:0", "localhost", 0),
    ],
)
def test_an_address_is_on_this_machine_unless_it_says_otherwise(given: str, host: str, port: int) -> None:
    assert Options(metrics=given).metrics == given
    assert address.read(given) == (host, port)


def test_each_of_several_processes_has_the_next_port() -> None:
    assert [address.of_process("9464", number) for number in (1, 3)] == ["127.0.0.1:9464", "127.0.0.1:9466"]
    assert (address.of_process("[::1]:9464", 2), address.of_process("0", 2)) == ("[::1]:9465", "127.0.0.1:0")


@pytest.mark.parametrize("given", ["", "host", "host:", "1:99999", "a b:1", "a:-1", "a:1x", "x\n:1", 9464, "é:1"])
def test_what_is_no_address_is_refused_with_an_example(given: Any) -> None:
    with pytest.raises(InvalidInput, match=r"metrics.*127\.0\.0\.1:9464"):
        Options(metrics=given)


def test_an_address_that_is_taken_is_named(served: Endpoint, store: Store) -> None:
    with pytest.raises(ConfigurationError, match=f"{served.port}.*give another address"):
        Endpoint(str(served.port), Exposition(store)).start()


def test_an_address_that_others_reach_is_told(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    one = Endpoint("0.0.0.0:0", Exposition(store))
    with caplog.at_level(logging.WARNING):
        one.start()
    one.close()
    assert "without a password" in caplog.text


def test_nothing_but_the_figures_is_there(served: Endpoint) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{served.port}/")
    assert refused.value.code == 404
    refused.value.close()


def test_figures_are_given_as_openmetrics_where_asked(served: Endpoint) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{served.port}/metrics")
    request.add_header("Accept", "application/openmetrics-text; version=1.0.0")
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert answer.read().endswith(b"# EOF\n")


def test_clients_that_say_nothing_keep_nobody_waiting(served: Endpoint) -> None:
    with ExitStack() as silent:
        for _ in range(3 * MAX_AT_ONCE):
            client = silent.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            client.sendall(b"GET /metr")
        assert Samples(scraped(served.port)).values
        answering = [one for one in threading.enumerate() if "process_request_thread" in one.name]
        wait_until(lambda: sum(one.is_alive() for one in answering) <= MAX_AT_ONCE, what="the oldest are gone")


def test_a_connection_that_cannot_be_taken_is_not_asked_for_in_a_circle(
    served: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, slept = threading.Event(), threading.Event()
    accept = socketserver.TCPServer.get_request

    def lacking(server: socketserver.TCPServer) -> Any:
        if not refused.is_set():
            refused.set()
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(server)

    monkeypatch.setattr(socketserver.TCPServer, "get_request", lacking)
    monkeypatch.setattr(endpoint, "time", SimpleNamespace(sleep=lambda _: slept.set()))
    assert Samples(scraped(served.port)).values
    assert slept.is_set()


def test_a_client_that_leaves_breaks_nothing(served: Endpoint, capfd: pytest.CaptureFixture[str]) -> None:
    strange = b"GET /metrics HTTP/1.1\r\nAccept: \xff;version=;escaping=,*/*;q=x\r\n\r\n"
    for request in (b"GET /metrics HTTP/1.1\r\n\r\n", strange, b"\x00\xff\r\n\r\n", b"G" * 100_000):
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # leaves with a reset
            client.sendall(request)
    assert Samples(scraped(served.port)).value("cronlite_daemons", state="alive") == 0
    assert capfd.readouterr().err == ""
