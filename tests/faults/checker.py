"""Was every promise kept? Compares what the handlers wrote down, the store's documents and the logs with the minutes.

It knows nothing of cronlite's code: only the documents of the design and the words of the log.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.faults.evidence import FINAL, Document, Evidence
from tests.faults.journal import Line

MINUTE = timedelta(minutes=1)
MAX_CRASHES = 3

_TAKEN_OVER = re.compile(r"run (\S+) of dead daemon (\S+) is (queued again|abandoned)")
_SKIPPED = re.compile(r"run (\S+) skipped: ")
_FAILED = re.compile(r"run (\S+) attempt (\d+) of .* (will be retried|failed|timed_out)")
_LATE = re.compile(r"run (\S+) attempt (\d+): its outcome came too late")
_CUT_OFF = re.compile(r"run (\S+) was cut off by the stop")
_FAULTS = ("a fault of cronlite itself", "SLOW CALL: ", "was not taken", "cannot be found out")
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What should have happened: one run of each schedule at each minute from `first` to `last`."""

    schedules: Sequence[str]
    first: datetime
    last: datetime
    except_for: Collection[str] = ()
    """Schedules that are not due every minute, or whose runs the test itself looks at."""
    ends: Collection[str] = frozenset({"succeeded"})
    lanes: Collection[str] = ()
    """Schedules of which no two runs may be at work at once: their overlap forbids it, and no lease was lost."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """How many runs of each limit may be at work at once; their handlers end in good order, or with their process."""
    out_of_order: timedelta | None = None
    """How much later than another a run may start that has come out of the queue behind it, where that is looked at."""
    logs_are_whole: bool = True
    """Whether no daemon was killed, which can cost the line about what it had just done."""
    paused: bool = False
    """Whether daemons were stopped, which may be between the last look at the lease and the start."""
    tracebacks: bool = False
    """Whether handlers let tracebacks into the logs."""

    def minutes(self) -> Iterator[datetime]:
        minute = self.first
        while minute <= self.last:
            yield minute
            minute += MINUTE

    def run_ids(self) -> Iterator[str]:
        for minute in self.minutes():
            for schedule in self.schedules:
                if schedule not in self.except_for:
                    yield f"{schedule}@{minute:%Y-%m-%dT%H:%MZ}"


@dataclass
class Verdict:
    """What the checker found, and how much it looked at."""

    violations: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        told = ", ".join(f"{count} {what}" for what, count in self.counts.items() if count)
        if not self.violations:
            return f"ok: {told}"
        shown = "\n  ".join(self.violations[:20])
        return f"{len(self.violations)} VIOLATIONS ({told}):\n  {shown}"


def check(expected: Expected, journal: Sequence[Line], evidence: Evidence, logs: Iterable[str]) -> Verdict:
    """Compare, and return everything that is not as promised."""
    logs = list(logs)
    found = Verdict()
    for check_one in (
        _no_minute_is_missing(expected, evidence),
        _no_run_is_unexpected(expected, evidence),
        _every_tick_is_accounted_for(expected, evidence),
        _no_run_started_twice_without_cause(expected, journal, evidence, logs),
        _attempts_only_rise(expected, journal, evidence),
        _one_recorded_result(journal, evidence),
        _never_over_itself(expected, journal),
        _never_over_a_limit(expected, journal, evidence),
        _in_the_order_of_waiting(expected, evidence),
        _every_event_has_a_line(expected, evidence, logs),
        _nothing_unexpected_in_the_logs(expected, logs),
    ):
        found.violations += check_one
    found.counts = _counts(journal, evidence, logs)
    return found


def _no_minute_is_missing(expected: Expected, evidence: Evidence) -> Iterator[str]:
    for id_ in expected.run_ids():
        run = evidence.runs.get(id_)
        if run is None:
            yield f"run {id_} is missing"
        elif run["state"] not in FINAL:
            yield f"run {id_} never ended: {_told(run)}"
        elif run["state"] not in expected.ends and not _may_be_abandoned(run):
            yield f"run {id_} ended as {_told(run)}"


def _may_be_abandoned(run: Document) -> bool:
    crashes = _number(run.get("crashes"))
    due = crashes >= MAX_CRASHES or (crashes >= 1 and run.get("on_crash") == "abandon")
    return bool(run["state"] == "abandoned" and due)


def _no_run_is_unexpected(expected: Expected, evidence: Evidence) -> Iterator[str]:
    known = set(expected.schedules)
    for id_, run in evidence.runs.items():
        schedule, at, minute = str(id_).partition("@")
        if not at:
            continue  # on demand
        if schedule not in known or run.get("schedule") != schedule:
            yield f"run {id_} belongs to no schedule of this test"
        elif minute < f"{expected.first:%Y-%m-%dT%H:%MZ}":
            yield f"run {id_} is for a minute before the first"
        if run.get("state") == "abandoned" and not _may_be_abandoned(run) and "abandoned" not in expected.ends:
            yield f"run {id_} was abandoned without cause: {_told(run)}"


def _every_tick_is_accounted_for(expected: Expected, evidence: Evidence) -> Iterator[str]:
    by_minute = {tick["_id"]: tick for tick in evidence.ticks}
    gaps = [tick for tick in evidence.ticks if "from_at" in tick]
    for minute in expected.minutes():
        tick = by_minute.get(minute)
        if tick is not None and "done_at" not in tick:
            yield f"the tick of {minute} was claimed by {tick.get('daemon')} and is not done"
        if tick is None and not any(gap["from_at"] <= minute <= gap["to_at"] for gap in gaps):
            yield f"the minute {minute} is in no entry of the ledger"


def _no_run_started_twice_without_cause(
    expected: Expected, journal: Sequence[Line], evidence: Evidence, logs: Sequence[str]
) -> Iterator[str]:
    starts = Counter(line.run for line in journal if line.event == "start")
    twice = Counter((line.run, line.attempt) for line in journal if line.event == "start")
    cut_off = Counter(found[1] for log in logs for found in _CUT_OFF.finditer(log))
    for (id_, attempt), count in twice.items():
        if count > 1:
            yield f"attempt {attempt} of run {id_} started {count} times"
    for id_, count in starts.items():
        run = evidence.runs.get(id_)
        if run is None:
            yield f"run {id_} started, and the store knows nothing of it"
            continue
        causes = _number(run.get("crashes")) + _number(run.get("failures")) + cut_off[id_]
        # the failure that ended it was no cause of another start
        if count > 1 + causes:
            yield f"run {id_} started {count} times with {causes} causes: {_told(run)}"
        if run["state"] in ("skipped", "cancelled"):
            yield f"run {id_} is {run['state']}, and started"


def _attempts_only_rise(expected: Expected, journal: Sequence[Line], evidence: Evidence) -> Iterator[str]:
    last: dict[str, int] = defaultdict(int)
    for line in journal:
        if line.event == "start":
            late = expected.paused and _number(evidence.runs.get(line.run, {}).get("crashes"))
            if line.attempt <= last[line.run] and not late:
                yield f"run {line.run} started attempt {line.attempt} after attempt {last[line.run]}"
            last[line.run] = max(line.attempt, last[line.run])
    for id_, attempt in last.items():
        stored = evidence.runs.get(id_, {}).get("attempt", 0)
        if isinstance(stored, int) and stored < attempt:
            yield f"run {id_} is stored with attempt {stored}, but attempt {attempt} started"


def _one_recorded_result(journal: Sequence[Line], evidence: Evidence) -> Iterator[str]:
    ends = {(line.run, line.attempt, line.pid) for line in journal if line.event == "end"}
    for id_, run in evidence.runs.items():
        result = run.get("result")
        if run.get("state") == "succeeded":
            if "finished_at" not in run or "expires_at" not in run:
                yield f"run {id_} succeeded without finished_at or expires_at"
            if isinstance(result, Mapping) and "pid" in result:
                if result["attempt"] != run["attempt"]:
                    yield f"run {id_} is at attempt {run['attempt']} with the result of attempt {result['attempt']}"
                if (id_, run["attempt"], result["pid"]) not in ends:
                    yield f"run {id_} has a result, but its attempt {run['attempt']} did not end"
        elif result is not None:
            yield f"run {id_} has a result and is {_told(run)}"


def _never_over_itself(expected: Expected, journal: Sequence[Line]) -> Iterator[str]:
    spans: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for begin, end, run in _spans(journal):
        spans[run.partition("@")[0]].append((begin, end, run))
    for schedule in expected.lanes:
        for (_, end, one), (begin, _, other) in pairwise(sorted(spans[schedule])):
            if begin < end:
                yield f"two runs of {schedule} were at work at once: {one} and {other}"


def _never_over_a_limit(expected: Expected, journal: Sequence[Line], evidence: Evidence) -> Iterator[str]:
    """Count, at each start and end, what is at work under each limit."""
    turns = [
        turn
        for begin, end, run in _spans(journal)
        for turn in ((begin, 1, run), (end, -1, run))
        if evidence.runs.get(run, {}).get("limit") in expected.limits and begin < end  # or it died as it began
    ]
    at_work: dict[str, set[str]] = defaultdict(set)
    for _, step, run in sorted(turns):  # of one instant, what ends comes first
        limit = evidence.runs[run]["limit"]
        (at_work[limit].add if step > 0 else at_work[limit].discard)(run)
        if len(at_work[limit]) > expected.limits[limit]:
            yield f"{len(at_work[limit])} runs of limit {limit} were at work at once: {sorted(at_work[limit])}"


def _in_the_order_of_waiting(expected: Expected, evidence: Evidence) -> Iterator[str]:
    """Look for runs that were overtaken by one that came later, by the instants that priorities make of theirs."""
    if expected.out_of_order is None:
        return
    calm = [
        run
        for run in evidence.runs.values()
        if run.get("attempt") == 1 and not _number(run.get("crashes")) and {"run_at", "started_at"} <= run.keys()
    ]
    for run in calm:
        for other in calm:
            was_there = run["queued_at"] <= other["queued_at"]
            late = run["started_at"] - other["started_at"]
            if was_there and late > expected.out_of_order and _effective(run) < _effective(other):
                yield f"run {run['_id']} was overtaken by {other['_id']}, and started {late} later"


def _effective(run: Document) -> datetime:
    instant: datetime = run["run_at"] - (_number(run.get("priority", 5)) - 5) * MINUTE
    return instant


def _spans(journal: Sequence[Line]) -> Iterator[tuple[float, float, str]]:
    """Yield from when to when each attempt was at work: to its end, or to the last sign of the process it died with."""
    pids_ended = _last_sign_of(journal)
    open_: dict[tuple[str, int], Line] = {}
    for line in journal:
        if line.event == "start":
            open_[line.run, line.attempt] = line
        elif began := open_.pop((line.run, line.attempt), None):
            yield began.at, line.at, line.run
    for began in open_.values():
        yield began.at, max(began.at, pids_ended[began.pid]), began.run


def _last_sign_of(journal: Sequence[Line]) -> dict[int, float]:
    return {line.pid: line.at for line in journal}


def _every_event_has_a_line(expected: Expected, evidence: Evidence, logs: Sequence[str]) -> Iterator[str]:
    taken = Counter(found[1] for log in logs for found in _TAKEN_OVER.finditer(log))
    skipped = Counter(found[1] for log in logs for found in _SKIPPED.finditer(log))
    failed = Counter(found[1] for log in logs for found in _FAILED.finditer(log))
    for id_, run in evidence.runs.items():
        events = [
            ("take-overs", taken[id_], _number(run.get("crashes"))),
            ("skips", skipped[id_], int(run.get("state") == "skipped")),
            ("failures", failed[id_], _number(run.get("failures"))),
        ]
        for what, lines, records in events:
            if lines > records or (expected.logs_are_whole and lines < records):
                yield f"run {id_} has {records} {what} on record and {lines} in the logs"


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _nothing_unexpected_in_the_logs(expected: Expected, logs: Sequence[str]) -> Iterator[str]:
    words = _FAULTS if expected.tracebacks else (*_FAULTS, _TRACEBACK)
    for log in logs:
        places = [place for word in words if (place := log.find(word)) >= 0]
        if places:
            yield f"in a log: {log[max(0, min(places) - 200) : min(places) + 1_500]}"


def _counts(journal: Sequence[Line], evidence: Evidence, logs: Sequence[str]) -> dict[str, int]:
    states = Counter(str(run.get("state")) for run in evidence.runs.values())
    gaps = sum("from_at" in tick for tick in evidence.ticks)
    return {
        **dict(states),
        "starts": sum(line.event == "start" for line in journal),
        "ticks": len(evidence.ticks) - gaps,
        "gaps": gaps,
        "crashes": sum(_number(run.get("crashes")) for run in evidence.runs.values()),
        "too late": sum(len(_LATE.findall(log)) for log in logs),
    }


def _told(run: Document) -> str:
    names = ("state", "attempt", "crashes", "failures", "daemon", "run_at", "reason", "error")
    return ", ".join(f"{name}={run[name]!r}" for name in names if name in run)
