"""How does a test start, kill, stop, pause and restart a server, and leave nothing behind?"""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from tests.services import ServiceFailed
from tests.waiting import wait_until

AnyServer = TypeVar("AnyServer", bound="Server")

# Outside the range from which Linux takes ports for outgoing connections: there a client that knocks at a killed server
# can come to talk with itself, and the server never gets its port back.
PORTS = range(20_000, 30_000)
# Each port that was given, with the descriptor of a locked file: a server that is being restarted does not listen, and
# other processes of tests are not to take its port meanwhile.
_given: dict[int, int] = {}

# A copy: left to itself, a process that one thread starts reads the environment while others change it, and may fail.
_ENVIRONMENT = dict(os.environ)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, another each time."""
    # Not the tests' own random numbers: two test runs with the same seed must not take the same ports.
    chance = random.SystemRandom()
    while True:
        port = chance.choice(PORTS)
        if port in _given or (mine := _locked(port)) is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                os.close(mine)
                continue
        _given[port] = mine
        return port


def _locked(port: int) -> int | None:
    """Return a descriptor of a port's file, locked by this process; None where another one has locked it."""
    folder = Path(tempfile.gettempdir()) / f"cronlite-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    file = os.open(folder / str(port), os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def listens(port: int) -> bool:
    """Tell whether somebody takes connections on a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


class Scratch:
    """A folder, and processes, that are gone when the tests are, even when those are killed (see `keeper`)."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"cronlite-{name}-"))
        keeper = Path(__file__).with_name("keeper.py")
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper, self.folder, str(os.getpid())],
            env=_ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def spawn(
        self, command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own, so that a Ctrl-C at the tests does not reach it."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._tell(f"+{process.pid}")
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the process with all of its group, and wait for its end."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._tell(f"-{process.pid}")

    def close(self) -> None:
        """Remove the folder. The processes are to be ended before."""
        self._tell("end")
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _tell(self, line: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(line.encode() + b"\n")
        self._keeper.stdin.flush()


class Server:
    """A server of this machine's loopback, with a data folder that outlives kill and restart, but not `close`.

    `with` starts and closes it.
    """

    name: ClassVar[str]
    ready_within_seconds: ClassVar[float] = 180.0
    stops_within_seconds: ClassVar[float] = 180.0

    def __init__(self) -> None:
        self.port = free_port()
        self._scratch: Scratch | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self: AnyServer) -> AnyServer:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _command(self) -> Sequence[str | Path]:
        """Return the command line; the folder exists by then."""
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        # Little of this machine's own: a NOTIFY_SOCKET, say, would change what a server does.
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "LANG": "C.UTF-8",
        }

    def _is_ready(self) -> bool:
        """Return whether the server answers; called again and again, it may also do what the first start needs."""
        raise NotImplementedError

    @property
    def scratch(self) -> Scratch:
        if self._scratch is None:
            self._scratch = Scratch(self.name)
        return self._scratch

    @property
    def folder(self) -> Path:
        """Where everything of this server is, until `close`."""
        return self.scratch.folder

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether the process is there, be it paused."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, on the same port and data as before, and wait until it is ready."""
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> None:
        """Start without waiting."""
        if self.running:
            raise ServiceFailed(f"{self.name} runs already, as process {self.pid}")
        command, environment = self._command(), self._environment()
        self._process = self.scratch.spawn(command, log=self.log, environment=environment)

    def wait_until_ready(self) -> None:
        wait_until(
            self._is_ready_or_ended,
            limit_seconds=self.ready_within_seconds,
            what=f"{self.name} on port {self.port} is ready",
            instead=self.log_tail,
        )

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would."""
        self.scratch.kill(self._started())
        self._process = None

    def stop(self) -> None:
        """End it with SIGTERM, cleanly; raise ServiceFailed when it does not end so."""
        process = self._started()
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        try:
            code: int | str = process.wait(self.stops_within_seconds)
        except subprocess.TimeoutExpired:
            code = "nothing"
        self.kill()
        if code != 0:
            raise ServiceFailed(f"{self.name} answered SIGTERM with {code}\n{self.log_tail()}")

    def restart(self) -> None:
        """Stop it cleanly, unless it is down already, and start it."""
        if self.running:
            self.stop()
        self.start()

    def pause(self) -> None:
        """Stall it with SIGSTOP: connections stay, nothing answers. Returns when all of its threads stand still."""
        process = self._started()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)

    def go_on(self) -> None:
        """End the pause."""
        self._started().send_signal(signal.SIGCONT)

    def make_ready(self) -> None:
        """Undo what a test did to a shared server: end a pause, start it if it is down."""
        if self.running:
            self.go_on()
            self.wait_until_ready()
        else:
            self.start()

    def close(self) -> None:
        """End it in whatever state it is, and remove its folder."""
        if self._process is not None:
            self.kill()
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None

    def log_tail(self, lines: int = 30) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        tail = "\n".join(text.splitlines()[-lines:]) or "(empty)"
        return f"the end of {self.name}'s log:\n{tail}"

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServiceFailed(f"{self.name} is not running")
        return self._process

    def _is_ready_or_ended(self) -> bool:
        code = self._started().poll()
        if code is not None:
            raise ServiceFailed(f"{self.name} ended with {code} instead of starting\n{self.log_tail()}")
        return self._is_ready()
