"""Is all well, in one line for a monitoring agent: OK, WARNING or CRITICAL, with figures, as Nagios plugins say it?

https://nagios-plugins.org/doc/guidelines.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cronlite.daemon.overdue import LOOKED_BACK, Overdue, Overdues
from cronlite.documents import runs
from cronlite.documents.alarms import Alarm
from cronlite.documents.daemons import NO_TICK, DaemonRecord
from cronlite.documents.ticks import Tick
from cronlite.errors import StoreError, visible
from cronlite.store.contract import AlarmQuery, Store
from cronlite.when.clock import utc_minute

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
NAMED = 3
LONGEST = 500


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its name, value, unit, and from where on it is a warning or critical."""

    name: str
    value: float | None
    unit: str = ""
    warning: str = ""
    critical: str = ""

    def __str__(self) -> str:
        value = "U" if self.value is None else f"{self.value:g}{self.unit}"
        return f"{self.name}={value};{self.warning};{self.critical}".rstrip(";")


@dataclass(frozen=True, slots=True)
class Check:
    """What came of a look: the code to exit with, what is wrong, and figures."""

    code: int
    problems: Sequence[str]
    figures: Sequence[Figure]
    overdue: Sequence[Overdue] = ()

    def line(self) -> str:
        """Return the one line of a plugin; no stored text can end it, or pass for figures."""
        problems = "; ".join(self.problems) or "all minutes are ticked, nothing is overdue"
        problems = visible(" ".join(problems.split())).replace("|", "¦")
        problems = problems if len(problems) <= LONGEST else f"{problems[: LONGEST - 1]}…"
        figures = " ".join(map(str, self.figures))
        return f"CRONLITE {WORDS[self.code]}: {problems}" + (f" | {figures}" if figures else "")


def check(store: Store, late_after_seconds: float | None = None) -> Check:
    """Look at ledger, daemons, what is overdue and open alarms; it only reads. Raises StoreError.

    Critical: for two minutes no daemon has ticked, or something is overdue. Warning: an alarm that nobody acknowledged,
    or a daemon that does not do its work.
    """
    now = store.now()
    entries, daemons = store.ledger(now - LOOKED_BACK, now), store.daemons()
    alive = [daemon for daemon in daemons if daemon.is_alive(now)]
    late = Overdues(store, late_after_seconds).find(now, daemons, entries)
    open_alarms = _open(store)
    done = [entry.done_at for entry in entries if entry.done_at is not None]
    age = (now - max(done)).total_seconds() if done else None
    critical = [*_silence(age, entries), *_overdue(store, late)]
    warnings = [*_alarms(open_alarms), *_troubled(alive, now)]
    queue = store.count_runs()
    figures = [
        Figure("daemons", len(alive), "", "", "1:"),
        Figure("last_tick", None if age is None else max(0.0, round(age, 1)), "s", "", f"{NO_TICK.total_seconds():g}"),
        Figure("overdue", len(late), "", "", "0"),
        Figure("alarms", len(open_alarms), "", "0"),
        Figure("queued", sum(count for (state, _), count in queue.items() if state == runs.QUEUED)),
        Figure("running", sum(count for (state, _), count in queue.items() if state == runs.RUNNING)),
    ]
    return Check(CRITICAL if critical else WARNING if warnings else OK, [*critical, *warnings], figures, late)


def unknown(problem: str) -> Check:
    """Return what to say where nothing can be looked at."""
    return Check(UNKNOWN, [problem], [])


def _open(store: Store) -> list[Alarm]:
    try:
        return [alarm for alarm in store.alarms(AlarmQuery()) if alarm.acked_at is None]
    except StoreError:
        return []  # a role from before there were alarms


def _silence(age: float | None, entries: Sequence[Tick]) -> Iterator[str]:
    if age is None:
        yield "no minute was ever ticked in this store; start a daemon: cronlite run"
    elif age > NO_TICK.total_seconds():
        last = max(entry.last for entry in entries if entry.done_at is not None)
        yield f"no daemon has ticked for {age / 60:.0f} min, the last minute done is {utc_minute(last)}"


def _overdue(store: Store, late: Sequence[Overdue]) -> Iterator[str]:
    if late:
        named = ", ".join(f"{_name(store, each)} since {utc_minute(each.due_at)} ({each.why})" for each in late[:NAMED])
        more = f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
        yield f"{len(late)} overdue: {named}{more}"


def _name(store: Store, late: Overdue) -> str:
    name = (store.schedule(late.schedule) or {}).get("name")
    return name if isinstance(name, str) else late.schedule


def _alarms(alarms: Sequence[Alarm]) -> Iterator[str]:
    if alarms:
        counts = Counter(alarm.kind.replace("_", " ") for alarm in alarms)
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
        yield f"{len(alarms)} alarms: {kinds}, the last: {alarms[0].title}"


def _troubled(alive: Sequence[DaemonRecord], now: datetime) -> Iterator[str]:
    for daemon in alive:
        if wrong := daemon.what_is_wrong(now):
            yield f"daemon {daemon.id}: {wrong}"
