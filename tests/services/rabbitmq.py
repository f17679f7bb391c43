"""How do the tests start, break and restart a RabbitMQ? It is the system's own, run in a scratch folder."""

import contextlib
import functools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.services import MissingService, ServiceFailed
from tests.services.process import Server, free_port, listens
from tests.waiting import wait_until


@functools.cache
def _find_scripts() -> Path | MissingService:
    ctl = shutil.which("rabbitmqctl", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
    if ctl is None:
        return MissingService("no RabbitMQ: rabbitmqctl is not installed (Debian: rabbitmq-server)")
    # Debian's commands are wrappers that switch to a user of their own; beside the wrapper lie the real scripts.
    return Path(ctl).resolve().parent


def find_scripts() -> Path:
    """Return the folder of RabbitMQ's own scripts; raise MissingService if it is not installed."""
    found = _find_scripts()
    if isinstance(found, MissingService):
        raise found
    return found


class RabbitMQ(Server):
    """A RabbitMQ broker of one's own, with a port mapper (epmd) of its own, so that nothing is shared with another."""

    name = "rabbitmq"
    ready_within_seconds = 300.0  # 6 s on a machine that does nothing else, and more than 120 s on a busy one

    def __init__(self) -> None:
        super().__init__()
        self._scripts = find_scripts()
        self._distribution_port = free_port()
        self._epmd_port = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def spawn(self) -> None:
        if self._epmd is None:
            # Started here, in the foreground: left to the broker, it would become a process of nobody.
            command = ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
            log = self.folder / "epmd.log"
            self._epmd = self.scratch.spawn(command, log=log, environment=self._environment())
            wait_until(lambda: listens(self._epmd_port), what="epmd answers", instead=lambda: log.read_text())
        super().spawn()

    def close(self) -> None:
        if self._process is not None:
            self.kill()
        if self._epmd is not None:
            self.scratch.kill(self._epmd)
            self._epmd = None
        super().close()

    def ctl(self, *arguments: str, limit_seconds: float = 180) -> str:
        """Run rabbitmqctl and return what it printed; raise ServiceFailed if it fails. Takes a second or two."""
        command: list[str | Path] = [self._scripts / "rabbitmqctl", "--quiet", *arguments]
        done = subprocess.run(
            command,
            env=self._environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_seconds,
        )
        if done.returncode != 0:
            raise ServiceFailed(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}\n{self.log_tail()}")
        return done.stdout

    def write_down(self) -> None:
        """Have it write to its disk which queues there are, as it does by itself some seconds later.

        RabbitMQ 3.10 that is killed before comes back with a queue that has no leader, and never will have one.
        """
        self.ctl("eval", "mnesia:sync_log(), [dets:sync(Table) || Table <- dets:all()].")

    @contextlib.contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """Keep the broker in its memory alarm: connections that publish are blocked, the others go on."""
        try:
            self._set_memory_mark("0.0", alarm="true")  # which sets the alarm off at once (rabbitmqctl(8))
            yield
        finally:
            self._set_memory_mark("0.4", alarm="false")

    def _set_memory_mark(self, fraction: str, *, alarm: str) -> None:
        """Set the part of the machine's memory above which the broker blocks publishing, and wait for what it does.

        With one rabbitmqctl, not with one for each look: on a busy machine each takes most of a minute.
        """
        self.ctl(
            "eval",
            f"vm_memory_monitor:set_vm_memory_high_watermark({fraction}),"
            " Has = fun() -> lists:any(fun({{resource_limit, memory, _}, _}) -> true; (_) -> false end,"
            " rabbit_alarm:get_alarms()) end,"
            f" Wait = fun Again() -> case Has() of {alarm} -> ok; _ -> timer:sleep(50), Again() end end, Wait().",
        )

    def _command(self) -> list[str | Path]:
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "rabbitmq.conf").touch()
        return [self._scripts / "rabbitmq-server"]

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            **super()._environment(),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_NODENAME": "cronlite@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_LOGS": "-",  # to stdout, which is the log of this server
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # Makes the script become the broker instead of its parent, so that signals reach the broker itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _is_ready(self) -> bool:
        # The broker listens as the last step of its start, queues recovered.
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"  # a method frame: Connection.Start
        except OSError:
            return False
