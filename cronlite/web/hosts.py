"""Under which names may the site be reached?

A page of a stranger can point its own name at 127.0.0.1 (DNS rebinding), and then reads and writes here as if it were
this site: its name in `Host` gives it away. An address cannot be pointed elsewhere, and so is no such trick.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def name_of(host: str) -> str:
    """Return the name in a `Host` header, or of an address with a port, in small letters and without the port."""
    name, colon, port = host.rpartition(":")
    name = (name if colon and port.isdecimal() else host).lower()
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name.rstrip(".")


def is_address(name: str) -> bool:
    """Tell whether a name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(client: str) -> bool:
    """Tell whether an address is this machine's own; nothing else is one, a name included."""
    try:
        return ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False


def own_names() -> set[str]:
    """Name this machine, as others on its network do."""
    name = socket.gethostname().lower()  # its longer forms would have to be asked of a name server
    return {name, name.partition(".")[0]}


def is_allowed(host: str, names: Collection[str]) -> bool:
    """Tell whether a `Host` header has one of the names, or an address, or a name that every machine has for itself."""
    name = name_of(host)
    return name in LOOPBACK or name in names or is_address(name)
