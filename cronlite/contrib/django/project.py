"""Which Cronlite is a Django project's own, and what do its settings say?"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import fields
from functools import lru_cache, partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from cronlite.client.app import Cronlite
from cronlite.client.default import default
from cronlite.contrib.django.connections import Connected
from cronlite.daemon.options import Options, read_options
from cronlite.documents.options import HandlerName
from cronlite.errors import CronliteError, Fault, InvalidInput, suggestion
from cronlite.handlers.registry import default_registry, home

_OPTIONS = {field.name.upper(): field.name for field in fields(Options)}


class ProjectCronlite(Cronlite):
    """The Cronlite of a project: its daemons run with the options of the settings unless told otherwise."""

    def __init__(self, uri: str | None, options: Mapping[str, Any]) -> None:
        super().__init__(uri, registry=Connected(default_registry))
        self.options = dict(options)

    def run(self, **options: Any) -> None:
        """Run the daemon in the foreground."""
        super().run(**self.options | options)

    def start(self, **options: Any) -> None:
        """Run the daemon in threads of this process."""
        super().start(**self.options | options)


def enqueue_after_commit(
    handler: HandlerName, params: Mapping[str, Any] | None, user: str | None, *, using: str | None, **options: Any
) -> None:
    """Check a call now, and queue it once the transaction at hand is committed.

    Inside a run it goes to the store of that run, which the command line of its daemon may have told.
    """
    cron = current() if home() is None else default()
    run = cron._on_demand(handler, params, user, **options)
    run.params = deepcopy(run.params)  # the caller may go on with its own
    transaction.on_commit(partial(cron._queued, run), using=using)


@lru_cache(maxsize=1)
def current() -> ProjectCronlite:
    """Return the project's Cronlite. Raises ImproperlyConfigured, with everything that is wrong with its settings."""
    project = getattr(settings, "CRONLITE", {})
    try:
        if not isinstance(project, Mapping):
            raise InvalidInput(Fault("CRONLITE", project, "is not a dict", 'give one, such as {"SEATS": 8}'))
        return ProjectCronlite(project.get("URI"), _options(project))
    except CronliteError as wrong:
        raise ImproperlyConfigured(f"settings.CRONLITE: {wrong}") from None


def _options(named: Mapping[str, Any]) -> dict[str, Any]:
    known = ("URI", *_OPTIONS)
    faults = [
        Fault(str(name), value, "is no setting", suggestion(str(name).upper(), known))
        for name, value in named.items()
        if name not in known
    ]
    uri = named.get("URI")
    if uri is not None and not isinstance(uri, str):
        faults.append(Fault("URI", uri, "is no text", "give mongodb://host/database, or sqlite: and str(path)"))
    options = {name: named[setting] for setting, name in _OPTIONS.items() if setting in named}
    try:
        read_options(options)
    except InvalidInput as refused:
        faults += [Fault(fault.field.upper(), fault.value, fault.problem, fault.remedy) for fault in refused.faults]
    if faults:
        raise InvalidInput(*faults)
    return options
