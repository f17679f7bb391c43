"""How does a Starlette or FastAPI application start and stop the daemon with itself, and tell a probe how it is?

`enqueue` is the plain one: in a `def` endpoint call it; in an `async def` one write
`await run_in_threadpool(cron.enqueue, "extract", {...})`, with `starlette.concurrency.run_in_threadpool`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from cronlite.client.app import Cronlite
from cronlite.contrib.health import health

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


def lifespan(cron: Cronlite, other: Lifespan | None = None, **options: Any) -> Lifespan:
    """Return a lifespan that starts the daemon with the application and stops it, after its drain, with it.

    `other` is one more lifespan: it begins before the daemon, ends after it, and its state is the application's.
    `options` are those of `Cronlite.start`; `drain_seconds` should be shorter than what the server grants at its stop.
    What runs longer than that is given back to the queue when the lifespan ends, as the process ends next.
    Before 0.41, uvicorn does not end the lifespan of a process that it stops while it starts: such a daemon counts as
    alive until it has been silent for `silence_seconds`.
    """

    @asynccontextmanager
    async def lived(app: Any) -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            state = await stack.enter_async_context(other(app)) if other else None
            # uvicorn dies of the signal that stopped it, right after this and without atexit.
            stack.push_async_callback(run_in_threadpool, cron._embedded.stop, hard=True)
            await run_in_threadpool(cron.start, **options)
            yield state

    return lived


def health_endpoint(cron: Cronlite) -> Callable[[Request], Awaitable[JSONResponse]]:
    """Return an endpoint that answers `cronlite.contrib.health.health`: 200 while healthy, else 503."""

    async def endpoint(_: Request) -> JSONResponse:
        report = await run_in_threadpool(health, cron)
        return JSONResponse(report, 200 if report["healthy"] else 503)

    return endpoint
