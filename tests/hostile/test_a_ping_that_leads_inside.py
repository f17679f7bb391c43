"""An address of a tenant's that leads inside: to this machine, its network, its cloud, or on and on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cronlite.alarms import calls
from cronlite.alarms.calls import Caller, CallFailed, is_public
from tests.alarms.receivers import Web, web_server

ANYWHERE = Caller(allow_private=True, seconds=5)


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as serving:
        yield serving


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1", "::7f00:1", "nonsense"),
    ],
)
def test_what_is_not_the_internets_is_private(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_what_is_the_internets_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1"])
def test_a_private_address_is_not_called_however_it_is_spelled(web: Web, host: str) -> None:
    with pytest.raises(CallFailed):
        Caller(seconds=5).call(web.url("/", host))
    assert web.received == []


def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_looked_at(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)

    def connect(address: Any, **_: Any) -> None:
        connected.append(address)
        raise OSError("as far as this test goes")

    monkeypatch.setattr(socket, "create_connection", connect)
    for _ in range(2):
        with pytest.raises(CallFailed):
            Caller(seconds=5).call(web.url("/", "rebinding.example"))
    assert (asked, connected) == (["rebinding.example"] * 2, [("93.184.216.34", web.port)])


def test_a_redirect_leads_to_no_private_address(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.answers["/"] = (302, {"Location": web.url("/inner", "127.0.0.2")})
    monkeypatch.setattr(calls, "is_public", lambda address: address == "127.0.0.1")
    with pytest.raises(CallFailed, match="private"):
        Caller(seconds=5).call(web.url("/"))
    assert [request.place for request in web.received] == ["/"]


@pytest.mark.parametrize("location", ["https://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/"])
def test_a_redirect_leads_to_no_other_scheme(web: Web, location: str) -> None:
    web.answers["/"] = (302, {"Location": location})
    with pytest.raises(CallFailed, match="another scheme"):
        ANYWHERE.call(web.url("/"))
    assert len(web.received) == 1


def test_redirects_are_few_and_lose_the_body_where_http_has_it_so(web: Web) -> None:
    web.answers |= {"/a": (302, {"Location": "/b"}), "/b": (307, {"Location": "/c"})}
    assert ANYWHERE.call(web.url("/a"), b"x") == 200
    assert [(one.method, one.place) for one in web.received] == [("POST", "/a"), ("GET", "/b"), ("GET", "/c")]
    web.answers["/c"] = (302, {"Location": "/a"})
    with pytest.raises(CallFailed, match="redirects"):
        ANYWHERE.call(web.url("/a"))


@pytest.mark.parametrize("url", ["ftp://h/", "file:///etc/passwd", "http://", "http://h h/", "http://h/\r\nX: y", "x"])
def test_what_is_no_url_of_the_web_is_not_called(url: str) -> None:
    with pytest.raises(CallFailed):
        ANYWHERE.call(url)


def test_a_server_that_drips_is_waited_for_no_longer_than_one_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        stop = threading.Event()

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"HTTP/1.1 200 OK\r\nX: x\r\n")
                    except OSError:
                        return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            with pytest.raises(CallFailed, match="time"):
                Caller(allow_private=True, seconds=0.5).call(f"http://127.0.0.1:{port}/")
        finally:
            stop.set()
            dripping.join()


def test_what_a_failed_call_says_holds_neither_path_nor_query(web: Web) -> None:
    web.answers["/secret"] = (500, {})
    with pytest.raises(CallFailed) as failed:
        ANYWHERE.call(web.url("/secret?key=hidden"))
    assert str(failed.value) == f"http://127.0.0.1:{web.port}/… answered with 500"
