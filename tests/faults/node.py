"""A daemon in a process of its own, with one handler that does what its params say and writes it down.

`python -m tests.faults.node SETTINGS`, where SETTINGS is the JSON of `Settings`.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

from cronlite import current_run
from cronlite.daemon import liveness, service, store_clock
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.errors import GiveUp, RetryLater
from cronlite.handlers import output
from cronlite.handlers.registry import Registry
from cronlite.store import open_store
from tests.dispatch import acting
from tests.faults.fast import FastClock
from tests.faults.journal import Journal
from tests.faults.points import Points, pointed


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a node is told on its command line."""

    uri: str
    journal: str
    folder: str
    base: str
    speed: float = 60.0
    silence_seconds: float = 2.0
    seats: int = 20
    drain_seconds: float = 10.0
    grace_seconds: float = 3_600.0
    """A minute of real time, as a machine may take long to start one: what nobody ticks within the grace is a gap."""
    catch_up_window_seconds: float = 4 * 3_600.0
    """Beyond it, a tick whose daemon has died stays undone: on a machine that is slow, an hour of theirs passes."""
    points: list[str] = field(default_factory=list)
    host_off_seconds: float = 0.0
    handlers: list[str] = field(default_factory=lambda: ["test", "apart"])

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def main(settings: Settings) -> None:
    """Run the daemon until it is told to stop, or dies of what it was asked for."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(threadName)s %(message)s")
    if settings.host_off_seconds:
        _set_host_clock(settings.host_off_seconds)
    folder = Path(settings.folder)
    store = pointed(open_store(settings.uri), Points(settings.points, folder))
    offset_file = Path(settings.journal).with_name("offset")
    offset = _offset_in(offset_file)
    clock = FastClock(datetime.fromisoformat(settings.base), settings.speed, offset)
    options = Options(
        seats=settings.seats,
        drain_seconds=settings.drain_seconds,
        grace_seconds=settings.grace_seconds,
        catch_up_window_seconds=settings.catch_up_window_seconds,
        silence_seconds=settings.silence_seconds,
    )
    daemon = Daemon(store, _registry(settings), options, clock=clock, notify=_Notices(folder))
    with output.capture_logs(), output.capture_prints():
        service.serve(daemon)


class _Notices:
    """Leaves a file when the daemon is ready, for the test that waits for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, event: str, status: str) -> None:
        if event == "ready":
            (self._folder / "ready").touch()


def _offset_in(file: Path) -> Callable[[], float]:
    def read() -> float:
        return float(file.read_text() or 0) if file.exists() else 0.0

    return read


def _set_host_clock(off_seconds: float) -> None:
    class Off(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Off:
            told = datetime.now(tz or timezone.utc) + timedelta(seconds=off_seconds)
            return cls.fromtimestamp(told.timestamp(), tz)

    for module in (liveness, store_clock):
        setattr(module, "datetime", Off)  # noqa: B010 - which mypy does not take for an attribute to set


def _registry(settings: Settings) -> Registry:
    journal = Journal(Path(settings.journal))

    def test(params: Mapping[str, Any]) -> Any:
        """Write the start down, do as told, write the end down (not if that raises)."""
        run = current_run()
        journal.write(run.id, run.attempt, "start")
        rest = {name: value for name, value in params.items() if name != "action"}
        result = ACTIONS[params.get("action", "ok")](**rest)
        journal.write(run.id, run.attempt, "end")
        return {"attempt": run.attempt, "pid": os.getpid()} if result is None else result

    registry = Registry()
    for name in settings.handlers:
        if name == "apart":
            registry.add(name, acting.act, isolation="process")
        else:
            registry.add(name, test)
    return registry


def _die(attempts: int = 1) -> None:
    if current_run().attempt <= attempts:
        os.kill(os.getpid(), signal.SIGKILL)


def _fail(times: int, seconds: float = 0.0) -> None:
    time.sleep(seconds)
    if current_run().attempt <= times:
        raise ValueError(f"attempt {current_run().attempt} of {times} that fail")


def _later(times: int, seconds: float) -> None:
    if current_run().attempt <= times:
        raise RetryLater(seconds, "the other side is down")


def _give_up() -> None:
    raise GiveUp("no such customer")


def _wait_for(file: str) -> None:
    """Work until a file appears, and write down whether the run is still this daemon's then."""
    while not Path(file).exists():
        time.sleep(0.01)
    Path(f"{file}.mine-{os.getpid()}").write_text(str(current_run().still_mine()))


def _leak_threads(number: int) -> None:
    for _ in range(number):
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def _print(characters: int, fill: str = "") -> None:
    print("x" * characters)


def _spin(steps: int) -> None:
    for _ in itertools.repeat(None, steps):
        pass


ACTIONS: dict[str, Callable[..., Any]] = acting.ACTIONS | {
    "ok": lambda: None,
    "sleep": lambda seconds=3600.0: time.sleep(seconds),
    "die": _die,
    "fail": _fail,
    "later": _later,
    "give up": _give_up,
    "wait for": _wait_for,
    "leak threads": _leak_threads,
    "print": _print,
    "spin": _spin,
}


if __name__ == "__main__":
    main(Settings(**json.loads(sys.argv[1])))
