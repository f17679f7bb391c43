"""What does a Django project import? `cron`, its Cronlite by the settings, and `enqueue`, after the commit.

Put "cronlite.contrib.django" into INSTALLED_APPS, and into the settings what is not to be the default: a URI, and the
options of the daemon in capitals, as in `CRONLITE = {"URI": "mongodb://host/app", "SEATS": 8}`. The handlers of each
app are found in its `handlers.py`. The command line is `manage.py cronlite`, with the daemon as `manage.py cronlite
run`; to have it inside the web processes instead, call `cron.start()` in `wsgi.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cronlite.contrib.django.project import ProjectCronlite
    from cronlite.documents.options import HandlerName

    cron: ProjectCronlite

__all__ = ["cron", "enqueue"]


def enqueue(
    handler: HandlerName,
    params: Mapping[str, Any] | None = None,
    user: str | None = None,
    *,
    using: str | None = None,
    **options: Any,
) -> None:
    """Queue one call of a handler once the transaction at hand is committed; at once where there is none.

    What can be wrong with the call is raised now, as `Cronlite.enqueue` does; `options` are the others that it takes,
    `using` is the database of the transaction. After a rollback nothing is queued. A store that cannot be reached after
    the commit raises StoreUnavailable there. Where the handle is needed, call `cron.enqueue`, after the commit.
    """
    from cronlite.contrib.django.project import enqueue_after_commit

    enqueue_after_commit(handler, params, user, using=using, **options)


def __getattr__(name: str) -> Any:
    # Django imports this package before its settings may be used.
    if name != "cron":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cronlite.contrib.django.project import current

    return current()
