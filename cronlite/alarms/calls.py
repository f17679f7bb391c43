"""How is a URL called that somebody else wrote: in bounded time, and nowhere that it must not lead to?

http.client would wait for each piece of an answer anew, and would connect to whatever address the name has by then.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

from cronlite.errors import CronliteError, shown, visible
from cronlite.version import VERSION

SECONDS = 10.0
MAX_REDIRECTS = 3
MAX_ANSWER = 64 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
_PORTS = {"http": 80, "https": 443}
Address = tuple[int, str, int]
Resolve = Callable[[str, int], Iterator[Address]]


class CallFailed(CronliteError):
    """A URL could not be called, was not allowed to be, or answered with an error."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls URLs. Each call takes `seconds` at most, apart from the look-up of a name, which is the system's.

    Unless `allow_private`, it connects to public addresses only: it looks a name up itself, and connects to the very
    address that it has looked at, so that a name which changes its mind in between gains nothing.
    """

    allow_private: bool = False
    seconds: float = SECONDS

    def call(self, url: str, body: bytes = b"") -> int:
        """Call a URL, with POST where there is a body, and follow few redirects; return the status of the answer.

        Raises CallFailed, for a status of 400 or more, too.
        """
        until = time.monotonic() + self.seconds
        scheme = urlsplit(url).scheme
        for _ in range(MAX_REDIRECTS + 1):
            status, location = self._one(url, body, until)
            if status not in _REDIRECTS or location is None:
                if status >= 400:
                    raise CallFailed(f"{_of(url)} answered with {status}")
                return status
            url = urljoin(url, location)
            if urlsplit(url).scheme != scheme:
                raise CallFailed(f"{_of(url)}: a redirect to another scheme is not followed")
            if status in (301, 302, 303):
                body = b""
        raise CallFailed(f"{_of(url)}: more than {MAX_REDIRECTS} redirects")

    def _one(self, url: str, body: bytes, until: float) -> tuple[int, str | None]:
        parts = _parts(url)
        port = parts.port or _PORTS[parts.scheme]
        try:
            with self._connected(parts, port, until) as connection:
                connection.sendall(_request(parts, body))
                return _answer(_head(connection, until))
        except CallFailed as failed:
            raise CallFailed(f"{_of(url)}: {failed}") from None
        except (OSError, ValueError) as broken:
            why = getattr(broken, "strerror", None) or str(broken) or type(broken).__name__
            raise CallFailed(f"{_of(url)}: {visible(why)}") from None

    def _connected(self, parts: SplitResult, port: int, until: float) -> socket.socket:
        host = parts.hostname or ""
        refused: Exception = CallFailed("its name has no address")
        for address in _resolved(host, port):
            if not (self.allow_private or is_public(address[1])):
                refused = CallFailed("its address is private; the operator may allow that (--allow-private-pings)")
                continue
            try:
                connection = socket.create_connection(address[1:], timeout=_left(until))
            except OSError as error:
                refused = error
                continue
            if parts.scheme == "http":
                return connection
            connection.settimeout(_left(until))
            try:
                return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
            except BaseException:
                connection.close()
                raise
        raise refused


def is_public(address: str) -> bool:
    """Tell whether an address is one of the Internet's, and so not of this machine, its network or its cloud."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or _translated(ip)
        if inner is not None:
            ip = inner
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _translated(ip: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address in one of NAT64's (RFC 6052), or of the obsolete IPv4-compatible ones."""
    if ip.packed[:12] in (bytes.fromhex("0064ff9b") + bytes(8), bytes(12)):
        return IPv4Address(ip.packed[12:])
    return None


def _resolved(host: str, port: int) -> Iterator[Address]:
    for family, _, _, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        yield int(family), str(place[0]), port


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        allowed = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        allowed = False
    if not allowed or not url.isascii() or not url.isprintable() or " " in url:
        raise CallFailed(f"{shown(url)} is no URL of http or https")
    return parts


def _request(parts: SplitResult, body: bytes) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"{'POST' if body else 'GET'} {target} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        f"User-Agent: cronlite/{VERSION}",
        "Accept: */*",
        "Connection: close",
    ]
    if body:
        lines += ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _head(connection: socket.socket, until: float) -> bytes:
    """Read an answer up to the end of its headers; the rest is of no interest."""
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < MAX_ANSWER:
        connection.settimeout(_left(until))
        piece = connection.recv(4_096)
        if not piece:
            break
        answer += piece
    return answer


def _answer(head: bytes) -> tuple[int, str | None]:
    first, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise CallFailed("it does not speak HTTP")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(rest[:3]), headers.get("location")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _of(url: str) -> str:
    """Name a URL without its path and query, which may be a secret, as Healthchecks' are."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{visible(parts.netloc.rpartition('@')[2])[:200]}/…"
