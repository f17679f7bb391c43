"""Who asks for a change, where nobody says so?"""

from __future__ import annotations

import getpass
import os
import socket

from cronlite.client.arguments import instance
from cronlite.documents.changes import Actor, Way

VARIABLE = "CRONLITE_ACTOR"


def actor_of(actor: Actor | str | None, way: Way = "api") -> Actor:
    """Return who was named, or else $CRONLITE_ACTOR, or else who this process runs as, and on which host.

    Raises InvalidInput.
    """
    if actor is None:
        return Actor.called(os.environ.get(VARIABLE) or _login(), way)
    return Actor(actor, way) if isinstance(actor, str) else instance(actor, Actor, "actor")


def _login() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # an account without a name, as in many containers
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    return f"{user}@{socket.gethostname()}"
