"""Which keyword arguments do schedules and runs take? For type checkers and editors; the values are checked later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict

Overlap = Literal["skip", "wait", "allow"]
CatchUp = Literal["skip", "latest", "all"]
OnCrash = Literal["retry", "abandon"]
HandlerName = str | Callable[..., Any]
"""The name of a handler, or the function that is registered under it."""
TimeField = int | str | Sequence[int | str]
"""One of the five: a number, an expression, or a list of any of them."""


class RunOptions(TypedDict, total=False):
    """What `enqueue` takes besides its parameters, and a schedule as well."""

    queue: str
    retries: int
    retry_delay_seconds: float
    timeout_seconds: float | None
    on_crash: OnCrash
    limit: str | None
    priority: int


class _Called(TypedDict):
    handler: HandlerName


class Call(_Called, RunOptions, total=False):
    """One call of `enqueue_many`: what `enqueue` takes, each by its name."""

    params: Mapping[str, Any]
    user: str
    run_at: datetime | timedelta | None
    key: str | None
    deadline: datetime | timedelta | None


class _Rules(RunOptions, total=False):
    every: str | None
    tz: str
    enabled: bool
    active_until: datetime | None
    deadline_seconds: float | None
    late_after_seconds: float | None
    ping_url: str | None
    overlap: Overlap
    catch_up: CatchUp
    tags: list[str] | tuple[str, ...]
    note: str


class ScheduleOptions(_Rules, total=False):
    """What `schedule` takes besides its parameters."""

    handler: HandlerName
    either_day: bool
    active_from: datetime | None


class Declaration(_Rules, total=False):
    """What `@cronlite.handler(…)` takes besides the name, when a schedule is to call it."""

    cron: str
    user: str
    params: Mapping[str, Any]


class _Named(TypedDict):
    name: str


class DeclaredSchedule(_Named, Declaration, total=False):
    """What `declare` takes of each schedule; `was` is what it was called before."""

    was: str | None
    handler: HandlerName
    minute: TimeField
    hour: TimeField
    day: TimeField
    month: TimeField
    weekday: TimeField
    either_day: bool
    active_from: datetime | None


class ScheduleFields(ScheduleOptions, total=False):
    """What `Schedule(…)` takes; `cron` is a whole line in the place of the five fields."""

    id: str
    name: str | None
    user: str
    params: Mapping[str, Any]
    minute: TimeField
    hour: TimeField
    day: TimeField
    month: TimeField
    weekday: TimeField
    cron: str | None
    paused_until: datetime | None
    pause_reason: str
    owner: str | None
    origin: Mapping[str, Any] | None
    created_at: datetime | None
    updated_at: datetime | None


class ScheduleChanges(TypedDict, total=False):
    """What `update` takes: None gives a field its default back."""

    name: str | None
    user: str | None
    handler: HandlerName | None
    queue: str | None
    params: Mapping[str, Any] | None
    minute: TimeField | None
    hour: TimeField | None
    day: TimeField | None
    month: TimeField | None
    weekday: TimeField | None
    cron: str | None
    every: str | None
    either_day: bool | None
    tz: str | None
    enabled: bool | None
    paused_until: datetime | None
    pause_reason: str | None
    active_from: datetime | None
    active_until: datetime | None
    deadline_seconds: float | None
    late_after_seconds: float | None
    ping_url: str | None
    overlap: Overlap | None
    catch_up: CatchUp | None
    retries: int | None
    retry_delay_seconds: float | None
    timeout_seconds: float | None
    on_crash: OnCrash | None
    limit: str | None
    priority: int | None
    tags: list[str] | tuple[str, ...] | None
    note: str | None
