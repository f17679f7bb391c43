"""What if a server does as it was told, but its answer is lost on the way? A connection in between that loses it."""

import contextlib
import selectors
import socket
import threading
from types import TracebackType


class LossyProxy:
    """Passes everything on to a server of this machine, but for answers that it is told to lose, connection and all."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._to_lose: dict[bytes, int] = {}
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.lost = 0

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def lose_answers(self, command: str, times: int = 1) -> None:
        """Lose the answers to the next so many commands of that name."""
        # In a command's BSON its name is the first key: a type, the name, a zero.
        with self._lock:
            self._to_lose[b"\x02" + command.encode() + b"\0"] = times

    def __enter__(self) -> "LossyProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # shutdown wakes the thread in accept(), close alone does not
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                self._sockets += [client, server]
                threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        losing = False
        with contextlib.suppress(OSError, ValueError), client, server, selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    source, target = (client, server) if key.fileobj is client else (server, client)
                    data = source.recv(1 << 16)
                    if not data or (source is server and losing):
                        return
                    losing = losing or (source is client and self._is_to_lose(data))
                    target.sendall(data)

    def _is_to_lose(self, data: bytes) -> bool:
        with self._lock:
            for marker, times in self._to_lose.items():
                if times and marker in data[:64]:
                    self._to_lose[marker] -= 1
                    self.lost += 1
                    return True
        return False
