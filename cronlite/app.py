"""What does an application call: one object for schedules, runs on demand, and the daemon in a thread."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cronlite import clock, due, ids, runs, schedules, values
from cronlite import cron as cron_language
from cronlite.errors import Conflict, Fault, InvalidInput, NotFound, shown, suggestion
from cronlite.handle import Handle
from cronlite.liveness import StoreClock, steady
from cronlite.runs import Run
from cronlite.schedules import Document, Schedule, Spelling
from cronlite.store import open_store
from cronlite.store.contract import RunQuery, Store

if TYPE_CHECKING:
    from cronlite.daemon import Daemon
    from cronlite.handlers import Registry

SHORTEST_PREFIX = 4
RESYNC_SECONDS = 30.0
# No daemon's idea of the store's time may hold back what was asked for at once.
AT_ONCE = timedelta(milliseconds=250)


class Cronlite:
    """Schedules, runs and daemon on one store.

    `uri` is `mongodb://…/database`, `sqlite:PATH` or `memory:`; None means $CRONLITE_URI, else an SQLite file under
    $STATE_DIRECTORY (systemd) or the XDG state folder. Nothing is opened before the first use, and a process forked
    off opens its own connection. Methods raise InvalidInput for what they are given, NotFound and Conflict for what
    the store holds, StoreUnavailable when it cannot be reached. Safe to share between threads.
    """

    def __init__(self, uri: str | None = None, *, registry: Registry | None = None) -> None:
        self.uri = uri or os.environ.get("CRONLITE_URI") or default_uri(os.environ)
        self._registry = registry
        self._opened: tuple[int, Store] | None = None
        self._opening = threading.RLock()
        self._clock = StoreClock()
        self._synced = float("-inf")
        self._daemon: tuple[int, Daemon] | None = None
        self._capture = ExitStack()
        _EVERY.add(self)

    # schedules

    def schedule(
        self,
        user: str = "",
        params: Mapping[str, Any] | None = None,
        minute: Spelling = "*",
        hour: Spelling = "*",
        day: Spelling = "*",
        month: Spelling = "*",
        weekday: Spelling = "*",
        *,
        cron: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Schedule:
        """Store a schedule and return it; with the `name` of one that exists, update that one instead.

        Time fields take a number, `"*"` or an expression, as crontab(5) has them, and all must match; `cron` takes a
        whole line instead. `options` are the other fields of a schedule: handler, tz, enabled, overlap, catch_up,
        retries, retry_delay_seconds, timeout_seconds, on_crash, queue, tags, note. Declaring again leaves a paused
        schedule paused unless `enabled` is given.
        """
        fields = {"minute": minute, "hour": hour, "day": day, "month": month, "weekday": weekday}
        given = {"user": user, "params": values.check_params(params or {})} | fields | options
        if cron is not None:
            given |= _from_line(cron, fields)
        if name is not None:
            given["name"] = name
        new = schedules.new(now=self.now(), **given)
        try:
            self.store.add_schedule(new.document())
        except Conflict:
            existing = next(self.store.schedules(name=name), None) if name is not None else None
            if existing is None:
                raise
            return self._change(existing, _declared(new, given))
        return new

    def current_schedules(self, at: datetime | None = None) -> list[Schedule]:
        """List the schedules that are due at the minute of an aware instant (default: now)."""
        tick = clock.floor_minute(_aware(at, "at") if at else self.now())
        return list(due.due(self.store, tick))

    def schedules(
        self, *, user: str | None = None, handler: str | None = None, tag: str | None = None, name: str | None = None
    ) -> list[Schedule]:
        """List the schedules that can be read, by id; `cronlite doctor` tells of the others."""
        return [s for s in map(_readable, self.store.schedules(user=user, handler=handler, tag=tag, name=name)) if s]

    def get(self, ref: str) -> Schedule:
        """Fetch one schedule by its id, a unique prefix of it, or its name."""
        return schedules.read(self.document(ref))

    def update(self, ref: str, **changes: Any) -> Schedule:
        """Change fields of a schedule; when it is due is counted anew from now if a time field changes.

        `cron` takes a whole line. None gives a field its default back.
        """
        if (line := changes.pop("cron", None)) is not None:
            changes |= _from_line(line, changes)
        if changes.get("params") is not None:
            changes["params"] = values.check_params(changes["params"])
        return self._change(self.document(ref), changes)

    def remove(self, ref: str) -> str:
        """Delete a schedule and return its id. Runs of it that are queued already still run."""
        id_ = str(self.document(ref)["_id"])
        if not self.store.remove_schedule(id_):
            raise NotFound(f"schedule {id_} is gone already")
        return id_

    def pause(self, ref: str) -> Schedule:
        """Keep a schedule from being due until it is resumed."""
        return self.update(ref, enabled=False)

    def resume(self, ref: str) -> Schedule:
        """Let a paused schedule be due again, from now on."""
        return self.update(ref, enabled=True, active_from=self.now())

    # runs

    def enqueue(
        self,
        handler: str,
        params: Mapping[str, Any] | None = None,
        user: str = "",
        *,
        run_at: datetime | timedelta | None = None,
        key: str | None = None,
        deadline: datetime | timedelta | None = None,
        **policies: Any,
    ) -> Handle:
        """Queue one call of a handler, at once or from an instant (or a timedelta from now), and return its handle.

        While a run with the same `key` is queued and was never claimed, that one is returned instead. A run not
        started by its `deadline` (an instant, or a timedelta from now) is closed as missed. `policies` are queue,
        retries, retry_delay_seconds, timeout_seconds and on_crash.
        """
        asked_for = self._asked_for(handler, params, user, run_at=run_at, key=key, deadline=deadline, **policies)
        return self._queued(asked_for)

    def trigger(self, ref: str) -> Handle:
        """Queue one run of a schedule now, beside the ones that it is due for; its `overlap` holds."""
        now = self.now()
        run = runs.of_schedule(self.get(ref), now, now - AT_ONCE)
        run.id, run.queued_at = ids.new_id(), now
        return self._queued(run)

    def retry(self, ref: str) -> Handle:
        """Queue a new run like a finished one. Raises Conflict while that one is still at work."""
        old = self.run_of(ref)
        if old.state in runs.AT_WORK:
            raise Conflict(f"run {old.id} is {old.state}: only a finished run can be retried")
        return self._queued(runs.again(old, ids.new_id(), self.now(), AT_ONCE))

    def cancel(self, ref: str) -> Run:
        """Close a queued run before it starts. Raises Conflict for one that is not queued."""
        run = self.run_of(ref)
        change = runs.closed(runs.CANCELLED, self.now(), reason="cancelled on request")
        if run.state != runs.QUEUED or self.store.change_runs([(run, change)]):
            state = self.run_of(run.id).state
            raise Conflict(f"run {run.id} is {state}: only a queued run can be cancelled")
        self.store.release_lanes(self.now())
        return self.run_of(run.id)

    def runs(
        self,
        *,
        schedule: str | None = None,
        user: str | None = None,
        handler: str | None = None,
        state: str | Collection[str] | None = None,
        since: datetime | None = None,
        limit: int | None = 100,
    ) -> list[Run]:
        """List runs, the last queued first; `schedule` is an id or a name, also of one that was removed."""
        states = [state] if isinstance(state, str) else state
        for given in states or ():
            if given not in runs.STATES:
                raise InvalidInput(Fault("state", given, "is no state of a run", suggestion(given, runs.STATES)))
        wanted = self._schedule_id(schedule) if schedule else None
        since = _aware(since, "since") if since else None
        query = RunQuery(schedule=wanted, user=user, handler=handler, states=states, since=since, limit=limit)
        return list(self.store.runs(query))

    def run_of(self, ref: str) -> Run:
        """Fetch one run by its id or a unique prefix of it."""
        found = self.store.run(ref)
        if found is None and len(ref) >= SHORTEST_PREFIX:
            several = list(self.store.runs(RunQuery(prefix=ref, limit=2)))
            if len(several) > 1:
                raise Conflict(f"several runs begin with {shown(ref)}: give more of the id")
            found = several[0] if several else None
        if found is None:
            raise NotFound(f"no run has the id {shown(ref)}; 'cronlite runs' lists them")
        return found

    # the daemon

    def run(self, **options: Any) -> None:
        """Run the daemon in the foreground until SIGTERM or SIGINT; `options` are those of `daemon.Options`.

        Ends the process with exit code 0, hard where handlers outlive the drain. Only for the main thread.
        """
        from cronlite.output import capture_logs
        from cronlite.service import Notifier, serve

        with capture_logs():
            serve(self._new_daemon(options, notify=Notifier(os.environ.get("NOTIFY_SOCKET"))))

    def start(self, **options: Any) -> None:
        """Run the daemon in threads of this process; a second call changes nothing. Stopped by `stop` or at exit.

        It takes no signals. After a fork it goes on in the parent and is not running in the child: call `start` in each
        web process. In the child process of a handler, which imports the application, nothing is started. While it
        runs, the root logger has a handler that keeps what runs log: call `logging.basicConfig` before.
        """
        from cronlite.dispatch.child import in_child

        with self._opening:
            if self._running is None and not in_child():
                from cronlite.output import capture_logs

                daemon = self._new_daemon(options)
                self._daemon = os.getpid(), daemon
                self._capture.enter_context(capture_logs())
                daemon.start()
                atexit.register(self.stop)

    def stop(self) -> list[Run]:
        """Stop the daemon that `start` started, after the drain; return the runs whose handlers are still at it."""
        with self._opening:
            daemon, self._daemon = self._running, None
        atexit.unregister(self.stop)
        left = daemon.stop() if daemon else []
        self._capture.close()
        return left

    @property
    def running(self) -> bool:
        """Tell whether `start` has a daemon running in this process."""
        return self._running is not None

    def wake(self) -> None:
        """Let the daemon in this process look for queued runs now."""
        if daemon := self._running:
            daemon.wake()

    def close(self) -> None:
        """Stop the daemon, if `start` started one, and close the store's connections."""
        self.stop()
        with self._opening:
            if self._opened and self._opened[0] == os.getpid():
                self._opened[1].close()
            self._opened = None

    def __enter__(self) -> Cronlite:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # what these share

    @property
    def store(self) -> Store:
        """The store, opened at the first use in each process."""
        with self._opening:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = os.getpid(), open_store(self.uri)
            return self._opened[1]

    @property
    def registry(self) -> Registry:
        """The handlers that this object's daemon can call: the default registry unless another was given."""
        if self._registry is None:
            from cronlite import handlers

            self._registry = handlers.default_registry
        return self._registry

    def now(self) -> datetime:
        """Return the store's time, asked for every half minute and carried on in between."""
        if steady() - self._synced > RESYNC_SECONDS:
            self._clock.set(self.store.now())
            self._synced = steady()
        now = self._clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def document(self, ref: str) -> Document:
        """Fetch the stored document of one schedule, readable or not, by id, unique prefix or name."""
        found = self.store.schedule(ref) or next(self.store.schedules(name=ref), None)
        if found is None and len(ref) >= SHORTEST_PREFIX:
            several = list(self.store.schedules(prefix=ref, limit=2))
            if len(several) > 1:
                raise Conflict(f"several schedules begin with {shown(ref)}: give more of the id")
            found = several[0] if several else None
        if found is None:
            names = (str(document["name"]) for document in self.store.schedules(limit=10_000) if "name" in document)
            close = suggestion(ref, names) if ref else ""
            raise NotFound(
                f"no schedule has the id or name {shown(ref)}; {close if 'mean' in close else ''}".rstrip("; ")
            )
        return found

    @property
    def _running(self) -> Daemon | None:
        return self._daemon[1] if self._daemon and self._daemon[0] == os.getpid() else None

    def _new_daemon(self, options: Mapping[str, Any], notify: Callable[[str, str], None] | None = None) -> Daemon:
        from cronlite.daemon import Daemon, read_options

        return Daemon(self.store, self.registry, read_options(options), notify=notify)

    def _schedule_id(self, ref: str) -> str:
        try:
            return str(self.document(ref)["_id"])
        except NotFound:
            return ref

    def _asked_for(
        self,
        handler: str,
        params: Mapping[str, Any] | None,
        user: str,
        *,
        run_at: datetime | timedelta | None = None,
        key: str | None = None,
        deadline: datetime | timedelta | None = None,
        **policies: Any,
    ) -> Run:
        """Make the run that `enqueue` queues."""
        now = self.now()
        due_at = now if run_at is None else _instant(now, run_at, "run_at")
        run = Run(
            id=ids.new_id(),
            handler=handler,
            params=values.check_params(params or {}),
            user=user,
            due_at=due_at,
            queued_at=now,
            run_at=due_at if due_at > now else now - AT_ONCE,
            key=key,
            deadline_at=None if deadline is None else _instant(now, deadline, "deadline"),
            **_known_policies(policies),
        )
        return runs.check(run)

    def _queued(self, run: Run) -> Handle:
        if run.lane and self.store.at_work([run.lane]):
            if run.overlap == "skip":
                raise Conflict(f"a run of schedule {run.schedule} is still at work, and its overlap is skip")
            run.run_at = None
        if self.store.add_runs([run]):
            holder = self.store.run_with_key(run.key) if run.key else None
            if holder is None:
                run.id = ids.new_id()  # taken, or else the one that held the key has been claimed meanwhile
                return self._queued(run)
            run = holder
        self.wake()
        return Handle(self.store, run.id)

    def _change(self, document: Document, changes: dict[str, Any]) -> Schedule:
        """Change a document as a whole, again from its newest form when somebody else was faster."""
        schedules.refuse_unknown(changes)
        while True:
            now = self.now()
            changed = schedules.read(document | changes | {"updated_at": now})
            stored = changed.document()
            if any(document.get(name) != stored.get(name) for name in schedules.TIME_FIELDS if name in changes):
                changes = {"active_from": now} | changes
                stored |= {"active_from": changes["active_from"]}
            wanted = {name: stored.get(name) for name in (*changes, "updated_at")}
            if self.store.change_schedule(changed.id, wanted, document.get("updated_at")):
                return schedules.read(document | stored)
            document = self.document(changed.id)


