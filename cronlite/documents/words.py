"""Which word of ours does somebody mean who knows another scheduler?"""

from __future__ import annotations

from collections.abc import Collection

from cronlite.errors import suggestion

_NO_SECONDS = "there are no seconds: a schedule is due at minutes, or each so many seconds: say every='10s'"
_CALENDARS = "calendars come in a later version; say the days by day, month and weekday"
_SCHEDULE = {
    "not_on": _CALENDARS,
    "only_on": _CALENDARS,
    "shift": _CALENDARS,
    "max_runs": "it comes in a later version; say active_until",
    "day_of_week": "say weekday (0 and 7 are Sunday, 1 is Monday)",
    "dow": "say weekday (0 and 7 are Sunday, 1 is Monday)",
    "day_of_month": "say day",
    "dom": "say day",
    "month_of_year": "say month",
    "timezone": "say tz",
    "time_zone": "say tz",
    "zone": "say tz",
    "second": _NO_SECONDS,
    "seconds": _NO_SECONDS,
    "crontab": "say cron",
    "interval": "say every, such as every='90m'",
    "expression": "say cron",
    "at": "a schedule comes again and again: say cron, minute, hour … or, for once, enqueue(…, run_at=…)",
    "run_at": "a schedule comes again and again: for once, say enqueue(…, run_at=…)",
    "func": "say handler",
    "task": "say handler",
    "job": "say handler",
    "args": "say params, one object",
    "kwargs": "say params, one object",
    "coalesce": "say catch_up: skip, latest or all",
    "misfire_grace_time": "the grace is the daemon's option; say catch_up for what is older",
    "concurrency_policy": "say overlap: skip, wait or allow",
    "concurrency": "say limit, the name of one that 'cronlite limit NAME N' sets",
    "max_concurrency": "say limit, the name of one that 'cronlite limit NAME N' sets",
    "max_instances": "say overlap: skip, wait or allow",
    "description": "say note",
    "max_retries": "say retries",
    "timeout": "say timeout_seconds",
    "time_limit": "say timeout_seconds",
    "retry_delay": "say retry_delay_seconds",
    "start_date": "say active_from",
    "end_date": "say active_until",
    "deadline": "say deadline_seconds, counted from when it is due",
    "expires": "say deadline_seconds, counted from when it is due",
    "starting_deadline_seconds": "say deadline_seconds",
    "paused": "say enabled=False",
}
_RUN = {
    "at": "say run_at, an aware datetime or a timedelta from now",
    "eta": "say run_at, an aware datetime",
    "when": "say run_at, an aware datetime or a timedelta from now",
    "countdown": "say run_at=timedelta(seconds=…)",
    "delay": "say run_at=timedelta(seconds=…)",
    "expires": "say deadline, an aware datetime or a timedelta from now",
    "ttl": "say deadline=timedelta(seconds=…)",
    "args": "say params, one object",
    "kwargs": "say params, one object",
    "task_id": "say key: at most one queued run has it",
    "unique_key": "say key",
    "max_retries": "say retries",
    "timeout": "say timeout_seconds",
    "time_limit": "say timeout_seconds",
    "retry_delay": "say retry_delay_seconds",
    "routing_key": "say queue",
    "concurrency": "say limit, the name of one that 'cronlite limit NAME N' sets",
    "max_concurrency": "say limit, the name of one that 'cronlite limit NAME N' sets",
    "cron": "that is for schedule(…)",
    "name": "only schedules have names; say key",
}


def word_of_schedules(foreign: str, known: Collection[str]) -> str:
    """Say what to write instead of something that is no field of a schedule."""
    return _word(foreign, known, _SCHEDULE)


def word_of_runs(foreign: str, known: Collection[str]) -> str:
    """Say what to write instead of something that is no option of enqueue."""
    return _word(foreign, known, _RUN)


def _word(foreign: str, known: Collection[str], ours: dict[str, str]) -> str:
    return ours.get(foreign) or suggestion(foreign, known)
