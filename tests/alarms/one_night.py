"""`python -m tests.alarms.one_night`: what is told when a job fails, one is overdue, and all daemons die in one night?

Ticks, handlers and the ledger are those of a rehearsal; three daemons and a worker look after alarms each ten seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

from cronlite.alarms.channels import read_channels
from cronlite.daemon.alarming import Alarming
from cronlite.documents import runs
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import Run
from cronlite.handlers.registry import Registry
from cronlite.testing import Rehearsal
from tests.alarms.told import Recipient, wait_for_messages

EVENING = datetime(2026, 11, 29, 1, 55, tzinfo=timezone.utc)
BAD = (runs.FAILED, runs.TIMED_OUT, runs.ABANDONED)


class Night:
    """Jobs, three daemons, a worker, and a team that is told."""

    def __init__(self, step_seconds: float = 10) -> None:
        self.registry, self.step = Registry(), timedelta(seconds=step_seconds)
        self.disk_is_full = True
        self.registry.handler("backup")(self._backup)
        self.rehearsal = Rehearsal(EVENING, registry=self.registry)
        self.store, self.clock = self.rehearsal.cron.store, self.rehearsal.clock
        self.team = Recipient()
        self.log: list[tuple[datetime, str, str]] = []
        self.daemons = [self._process() for _ in range(3)]
        self.worker = self._process()
        self._joined: list[str] = []
        self._start_daemons()
        self._jobs()

    def _process(self) -> Alarming:
        [channel] = read_channels([{"to": "json://team", "name": "team"}])
        return Alarming(self.store, self.clock, [channel], None, {"team": self._tell})

    def _tell(self, title: str, body: str) -> None:
        self.log.append((self.clock.now(), title, body))

    def _backup(self, params: object) -> str:
        print("dumping 14 tables")
        if self.disk_is_full:
            print("writing /backup/2026-11-29.dump")
            raise OSError("No space left on device")
        return "done"

    def _jobs(self) -> None:
        cron = self.rehearsal.cron
        cron.schedule("", minute=30, hour="2-5", handler="backup", name="backup", tags=["night"])
        late = {"late_after_seconds": 600.0, "tags": ["night"]}
        cron.schedule("alice", minute=0, hour=3, handler="report", name="report", **late)  # type: ignore[arg-type]
        cron.schedule("bob", minute=20, hour=4, handler="backup", name="import", **late)  # type: ignore[arg-type]

    def _start_daemons(self) -> None:
        now = self.clock.now()
        self._joined = [f"d{number}-{now:%H%M}" for number in range(1, 4)]
        for number, name in enumerate(self._joined, start=1):
            self.store.join(
                DaemonRecord(
                    id=name,
                    host=f"host{number}",
                    pid=100 + number,
                    version="0.2",
                    started_at=now,
                    handlers=self.registry.names(),
                    seats=20,
                )
            )

    def until(self, hour: int, minute: int, *, daemons: bool = True) -> None:
        """Let the night go on, with or without daemons."""
        end = EVENING.replace(hour=hour, minute=minute)
        while self.clock.now() < end:
            if daemons:
                ended = self.rehearsal.advance(seconds=self.step.total_seconds(), raising=False)
                self._hear_of(ended)
                for name in self._joined:
                    self.store.beat(name, running=0, stuck=0)
            else:
                self.rehearsal.outage(seconds=self.step.total_seconds())
            for process in [*(self.daemons if daemons else []), self.worker]:
                process.round(self.clock.now())
                wait_for_messages(process)

    def _hear_of(self, ended: list[Run]) -> None:
        bad = [run for run in ended if run.state in BAD]
        self.daemons[0].ended([(run, {"state": run.state}) for run in bad], set())

    def note(self, what: str) -> None:
        """Say what happens, among what is told of it."""
        self.log.append((self.clock.now(), "", what))


def night(step_seconds: float = 10) -> Night:
    """Live through it."""
    it = Night(step_seconds)
    it.until(2, 30)
    it.note("the disk is full: the backup of 02:30 fails")
    it.until(3, 0)
    it.note("report is due, and its handler is in no daemon: it was forgotten in the last deployment")
    it.until(3, 25)
    it.note("somebody deploys it")
    it.registry.handler("report")(lambda _: "sent")
    it.disk_is_full = False
    it._start_daemons()
    it.until(4, 5)
    it.note("all three daemons die; the worker lives")
    it.until(5, 10, daemons=False)
    it.note("they come back")
    it.daemons = [it._process() for _ in range(3)]
    it._start_daemons()
    it.until(6, 0)
    return it


def transcript(it: Night) -> Iterator[str]:
    """Say what happened, and what was told, when, and how often."""
    for at, title, body in it.log:
        if not title:
            yield f"{at:%H:%M:%S}  ({body})"
            continue
        yield f"{at:%H:%M:%S}  {title}"
        yield from (f"          {line}" for line in body.splitlines())
    messages = sum(1 for _, title, _ in it.log if title)
    yield f"{messages} messages in {(it.clock.now() - EVENING).total_seconds() / 3_600:.0f} hours"


def main(say: Callable[[str], object] = print) -> None:
    for line in transcript(night()):
        say(line)


if __name__ == "__main__":
    main()
