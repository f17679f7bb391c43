"""Real servers that alarms and pings are sent to: one that takes mail, one that speaks HTTP."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller


class Mailbox:
    """What a mail server has taken."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.raw.append(envelope.content)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 taken"


class _OnFreePort(Controller):
    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def mail_server() -> Iterator[tuple[Mailbox, int]]:
    """Serve SMTP on a free port."""
    box = Mailbox()
    controller = _OnFreePort(box, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


@dataclass
class Request:
    """One request that was received."""

    method: str
    path: str
    body: str
    headers: dict[str, str]

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    @property
    def place(self) -> str:
        return urlsplit(self.path).path

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Web:
    """A web server: what it received, and what it answers, by path."""

    port: int = 0
    received: list[Request] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    waits: threading.Event | None = None
    came: Callable[[Request], None] | None = None

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def answer(self, request: Request) -> tuple[int, dict[str, str]]:
        if self.waits:
            self.waits.wait(60)
        if self.came:
            self.came(request)
        return self.answers.get(request.place, (200, {}))


_PING = re.compile(r"/ping/([0-9a-f-]{36})(?:/(start|fail|log|\d+))?\Z")


class Healthchecks(Web):
    """Speaks Healthchecks' ping API (https://healthchecks.io/docs/http_api/): 404 for no check, 400 for a bad rid."""

    def answer(self, request: Request) -> tuple[int, dict[str, str]]:
        if not _PING.match(request.place):
            return 404, {}
        for given in request.query.get("rid", []):
            if str(uuid.UUID(given)) != given:
                return 400, {}
        return super().answer(request)

    @property
    def pings(self) -> list[tuple[str, str]]:
        """List the events and their bodies."""
        found = [(_PING.match(one.place), one.body) for one in self.received]
        return [(match[2] or "success", body) for match, body in found if match]


@contextmanager
def web_server(web: Web | None = None) -> Iterator[Web]:
    """Serve HTTP on a free port."""
    serving = web or Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size).decode()
            request = Request(self.command, self.path, body, {k.lower(): v for k, v in self.headers.items()})
            serving.received.append(request)
            status, headers = serving.answer(request)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield serving
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
