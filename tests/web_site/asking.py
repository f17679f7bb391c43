"""How do tests ask the site: as a browser would, with cookies and forms, or as somebody who pretends to be one?"""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import httpx
from starlette.types import ASGIApp

import cronlite
from cronlite.handlers.registry import Registry
from cronlite.web import site

HOST = "127.0.0.1:8033"
_NONE: Mapping[str, str] = {}
_TOKEN = re.compile(r'name="form_token" value="([^"]*)"')


@contextmanager
def an_empty_cron() -> Iterator[cronlite.Cronlite]:
    """Open a store in memory, with handlers of its own."""
    with cronlite.Cronlite("memory:", registry=Registry()) as opened:
        opened.store.prepare()
        yield opened


class Browser:
    """Keeps cookies, and says of its forms where they come from, as browsers do."""

    def __init__(
        self,
        cron: cronlite.Cronlite,
        *,
        app: ASGIApp | None = None,
        base: str = f"http://{HOST}",
        client: str = "127.0.0.1",
        **options: Any,
    ) -> None:
        self.app = app or site(cron, **options)
        self.cookies = httpx.Cookies()
        self._base, self._client = base, client

    def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> httpx.Response:
        """Send what is given and nothing else, and answer without following."""
        return asyncio.run(self._sent(method, path, headers or {}, body))

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask for a page."""
        return self.send("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, fields: Mapping[str, str | Sequence[str]], *, page: str | None = None) -> httpx.Response:
        """Send a form from a page (by default, that at the same path), with the token that is on it."""
        token = _TOKEN.search(self.get(page or path).text)
        assert token is not None, "there is no form on that page"
        return self.send(
            "POST", path, headers=FROM_HERE, body=urlencode({**fields, "form_token": token[1]}, doseq=True)
        )

    def follow(self, answer: httpx.Response) -> httpx.Response:
        """Go where an answer sends the browser."""
        assert answer.status_code == 303, (answer.status_code, text_of(answer))
        return self.get(answer.headers["location"])

    async def _sent(self, method: str, path: str, headers: Mapping[str, str], body: str) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(self._client, 50_000), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=self._base, cookies=self.cookies) as client:
            answer = await client.request(method, path, headers=dict(headers), content=body or None)
            self.cookies = client.cookies
            return answer


FROM_HERE = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Sec-Fetch-Site": "same-origin",
    "Origin": f"http://{HOST}",
}


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def text_of(answer: httpx.Response) -> str:
    """Return the words of a page, as somebody reads them."""
    reader = _Text()
    reader.feed(answer.text)
    return " ".join(html.unescape(" ".join(reader.parts)).split())
