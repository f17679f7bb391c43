"""The shop's work, each function with its times beside it; the tests of the suite are its web server.

What became of Celery's words: `task` is the function, `crontab(…)` a crontab's line, a number of seconds or a timedelta
the line that says it, `args` and `kwargs` are `params`, `expires` is `deadline_seconds`, `time_limit` is
`timeout_seconds`, and the timezone is the schedule's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cronlite
from cronlite.handlers.registry import Registry

BERLIN = "Europe/Berlin"
registry = Registry()  # a project of its own uses cronlite.handler; here others' tests share the process
handler = registry.handler
done: list[tuple[str, Mapping[str, Any]]] = []
"""What was called, with what: the tests look at it."""


@handler
def send_digest(params: Mapping[str, Any]) -> None:
    done.append(("digest", params))


@handler("expire-sessions", cron="*/10 * * * *", deadline_seconds=300)
def expire_sessions(params: Mapping[str, Any]) -> None:
    done.append(("sessions", params))


@handler("refresh-rates", cron="*/15 8-18 * * mon-fri", tz=BERLIN, deadline_seconds=600)
def refresh_rates(params: Mapping[str, Any]) -> None:
    done.append(("rates", params))


@handler("poll-payments", cron="* * * * *", deadline_seconds=55)
def poll_payments(params: Mapping[str, Any]) -> None:
    done.append(("payments", params))


@handler("charge-subscriptions", cron="0 6 1 * *", tz=BERLIN, on_crash="abandon", catch_up="latest")
def charge_subscriptions(params: Mapping[str, Any]) -> None:
    done.append(("subscriptions", params))


@handler("rebuild-search", cron="0 3 * * *", tz=BERLIN, queue="slow", timeout_seconds=1800, isolation="process")
def rebuild_search(params: Mapping[str, Any]) -> None:
    done.append(("search", params))


@handler("clean-uploads", cron="15 */6 * * *", tz=BERLIN, params={"older_than_days": 30})
def clean_uploads(params: Mapping[str, Any]) -> None:
    done.append(("uploads", params))


@handler("sync-crm", cron="0 * * * *", params={"source": "crm"}, retries=5, deadline_seconds=1800)
def sync_crm(params: Mapping[str, Any]) -> None:
    if down:
        raise ConnectionError("the CRM does not answer")
    done.append(("crm", params))


@handler("month-end-report", cron="30 23 L * *", tz=BERLIN, params={"of": "month"})
def report(params: Mapping[str, Any]) -> None:
    done.append(("report", params))


down: list[str] = []
"""While there is anything in it, the CRM does not answer."""


def declare(cron: cronlite.Cronlite) -> None:
    """Store what one function does at two times; the rest stands beside its function. Said at each start."""
    cron.declare_handlers()
    digests = {"daily": "30 7 * * *", "weekly": "0 8 * * mon"}
    for kind, line in digests.items():
        cron.schedule(
            params={"kind": kind}, cron=line, tz=BERLIN, handler="send_digest", name=f"{kind}-digest", user="shop"
        )