def _after_fork() -> None:
    # Whoever held the lock is not in this process, and would never give it back.
    for cron in list(_EVERY):
        cron._opening = threading.RLock()


# A hook cannot be taken back, so there is one for all, and it keeps none of them alive.
_EVERY: weakref.WeakSet[Cronlite] = weakref.WeakSet()
os.register_at_fork(after_in_child=_after_fork)


def default_uri(environ: Mapping[str, str]) -> str:
    """Name the file of the embedded mode: under $STATE_DIRECTORY as systemd sets it, or the XDG state folder."""
    if state := environ.get("STATE_DIRECTORY"):
        return f"sqlite:{Path(state.split(':')[0]) / 'cronlite.db'}"
    home = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return f"sqlite:{Path(home) / 'cronlite' / 'cronlite.db'}"


def _from_line(line: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Read a cron line into the time fields; it goes with none of them."""
    for name in cron_language.FIELDS:
        if fields.get(name, "*") != "*":
            raise InvalidInput(
                Fault(name, fields[name], "goes with no cron line", "give either the line or the fields")
            )
    pattern = cron_language.parse_line(line)
    return {**pattern.expressions(), "either_day": pattern.either_day}


def _declared(new: Schedule, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what declaring a schedule sets on the one there is: all but its history and, unless said, its pause."""
    kept = {"_id", "created_at", "updated_at", "active_from", *(() if "enabled" in given else ("enabled",))}
    everything = dict.fromkeys(schedules.FIELDS[1:]) | new.document()
    return {name: value for name, value in everything.items() if name not in kept}


def _known_policies(policies: Mapping[str, Any]) -> Mapping[str, Any]:
    known = ("queue", "retries", "retry_delay_seconds", "timeout_seconds", "on_crash")
    for name, value in policies.items():
        if name not in known:
            raise InvalidInput(Fault(name, value, "is no option of enqueue", suggestion(name, known)))
    return policies


def _aware(instant: datetime, field: str) -> datetime:
    if not isinstance(instant, datetime) or instant.tzinfo is None:
        remedy = "give an aware datetime, such as datetime.now(timezone.utc)"
        raise InvalidInput(Fault(field, instant, "is no instant with a time zone", remedy))
    return instant.astimezone(timezone.utc)


def _instant(now: datetime, given: datetime | timedelta, field: str) -> datetime:
    if not isinstance(given, timedelta):
        return _aware(given, field)
    try:
        return now + given
    except OverflowError:
        raise InvalidInput(Fault(field, given, "is out of range", "give an instant in the years 1 to 9999")) from None


def _readable(document: Document) -> Schedule | None:
    try:
        return schedules.read(document)
    except InvalidInput:
        return None
