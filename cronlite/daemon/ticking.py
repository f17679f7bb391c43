"""What does a tick do: claim its minute, find what is due, write the runs, sign it off."""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

from cronlite.daemon import due
from cronlite.daemon.batches import Writing, ahead, batches
from cronlite.daemon.due import Expressions
from cronlite.daemon.early import Early
from cronlite.daemon.reporting import NOBODY as NOBODY_HEARS
from cronlite.daemon.reporting import Reports
from cronlite.daemon.set_aside import SetAside
from cronlite.daemon.store_clock import steady
from cronlite.daemon.thaws import Thaws, frozen_run
from cronlite.documents import new_runs, runs, transitions
from cronlite.documents.freezes import Frozen
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Schedule
from cronlite.documents.ticks import Tick, oldest_in_grace, to_do
from cronlite.logger import logger
from cronlite.metrics.figures import NOBODY, Figures
from cronlite.store.contract import RunQuery, Store
from cronlite.when.clock import MINUTE, floor_minute

log = logger("cronlite.tick")

WRITERS = 2  # what one server makes of three is less
MAX_CATCH_UP = 1_000
PREPARED_SECONDS = 1.5  # a machine that slept longer reads anew


@dataclass(slots=True)
class Count:
    """What a tick came to."""

    queued: int = 0
    waiting: int = 0
    skipped: int = 0
    frozen: int = 0
    left_out: int = 0

    @property
    def due(self) -> int:
        return self.queued + self.waiting + self.skipped + self.frozen

    def __iadd__(self, other: Count) -> Count:
        self.queued += other.queued
        self.waiting += other.waiting
        self.skipped += other.skipped
        self.frozen += other.frozen
        self.left_out += other.left_out
        return self

    def __str__(self) -> str:
        parts = [(self.queued, "queued"), (self.waiting, "waiting"), (self.skipped, "skipped"), (self.frozen, "frozen")]
        parts.append((self.left_out, "left out by catch_up"))
        return ", ".join(f"{number} {what}" for number, what in parts if number) or "nothing due"


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A minute that was claimed before its wake, and its runs, of which some are made. Others were written early."""

    entry: Tick
    runs: Iterator[Run]
    at: float
    early: int = 0


@dataclass(frozen=True, slots=True)
class Inserts:
    """How the runs of a tick get into the store.

    `add_runs` writes them as the store's own does, and may claim some of them on the way; two threads call it. `adding`
    is entered while the runs of one minute are written, and `early` writes some of them before the minute's wake.
    """

    add_runs: Callable[[list[Run]], set[str]]
    adding: Callable[[], AbstractContextManager[None]] = nullcontext
    early: Early | None = None


@dataclass(frozen=True, slots=True)
class Periods:
    """How far back a tick looks for minutes of which all is done, and for those that are caught up with.

    After `late_after`, runs count as overdue whose schedules do not say so themselves.
    """

    grace: timedelta
    catch_up_window: timedelta
    late_after: timedelta | None = None


@dataclass(slots=True)
class Ticker:
    """Does ticks for one daemon at a time; `daemon` names the one that it claims for.

    `is_dead` tells of an owner of ticks whether it is known to be dead.
    """

    store: Store
    inserts: Inserts
    daemon: Callable[[], str]
    is_dead: Callable[[str], bool]
    periods: Periods
    figures: Figures = NOBODY
    reports: Reports = NOBODY_HEARS
    _settled: datetime | None = None
    _stepped: datetime | None = None
    _prepared: _Prepared | None = None
    _known: Expressions = field(default_factory=Expressions)
    _thaws: Thaws = field(init=False)
    _aside: SetAside = field(init=False)

    def __post_init__(self) -> None:
        self._thaws, self._aside = Thaws(self.store), SetAside(self.reports)

    @property
    def is_prepared(self) -> bool:
        """Tell whether a minute is claimed that the next step is to do."""
        return self._prepared is not None

    def prepare(self, now: datetime, wake_at: datetime) -> None:
        """Claim the minute of a wake and read what is due, once that minute has begun and those before it are done.

        Runs that this daemon can start at the wake are written as well. A schedule stored since the minute began is not
        due in it anyway; other changes may count from the next one.
        Raises StoreError; the step does then what is left.
        """
        minute = floor_minute(wake_at)
        if not minute <= now < wake_at or self._stepped != minute - MINUTE:
            return
        self._stepped = None  # once for each wake
        at = steady()
        if entry := self._claimed(Tick(minute=minute, daemon=self.daemon(), claimed_at=now)):
            new, until = self._due(minute, wake_at), at + (wake_at - now).total_seconds()
            made = ahead(new, until)
            self._prepared = _Prepared(entry, chain(made, new), at)
            if self.inserts.early:
                left = self.inserts.early.write(made, wake_at, until)
                self._prepared = _Prepared(entry, chain(left, new), at, early=len(made) - len(left))

    def step(self, now: datetime) -> int:
        """Do every minute that is left to do at `now`; return how many runs were queued.

        A minute that another live daemon has claimed is left to it. Raises StoreError; what was claimed and not done
        is then done by the next step.
        """
        if self.inserts.early:
            self.inserts.early.begin(now)
        done = self.is_prepared
        queued = self._do_prepared(now)
        window = now - self.periods.catch_up_window
        since = max(self._settled, window) if self._settled else window
        since = min(since, now - self.periods.grace)  # the clock may have been set back
        entries = to_do(self.store.ledger(floor_minute(since), now), now, self.periods.grace, self.daemon())
        left = False
        for entry in sorted(entries, key=lambda entry: entry.is_gap):
            # Each is claimed when its turn comes: what is left then is another's to do if this daemon ends.
            if mine := self._claimed(entry):
                queued += self._do(mine, now)
                done = True
            else:
                left = True
        if done and not left:  # or else minutes that a freeze covers may be still to come
            queued += self._thaws.end(now, self.periods.catch_up_window)
        self._settled = min([entry.first for entry in entries], default=now) - MINUTE
        self._stepped = floor_minute(now)
        return queued

    def _claimed(self, entry: Tick) -> Tick | None:
        """Return the entry that stands if it is ours to do."""
        me = self.daemon()
        if entry.daemon != me and not self.is_dead(entry.daemon):
            return None
        entry = self.store.claim_tick(entry)
        if entry.done_at is not None:
            return None
        if entry.daemon == me:
            return entry
        if self.is_dead(entry.daemon) and self.store.take_over_tick(entry, me):
            log.warning("took over the tick of %s from daemon %s, which died", _named(entry), entry.daemon)
            return replace(entry, daemon=me)
        return None

    def _do_prepared(self, now: datetime) -> int:
        """Do the minute that was prepared, unless that was too long ago, or in another daemon's name.

        It is in time, even if the clock was put on since.
        """
        prepared, self._prepared = self._prepared, None
        if prepared is None or steady() - prepared.at > PREPARED_SECONDS:
            return 0
        if prepared.entry.daemon != self.daemon() or prepared.entry.minute > now:
            return 0
        return self._do(prepared.entry, now, prepared.runs, early=prepared.early)

    def _do(self, entry: Tick, now: datetime, new: Iterator[Run] | None = None, *, early: int = 0) -> int:
        started = time.monotonic()
        if new is None and entry.last < oldest_in_grace(now, self.periods.grace):
            count = self._make_up(entry, now)
        else:
            with self.inserts.adding():
                count = self._write(new or self._due(entry.minute, now), now)
            count.queued += early
        done = replace(entry, due=count.due, skipped=count.left_out, frozen=count.frozen, done_at=now)
        if not self.store.finish_tick(done):
            log.warning("the tick of %s was taken over by another daemon meanwhile", _named(entry))
        elif entry.is_gap:
            self.figures.missed((entry.last - entry.first) // MINUTE + 1)
        self.figures.ticked(time.monotonic() - started)
        self.reports.ticked()
        log.log(
            logging.WARNING if entry.is_gap else logging.INFO,
            "%s %s: %s (%.0f ms)",
            "gap" if entry.is_gap else "tick",
            _named(entry),
            count,
            (time.monotonic() - started) * 1_000,
        )
        return count.queued

    def _make_up(self, entry: Tick, now: datetime) -> Count:
        """Apply each schedule's `catch_up` to the minutes of a gap, newest first, as far back as the window goes."""
        count = Count()
        first = max(entry.first, floor_minute(now - self.periods.catch_up_window))
        for batch in batches(self._wanted(first, entry.last, now, count)):
            count += self._queue(sorted(batch, key=lambda run: run.due_at), now)
        return count

    def _wanted(self, first: datetime, last: datetime, now: datetime, count: Count) -> Iterator[Run]:
        made_up: dict[str, int] = defaultdict(int)
        minute, expressions, frozen = last, self._expressions(), self._frozen(first)
        recorded: set[tuple[str, str | None]] = set()
        while minute >= first:
            for schedule in due.due(self.store, minute, self._aside.document, expressions):
                for instant in reversed(list(schedule.instants(minute))):
                    if held := frozen and frozen_run(schedule, instant, now, frozen):
                        # The last one of each freeze is enough to make up for it, and to tell of it.
                        if (schedule.id, held.freeze) in recorded:
                            count.left_out += 1
                        else:
                            recorded.add((schedule.id, held.freeze))
                            yield held
                    elif made_up[schedule.id] < _allowed(schedule):
                        made_up[schedule.id] += 1
                        yield new_runs.of_schedule(schedule, instant, now)
                    else:
                        count.left_out += 1
            minute -= MINUTE

    def _write(self, new: Iterator[Run], now: datetime) -> Count:
        """Write runs of which no two share a lane, some batches at a time while the next is made."""
        count, under_way = Count(), deque[Writing[Count]]()
        with ThreadPoolExecutor(WRITERS, "cronlite-write") as writers:  # which has no threads before there is work
            for batch in batches(new):
                writing = Writing(partial(self._queue, batch, now))
                with suppress(RuntimeError):  # no thread is granted: then it is written here
                    writers.submit(writing.begin)
                under_way.append(writing)
                if len(under_way) > WRITERS:
                    count += under_way.popleft().end()
            for written in under_way:
                count += written.end()
        return count

    def _queue(self, new: list[Run], now: datetime) -> Count:
        """Write some runs, each as its `overlap` and the runs at work have it."""
        count = Count()
        lanes = {run.lane for run in new if run.lane and not run.ahead and not run.freeze}
        last = {run.lane: run for run in self.store.at_work(lanes)} if lanes else {}
        self._close_missed({run.lane for run in new if run.lane and run.ahead}, now)
        for run in new:
            if run.lane and not run.ahead and not run.freeze:  # those judge for themselves, when their instant comes
                _fit_in(run, last.get(run.lane), now)
                last[run.lane] = run
        refused = self.inserts.add_runs(new)
        for run in new:
            if run.id in refused:
                continue  # a tick done before, in part or in full
            if run.freeze:  # told in one number: there may be a hundred thousand
                count.frozen += 1
                self.figures.closed(run, run.state)
            elif run.state == runs.SKIPPED:
                count.skipped += 1
                self.figures.closed(run, run.state)
                log.warning("run %s skipped: %s", run.id, run.reason)
            elif run.run_at is None:
                count.waiting += 1
            else:
                count.queued += 1
        return count

    def _close_missed(self, lanes: set[str], now: datetime) -> None:
        """Close the runs that were made ahead, lost their lane to an earlier one, and have come to their deadline."""
        if lanes:
            recent = RunQuery(schedules=lanes, states=[runs.QUEUED], since=now - self.periods.grace - MINUTE)
            waiting = [run for run in self.store.runs(recent) if run.run_at is None]
            late = [(run, change) for run in waiting if (change := transitions.too_late(run, now))]
            lost = self.store.change_runs(late)
            for run, change in late:
                if run.id not in lost:
                    self.figures.closed(run, change["state"])

    def _due(self, minute: datetime, now: datetime) -> Iterator[Run]:
        """Make the runs of what is due in a minute, one by one."""
        found = due.due(self.store, minute, self._aside.document, self._expressions())
        frozen = self._frozen(minute)
        of_minute = partial(_of_minute, frozen) if frozen else new_runs.of_minute
        made = chain.from_iterable(of_minute(schedule, minute, now) for schedule in found)
        return made if self.periods.late_after is None else map(self._with_late, made)

    def _with_late(self, run: Run) -> Run:
        if run.late_at is None and self.periods.late_after is not None and not run.freeze:
            run.late_at = run.due_at + self.periods.late_after
        return run

    def _frozen(self, since: datetime) -> Frozen:
        """Return the freezes that cover minutes from an instant on."""
        return Frozen(self.store.freezes(since))

    def _expressions(self) -> Expressions:
        """Return the expressions in use, and report those that keep schedules from ever being due."""
        self._known.update(self.store.expressions())
        for field_name, value in self._known.unreadable():
            self._aside.text(field_name, value)
        return self._known


