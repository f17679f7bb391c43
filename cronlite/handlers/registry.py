"""Which function does a handler's name stand for, and what may that function ask about its run?"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args, overload

from cronlite.documents import checks, schedules
from cronlite.documents.runs import Run
from cronlite.errors import ConfigurationError, CronliteError, Fault, InvalidInput, shown, suggestion

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cronlite.documents.options import Declaration

Function = Callable[[Any], Any]
F = TypeVar("F", bound=Callable[..., Any])
Isolation = Literal["thread", "process"]


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered function, and where its runs execute: in a thread, in a child process or (async) on the loop."""

    name: str
    function: Function
    isolation: Isolation = "thread"
    is_async: bool = False
    schedule: Mapping[str, Any] | None = None
    """The fields of the schedule that stands beside it in the code, if one does."""

    @property
    def qualified(self) -> str:
        """Name the function as a child process would import it: `module:qualname`."""
        return f"{getattr(self.function, '__module__', '')}:{getattr(self.function, '__qualname__', '')}"

    @property
    def place(self) -> str:
        """Say for people where the function is: its qualified name, its file and its line."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
        return f"{self.qualified.replace(':', '.').strip('.') or shown(self.function)}{where}"


class Registry:
    """The handlers that a daemon can call, by name."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def add(
        self,
        name: str,
        function: Function,
        *,
        isolation: Isolation = "thread",
        schedule: Mapping[str, Any] | None = None,
    ) -> Handler:
        """Register a function under a name, perhaps with the fields of a schedule of that name that calls it.

        Raises InvalidInput, with all faults at once, for what cannot be a handler, and ConfigurationError where the
        name belongs to another function. The same function may come again, as it does when its module is re-imported.
        """
        is_async = _is_async(function)
        if faults := list(_faults(name, function, isolation, is_async)):
            raise InvalidInput(*faults)
        new = Handler(name, function, isolation, is_async, _declared(name, schedule) if schedule else None)
        old = self._handlers.get(name)
        if old is not None and not _same(old, new):
            raise ConfigurationError(f"handler {name!r} is registered twice: by {old.place} and by {new.place}")
        self._handlers[name] = new
        return new

    def get(self, name: str) -> Handler | None:
        """Return the handler of that name; None when there is none."""
        return self._handlers.get(name)

    def names(self) -> list[str]:
        """List the names, sorted."""
        return sorted(self._handlers)

    def declared(self) -> list[dict[str, Any]]:
        """List the schedules that stand in the code beside their handlers, as fields to store."""
        handlers = filter(None, map(self.get, self.names()))
        return [{**each.schedule, "name": each.name, "handler": each.name} for each in handlers if each.schedule]

    def name_of(self, function: Function) -> str:
        """Return the name under which a function is registered. Raises InvalidInput unless there is just one."""
        registered = list(self._handlers.values())
        names = [handler.name for handler in registered if handler.function == function]
        names = names or [handler.name for handler in registered if _same(handler, replace(handler, function=function))]
        if len(names) == 1:
            return names[0]
        problem = f"is registered as {' and '.join(names)}" if names else "is not registered"
        remedy = "give one of these names" if names else "put @cronlite.handler on it, or give the name of a handler"
        raise InvalidInput(Fault("handler", function, problem, remedy))

    @overload
    def handler(self, name: F, /) -> F: ...
    @overload
    def handler(
        self, name: str | None = None, *, isolation: Isolation = "thread", **schedule: Unpack[Declaration]
    ) -> Callable[[F], F]: ...
    def handler(
        self, name: F | str | None = None, *, isolation: Isolation = "thread", **schedule: Any
    ) -> F | Callable[[F], F]:
        """Register the decorated function, under its own name or the one given; it stays callable as before.

        It is called with a run's params as its one argument. With `isolation="process"` it runs in a child process: its
        time-outs are hard, and its crash is a failed run. Such a handler is imported by the child, so it must be at the
        top level of an importable module. The working directory belongs to the whole process: a handler that changes it
        changes it for all, except in a child.

        With `cron`, a schedule of the same name is stored at the start of each daemon that has the handler: `cron` is a
        crontab line, `schedule` its other fields (tz, params, user, retries…); or `every` is an interval instead.
        Raises what `add` raises.
        """
        if callable(name):
            self.add(_own_name(name), name, isolation=isolation)
            return name

        def register(function: F) -> F:
            self.add(_own_name(function) if name is None else name, function, isolation=isolation, schedule=schedule)
            return function

        return register


default_registry = Registry()
handler = default_registry.handler


class Home(Protocol):
    """What a daemon belongs to, and where the module-level functions go inside of its runs: a Cronlite."""

    @property
    def uri(self) -> str:
        """The URI of the store, for child processes."""

    @property
    def quota(self) -> dict[str, Any]:
        """What one user may have, for child processes."""

    def declare_handlers(self) -> None:
        """Store the schedules that stand in the code beside their handlers."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A home in another process."""

    uri: str
    quota: Mapping[str, Any]


