"""How is a store looked at, and put right, in a browser?

A page is a function from a visit (`visit`: the Cronlite, what was asked, by whom) to an answer (`exchange`), and knows
no framework; `screens` lists them all. `serving` lets a request through its gates to its page: `hosts`, `access`,
`forms`. `asgi` serves that to Starlette, FastAPI and uvicorn; Django's way in is `cronlite.contrib.django.urls`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from cronlite.errors import ConfigurationError

if TYPE_CHECKING:
    from cronlite.client.app import Cronlite
    from cronlite.web.asgi import Authorize, Site

__all__ = ["site"]


def incomplete(missing: ModuleNotFoundError) -> ConfigurationError:
    """Return the error for a package of the extra that is not installed."""
    problem = "the site needs packages that are not installed; pip install 'cronlite[web]'"
    return ConfigurationError(f"{problem} ({missing.name} is missing)")


def site(
    cron: Cronlite,
    *,
    authorize: Authorize | None = None,
    hosts: Collection[str] = (),
    view_token: str | None = None,
    operate_token: str | None = None,
    read_only: bool = False,
) -> Site:
    """Return the site of a Cronlite as an ASGI application, to serve on its own or to mount under any path.

    `authorize` is asked about each request (a Starlette request; it may be async) and returns "view", "operate", a
    `cronlite.web.access.Visitor`, or None for nobody; without it, whoever knows a token signs in. With neither, the
    site answers this machine only. `hosts` are the names, without ports, under which browsers reach it, besides
    addresses and this machine's own. With `read_only` nobody changes anything. Raises ConfigurationError.
    """
    try:
        from cronlite.web.asgi import Site
    except ModuleNotFoundError as missing:
        raise incomplete(missing) from None
    return Site(
        cron,
        authorize=authorize,
        hosts=hosts,
        view_token=view_token,
        operate_token=operate_token,
        read_only=read_only,
    )
