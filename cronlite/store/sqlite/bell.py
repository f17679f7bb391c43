"""How does a daemon hear at once of a run that another process has queued in the file?

It binds a datagram socket in the folder `FILE-bells`, and whoever queues something rings at each socket that is there.
A ring that is lost, or that cannot be (a container that shares the file and not the socket), costs nothing but time:
the daemon also looks at the file.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

_PREFIX = "bell-"
_MOST = 64
"""How many sockets one ring goes to."""
# A socket's path has room for some hundred bytes (sun_path in unix(7)); by way of the folder's descriptor any is short.
_BY_DESCRIPTOR = "/proc/self/fd"
_LONGEST_PATH = 100


class Bell:
    """The socket of one listener on a file, which is none until it listens; every store can ring. Not kept by a fork.

    Whoever may write the file may ring: the folder and the sockets have its owner, as far as that can be, and its mode.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._folder = file, Path(f"{file}-bells")
        self._name = f"{_PREFIX}{token_hex(8)}"
        self._socket: socket.socket | None = None
        self._lock, self._closed = threading.Lock(), False

    def listen(self) -> bool:
        """Bind the socket unless it is there, or was closed; tell whether it is there."""
        with self._lock, suppress(OSError):
            if self._closed or (self._socket is not None and (self._folder / self._name).exists()):
                return self._socket is not None
            self._drop()
            self._make_folder()
            with _opened(self._folder) as folder:
                self._socket = self._bound(folder)
        return self._socket is not None

    @property
    def is_bound(self) -> bool:
        """Tell whether a ring would be heard."""
        return self._socket is not None

    def wait(self, seconds: float) -> bool:
        """Wait for a ring; tell whether there was one."""
        heard = self._socket
        if heard is None:
            return False
        with suppress(OSError):  # closed meanwhile, by which its wait has ended
            waiting = select.poll()  # unlike select, for any number of open files
            waiting.register(heard, select.POLLIN)
            if not waiting.poll(max(0.0, seconds) * 1_000):
                return False
            while True:
                heard.recv(1)
        return True

    def ring(self) -> None:
        """Ring at every other socket in the folder; those of dead processes are deleted."""
        with suppress(OSError), _opened(self._folder) as folder:
            there = os.listdir(folder)  # noqa: PTH208 - pathlib knows no descriptors
            names = [name for name in there if name.startswith(_PREFIX) and name != self._name]
            if names:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
                    caller.setblocking(False)
                    for name in names[:_MOST]:
                        _ring(caller, folder, name, _path(folder, self._folder, name))

    def _end_wait(self) -> None:
        """Let whoever waits go on."""
        with suppress(OSError), _opened(self._folder) as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as me:
            me.setblocking(False)
            me.sendto(b"", _path(folder, self._folder, self._name))

    def close(self) -> None:
        """Listen no more, and leave no socket and no empty folder behind."""
        self._end_wait()
        with self._lock:
            self._closed = True
            self._drop()

    def _drop(self) -> None:
        heard, self._socket = self._socket, None
        if heard is not None:
            heard.close()
            with suppress(OSError):
                (self._folder / self._name).unlink()
                self._folder.rmdir()

    def forget(self) -> None:
        """Let go of the socket in a process that was forked off: it is its parent's."""
        heard, self._socket = self._socket, None
        if heard is not None:
            heard.close()
        self._name, self._lock = f"{_PREFIX}{token_hex(8)}", threading.Lock()

    def _make_folder(self) -> None:
        file = self._file.stat()
        read_write = stat.S_IMODE(file.st_mode) & 0o666
        with suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
            self._folder.chmod(read_write | (read_write & 0o222) >> 1)  # whoever may write the file may enter
            with suppress(PermissionError):
                os.chown(self._folder, file.st_uid, file.st_gid)

    def _bound(self, folder: int) -> socket.socket:
        path = _path(folder, self._folder, self._name)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            bound.setblocking(False)
            bound.bind(path)
            file = self._file.stat()
            with suppress(OSError):
                Path(path).chmod(stat.S_IMODE(file.st_mode) & 0o666)
                os.chown(path, file.st_uid, file.st_gid)
        except BaseException:
            bound.close()
            raise
        return bound


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open the folder itself, and no other to which somebody has laid a link in its place."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _path(descriptor: int, folder: Path, name: str) -> str:
    """Return a path of a socket in a folder that is short enough. Raises OSError where there is none."""
    by_descriptor = f"{_BY_DESCRIPTOR}/{descriptor}"
    if Path(by_descriptor).is_dir():
        return f"{by_descriptor}/{name}"
    plain = str(folder / name)
    if len(os.fsencode(plain)) > _LONGEST_PATH:
        raise OSError("the path is too long for a socket")
    return plain


def _ring(caller: socket.socket, folder: int, name: str, path: str) -> None:
    try:
        caller.sendto(b"", path)
    except ConnectionRefusedError:  # its process has ended without closing it
        with suppress(OSError):
            if stat.S_ISSOCK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=folder)
    except OSError:
        pass  # it is full of rings already, or gone, or another user's
