"""Which store and which application does a command work on?"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from cronlite.errors import ConfigurationError, shown, suggestion

if TYPE_CHECKING:
    from cronlite.alarms.channels import Channel
    from cronlite.client.app import Cronlite
    from cronlite.documents.changes import Actor

COMPLETION_SECONDS = 2.0


@dataclass(slots=True)
class Session:
    """What the options of the group say; nothing is imported or opened before it is asked for."""

    uri: str | None = None
    app: str | None = None
    quota: Mapping[str, Any] | None = None
    channels: Sequence[Channel] = field(default=(), repr=False)
    """Where alarms are told."""
    _cron: Cronlite | None = field(default=None, init=False)

    @property
    def cron(self) -> Cronlite:
        """The Cronlite to work on: --uri's, else the one that -A names, else the default. Imports the application."""
        if self._cron is None:
            self._cron = self._open()
        return self._cron

    @property
    def actor(self) -> Actor:
        """Who types."""
        from cronlite.client.actors import actor_of

        return actor_of(None, "cli")

    def take(self, meta: Mapping[str, Any]) -> None:
        """Take what a file says beside options."""
        self.quota, self.channels = meta.get("cronlite.quota"), meta.get("cronlite.alarms", ())

    def close(self) -> None:
        """Close the store, if it was opened."""
        if self._cron is not None:
            self._cron.close()

    def handler_hint(self, handler: str) -> str | None:
        """Say what is odd about a handler's name, as far as the application that -A names and daemons can tell."""
        from cronlite.handlers.shell import NAME as SHELL

        if self.app is None:
            return self.cron.doubt(handler)
        known = self.cron.registry.names()
        if handler in known or handler == SHELL:  # 'run --allow-shell' registers that one
            return self.cron.doubt(handler)
        hint = suggestion(handler, known) or "it has no handler at all"
        return f"{self.app} has no handler {handler!r}; {hint}"

    def _open(self) -> Cronlite:
        from cronlite.client.app import Cronlite
        from cronlite.handlers.loading import load
        from cronlite.handlers.registry import Registry

        if self.app is None:
            return Cronlite(self.uri, quota=self.quota)
        named = load(self.app)[0]
        if isinstance(named, ModuleType):
            named = _only_cronlite(named)
        if isinstance(named, Cronlite) and self.uri is None and self.quota is None:
            return named
        if isinstance(named, Cronlite):
            quota = named.quota if self.quota is None else self.quota
            return Cronlite(self.uri or named.uri, registry=named.registry, quota=quota)
        if named is None or isinstance(named, Registry):
            return Cronlite(self.uri, registry=named, quota=self.quota)
        raise ConfigurationError(f"-A {self.app}: {shown(named)} is neither a module, a Cronlite nor a Registry")


def _only_cronlite(module: ModuleType) -> Any:
    from cronlite.client.app import Cronlite

    named = {id(value): name for name, value in vars(module).items() if isinstance(value, Cronlite)}
    if len(named) > 1:
        choice = " or ".join(f"{module.__name__}:{name}" for name in named.values())
        raise ConfigurationError(f"module {module.__name__!r} has several Cronlites; say -A {choice}")
    return getattr(module, next(iter(named.values()))) if named else None


pass_session = click.make_pass_decorator(Session)


def schedule_names(context: click.Context) -> list[str]:
    """List names and ids of schedules, for a shell that completes; nothing when the store does not answer at once."""
    from cronlite.store.contract import ScheduleQuery  # with it comes what help and most completions do without

    some = ScheduleQuery(limit=1_000)
    return _in_time(lambda cron: [s.get("name") or s["_id"] for s in cron.store.schedules(some)], context)


def removed_names(context: click.Context) -> list[str]:
    """List names and ids of schedules that were removed, for a shell that completes."""
    return _in_time(lambda cron: [change.name or change.schedule for change in cron.history.removed(1_000)], context)


def run_ids(context: click.Context) -> list[str]:
    """List the ids of the last runs, for a shell that completes."""
    return _in_time(lambda cron: [run.id for run in cron.runs(limit=100)], context)


def limit_names(context: click.Context) -> list[str]:
    """List the limits, for a shell that completes."""
    return _in_time(lambda cron: [limit.name for limit in cron.limits.list()], context)


def handler_names(context: click.Context) -> list[str]:
    """List the handlers of the application and of the daemons, for a shell that completes."""
    return _in_time(
        lambda cron: {*cron.registry.names(), *(name for daemon in cron.store.daemons() for name in daemon.handlers)},
        context,
    )


def freeze_ids(context: click.Context) -> list[str]:
    """List the freezes in force and to come, for a shell that completes."""
    return _in_time(lambda cron: [freeze.id for freeze in cron.freezes.list()], context)


def _in_time(ask: Any, context: click.Context) -> list[str]:
    root = context.find_root().params
    answers: list[str] = []

    def look() -> None:
        session = Session(root.get("uri"), root.get("app"))
        with suppress(Exception), closing(session):  # a shell that completes is no place for an error
            answers.extend(sorted(name for name in ask(session.cron) if name))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(COMPLETION_SECONDS)
    return list(answers)
