"""How does somebody follow what a handler prints while it runs?"""

from __future__ import annotations

from datetime import datetime, timedelta

from cronlite.client.app import Cronlite
from cronlite.documents import runs
from cronlite.documents.runs import Run
from cronlite.errors import StoreError, StoreUnavailable

LOOK_SECONDS = 1.0
"""How often to look: daemons store no more."""
WATCHED = timedelta(seconds=15)
"""How long a daemon goes on after the last look; renewed at half of it, however many look."""
_KNOWN_AGAIN = 400


class Follower:
    """One who follows a run: `look` once a second, until its state is final."""

    def __init__(self, cron: Cronlite, id: str) -> None:
        self._cron, self._id = cron, id
        self._attempt, self._seen = 0, ""

    def look(self) -> tuple[Run, str]:
        """Return the run, and what it has printed since the last look; let daemons go on telling.

        What an attempt printed comes without what those before it did. Raises NotFound, StoreUnavailable.
        """
        run = self._cron.run_of(self._id)
        if run.state == runs.RUNNING:
            self._ask_for_more(run, self._cron.now())
        if run.attempt != self._attempt:
            self._attempt, self._seen = run.attempt, ""
        text = (run.live_output if run.state == runs.RUNNING else run.output) or ""
        new, self._seen = grown(self._seen, text), text or self._seen
        return run, new

    def _ask_for_more(self, run: Run, now: datetime) -> None:
        if run.watched_until is None or run.watched_until < now + WATCHED / 2:
            try:
                self._cron.store.watch_output(run.id, now + WATCHED)
            except StoreUnavailable:
                raise
            except StoreError:
                pass  # who may only read sees it when it has ended


def grown(before: str, now: str) -> str:
    """Return what came to a text of which only the tail is kept."""
    if now.startswith(before):
        return now[len(before) :]
    place = now.rfind(known := before[-_KNOWN_AGAIN:])
    return now[place + len(known) :] if place >= 0 else now