@dataclass(slots=True, eq=False)  # not frozen, which would take half as long as all else about a short run
class CurrentRun:
    """What a handler may know about the run that it executes; `due_at` is aware UTC, `attempt` counts from 1."""

    id: str
    user: str
    handler: str
    schedule: str | None
    due_at: datetime
    attempt: int
    key: str | None
    _ask: Callable[[], bool] = field(repr=False)
    _home: Home | Elsewhere | None = field(default=None, repr=False)

    @classmethod
    def of(cls, run: Run, ask: Callable[[], bool], home: Home | None = None) -> CurrentRun:
        """Show of a run what its handler may know; `home` is where the module-level functions go meanwhile."""
        return cls(run.id, run.user, run.handler, run.schedule, run.due_at, run.attempt, run.key, ask, home)

    def still_mine(self) -> bool:
        """Ask whether this attempt still owns its run: before an irreversible step, say, in a handler that took long.

        False once the run is over its time-out, or its daemon was taken for dead and another took the run over.
        """
        return self._ask()


_CURRENT: contextvars.ContextVar[CurrentRun] = contextvars.ContextVar("cronlite_run")


def current_run() -> CurrentRun:
    """Return the run in which this code executes. Raises CronliteError outside of one.

    It follows the context variables: into coroutines and their tasks, but not into threads that a handler starts.
    """
    try:
        return _CURRENT.get()
    except LookupError:
        raise CronliteError(
            "current_run() was called outside of a run (a thread that a handler starts is outside, too)"
        ) from None


def current_run_or_none() -> CurrentRun | None:
    """Return the run in which this code executes, if any."""
    return _CURRENT.get(None)


def enter_run(run: CurrentRun) -> None:
    """Make a run the current one for the rest of this context."""
    _CURRENT.set(run)


_process_home: Home | Elsewhere | None = None


def home() -> Home | Elsewhere | None:
    """Return what the daemon of the current run belongs to, or that of this process.

    None outside of runs, in a process that belongs to no daemon.
    """
    run = _CURRENT.get(None)
    return _process_home if run is None or run._home is None else run._home


def be_at_home(home: Home | Elsewhere) -> None:
    """Let this whole process belong to a daemon: the threads that handlers start, too."""
    global _process_home
    _process_home = home


def awaited(result: Any) -> Any:
    """Return a result; that of a coroutine, where a plain decorator hides an `async def`."""
    if not inspect.iscoroutine(result):
        return result
    import asyncio

    return asyncio.run(result)


def _declared(name: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a schedule that stands in the code. Raises InvalidInput with all that is wrong with them."""
    if not any(fields.get(when) is not None for when in _SAYS_WHEN):
        raise InvalidInput(Fault("cron", None, "is missing", "say when it is due: cron='30 2 * * *', or every='90m'"))
    schedules.refuse_unknown({key: value for key, value in fields.items() if key != "cron"})
    schedules.Schedule(**{**fields, "name": name, "handler": name})
    if "params" in fields:
        checks.check_params(fields["params"])
    return fields


_SAYS_WHEN = ("cron", "every")


def _own_name(function: Callable[..., Any]) -> str:
    if isinstance(function, partial) and not hasattr(function, "__name__"):
        remedy = 'give one: @cronlite.handler("name"), or handler("name")(partial(…))'
        raise InvalidInput(Fault("name", function, "is a partial, which has no name of its own", remedy))
    return str(getattr(function, "__name__", type(function).__name__))


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method of an object that is called like a function
    )


def _same(old: Handler, new: Handler) -> bool:
    """Tell whether two functions are one that was defined again: at a re-import, or as `__main__` and as a module."""
    if old.function is new.function or (old.qualified == new.qualified and old.qualified[-1:] not in (":", ">")):
        return True
    codes = [getattr(inspect.unwrap(each.function), "__code__", None) for each in (old, new)]
    places = [(code.co_filename, code.co_firstlineno) for code in codes if code]
    return len(places) == 2 and places[0] == places[1]


def _faults(name: object, function: object, isolation: object, is_async: bool) -> Iterator[Fault]:
    if complaint := checks.handler_name(name):
        yield Fault("name", name, *complaint)
    if isolation not in get_args(Isolation):
        remedy = suggestion(isolation, get_args(Isolation)) if isinstance(isolation, str) else "give thread or process"
        yield Fault("isolation", isolation, "is not known", remedy)
    if not callable(function):
        yield Fault("handler", function, "cannot be called", "register a function")
        return
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        yield Fault("handler", function, "is a generator: calling it would do nothing", "do not yield in a handler")
    try:
        inspect.signature(function).bind({})
    except TypeError as refused:
        problem = f"cannot be called with params alone: {refused}"
        yield Fault("handler", function, problem, "define it with one argument")
    except ValueError:
        pass  # a builtin that does not tell its signature
    if isolation == "process":
        yield from _process_faults(function, is_async)


def _process_faults(function: Callable[..., Any], is_async: bool) -> Iterator[Fault]:
    if is_async:
        yield Fault("isolation", "process", "goes with no async def", "leave it out, or define the handler with def")
    module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not qualname:
        problem, remedy = "has no name that a child process could import", "wrap it in a function of a module"
    elif module == "__main__":
        problem, remedy = "is in __main__, which a child process cannot import", "move it to a module"
    elif "<" in qualname:
        problem, remedy = f"is {qualname}, which a child process cannot import", "move it to the top of its module"
    else:
        return
    yield Fault("handler", function, problem, remedy)
