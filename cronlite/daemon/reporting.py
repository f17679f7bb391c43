"""Who hears, besides the store, of what a daemon does: alarms, and those who are called on the web?"""

from __future__ import annotations

from collections.abc import Sequence

from cronlite.alarms import pings
from cronlite.alarms.calls import Caller
from cronlite.alarms.messages import detail, tail
from cronlite.alarms.pings import Ping, Pinger, ping
from cronlite.daemon.alarming import Alarming
from cronlite.daemon.observing import BAD
from cronlite.daemon.store_clock import steady
from cronlite.documents import runs
from cronlite.documents.runs import Changes, Run
from cronlite.documents.schedules import Document
from cronlite.errors import InvalidInput

LAST_PINGS_SECONDS = 2.0


class Reports:
    """Hears of what a daemon does, from many threads at once, and never keeps them; this one forgets it."""

    def began(self, run: Run) -> None:
        """Hear that the handler of a run is about to be called."""

    def ended(self, changes: Sequence[tuple[Run, Changes]], lost: set[str]) -> None:
        """Hear what has become of attempts, in the store by now, but of those that were another's by then."""

    def ticked(self) -> None:
        """Hear that a minute was done."""

    def set_aside(self, document: Document, fault: InvalidInput) -> None:
        """Hear of a schedule that cannot be read, once for each change of it."""

    def unreadable(self, subject: str) -> None:
        """Hear of a field and its text that cannot be read."""


NOBODY = Reports()


class Reporting(Reports):
    """Passes on what a daemon does: to its alarms, to the `ping_url` of runs, and to the `heartbeat_url` of ticks."""

    def __init__(self, alarming: Alarming, heartbeat_url: str | None, *, allow_private_pings: bool) -> None:
        self._alarming, self._heartbeat_url = alarming, heartbeat_url
        self._of_runs = Pinger(Caller(allow_private_pings).call, steady)
        # Apart from those of runs, which tenants write: theirs may be slow. The operator's own may lead anywhere.
        self._of_ticks = Pinger(Caller(allow_private=True).call, steady, lanes=1, waiting=1, rest_seconds=0)

    def began(self, run: Run) -> None:
        """Ping the start of a run that has a URL for that."""
        if run.ping_url:
            self._of_runs.add(ping(run.ping_url, pings.START, run.id))

    def ended(self, changes: Sequence[tuple[Run, Changes]], lost: set[str]) -> None:
        """Ping the ends of runs that have a URL for that, and raise alarms of the bad ones."""
        self._alarming.ended(changes, lost)
        for run, change in changes:
            if run.ping_url and run.id not in lost:
                self._ping_end(run.ping_url, run, change)

    def ticked(self) -> None:
        """Call the heartbeat's URL."""
        if self._heartbeat_url:
            self._of_ticks.add(Ping(self._heartbeat_url))

    def set_aside(self, document: Document, fault: InvalidInput) -> None:
        """Raise an alarm."""
        self._alarming.set_aside(document, fault)

    def unreadable(self, subject: str) -> None:
        """Raise an alarm."""
        self._alarming.unreadable(subject)

    def close(self) -> None:
        """Let the last pings out, for a moment."""
        self._of_runs.close(LAST_PINGS_SECONDS)
        self._of_ticks.close(LAST_PINGS_SECONDS)

    def _ping_end(self, url: str, run: Run, change: Changes) -> None:
        state = change.get("state")
        if state == runs.SUCCEEDED:
            body = detail([f"run {run.id}", tail(change.get("output"))])
            self._of_runs.add(ping(url, pings.SUCCESS, run.id, body))
        elif state in BAD:
            error = change.get("error") or {}
            message = f"{error.get('type', '')}: {error.get('message', '')}".strip(": ") or change.get("reason", "")
            body = detail([f"run {run.id} {state}", message, tail(change.get("output"), 100, 8_000)])
            self._of_runs.add(ping(url, pings.FAIL, run.id, body))
