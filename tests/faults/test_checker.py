"""The checker sees what it is there for: each broken promise, planted into evidence that is otherwise sound."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.faults import checker, journal, report
from tests.faults.checker import MINUTE, Expected
from tests.faults.evidence import Document, Evidence, Watcher, can_be_written
from tests.faults.journal import Journal, Line

FIRST = datetime(2026, 11, 21, 2, 30, tzinfo=timezone.utc)
RUN, NEXT = "s0@2026-11-21T02:30Z", "s0@2026-11-21T02:31Z"


@dataclass
class Case:
    """Two minutes of one schedule, done in good order by one process."""

    expected: Expected
    lines: list[Line]
    evidence: Evidence
    logs: list[str]

    def verdict(self) -> str:
        return str(checker.check(self.expected, self.lines, self.evidence, self.logs))

    @property
    def run(self) -> Document:
        return self.evidence.runs[RUN]


@pytest.fixture
def case() -> Case:
    lines, runs, ticks = [], {}, []
    for number, id_ in enumerate((RUN, NEXT)):
        minute, at = FIRST + number * MINUTE, 100.0 + number
        lines += [Line(id_, 1, 7, "start", at), Line(id_, 1, 7, "end", at + 0.5)]
        runs[id_] = {"_id": id_, "schedule": "s0", "state": "succeeded", "attempt": 1, "crashes": 0, "failures": 0}
        runs[id_] |= {"finished_at": minute, "expires_at": minute, "result": {"attempt": 1, "pid": 7}}
        ticks.append({"_id": minute, "daemon": "d", "done_at": minute})
    expected = Expected(schedules=["s0"], first=FIRST, last=FIRST + MINUTE, lanes=["s0"])
    return Case(expected, lines, Evidence(runs, ticks, []), ["all is well"])


def test_what_is_sound_is_found_sound(case: Case) -> None:
    assert case.verdict() == "ok: 2 succeeded, 2 starts, 2 ticks"


def add(case: Case, *lines: tuple[str, int, int, str, float], **on_record: Any) -> None:
    case.lines += [Line(*line) for line in lines]
    case.run.update(on_record)


def at_once(case: Case, **fields: Any) -> None:
    """Let both runs be at work at once, under a limit of one."""
    case.expected = replace(case.expected, lanes=(), limits={"api": 1})
    case.lines[1] = case.lines[1]._replace(at=101.2)
    for run in case.evidence.runs.values():
        run.update(fields)


def overtaken(case: Case, priority: int) -> None:
    """Let the first run start after the second, which has come five minutes later."""
    case.expected = replace(case.expected, out_of_order=timedelta(minutes=1))
    for n, run in enumerate(case.evidence.runs.values()):
        run.update(queued_at=FIRST, run_at=FIRST + 5 * n * MINUTE, started_at=FIRST + (10 - 5 * n) * MINUTE)
    case.evidence.runs[NEXT].update(priority=priority)


BREACHES: dict[str, tuple[Callable[[Case], Any], str]] = {
    "a run is missing": (lambda case: case.evidence.runs.pop(NEXT), "is missing"),
    "a run never ended": (lambda case: case.run.update(state="queued"), "never ended"),
    "a run failed": (lambda case: case.run.update(state="failed"), "ended as"),
    "abandoned without cause": (lambda case: case.run.update(state="abandoned", crashes=2), "without cause"),
    "a run of nobody's schedule": (lambda case: case.evidence.runs.update({"x@2026": {"state": "queued"}}), "no sch"),
    "a run before the first minute": (
        lambda case: case.evidence.runs.update({"s0@2026-11-21T02:29Z": case.run}),
        "before the first",
    ),
    "a minute without a tick": (lambda case: case.evidence.ticks.pop(), "in no entry of the ledger"),
    "a tick not done": (lambda case: case.evidence.ticks[0].pop("done_at"), "is not done"),
    "the same attempt twice": (lambda case: add(case, (RUN, 1, 8, "start", 105)), "started 2 times"),
    "started again without cause": (lambda case: add(case, (RUN, 2, 8, "start", 105)), "with 0 causes"),
    "started, and unknown": (lambda case: add(case, ("x", 1, 8, "start", 105)), "knows nothing"),
    "skipped, and started": (lambda case: case.run.update(state="skipped"), "and started"),
    "attempts that fall": (
        lambda case: add(case, (RUN, 3, 8, "start", 1), (RUN, 2, 8, "start", 2), crashes=2, attempt=3),
        "started attempt 2 after attempt 3",
    ),
    "an attempt that is not on record": (
        lambda case: add(case, (RUN, 2, 8, "start", 105), crashes=1),
        "stored with attempt 1, but attempt 2 started",
    ),
    "the result of another attempt": (lambda case: case.run["result"].update(attempt=2), "the result of attempt 2"),
    "a result without an end": (lambda case: case.run["result"].update(pid=8), "did not end"),
    "a result of a failed run": (lambda case: case.run.update(state="failed"), "has a result and is"),
    "no end on record": (lambda case: case.run.pop("finished_at"), "without finished_at"),
    "two at once in a lane": (
        lambda case: case.lines.__setitem__(1, case.lines[1]._replace(at=101.2)),
        "were at work at once",
    ),
    "one more than a limit allows": (
        lambda case: at_once(case, limit="api"),
        "2 runs of limit api were at work at once",
    ),
    "overtaken by a lower priority": (lambda case: overtaken(case, 6), "was overtaken by"),
    "a take-over without a line": (lambda case: case.run.update(crashes=1), "1 take-overs on record and 0 in the logs"),
    "a failure without a line": (lambda case: case.run.update(failures=1), "1 failures on record and 0 in the logs"),
    "a line without a skip": (lambda case: case.logs.append(f"run {RUN} skipped: x"), "0 skips on record and 1"),
    "a fault of cronlite's": (lambda case: case.logs.append("a fault of cronlite itself in"), "in a log"),
    "a traceback": (lambda case: case.logs.append("Traceback (most recent call last):"), "in a log"),
    "a call beyond its limit": (lambda case: case.logs.append("SLOW CALL: beat took 33 s"), "in a log"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_broken_promise_is_seen(case: Case, breach: str) -> None:
    break_it, told = BREACHES[breach]
    break_it(case)
    assert told in case.verdict()


def test_what_a_limit_and_the_priorities_allow_is_found_sound(case: Case) -> None:
    at_once(case, limit="another")
    assert case.verdict().startswith("ok")
    overtaken(case, priority=5 + 6)  # six minutes earlier
    assert case.verdict().startswith("ok")


def test_a_run_that_dies_as_it_begins_is_at_work_no_longer(case: Case) -> None:
    case.expected = replace(case.expected, limits={"api": 1})
    case.lines = [Line("s0@2026-11-21T02:29Z", 1, 8, "start", 99.0), *case.lines]
    case.evidence.runs["s0@2026-11-21T02:29Z"] = {"limit": "api", "state": "succeeded"}
    for run in case.evidence.runs.values():
        run["limit"] = "api"
    assert "at work at once" not in case.verdict()


def test_a_crash_on_record_and_in_the_log_is_a_cause(case: Case) -> None:
    case.run.update(crashes=1, attempt=2, result={"attempt": 2, "pid": 8})
    case.lines.pop(1)
    add(case, (RUN, 2, 8, "start", 105), (RUN, 2, 8, "end", 106))
    case.expected = replace(case.expected, lanes=())
    case.logs.append(f"run {RUN} of dead daemon d is queued again")
    assert case.verdict().startswith("ok: 2 succeeded, 3 starts")


def test_a_minute_in_a_gap_is_accounted_for(case: Case) -> None:
    gap = case.evidence.ticks.pop()
    case.evidence.ticks.append(gap | {"_id": gap["_id"] + timedelta(seconds=30), "from_at": FIRST, "to_at": gap["_id"]})
    assert case.verdict().startswith("ok")


def test_a_final_run_that_changes_or_goes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[Document] = [{"_id": "a", "state": "succeeded", "attempt": 1}, {"_id": "b", "state": "running"}]
    monkeypatch.setattr("tests.faults.evidence._documents", lambda *_: iter([dict(run) for run in stored]))
    watcher = Watcher("")
    watcher.look()
    stored[1]["state"] = "failed"
    watcher.look()
    assert watcher.changed == []
    stored[0]["attempt"] = 2
    stored.pop()
    watcher.look()
    assert len(watcher.changed) == 2


def test_who_writes_to_a_file_holds_its_lock(tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path / 'cronlite.db'}"
    with closing(sqlite3.connect(tmp_path / "cronlite.db", isolation_level=None)) as writer:
        assert can_be_written(uri)
        writer.execute("BEGIN IMMEDIATE")
        assert not can_be_written(uri)
        writer.execute("COMMIT")
        assert can_be_written(uri)


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = Journal(tmp_path / "journal")
    written.write(RUN, 1, "start")
    written.write(RUN, 1, "end")
    assert [(line.run, line.attempt, line.event) for line in journal.read(tmp_path / "journal")] == [
        (RUN, 1, "start"),
        (RUN, 1, "end"),
    ]


def test_a_journal_that_grows_is_read_in_whole_lines(tmp_path: Path) -> None:
    path, count = tmp_path / "journal", 30_000

    def write() -> None:
        written = Journal(path)
        for attempt in range(count):
            written.write(RUN, attempt, "start")

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        while not writing.done():
            attempts = [line.attempt for line in journal.read(path)]
            assert attempts == list(range(len(attempts)))
        writing.result()
    assert len(list(journal.read(path))) == count


def test_the_table_is_aligned() -> None:
    rows = [report.Row("kill -9", "twice", "ok: 3"), report.Row("a longer fault", "once", "1 VIOLATIONS:\n  x")]
    assert report.table(rows).splitlines() == [
        "fault           injected  verdict",
        "kill -9         twice     ok: 3",
        "a longer fault  once      1 VIOLATIONS:",
    ]