def _of_minute(frozen: Frozen, schedule: Schedule, minute: datetime, now: datetime) -> Iterator[Run]:
    """Make the runs of a schedule in a minute; of those that a freeze holds back, the records."""
    for run in new_runs.of_minute(schedule, minute, now):
        yield frozen_run(schedule, run.due_at, now, frozen) or run


def _fit_in(run: Run, last: Run | None, now: datetime) -> None:
    """Let a run go, wait or be skipped, by the last one at work in its lane.

    Runs that make up for late ticks wait, and are waited for: they never skip and are never a reason to skip.
    """
    if last is None or last.id == run.id or last.state == runs.SKIPPED:
        return
    if run.overlap == "skip" and not run.late and not last.late:
        transitions.skip(run, f"run {last.id} is still at work", now)
    else:
        run.run_at = None


def _allowed(schedule: Schedule) -> int:
    """Say how many minutes of a gap a schedule makes up for."""
    return {"skip": 0, "latest": 1, "all": MAX_CATCH_UP}[schedule.catch_up]


def _named(entry: Tick) -> str:
    if not entry.is_gap:
        return f"{entry.minute:%Y-%m-%d %H:%M}Z"
    return f"{entry.first:%Y-%m-%d %H:%M}Z to {entry.last:%Y-%m-%d %H:%M}Z, when no daemon ticked"
