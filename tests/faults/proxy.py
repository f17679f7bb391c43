"""What if the way to the server fails: a relay between daemons and mongod that loses answers, or everything."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import bson

from tests.services.process import free_port

_HEADER = struct.Struct("<iiii")


class _Loss(NamedTuple):
    command: str
    holding: bytes
    late_seconds: float
    then_cut: bool


class Proxy:
    """Relays MongoDB's protocol to a server on this machine, message by message. `with` starts and ends it."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self.lost: list[str] = []
        """The commands whose answers were lost so far."""
        self._server = port
        self._lock = threading.Lock()
        self._losing: list[_Loss] = []
        self._cut = False
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", self.port))

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._close_all()

    def uri_of(self, database: str) -> str:
        """Return the URI of a database, by way of this relay."""
        return f"mongodb://127.0.0.1:{self.port}/{database}?directConnection=true"

    def lose_answers(
        self, command: str, times: int = 1, *, holding: bytes = b"", late_seconds: float = 0, then_cut: bool = False
    ) -> None:
        """Pass on the next so many of these commands, but close the connection instead of bringing the answer.

        Only those count that hold some bytes. `late_seconds`: they reach the server so much later. `then_cut`: after
        the last one, nobody gets through any more until `mend`.
        """
        with self._lock:
            self._losing = [
                _Loss(command, holding, late_seconds, then_cut and left == 1) for left in range(times, 0, -1)
            ]

    def lose_nothing(self) -> None:
        """Take back what was to be lost and is not yet."""
        with self._lock:
            self._losing = []

    @property
    def losing(self) -> bool:
        """Tell whether some answers are still to be lost."""
        return bool(self._losing)

    def mend(self) -> None:
        """Let everybody through again."""
        self._cut = False

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Let nobody through for the time of a with-statement."""
        self._cut = True
        self._close_all()
        try:
            yield
        finally:
            self.mend()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._cut:
                    client.close()
                else:
                    threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._server))
        except OSError:
            client.close()
            return
        self._sockets |= {client, server}
        with suppress(OSError, EOFError), client, server:
            while True:
                request = _message(client)
                loss = self._loss_of(request)
                if loss is not None:
                    time.sleep(loss.late_seconds)
                server.sendall(request)
                if _answers(request):
                    answer = _message(server)
                    if loss is not None:
                        self._lose(loss)
                        return
                    client.sendall(answer)
                    while _more_to_come(answer):
                        answer = _message(server)
                        client.sendall(answer)
        self._sockets -= {client, server}

    def _loss_of(self, request: bytes) -> _Loss | None:
        with self._lock:
            fits = self._losing and self._losing[0].command == _command(request) and self._losing[0].holding in request
            return self._losing.pop(0) if fits else None

    def _lose(self, loss: _Loss) -> None:
        self.lost.append(loss.command)
        if loss.then_cut:
            self._cut = True
            self._close_all()

    def _close_all(self) -> None:
        for one in list(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _message(source: socket.socket) -> bytes:
    head = _exactly(source, _HEADER.size)
    return head + _exactly(source, _HEADER.unpack(head)[0] - len(head))


def _exactly(source: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = source.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _command(message: bytes) -> str:
    """Return the name of the command of an OP_MSG (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/)."""
    if _HEADER.unpack(message[:16])[3] != 2013:
        return ""
    body, at = message[20:], 0
    while body[at] == 1:  # a sequence of documents may come before the command
        at += 1 + struct.unpack_from("<i", body, at + 1)[0]
    size = struct.unpack_from("<i", body, at + 1)[0]
    return next(iter(bson.decode(body[at + 1 : at + 1 + size])))


def _answers(message: bytes) -> bool:
    """Tell whether an answer is wanted: not with the flag moreToCome."""
    return not _more_to_come(message)


def _more_to_come(message: bytes) -> bool:
    return _HEADER.unpack(message[:16])[3] == 2013 and bool(struct.unpack_from("<I", message, 16)[0] & 2)
