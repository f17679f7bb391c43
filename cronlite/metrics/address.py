"""Where are the figures served: on this machine only, unless an address says otherwise?"""

from __future__ import annotations

import ipaddress

from cronlite.documents.checks import Complaint

LOOPBACK = "127.0.0.1"


def read(address: str) -> tuple[str, int]:
    """Return the host and the port of "HOST:PORT", "[::1]:PORT" or "PORT". Raises ValueError."""
    host, _, port = address.rpartition(":")
    if not port.isascii() or not port.isdecimal() or len(port) > 5 or int(port) > 65_535:
        raise ValueError("no port")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not host.isascii() or not host.isprintable() or " " in host or len(host) > 253:
        raise ValueError("no host")
    return host or LOOPBACK, int(port)


def check(value: object) -> Complaint:
    """Check for an address, or none."""
    if value is None:
        return None
    try:
        read(value)  # type: ignore[arg-type]
    except (ValueError, AttributeError):
        return "is no address", 'give "PORT" for this machine only, or "HOST:PORT", such as "127.0.0.1:9464"'
    return None


def of_process(address: str, number: int) -> str:
    """Return where the nth of several processes serves its figures: each has the port after the one before."""
    host, port = read(address)
    return f"{f'[{host}]' if ':' in host else host}:{port + number - 1 if port else 0}"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
