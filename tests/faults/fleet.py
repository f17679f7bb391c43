"""How does a test start daemons, break them, and have everything checked that they did?"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cronlite.documents import schedules
from cronlite.documents.checks import PARAMS_VARIABLE
from cronlite.store import open_store
from cronlite.store.contract import Store
from cronlite.when.clock import floor_minute
from tests.faults import checker, evidence, journal, report
from tests.faults.checker import MINUTE, Expected, Verdict
from tests.faults.evidence import FINAL, Document, Evidence, Watcher
from tests.faults.journal import Line
from tests.faults.node import Settings
from tests.services.process import Scratch
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Node:
    """One daemon's process."""

    def __init__(self, scratch: Scratch, settings: Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.folder = Path(settings.folder)
        self.folder.mkdir()
        self.log = self.folder / "log"
        self._scratch = scratch
        self._is_asked_to_end = False
        kept = ("PATH", "HOME", "LANG", PARAMS_VARIABLE)
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        self.process = scratch.spawn(
            [sys.executable, "-m", "tests.faults.node", settings.as_json()],
            log=self.log,
            environment=environment | {"PYTHONPATH": str(ROOT)},
        )

    @property
    def ended(self) -> int | None:
        """The status with which it ended (minus a signal's number), or None."""
        return self.process.poll()

    @property
    def text(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it as a power cut would."""
        self._scratch.kill(self.process)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def signal_thread(self, number_of_thread: int, number: signal.Signals) -> None:
        """Let the system hand a signal to one thread of it, counted from its first: as it may with any signal."""
        threads = sorted(int(path.name) for path in Path(f"/proc/{self.process.pid}/task").iterdir())
        tgkill = 234
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(tgkill, self.process.pid, threads[number_of_thread], number) != 0:
            raise OSError(ctypes.get_errno(), "tgkill")

    def pause(self) -> None:
        """Let it stand still; return when it does.

        On a file, not in the middle of a write: SQLite's lock belongs to the process, and for as long as that stands
        still, nobody else could write.
        """
        what = f"node {self.name} stands still without the lock of its file"
        wait_until(self._stands_still_without_a_lock, what=what, instead=self._tail)

    def go_on(self) -> None:
        """End the pause."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self, limit_seconds: float = 60) -> int:
        """End it with SIGTERM, and return its status."""
        self.ask_to_end()
        return self.wait_ended(limit_seconds)

    def ask_to_end(self) -> None:
        """Send SIGTERM, be it paused or not; only once, as a second one would end it at once."""
        self.send(signal.SIGCONT)
        if not self._is_asked_to_end:
            self._is_asked_to_end = True
            self.send(signal.SIGTERM)

    def wait_ended(self, limit_seconds: float = 60) -> int:
        """Wait until it has ended, and return its status."""
        try:
            return self.process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"node {self.name} still runs after {limit_seconds} s; its log:\n{self.text}"
            ) from None

    def wait_ready(self, limit_seconds: float = 60) -> None:
        """Wait until it is on the store's list."""
        self._wait_for_file("ready", limit_seconds)

    def wait_held(self, when: str, method: str, number: int = 1, limit_seconds: float = 60) -> None:
        """Wait until it holds at a point."""
        self._wait_for_file(f"{when}-{method}-{number}.reached", limit_seconds)

    def let_go(self, when: str, method: str, number: int = 1) -> None:
        """End a hold, be it reached or not."""
        (self.folder / f"{when}-{method}-{number}.go").touch()

    def wait_for_line(self, text: str, limit_seconds: float = 60) -> None:
        """Wait until its log holds a text."""
        wait_until(lambda: text in self.text, limit_seconds=limit_seconds, what=f"a line {text!r}", instead=self._tail)

    def _stands_still_without_a_lock(self) -> bool:
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
        free = evidence.can_be_written(self.settings.uri)
        if not free:
            self.go_on()
        return free

    def _wait_for_file(self, name: str, limit_seconds: float) -> None:
        def there() -> bool:
            if self.ended is not None and not (self.folder / name).exists():
                raise AssertionError(f"node {self.name} ended with {self.ended} before {name}; its log:\n{self.text}")
            return (self.folder / name).exists()

        wait_until(there, limit_seconds=limit_seconds, what=f"{name} of node {self.name}", instead=self._tail)

    def _tail(self) -> str:
        return f"the log of node {self.name}:\n{self.text[-4_000:]}"


class Fleet:
    """Some daemons on one store, all on the same fast clock, which begins at `base`."""

    def __init__(self, uri: str, *, looked_at: str | None = None, **settings: Any) -> None:
        self.uri = looked_at or uri  # where the test itself looks, which may be another way to the same store
        self.scratch = Scratch("faults")
        self.folder = self.scratch.folder
        self.base = datetime.now(timezone.utc).replace(microsecond=0)
        self.first = floor_minute(self.base) + MINUTE
        self.nodes: list[Node] = []
        self.schedules: list[str] = []
        self.watcher = Watcher(self.uri)
        self._settings = Settings(
            uri=uri, journal=str(self.folder / "journal"), folder="", base=self.base.isoformat(), **settings
        )

    def close(self) -> None:
        """Kill what still runs, and remove the folder."""
        for node in self.nodes:
            node.kill()
        self.scratch.close()

    @contextmanager
    def store(self, *, prepared: bool = True) -> Iterator[Store]:
        """Open the store, to edit what is in it; with its indexes, or as it is."""
        opened = open_store(self.uri)
        try:
            if prepared:
                opened.prepare()
            yield opened
        finally:
            opened.close()

    # what is to run

    def schedule(
        self, count: int = 1, *, params: Mapping[str, Any] | None = None, prepared: bool = True, **fields: Any
    ) -> list[str]:
        """Store schedules that are due every minute from the first on; return their ids."""
        given = {"overlap": "allow", "handler": "test", "params": params or {}} | fields
        new = [f"s{len(self.schedules) + number:03}" for number in range(count)]
        self.schedules += new
        with self.store(prepared=prepared) as store:
            for id_ in new:
                store.add_schedule(schedules.new(now=self.first, **given).document() | {"_id": id_})
        return new

    def start(self, *points: str, **settings: Any) -> Node:
        """Start a daemon."""
        name = f"n{len(self.nodes)}"
        told = replace(self._settings, folder=str(self.folder / name), points=list(points), **settings)
        node = Node(self.scratch, told, name)
        self.nodes.append(node)
        return node

    def set_offset(self, seconds: float) -> None:
        """Put the server's clock that far off, from the next beats on."""
        file = self.folder / "offset"
        file.with_suffix(".new").write_text(str(seconds))
        file.with_suffix(".new").replace(file)

    # what came of it

    def now(self) -> datetime:
        """Return the fast time, by this host's clock."""
        return self.base + (datetime.now(timezone.utc) - self.base) * self._settings.speed

    def evidence(self) -> Evidence:
        """Read the documents."""
        return evidence.read(self.uri)

    def journal(self) -> list[Line]:
        """Read what the handlers wrote down."""
        return list(journal.read(self.folder / "journal"))

    def logs(self) -> list[str]:
        """Read what all the daemons logged."""
        return [node.text for node in self.nodes]

    def wait_minutes(self, count: int, *, limit_seconds: float = 100) -> datetime:
        """Wait until the runs of the first so many minutes have all ended; return the last of these minutes."""
        last = self.first + (count - 1) * MINUTE
        return self.wait_until_done(last, limit_seconds=limit_seconds)

    def wait_minutes_from_now(
        self, count: int, *, limit_seconds: float = 100, except_for: Collection[str] = ()
    ) -> datetime:
        """Wait until so many minutes more have passed, and all that was due in them is done."""
        last = floor_minute(self.now()) + count * MINUTE
        return self.wait_until_done(last, limit_seconds=limit_seconds, except_for=except_for)

    def wait_until_done(
        self, last: datetime, *, limit_seconds: float = 100, except_for: Collection[str] = ()
    ) -> datetime:
        """Wait until all runs up to a minute have ended, except those of some schedules."""
        ids = list(self.expected(last, except_for=except_for).run_ids())

        def all_ended() -> bool:
            found = self.evidence()
            ended = all(id_ in found.runs and found.runs[id_].get("state") in FINAL for id_ in ids)
            return ended and all("done_at" in tick for tick in found.ticks if tick["_id"] <= last)

        what = f"all {len(ids)} runs up to {last:%H:%M} have ended, and all ticks are done"
        wait_until(all_ended, limit_seconds=limit_seconds, interval_seconds=0.2, what=what, instead=self._what_is_there)
        return last

    def wait_until_ticks_done(self, last: datetime, *, limit_seconds: float = 60) -> None:
        """Wait until each minute up to `last` that the ledger knows is done, and all its runs have succeeded."""

        def all_done() -> bool:
            found = self.evidence()
            ticks = [tick for tick in found.ticks if "from_at" not in tick and tick["_id"] <= last]
            ids = [f"{id_}@{tick['_id']:%Y-%m-%dT%H:%MZ}" for tick in ticks for id_ in self.schedules]
            succeeded = all(found.runs.get(id_, {}).get("state") == "succeeded" for id_ in ids)
            return succeeded and all("done_at" in tick for tick in ticks)

        what = f"all ticks up to {last:%Y-%m-%d %H:%M}"
        wait_until(all_done, limit_seconds=limit_seconds, what=what, instead=self._what_is_there)

    def wait_for_run(self, id_: Any, fits: Callable[[Document], Any], *, limit_seconds: float = 60) -> Document:
        """Wait until a run is as it should be, and return it."""

        def look() -> Document | None:
            run = self.evidence().runs.get(id_)
            return run if run and fits(run) else None

        return wait_until(look, limit_seconds=limit_seconds, what=f"run {id_}", instead=self._what_is_there)

    def wait_started(self, count: int = 1, *, limit_seconds: float = 60) -> list[Line]:
        """Wait until so many handlers have started; return the lines about starts."""

        def started() -> list[Line] | None:
            lines = [line for line in self.journal() if line.event == "start"]
            return lines if len(lines) >= count else None

        return wait_until(started, limit_seconds=limit_seconds, what=f"{count} starts", instead=self._what_is_there)

    def stop_all(self, limit_seconds: float = 60) -> None:
        """Stop all daemons in good order; each must end with status 0 and leave nothing on the store's list."""
        alive = [node for node in self.nodes if node.ended is None]
        for node in alive:
            node.ask_to_end()
        statuses = {node.name: node.wait_ended(limit_seconds) for node in alive}
        assert set(statuses.values()) <= {0}, f"{statuses}\n{self._what_is_there()}"

    def expected(self, last: datetime, **how: Any) -> Expected:
        """Say what should have run up to a minute."""
        return Expected(schedules=self.schedules, first=self.first, last=last, **how)

    def check(self, last: datetime, **how: Any) -> Verdict:
        """Have everything checked."""
        self.watcher.look()
        verdict = checker.check(self.expected(last, **how), self.journal(), self.evidence(), self.logs())
        verdict.violations += self.watcher.changed
        return verdict

    def verify(self, fault: str, injected: str, last: datetime, **how: Any) -> Verdict:
        """Have everything checked, add a line to the report, and fail if a promise was broken."""
        verdict = self.check(last, **how)
        report.add(fault, injected, str(verdict))
        assert not verdict.violations, f"{verdict}\n{self._what_is_there()}"
        return verdict

    def _what_is_there(self) -> str:
        found = self.evidence()
        open_runs = [checker._told(run) for run in found.runs.values() if run.get("state") not in FINAL]
        parts = [f"{len(found.runs)} runs; not ended: {len(open_runs)}, such as {open_runs[:5]}"]
        undone = [tick for tick in found.ticks[:-3] if "done_at" not in tick]
        parts += [f"daemons: {found.daemons}", f"undone ticks: {undone}", f"last ticks: {found.ticks[-3:]}"]
        parts += [f"--- {node.name} ({node.ended}):\n{node.text[-2_500:]}" for node in self.nodes[-4:]]
        return "\n".join(parts)


def minutes(count: float) -> timedelta:
    """Return so many minutes."""
    return timedelta(minutes=count)
