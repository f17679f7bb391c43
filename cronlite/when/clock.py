"""What does a tick read on a zone's clock, and when is the next one?

Instants and ticks are aware UTC datetimes; wall minutes are naive ones.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from cronlite.errors import Fault, InvalidInput
from cronlite.when import foreign_zones
from cronlite.when.foreign_zones import EXAMPLE

MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)
# Debian's cron takes a larger jump for a correction of the clock: it makes up for no minute that was skipped, and holds
# back none that is repeated.
LARGEST_CHANGE = timedelta(hours=3)

_NOTHING = timedelta(0)
_LAST = datetime.max.replace(tzinfo=timezone.utc)
_WAKE_DELAY = timedelta(seconds=1)
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,3}")
_LONGEST_ZONE_NAME = 64
_ZONES_LOOKED_UP = 100
# Many systems' databases have these, but they are no zones to rely on: each machine's owner decides what the first two
# are, and the zones under the others may count leap seconds.
_NOT_ZONES = ("localtime", "posixrules", "posix", "right")


@dataclass(frozen=True, slots=True)
class Wall:
    """What a zone's clock shows at a tick, and what a change of its offset did to that.

    `repeated`: the clock showed this minute before, and was put back since. `skipped`: the wall minutes that it jumped
    over since the previous tick. Both ignore a change of more than three hours.
    """

    minute: datetime
    repeated: bool = False
    skipped: tuple[datetime, ...] = ()


def utc(instant: datetime) -> datetime:
    """Return an aware instant as UTC; raise InvalidInput for a naive one."""
    if isinstance(instant, datetime) and instant.tzinfo is timezone.utc:
        return instant
    if not isinstance(instant, datetime) or instant.utcoffset() is None:
        remedy = "give an aware one, such as datetime.now(timezone.utc)"
        raise InvalidInput(Fault("instant", instant, "has no time zone", remedy))
    try:
        return instant.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidInput(Fault("instant", instant, "is out of range", "give the years 1 to 9999")) from None


def floor_minute(instant: datetime) -> datetime:
    """Return the tick that an aware instant belongs to."""
    return utc(instant).replace(second=0, microsecond=0)


def ceil_minute(instant: datetime) -> datetime:
    """Return the first tick that is not before an aware instant."""
    tick = floor_minute(instant)
    return tick if tick == instant else tick + min(MINUTE, _LAST - tick)


def whole_milliseconds(instant: datetime) -> datetime:
    """Return an instant as a store keeps it."""
    return instant.replace(microsecond=instant.microsecond // 1_000 * 1_000)


def next_wake(now: datetime) -> datetime:
    """Return the next instant that is one second after a tick, strictly after `now`."""
    wake = floor_minute(now) + _WAKE_DELAY
    return wake if now < wake else wake + min(MINUTE, _LAST - wake)


def zone(name: object) -> ZoneInfo:
    """Return the IANA time zone of that name; raise InvalidInput. Nothing outside the database is read."""
    if type(name) is not str:  # BSON's Code is a subclass of str, but cannot be looked up
        raise InvalidInput(Fault("tz", name, "is not a name", EXAMPLE))
    opened = _zone(name) if len(name) <= _LONGEST_ZONE_NAME else None
    if opened is None:
        raise InvalidInput(Fault("tz", name, "is not a time zone", _meant(name[:_LONGEST_ZONE_NAME])))
    return opened


def zones() -> list[str]:
    """List the names of all zones."""
    return sorted(_known())


def zones_among(names: Collection[str]) -> list[str]:
    """Return those of many texts that name a zone."""
    unknown = [name for name in names if name not in _known()]
    # A zone may have been added since this process read the list. Only some are looked up again: that reads the disk.
    new = {name for name in unknown[:_ZONES_LOOKED_UP] if len(name) <= _LONGEST_ZONE_NAME and _zone(name)}
    return [name for name in names if name in new or name in _known()]


@lru_cache(maxsize=2048)
def _zone(name: str) -> ZoneInfo | None:
    if not _ZONE_NAME.fullmatch(name) or name.split("/")[0] in _NOT_ZONES:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError):  # not a zone file; no such file; a folder
        return None


@lru_cache(maxsize=256)
def _meant(name: str) -> str:
    return foreign_zones.meant(name, _known())


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(available_timezones().difference(_NOT_ZONES))


@lru_cache(maxsize=4096)
def wall(tick: datetime, zone: tzinfo) -> Wall:
    """Return what the clock of `zone` shows at a tick, to the minute."""
    tick = floor_minute(tick)
    try:
        now, long_before = tick.astimezone(zone), (tick - LARGEST_CHANGE).astimezone(zone)
    except OverflowError:
        # Within hours of the first and the last instant, the zone's date may lie outside the years 1 to 9999, which
        # datetime cannot hold. No daemon's clock will ever show those hours.
        return Wall(tick.replace(tzinfo=None))
    shown = now.replace(tzinfo=None, fold=0)
    minute = shown.replace(second=0)
    put_back = (long_before.utcoffset() or _NOTHING) - (now.utcoffset() or _NOTHING)
    if not put_back:
        return Wall(minute)
    # Local mean times have seconds, so a change may be of part of a minute: compare with what the clock showed then.
    first = tick - (put_back + (shown - minute)) // MINUTE * MINUTE
    repeated = _NOTHING < put_back <= LARGEST_CHANGE and first < tick and _minute(first, zone) == minute
    return Wall(minute, repeated, _between(_minute(tick - MINUTE, zone), minute))


def _minute(tick: datetime, zone: tzinfo) -> datetime:
    return tick.astimezone(zone).replace(tzinfo=None, fold=0, second=0)


def _between(before: datetime, minute: datetime) -> tuple[datetime, ...]:
    jumped = minute - before - MINUTE
    if not _NOTHING < jumped <= LARGEST_CHANGE:
        return ()
    return tuple(before + n * MINUTE for n in range(1, jumped // MINUTE + 1))


def utc_minute(instant: datetime) -> str:
    """Show the minute of a UTC instant, for people."""
    return f"{instant:%Y-%m-%d %H:%M}Z"


def utc_second(instant: datetime) -> str:
    """Show a UTC instant to the second, for people."""
    return f"{instant:%Y-%m-%d %H:%M:%S}Z"
