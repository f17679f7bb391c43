"""Where are alarms told, which of them, and when not?"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from cronlite.documents import checks
from cronlite.documents.alarms import AGAIN_SECONDS, KINDS, Alarm, Told, again_seconds
from cronlite.errors import Fault, InvalidInput, suggestion
from cronlite.when import clock

SETTLE = timedelta(seconds=5)
"""How long the newest alarm but one waits for others, so that what happens together is told together."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}\Z")
_QUIET = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)(?: (\S{1,64}))?\Z", re.ASCII)
_SECONDS = re.compile(r"(\d{1,6})(s|m|h|d)\Z", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Quiet:
    """The hours of a day, on the clock of a zone, in which a channel tells nothing; they may go over midnight."""

    begin: time
    end: time
    tz: str = "UTC"

    def covers(self, now: datetime) -> bool:
        """Tell whether an instant is in them."""
        at = now.astimezone(clock.zone(self.tz)).time()
        if self.begin <= self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Where alarms are told, by an Apprise URL, and which: of some kinds, tags and users, or all where none is given.

    Its URL holds secrets, so that it is kept out of the store, of logs and of what is shown: that is the name's part.
    """

    name: str
    to: str = field(repr=False)
    kinds: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    quiet: Quiet | None = None
    again_after_seconds: float = AGAIN_SECONDS

    def takes(self, alarm: Alarm) -> bool:
        """Tell whether this channel is to hear of an alarm at all."""
        return (
            (not self.kinds or alarm.kind in self.kinds)
            and (not self.tags or not set(self.tags).isdisjoint(alarm.tags))
            and (not self.users or alarm.user in self.users)
        )

    def is_quiet(self, now: datetime) -> bool:
        """Tell whether it is to tell nothing now."""
        return self.quiet is not None and self.quiet.covers(now)


@dataclass(frozen=True, slots=True)
class News:
    """What a channel has to tell of an alarm: that it was raised, that it lasts ("again"), or that it is over."""

    alarm: Alarm
    what: str
    before: Told | None

    def told(self, now: datetime) -> Told:
        """Return what is noted once it has been told."""
        times = (self.before.times if self.before else 0) + 1
        return Told(told_at=now, times=times, cleared=not self.alarm.is_open)


def news(channel: Channel, alarms: Iterable[Alarm], now: datetime) -> list[News]:
    """List what a channel has to tell at an instant, whatever its quiet hours; nothing of what was acknowledged."""
    due = []
    for alarm in alarms:
        before = alarm.told.get(channel.name)
        if channel.takes(alarm) and alarm.acked_at is None and (what := _what(channel, alarm, before, now)):
            due.append(News(alarm, what, before))
    return due


def _what(channel: Channel, alarm: Alarm, before: Told | None, now: datetime) -> str:
    if not alarm.is_open:
        is_told = before.cleared if before else alarm.event
        return "" if is_told or (before and alarm.event) else "over"
    if before is None:
        return "raised"
    wait = again_seconds(channel.again_after_seconds, before.times)
    if (now - before.told_at).total_seconds() < wait or (alarm.event and alarm.last_at <= before.told_at):
        return ""
    return "again"


def is_settled(waiting: Sequence[News], now: datetime) -> bool:
    """Tell whether nothing has joined what waits to be told for some seconds, or it has waited for a minute."""
    at = [each.alarm.cleared_at or each.alarm.raised_at for each in waiting]
    return bool(at) and (now - max(at) >= SETTLE or now - min(at) >= timedelta(minutes=1))


def channels_of(channels: object) -> tuple[Channel, ...]:
    """Return channels that were given as such, or as tables. Raises InvalidInput."""
    if isinstance(channels, (list, tuple)) and channels and all(isinstance(each, Channel) for each in channels):
        return tuple(channels)
    return read_channels(channels)


def read_channels(tables: object, place: str = "alarms") -> tuple[Channel, ...]:
    """Read a list of tables, each with `to`; raise InvalidInput with all that is wrong, and no URL in its text."""
    if tables is None:
        return ()
    if not isinstance(tables, (list, tuple)) or not all(isinstance(table, Mapping) for table in tables):
        raise InvalidInput(
            Fault(place, type(tables).__name__, "is no list of tables", 'write [[alarms]] with to = "…"')
        )
    faults: list[Fault] = []
    channels = [_channel(table, f"{place}[{number}]", number, faults) for number, table in enumerate(tables)]
    names = [channel.name for channel in channels]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults += [Fault(place, name, "is the name of two channels", "give each its own") for name in twice]
    if faults:
        raise InvalidInput(*faults)
    return tuple(channels)


def _channel(table: Mapping[str, Any], place: str, number: int, faults: list[Fault]) -> Channel:
    unknown = [key for key in table if key not in _KEYS]
    problem = "is no setting of a channel"
    faults += [Fault(f"{place}.{key}", "…", problem, suggestion(str(key), _KEYS)) for key in unknown]
    to = table.get("to")
    if not isinstance(to, str) or "://" not in to:
        faults.append(Fault(f"{place}.to", "…", "is no Apprise URL", 'give one, such as "mailto://user:password@host"'))
        to = "none://"
    scheme = to.partition("://")[0]
    default = f"{scheme}-{number + 1}" if _NAME.match(scheme) else f"channel-{number + 1}"
    name = table.get("name", default)
    if not isinstance(name, str) or not _NAME.match(name):
        faults.append(Fault(f"{place}.name", name, "is no name", "give letters, digits, _ and -, at most 60"))
        name = default
    return Channel(
        name=name,
        to=to,
        kinds=_texts(table, "kinds", place, faults, KINDS),
        tags=_texts(table, "tags", place, faults),
        users=_texts(table, "users", place, faults),
        quiet=_quiet(table.get("quiet"), f"{place}.quiet", faults),
        again_after_seconds=_seconds(table.get("again_after"), f"{place}.again_after", faults),
    )


_KEYS = ("to", "name", "kinds", "tags", "users", "quiet", "again_after")
_TEXT: Callable[[object], checks.Complaint] = checks.label(200)


def _texts(
    table: Mapping[str, Any], key: str, place: str, faults: list[Fault], known: Collection[str] | None = None
) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, (list, tuple)) or any(map(_TEXT, value)):
        faults.append(Fault(f"{place}.{key}", value, "is no list of texts", f'give one, such as {key} = ["…"]'))
        return ()
    strange = [text for text in value if known is not None and text not in known]
    faults += [Fault(f"{place}.{key}", text, "is no kind of alarm", suggestion(text, known or ())) for text in strange]
    return tuple(value)


def _quiet(value: object, place: str, faults: list[Fault]) -> Quiet | None:
    if value is None:
        return None
    typed = _QUIET.match(value) if isinstance(value, str) else None
    try:
        if typed:
            begin, end = time(int(typed[1]), int(typed[2])), time(int(typed[3]), int(typed[4]))
            tz = typed[5] or "UTC"
            clock.zone(tz)
            return Quiet(begin, end, tz)
    except ValueError as refused:  # InvalidInput is one, too
        faults.append(Fault(place, value, f"cannot be read: {refused}", 'give "22:00-07:00 Europe/Berlin"'))
        return None
    faults.append(Fault(place, value, "is no stretch of a day", 'give "22:00-07:00 Europe/Berlin"'))
    return None


def _seconds(value: object, place: str, faults: list[Fault]) -> float:
    if value is None:
        return AGAIN_SECONDS
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= 31 * 86_400:
        return float(value)
    typed = _SECONDS.match(value) if isinstance(value, str) else None
    seconds = int(typed[1]) * _UNITS[typed[2]] if typed else 0
    if not 1 <= seconds <= 31 * 86_400:
        faults.append(Fault(place, value, "is no duration", 'give "90s", "10m", "1h" or "1d"'))
    return float(seconds)
