"""What does a daemon do: a few loops around one store, each of which survives the store's absence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from cronlite.alarms.channels import channels_of
from cronlite.daemon.alarming import Alarming
from cronlite.daemon.claims import Claimer
from cronlite.daemon.early import Early
from cronlite.daemon.from_broker import Feeding
from cronlite.daemon.handover import Handover
from cronlite.daemon.live import LiveOutput
from cronlite.daemon.liveness import BEATS_PER_SILENCE, Membership, Peers, host_and_pid
from cronlite.daemon.measured import Measured
from cronlite.daemon.minutes import Minutes
from cronlite.daemon.options import Options
from cronlite.daemon.outcomes import Recorder
from cronlite.daemon.reporting import Reporting
from cronlite.daemon.rounds import Rounds
from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.daemon.threads import Loop, Threads
from cronlite.daemon.ticking import Inserts, Periods, Ticker
from cronlite.daemon.to_broker import Sending
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import DEFAULT_QUEUE, Run
from cronlite.errors import StoreError
from cronlite.handlers.registry import Home, Registry
from cronlite.logger import logger
from cronlite.metrics.figures import Levels
from cronlite.store.contract import Store
from cronlite.version import VERSION

log = logger("cronlite.daemon")

POLL_SECONDS = 1.0
POLL_SECONDS_HEARING = 5.0  # where the store tells of new runs
WATCH_SECONDS = 10.0
# The claim gets the interpreter meanwhile, instead of this loop for its next question; and much at once wakes it once.
HEARD_SECONDS = 0.002
FLOODED_SECONDS = 0.2
PRUNE_SECONDS = 600.0
DEAD_KEPT = timedelta(days=1)


class Daemon:
    """Ticks, claims, runs handlers and beats, in threads of this process, until it is stopped.

    With `options.dispatch` it sends the ids of queued runs to a broker as well. A `worker` does not tick, and claims
    what it hears of from that broker, in `options.queues`.
    Inside of its runs, the module-level functions go to `home`.
    `notify` hears of "waiting" (for the store), "ready", "tick", "failing" and "stopping", each with a line for people.
    `on_fall` is called when a loop has ended that should not have: whoever runs the daemon is to stop it and end the
    process. Without `on_fall` the daemon ticks, claims and beats no more, so that others take its work over.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        options: Options | None = None,
        *,
        worker: bool = False,
        clock: StoreClock | None = None,
        notify: Callable[[str, str], None] | None = None,
        home: Home | None = None,
    ) -> None:
        self.options = options or Options()
        if worker and not self.options.queues:
            # A message may name any run, and a worker claims only runs of its own queues.
            self.options = replace(self.options, queues=(DEFAULT_QUEUE,))
        self.clock = clock or StoreClock()
        self._home = home
        self.on_fall: Callable[[], None] | None = None
        self.fallen = ""
        """The loop that ended though it should not have."""
        self._store, self._registry, self._listener = store, registry, notify
        self.measured = Measured(store, registry, self.options, self._levels)
        figures = self.measured.figures
        silence = self.options.silence_seconds
        self.membership = Membership(store, self.clock, self._record, self._forget, silence, figures)
        self.peers = Peers(store, silence)
        self.alarming = Alarming(store, self.clock, channels_of(self.options.alarms), self.options.late_after_seconds)
        self.reports = Reporting(
            self.alarming, self.options.heartbeat_url, allow_private_pings=self.options.allow_private_pings
        )
        self.handover = Handover(store, self.clock, figures, self.reports)
        self.claimer = Claimer(self.membership, self.handover, registry, self.options, home)
        self.ticker = Ticker(
            store,
            Inserts(self.claimer.add, self.claimer.adding, Early(store, self.claimer)),
            lambda: self.membership.id,
            self.peers.is_dead,
            _periods(self.options),
            figures,
            self.reports,
        )
        self._minutes = Minutes(None if worker else self.ticker, self.clock)
        self._recorders = {
            f"record-{number}": recorder for number, recorder in enumerate(self.claimer.outcomes.recorders, start=1)
        }
        self._live = LiveOutput(store, self.clock, self.claimer.pool.tails)
        self._feeding, self._sending = self._linked(worker)
        self._send_soon = threading.Event()
        self._stopping, self._drained, self._silent = threading.Event(), threading.Event(), threading.Event()
        self._ready, self._tick_soon = threading.Event(), threading.Event()
        self._rounds = Rounds(store.address, self.clock, figures)
        self._threads = Threads(self._rounds, self._stopping, failed=self._failed, fell=self._fall)
        self._draining = False
        self._hears = False

    def start(self) -> None:
        """Start the loops in the background and return at once; a store out of reach is waited for.

        Raises ConfigurationError where the figures cannot be served at the address given.
        """
        self.measured.start()
        self._rounds.begin("start")
        self._threads.start("tick", self._main, self._stopping)
        self.alarming.keep_going()

    def wait_ready(self, seconds: float) -> bool:
        """Wait until the store has answered and this daemon is on its list; tell whether it came so far."""
        return self._ready.wait(seconds)

    def step(self, now: datetime) -> int:
        """Do every minute that is left to do at `now`; return how many runs it queued."""
        queued = self._minutes.step(now)
        if queued:
            self.wake()
        return queued

    def wake(self) -> None:
        """Look for queued runs now instead of at the next poll."""
        self.claimer.claim_soon.set()
        self._send_soon.set()

    def stop(self, *, hard: bool = False, last_words: Callable[[], object] | None = None) -> list[Run]:
        """Drain, and end; return the runs whose handlers are still at it. `end` tells of `hard` and `last_words`."""
        self.drain()
        return self.end(hard=hard, last_words=last_words)

    def drain(self, *, process_ends: bool = False) -> None:
        """Stop ticking and claiming, give back what has not started, wait `drain_seconds` for what has.

        The daemon still beats, and still writes down how runs end. A second call does nothing. `process_ends` says that
        the interpreter is ending, and may refuse handlers their threads.
        """
        self.claimer.pool.process_ends |= process_ends
        if self._draining:
            return
        self._draining = True
        self.claimer.stop_claiming()
        log.info("nothing more is claimed; running handlers have %g s", self.options.drain_seconds)
        self._notify("stopping", "waiting for running handlers")
        self._end_loops()
        self._threads.join("tick", "claim", "send", "prune")
        self._threads.guarded("give back", self.claimer.give_back_waiting)
        if link := self._feeding or self._sending:
            link.close()
        self.claimer.pool.drain(self.options.drain_seconds)

    def end(self, *, hard: bool = False, last_words: Callable[[], object] | None = None) -> list[Run]:
        """End child processes, coroutines and the loops, and give back the runs that this cuts off.

        Return the runs whose handlers go on, as threads cannot be ended. With `hard` these are returned and given back
        as well, which is right only for a process that ends at once afterwards: `last_words` is called before, as from
        then on another daemon may start them. What cannot be given back for want of the store will be taken over.
        """
        self._drained.set()
        self._silent.set()
        self.claimer.outcomes.end_waits()
        self._threads.join(*self._recorders, "show", "beat")
        left, going_on = self.claimer.close()
        self.measured.close()
        self._threads.guarded("record", self.claimer.outcomes.record_all)
        self.alarming.stop()
        self.reports.close()
        if self._ready.is_set() and (hard or not going_on):
            self._threads.guarded("leave", self.membership.leave)
        cut_off = left if hard else [run for run in left if run not in going_on]
        log.info("stopped%s", f" while {len(left)} handlers were still at it" if left else "")
        self.give_back(cut_off, last_words)
        return left if hard else going_on

    def give_back(self, cut_off: list[Run], last_words: Callable[[], object] | None = None) -> None:
        """Put runs back that the end of this daemon, or of its process, cuts off."""
        for run in cut_off:
            log.warning("run %s was cut off by the stop of its daemon", run.id)
        if last_words:
            last_words()
        if cut_off:
            self._threads.guarded("give back", lambda: self.handover.cut_off(cut_off))

    @property
    def trouble(self) -> str:
        """What keeps this daemon from its work, since when, and why; nothing while all is well."""
        link = self._feeding or self._sending
        fallen = f"its {self.fallen} loop has ended" if self.fallen else ""
        broker = link.trouble.told if link else ""
        return "; ".join(
            filter(None, (fallen, self._rounds.trouble(), broker, self.claimer.pool.trouble, self.alarming.trouble))
        )

    @property
    def is_hopeless(self) -> bool:
        """Tell whether some of its work has not been done for so long that a new process may do better."""
        return bool(self.fallen) or self._rounds.is_hopeless()

    def _main(self) -> None:
        while not (self._ready.is_set() or self._stopping.is_set()):
            self._stopping.wait(self._threads.guarded("start", self._enter))
        self._rounds.end("start")
        if not self._ready.is_set():
            return
        for loop in self._loops():
            self._threads.keep(loop)
        self._threads.run(Loop("tick", self._tick, self._stopping, self._tick_soon))
        if self.ticker.is_prepared:  # left alone, that minute would wait until this daemon counts as dead
            self._threads.guarded("tick", lambda: self.step(self.clock.now()))

    def _loops(self) -> Iterator[Loop]:
        """Name the loops beside the one that ticks: the last to end come first."""
        yield Loop("beat", self._beat, self._silent)
        for name, recorder in self._recorders.items():
            yield Loop(name, partial(self._write, recorder), self._drained)
        yield Loop("show", self._live.show, self._drained, is_awaited=False)
        yield Loop("prune", self._prune, self._stopping, is_awaited=False)
        claim = self._feeding.feed if self._feeding else self._claim
        yield Loop("claim", claim, self._stopping, self.claimer.claim_soon)
        if self._sending:
            yield Loop("send", self._sending.send, self._stopping, self._send_soon)
        if not self._feeding:
            yield Loop("watch", self._watch, self._stopping, is_awaited=False)

    def _enter(self) -> float:
        for complaint in self._store.prepare():
            log.warning("%s", complaint)
        if self._home:
            self._home.declare_handlers()
        self.membership.join()
        self._minutes.begin()
        log.info("daemon %s on %s, %d seats", self.membership.id, self._store.address, self.options.seats)
        self._ready.set()
        self._notify("ready", self._minutes.next_wake)
        return 0

    def _tick(self) -> float:
        if self._minutes.tick_if_due():
            self.wake()
        self._show_life()
        return self._minutes.prepare_if_due()

    def _show_life(self) -> None:
        """Tell how things are; where there is no hope left, without the sign of life that a watchdog waits for."""
        running, trouble = self.claimer.pool.running, self.trouble
        status = f"{self._minutes.next_wake}, {running} running"
        self._notify("failing" if self.is_hopeless else "tick", f"{trouble}; {status}" if trouble else status)

    def _claim(self) -> float:
        claimed = self.claimer.claim()
        if claimed and self.claimer.may_have_left_some:
            return 0
        # A run that is due and was not claimed waits for its lane, or for another daemon: it is asked for again soon.
        otherwise = 0 if claimed else POLL_SECONDS
        if not self._hears or self.claimer.pool.waiting:
            return otherwise
        run_at = self._store.next_run_at(self._registry.names())
        wait = self.clock.seconds_until(run_at) if run_at else POLL_SECONDS_HEARING
        return min(wait, POLL_SECONDS_HEARING) if wait > 0 else otherwise

    def _write(self, recorder: Recorder) -> float:
        recorder.record(POLL_SECONDS)
        return 0

    def _watch(self) -> float:
        if not self.claimer.has_ebbed():
            self._hears = False
            return FLOODED_SECONDS
        try:
            self._hears = self._store.watch(WATCH_SECONDS)
        except StoreError:
            self._hears = False
            if self._stopping.is_set():
                return 0  # nobody waits for this loop before the store is closed
            raise
        if not self._hears:
            return FLOODED_SECONDS if self.claimer.is_flooded else WATCH_SECONDS
        # Not the sending: all daemons hear this at the same time, and each of them would send.
        self.claimer.claim_soon.set()
        return HEARD_SECONDS

    def _beat(self) -> float:
        pool, trouble = self.claimer.pool, self.trouble
        if trouble:
            self._notify("failing", trouble)  # here, too: the loop that shows life may be the one that fails
        self.membership.beat(running=pool.running, stuck=pool.stuck, trouble=trouble, ticked_at=self._minutes.ticked_at)
        self.alarming.keep_going()
        dead = self.peers.observe(self.membership.id, self._store.owners())
        for owner in dead:
            self.handover.take_over(owner)
        now = self.clock.now()
        if self._store.release_lanes(now) or dead:
            self.wake()
        if dead:
            self._minutes.hurry(now)
            self._tick_soon.set()
        return self.options.silence_seconds / BEATS_PER_SILENCE

    def _prune(self) -> float:
        """Delete some of what has expired; return when to go on: others that write to a file get as much time again.

        Nobody waits for this loop, so that it looks up what may take long, too.
        """
        self.claimer.outcomes.durations.look_up(self._registry.names())
        now, started = self.clock.now(), steady()
        if self._store.prune_runs(now):
            return steady() - started
        self._store.prune_ticks(now - self.ticker.periods.catch_up_window - DEAD_KEPT)
        self._store.prune_daemons(now - DEAD_KEPT)
        self._store.prune_changes(now)
        self._store.prune_freezes(now)
        return PRUNE_SECONDS

    def _forget(self) -> None:
        """Drop what was claimed and has not started: this daemon was marked dead, and others take it over."""
        dropped = self.claimer.withdraw()
        if dropped:
            log.warning("dropped %d claimed runs that had not started", len(dropped))

    def _levels(self) -> Levels:
        pool, ticks = self.claimer.pool, self._feeding is None
        ticked_at = self._minutes.ticked_at.timestamp() if ticks else None
        return Levels(seats=self.options.seats, used=pool.running, stuck=pool.stuck, ticked_at=ticked_at)

    def _record(self, name: str) -> DaemonRecord:
        host, pid = host_and_pid()
        return DaemonRecord(
            id=name,
            host=host,
            pid=pid,
            version=VERSION,
            started_at=self.clock.now(),
            handlers=sorted(self._registry.names()),
            seats=self.options.seats,
            ticks=self._feeding is None,
            ticked_at=self.clock.now(),
            silence_seconds=self.options.silence_seconds,
            queues=self.options.queues or None,
            declared=[schedule["name"] for schedule in self._registry.declared()],
        )

    def _linked(self, worker: bool) -> tuple[Feeding | None, Sending | None]:
        """Connect a worker to receive from the broker, or a daemon to send to it, where there is one."""
        broker = self.options.dispatch
        if worker:
            queues = self.options.queues or ()
            return Feeding(self._store, self.clock, self.claimer, self._registry, broker or "", queues), None
        return None, Sending(self._store, self.clock, broker) if broker else None

    def _failed(self, name: str, error: Exception) -> None:
        """Tell whoever listens of a failed round, if it is one that a watchdog waits for."""
        if name in ("start", "tick"):
            is_waiting = isinstance(error, StoreError) and not self.is_hopeless
            status = f"waiting for the store {self._store.address}: {error}"
            self._notify(*("waiting", status) if is_waiting else ("failing", self.trouble or repr(error)))

    def _notify(self, event: str, status: str) -> None:
        if self._listener is not None:
            with suppress(Exception):
                self._listener(event, status)

    def _fall(self, name: str) -> None:
        """Give up as a whole: with one loop less, this daemon would pass for a live one and leave work undone."""
        was_stopping, self.fallen = self._stopping.is_set(), name
        log.critical("without its %s loop, daemon %s gives up: others take its work over", name, self.membership.id)
        self.claimer.stop_claiming()
        self._end_loops()
        if not was_stopping:
            (self.on_fall or self._silent.set)()

    def _end_loops(self) -> None:
        """End the loops that bring new work."""
        for event in (self._stopping, self._tick_soon, self.claimer.claim_soon, self._send_soon):
            event.set()


def _periods(options: Options) -> Periods:
    late_after = options.late_after_seconds
    return Periods(
        timedelta(seconds=options.grace_seconds),
        timedelta(seconds=options.catch_up_window_seconds),
        None if late_after is None else timedelta(seconds=late_after),
    )
