"""How do Starlette, FastAPI and uvicorn serve the site? As one ASGI application under any path."""

from __future__ import annotations

import inspect
from asyncio import sleep
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request as Asked
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cronlite.client.app import Cronlite
from cronlite.client.following import LOOK_SECONDS
from cronlite.web.access import Level, Tokens, Visitor
from cronlite.web.exchange import FORM, MAX_BODY_BYTES, Answer, Request, fields_of
from cronlite.web.hosts import own_names
from cronlite.web.serving import Pages

Allowed = Visitor | Level | None
Authorize = Callable[[Asked], Allowed | Awaitable[Allowed]]


class Site:
    """The pages as an ASGI application."""

    def __init__(
        self,
        cron: Cronlite,
        *,
        authorize: Authorize | None = None,
        hosts: Collection[str] = (),
        view_token: str | None = None,
        operate_token: str | None = None,
        read_only: bool = False,
    ) -> None:
        tokens = Tokens(view_token, operate_token)
        names = {*own_names(), *(name.lower() for name in hosts)}
        self._pages = Pages(cron, names=names, tokens=tokens, read_only=read_only)
        self._authorize = authorize

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; as the outermost application, take part in a server's start and stop."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            response = await self._response(Asked(scope, receive))
            await response(scope, receive, send)
        else:
            await PlainTextResponse("The site speaks HTTP only.\n", 404)(scope, receive, send)

    async def _response(self, asked: Asked) -> Response:
        visitor = None
        if self._authorize is not None:
            visitor = await self._visitor(asked, self._authorize)
            if visitor is None:
                return PlainTextResponse("This page is not for you.\n", 403)
        form = b""
        if asked.method == "POST":
            if asked.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
                return PlainTextResponse("Send a form.\n", 415)
            async for piece in asked.stream():
                form += piece
                if len(form) > MAX_BODY_BYTES:
                    return PlainTextResponse(f"A form may take {MAX_BODY_BYTES} bytes.\n", 413)
        try:
            request = _request(asked, form)
        except ValueError:
            return PlainTextResponse("That has too many fields.\n", 400)
        return _to_send(await run_in_threadpool(self._pages.answer, request, visitor), asked.method)

    async def _visitor(self, asked: Asked, authorize: Authorize) -> Visitor | None:
        allowed = await run_in_threadpool(authorize, asked)
        if inspect.isawaitable(allowed):
            allowed = await allowed
        return Visitor("somebody", allowed == "operate") if isinstance(allowed, str) else allowed


def _request(asked: Asked, form: bytes) -> Request:
    root = asked.scope.get("root_path", "").rstrip("/")
    path = asked.scope["path"]
    return Request(
        method=asked.method,
        path=(path.removeprefix(root) if path.startswith(f"{root}/") else path if path != root else "") or "/",
        root=root,
        query=fields_of(asked.scope.get("query_string", b"")),
        form=fields_of(form),
        headers=dict(asked.headers),
        client=asked.client.host if asked.client else "",
        secure=asked.url.scheme == "https",
    )


def _to_send(answer: Answer, method: str) -> Response:
    response: Response
    if answer.stream is not None:
        response = StreamingResponse(_bit_by_bit(answer.stream), answer.status, media_type=answer.kind)
    else:
        response = Response(b"" if method == "HEAD" else answer.body, answer.status, media_type=answer.kind)
    for name, value in answer.headers:
        response.headers.append(name, value)
    return response


async def _bit_by_bit(stream: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Send what a stream yields, and wait a second where that is nothing: no thread waits with it."""
    async for piece in iterate_in_threadpool(stream):
        if piece:
            yield piece
        else:
            await sleep(LOOK_SECONDS)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        happened = (await receive())["type"]
        await send({"type": f"{happened}.complete"})
        if happened == "lifespan.shutdown":
            return
