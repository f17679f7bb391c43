"""How is an instant said: on which clock, and how far from now?"""

from __future__ import annotations

import math
from datetime import datetime, timezone, tzinfo

_UNITS = ((1.0, 0.001, "ms"), (120.0, 1, "s"), (7_200.0, 60, "min"), (172_800.0, 3_600, "h"), (math.inf, 86_400, "d"))


def span(seconds: float) -> str:
    """Say how long something is, in one unit."""
    size, unit = next((size, unit) for limit, size, unit in _UNITS if seconds < limit)
    return f"{seconds / size:.0f} {unit}"


def relative(instant: datetime | None, now: datetime) -> str:
    """Say how far an instant is from now: `in 3 min`, `2 h ago`."""
    if instant is None:
        return ""
    seconds = round((instant - now).total_seconds())
    if seconds == 0:
        return "now"
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def clock_time(instant: datetime, now: datetime, zone: tzinfo = timezone.utc) -> str:
    """Show an instant on the clock of a zone, with as much of the day as it takes to know which one is meant."""
    try:
        local, today = instant.astimezone(zone), now.astimezone(zone)
    except OverflowError:
        return utc_minute(instant)
    days = (local.date() - today.date()).days
    day = "" if days == 0 else f"{local:%a} " if abs(days) < 7 else f"{local.day} {local:%b} "
    if local.year != today.year and abs(days) >= 7:
        day = f"{local:%Y-%m-%d} "
    return f"{day}{local:%H:%M}{'Z' if zone == timezone.utc or str(zone) == 'UTC' else f' {local:%Z}'}"


def when(instant: datetime, now: datetime, zone: tzinfo = timezone.utc) -> str:
    """Show an instant on the clock of a zone, and how far it is from now: `02:30Z, in 9 h`."""
    return f"{clock_time(instant, now, zone)}, {relative(instant, now)}"


def minute(tick: datetime, zone: tzinfo) -> str:
    """Show a tick on the clock of a zone, such as `Sat 2026-11-21 02:30 CET`."""
    try:
        return f"{tick.astimezone(zone):%a %Y-%m-%d %H:%M{_seconds(tick)} %Z}"
    except OverflowError:
        return utc_minute(tick)


def utc_minute(tick: datetime) -> str:
    """Show a tick in UTC."""
    return f"{tick:%Y-%m-%d %H:%M{_seconds(tick)}}Z"


def _seconds(tick: datetime) -> str:
    """Return what shows the seconds, where there are some."""
    return ":%S" if tick.second else ""


def second(instant: datetime | None) -> str:
    """Show an instant in UTC, to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S}Z" if isinstance(instant, datetime) else ""


def dated(instant: datetime | None, now: datetime) -> str:
    """Show when something is or was, and how far from now; nothing for None."""
    return f"{second(instant)}, {relative(instant, now)}" if instant else ""


def iso(instant: datetime) -> str:
    """Write an instant as ISO 8601 in UTC with milliseconds; one without a zone is taken for UTC."""
    aware = instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
    try:
        aware = aware.astimezone(timezone.utc)
    except OverflowError:
        return str(instant)
    return f"{aware.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
