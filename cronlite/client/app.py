"""What does an application call: one object for schedules, runs on demand, and the daemon in a thread."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from cronlite.client import backfills, pauses, plans
from cronlite.client import runs as run_requests
from cronlite.client import schedules as requests
from cronlite.client.actors import actor_of
from cronlite.client.alarms import Alarms
from cronlite.client.arguments import (
    aware,
    count_or_none,
    instance,
    registry_or_none,
    states_or_none,
    text,
    text_or_none,
    uri_or_none,
)
from cronlite.client.backfills import MOST, Backfill
from cronlite.client.bulk import Many
from cronlite.client.configuration import configured_quota
from cronlite.client.embedded import Embedded
from cronlite.client.freezes import Freezes
from cronlite.client.history import History
from cronlite.client.known_handlers import KnownHandlers
from cronlite.client.limits import Limits
from cronlite.client.many import Enqueued, enqueue_many
from cronlite.client.metrics import Metrics
from cronlite.client.opened import Opened
from cronlite.client.quota import Quota
from cronlite.client.receipt import Handle
from cronlite.daemon import due
from cronlite.documents import checks, schedules, timing
from cronlite.documents.changes import Actor
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import Fault, InvalidInput
from cronlite.handlers.registry import Registry, current_run_or_none, default_registry
from cronlite.logger import logger
from cronlite.plans.reading import of_list
from cronlite.store.contract import RunQuery, ScheduleQuery, Store
from cronlite.when import clock

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cronlite.daemon.options import DaemonOptions
    from cronlite.documents.options import (
        Call,
        DeclaredSchedule,
        HandlerName,
        RunOptions,
        ScheduleChanges,
        ScheduleOptions,
        TimeField,
    )

log = logger("cronlite")


class Cronlite:
    """Schedules, runs and daemon on one store.

    `uri` is `mongodb://…/database`, `sqlite:PATH` or `memory:`; None means $CRONLITE_URI, else an SQLite file under
    $STATE_DIRECTORY (systemd) or the XDG state folder. Nothing is opened before the first use, and a process forked
    off opens its own connection. `quota` limits what one user may have, as the table [quota] of a configuration file
    does: `{"schedules": 1000, "queued": 10000, "params_bytes": 65536, "users": {"eve": {"queued": 10}}}`; None means
    that of the file $CRONLITE_CONFIG, if there is one.

    Methods raise InvalidInput for what they are given, NotFound and Conflict for what the store holds, QuotaExceeded,
    and StoreUnavailable when the store cannot be reached. Safe to share between threads.

    `max_params_bytes` says, for all of this process, how much params may take: by default what
    $CRONLITE_MAX_PARAMS_BYTES says, which the daemons should be told too, or else 64 KiB.

    Whoever may call these methods may do so for every user: what a request of a user of yours names, compare with its
    `user` yourself. Ids are whole; a handler is its name, or the function that is registered under it.
    """

    def __init__(
        self,
        uri: str | None = None,
        *,
        registry: Registry | None = None,
        max_params_bytes: int | None = None,
        quota: Mapping[str, Any] | None = None,
    ) -> None:
        if max_params_bytes is not None:
            checks.limit_params(max_params_bytes)
        self._opened = Opened(uri_or_none(uri), Quota.read(quota) if quota is not None else configured_quota())
        self._registry = registry_or_none(registry)
        self._embedded = Embedded(self)
        self._metrics = Metrics(lambda: self.store, self._embedded)
        self._known = KnownHandlers(self._opened)
        self._limits = Limits(self._opened)

    # schedules

    def schedule(
        self,
        user: str | None = None,
        params: Mapping[str, Any] | None = None,
        minute: TimeField = "*",
        hour: TimeField = "*",
        day: TimeField = "*",
        month: TimeField = "*",
        weekday: TimeField = "*",
        *,
        cron: str | None = None,
        name: str | None = None,
        actor: Actor | str | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """Store a schedule and return it; with the `name` of one of the same user, update that one instead.

        Time fields take a number, `"*"`, an expression as crontab(5) has them, or a list of these, and all must match;
        `cron` takes a whole line instead, and `every` an interval, such as "10s", "90m" or "1d". `options` are the
        other fields of a schedule: handler, tz, enabled, overlap, catch_up, retries, retry_delay_seconds,
        timeout_seconds, on_crash, queue, limit, priority, tags, note; active_from and active_until, the first and the
        last instant at which it may be due; deadline_seconds, after which a run that has not started is closed as
        missed; late_after_seconds, after which one that has not begun is overdue, which raises an alarm; ping_url,
        called at start, success and failure. Declaring again leaves a paused schedule paused unless `enabled` is given,
        and active from when it was. Inside a run, `user` is that run's unless it is given.
        `actor` is who asks for it, for the history: a name, by default $CRONLITE_ACTOR or who this process runs as.
        Raises Conflict when the name is that of another user's schedule.
        """
        fields = {"minute": minute, "hour": hour, "day": day, "month": month, "weekday": weekday}
        wanted = {"user": _for_whom(user), "params": {} if params is None else params, **fields, **options}
        if cron is not None:
            wanted |= timing.from_line(cron, fields)
        if name is not None:
            wanted["name"] = name
        schedule = requests.declare(self._opened, requests.settled(self._with_handler(wanted)), actor_of(actor))
        self._warn_of(schedule.handler, schedule.limit)
        return schedule

    def declare_handlers(self) -> None:
        """Store the schedules that stand in the code, beside handlers of this object's registry; daemons do at start.

        What is stored already is not written again. One that cannot be stored is told in the log.
        """
        requests.declare_handlers(self._opened, self.registry)

    def declare(
        self,
        wanted: Sequence[DeclaredSchedule],
        *,
        owner: str,
        prune: bool = False,
        adopt: bool = False,
        actor: Actor | str | None = None,
    ) -> list[Schedule]:
        """Let an owner have just these schedules, and return them; each has a `name`, and perhaps what it `was` called.

        Said at each deploy, by any number of processes: where nothing has changed, nothing is written. Fields that are
        not given get their default, but a pause stays. With `prune`, what the owner had before and wants no more is
        removed. Raises InvalidInput with all that is wrong, and Conflict where a name is another owner's, or that of a
        schedule that somebody made, which `adopt` takes over; then nothing is written.
        """
        wish = of_list(owner, [self._with_handler(each) if isinstance(each, Mapping) else each for each in wanted])
        return plans.declare(self._opened, wish, actor_of(actor), adopt=adopt, prune=prune)

    def current_schedules(self, at: datetime | None = None) -> list[Schedule]:
        """List the schedules that are due at the minute of an aware instant (default: now)."""
        tick = clock.floor_minute(self.now() if at is None else aware(at, "at"))
        return list(due.due(self.store, tick))

    def schedules(
        self,
        *,
        user: str | None = None,
        handler: HandlerName | None = None,
        tag: str | None = None,
        name: str | None = None,
    ) -> list[Schedule]:
        """List the schedules that can be read, by id; `cronlite doctor` tells of the others."""
        query = ScheduleQuery(
            user=text_or_none(user, "user"),
            handler=self._handler_name(handler),
            tag=text_or_none(tag, "tag"),
            name=text_or_none(name, "name"),
        )
        return schedules.readable(self.store.schedules(query))[0]

    def get(self, ref: str) -> Schedule:
        """Fetch one schedule by its id or its name."""
        return schedules.read(self.document(ref))

    def document(self, ref: str) -> Document:
        """Fetch the stored document of one schedule, readable or not, by its id or its name."""
        return requests.find(self._opened, text(ref, "ref"))

    def update(
        self,
        ref: str,
        *,
        actor: Actor | str | None = None,
        unchanged_since: datetime | Literal["ever"] | None = "ever",
        **changes: Unpack[ScheduleChanges],
    ) -> Schedule:
        """Change fields of the schedule with an id or a name; when it is due is counted anew if a time field changes.

        `cron` takes a whole line. None gives a field its default back. With `unchanged_since`, which is the
        `updated_at` that the caller has seen, a change by somebody else since then raises Conflict.
        """
        wanted = requests.settled(self._with_handler(changes))
        schedules.refuse_unknown(wanted)
        document = self.document(ref)
        is_seen = unchanged_since != "ever"
        if is_seen and document.get("updated_at") != unchanged_since:
            raise requests.overtaken(document)
        return requests.change(self._opened, document, wanted, actor_of(actor), once=is_seen)

    def remove(self, ref: str, *, actor: Actor | str | None = None) -> str:
        """Delete the schedule with an id or a name, and return its id. Runs of it that are queued already still run.

        `history.restore` brings it back.
        """
        document = self.document(ref)
        requests.remove(self._opened, document, actor_of(actor))
        return str(document["_id"])

    def pause(
        self,
        ref: str,
        *,
        until: datetime | timedelta | None = None,
        reason: str = "",
        actor: Actor | str | None = None,
    ) -> Schedule:
        """Keep the schedule with an id or a name from being due until it is resumed.

        With `until`, an aware instant to come or a timedelta from now, that ends by itself at the first minute that is
        not before it.
        """
        return self.update(ref, actor=actor, **pauses.fields(self.now(), until, reason))

    def resume(self, ref: str, *, actor: Actor | str | None = None) -> Schedule:
        """Let a paused schedule be due again, from now on, or from its `active_from` where that is still to come."""
        now, active_from = self.now(), self.get(ref).active_from
        return self.update(ref, enabled=True, active_from=max(now, active_from or now), actor=actor)

    @property
    def many(self) -> Many:
        """Changes to many schedules with few writes: update, pause, resume, remove, trigger."""
        return Many(self._opened, lambda changes: requests.settled(self._with_handler(changes)), self.wake)

    @property
    def history(self) -> History:
        """Who changed which schedule and when, and what takes it back."""
        return History(self._opened)

    @property
    def alarms(self) -> Alarms:
        """What somebody has to hear of, and who looks after it."""
        return Alarms(self._opened)

    @property
    def freezes(self) -> Freezes:
        """The stretches of time in which schedules are not run."""
        return Freezes(self._opened)

    # runs

    def enqueue(
        self,
        handler: HandlerName,
        params: Mapping[str, Any] | None = None,
        user: str | None = None,
        *,
        run_at: datetime | timedelta | None = None,
        key: str | None = None,
        deadline: datetime | timedelta | None = None,
        **policies: Unpack[RunOptions],
    ) -> Handle:
        """Queue one call of a handler, at once or from an instant (or a timedelta from now), and return its handle.

        While a run of the same user and handler with the same `key` is queued and was never claimed, that one is
        returned instead; that another holds the key raises Conflict. A run not started by its `deadline` (an instant,
        or a timedelta from now) is closed as missed. `policies` are queue, limit, priority (0 to 9, the higher first),
        retries, retry_delay_seconds, timeout_seconds, on_crash. Inside a run, `user` is that run's unless it is given.
        """
        run = self._on_demand(handler, params, user, run_at=run_at, key=key, deadline=deadline, **policies)
        self._warn_of(run.handler, run.limit)
        return self._queued(run)

    def enqueue_many(self, calls: Iterable[Call], *, user: str | None = None, dry_run: bool = False) -> Enqueued:
        """Queue many calls, a thousand with one write; say of each which run it is, or why it was refused.

        Each is what `enqueue` takes, by name: `{"handler": "extract", "params": {"dataset": "sales"}, "key": "k"}`;
        `user` is for those that name none. One that is refused stops no other: look at `refused` of what is returned.
        Raises StoreError where the store takes none of them; after the first thousand, the rest is refused so.
        With `dry_run` nothing is queued, and what is malformed is refused.
        """
        return enqueue_many(self._opened, calls, partial(self._run_for, user), self.wake, dry_run=dry_run)

    def _run_for(self, user: str | None, call: Call) -> Run:
        """Make the run of one call of many."""
        if not isinstance(call, Mapping) or not all(isinstance(name, str) for name in call):
            raise InvalidInput(Fault("call", call, "is no call", 'give one like {"handler": "extract"}'))
        if "handler" not in call:
            raise InvalidInput(Fault("handler", None, "is missing", "name the handler to call"))
        options: dict[str, Any] = {"params": None, "user": None, **call}
        options["user"] = user if options["user"] is None else options["user"]
        run = self._on_demand(**options)
        self._warn_of(run.handler, run.limit)
        return run

    def trigger(self, ref: str, params: Mapping[str, Any] | None = None) -> Handle:
        """Queue one run of the schedule with an id or a name now, beside the ones that it is due for.

        `params` stand in the place of the schedule's own, for this run. Raises Conflict where its `overlap` is skip and
        a run of it is at work.
        """
        run = run_requests.of_schedule(self.now(), self.get(ref))
        if params is not None:
            run.params = checks.check_params(params)
        return self._queued(run)

    def backfill(
        self,
        ref: str,
        start: datetime,
        end: datetime | None = None,
        *,
        parallel: int = 1,
        dry_run: bool = False,
        most: int | None = MOST,
    ) -> Backfill:
        """Queue runs for the times of the past, from `start` on and before `end` (now), that have none.

        Those are meant at which the schedule with an id or a name is due by its fields of today, whether it was active
        or paused then. They run in order, one at a time and never beside another run of the schedule, or `parallel`
        many at a time. To ask again changes nothing. Raises InvalidInput where there are more than `most`.
        """
        return backfills.backfill(
            self._opened, self.get(ref), start, end, parallel=parallel, dry_run=dry_run, most=most
        )

    def retry(self, id: str) -> Handle:
        """Queue a new run like a finished one. Raises Conflict while that one is still at work."""
        return self._queued(run_requests.again(self.now(), self.run_of(id)))

    def cancel(self, id: str) -> Run:
        """Close a queued run before it starts. Raises Conflict for one that is not queued."""
        run_requests.cancel(self._opened, self.run_of(id))
        return self.run_of(id)

    def runs(
        self,
        *,
        schedule: str | None = None,
        user: str | None = None,
        handler: HandlerName | None = None,
        state: str | Collection[str] | None = None,
        since: datetime | None = None,
        limit: int | None = 100,
    ) -> list[Run]:
        """List runs, the last queued first; `schedule` is an id or a name, an id also of one that was removed."""
        query = RunQuery(
            schedule=None if schedule is None else requests.id_of(self.document, text(schedule, "schedule")),
            user=text_or_none(user, "user"),
            handler=self._handler_name(handler),
            states=states_or_none(state),
            since=None if since is None else aware(since, "since"),
            limit=count_or_none(limit, "limit"),
        )
        return list(self.store.runs(query))

    def run_of(self, id: str) -> Run:
        """Fetch one run by its id."""
        return run_requests.find(self._opened, text(id, "id"))

    @property
    def metrics(self) -> Metrics:
        """The figures for Prometheus, where the application serves them itself."""
        return self._metrics

    @property
    def limits(self) -> Limits:
        """How many runs that share the name of a limit may be at work at once: set, list and remove limits."""
        return self._limits

    # the daemon

    def run(self, **options: Unpack[DaemonOptions]) -> None:
        """Run the daemon in the foreground until SIGTERM or SIGINT; `options` are those of `daemon.Options`.

        Ends the process with exit code 0, hard where handlers outlive the drain. Only for the main thread.
        """
        self._embedded.run(options)

    def start(self, **options: Unpack[DaemonOptions]) -> None:
        """Run the daemon in threads of this process; a second call changes nothing. Stopped by `stop` or at exit.

        It takes no signals. After a fork it goes on in the parent and is not running in the child: call `start` in each
        web process. In the child process of a handler, which imports the application, nothing is started. While it
        runs, the root logger has a handler that keeps what runs log: call `logging.basicConfig` before.
        """
        with self._opened.lock:
            self._embedded.start(options)

    def stop(self) -> list[Run]:
        """Stop the daemon that `start` started, after the drain; return the runs whose handlers are still at it."""
        return self._embedded.stop()  # without the lock, as handlers may need the store until they end

    @property
    def running(self) -> bool:
        """Tell whether `start` has a daemon running in this process."""
        daemon = self._embedded.daemon
        return daemon is not None and not daemon.fallen

    @property
    def stalled(self) -> bool:
        """Tell whether the daemon that `start` started in this process has done no work of its own for minutes."""
        daemon = self._embedded.daemon
        return daemon is not None and daemon.is_hopeless

    def wake(self) -> None:
        """Let the daemon in this process, if there is one, look for queued runs now."""
        if daemon := self._embedded.daemon:
            daemon.wake()

    # the store

    @property
    def uri(self) -> str:
        """The URI of the store, with its password."""
        return self._opened.uri

    @property
    def quota(self) -> dict[str, Any]:
        """What one user may have, as a table."""
        return self._opened.door.quota.document()

    def add(self, schedule: Schedule, *, actor: Actor | str | None = None) -> None:
        """Store a new schedule as it is. Raises Conflict when its id or its name is taken, and QuotaExceeded."""
        requests.add(self._opened, instance(schedule, Schedule, "schedule"), actor_of(actor))

    @property
    def store(self) -> Store:
        """The store, opened at the first use in each process."""
        return self._opened.store

    @property
    def registry(self) -> Registry:
        """The handlers that this object's daemon can call: the default registry unless another was given."""
        return default_registry if self._registry is None else self._registry

    def now(self) -> datetime:
        """Return the store's time."""
        return self._opened.now()

    def close(self) -> None:
        """Stop the daemon, if `start` started one, and close the store's connections."""
        self.stop()
        self._opened.close()

    def __enter__(self) -> Cronlite:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def doubt(self, handler: str) -> str | None:
        """Say what is odd about a handler's name, where daemons are alive and none has it; each name only once.

        `schedule` and `enqueue` log it as a warning.
        """
        return self._known.doubt(text(handler, "handler"), self.registry)

    def _warn_of(self, handler: str, limit: str | None = None) -> None:
        for doubt in filter(None, (self.doubt(handler), self._limits.doubt(limit))):
            log.warning("%s", doubt)

    # what arguments stand for

    def _on_demand(
        self, handler: HandlerName, params: Mapping[str, Any] | None, user: str | None, **options: Any
    ) -> Run:
        """Make the run that `enqueue` queues."""
        name = self.registry.name_of(handler) if callable(handler) else handler
        plain = {} if params is None else params
        return run_requests.on_demand(self.now(), name, plain, _for_whom(user), **options)

    def _queued(self, run: Run) -> Handle:
        id_ = run_requests.queue(self._opened, run)
        self.wake()
        return Handle(self.store, id_)

    def _with_handler(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        handler = fields.get("handler")
        return {**fields, **({"handler": self.registry.name_of(handler)} if callable(handler) else {})}

    def _handler_name(self, handler: HandlerName | None) -> str | None:
        return self.registry.name_of(handler) if callable(handler) else text_or_none(handler, "handler")


def _for_whom(user: str | None) -> str:
    """Say for whom something is asked: what a run asks for is for that run's user, unless told otherwise."""
    run = current_run_or_none()
    return user if user is not None else run.user if run else ""
