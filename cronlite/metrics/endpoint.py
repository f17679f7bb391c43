"""How does Prometheus get the figures: over HTTP, from threads that keep nobody else waiting?"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cronlite.errors import ConfigurationError, shown
from cronlite.logger import logger
from cronlite.metrics.address import is_loopback, read
from cronlite.metrics.exposition import Exposition

log = logger("cronlite.metrics")

PATH = "/metrics"
MAX_AT_ONCE = 8
POLL_SECONDS = 0.2
"""How long `close` may take to be noticed."""
PATIENCE_SECONDS = 5.0
"""How long a client may take to say what it wants."""


class Endpoint:
    """Serves the figures at an address, from `start` to `close`."""

    def __init__(self, address: str, exposition: Exposition) -> None:
        self._address, self._exposition = address, exposition
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on: the system chose it where the address says 0."""
        return int(self._server.server_address[1]) if self._server else 0

    def start(self) -> None:
        """Listen. Raises ConfigurationError where the address cannot be had."""
        host, port = read(self._address)
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._server = _Server((host, port), family, self._exposition)
        except OSError as refused:
            problem = f"the figures cannot be served at {shown(self._address)}: {refused.strerror or refused}"
            raise ConfigurationError(f"{problem}; give another address") from None
        threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="cronlite-metrics", daemon=True
        ).start()
        log.info("figures at http://%s:%d%s", f"[{host}]" if ":" in host else host, self.port, PATH)
        if not is_loopback(host):
            log.warning("whoever reaches port %d of this machine can read the figures, without a password", self.port)

    def close(self) -> None:
        """Listen no more; an answer under way is not waited for."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], family: int, exposition: Exposition) -> None:
        self.address_family = socket.AddressFamily(family)
        self.exposition = exposition
        self._open: dict[socket.socket, None] = {}  # the oldest first
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take a connection; where that fails for want of a descriptor, in a while again rather than in a circle."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(POLL_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; where there are too many, the one that has taken longest goes."""
        if len(self._open) >= MAX_AT_ONCE:
            for oldest in list(self._open)[:1]:
                _hang_up(oldest)
        self._open[request] = None
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system grants no thread
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the base class has it
        log.debug("a scrape came to nothing", exc_info=True)


def _hang_up(request: socket.socket) -> None:
    with suppress(OSError):  # gone already
        request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_SECONDS
    server_version = "cronlite"
    sys_version = ""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == PATH:
            text, content_type = self.server.exposition.text(self.headers.get("Accept", ""))
            self._answer(200, content_type, text)
        else:
            self._answer(404, "text/plain; charset=utf-8", f"the figures are at {PATH}\n".encode())

    do_HEAD = do_GET

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a line for each scrape would fill the log."""
