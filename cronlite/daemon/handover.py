"""How do claimed runs go back to the queue: those of a dead daemon, those not started, those that a stop cuts off?"""

from __future__ import annotations

from collections.abc import Sequence

from cronlite.daemon.reporting import NOBODY as NOBODY_HEARS
from cronlite.daemon.reporting import Reports
from cronlite.daemon.store_clock import StoreClock
from cronlite.documents import runs, transitions
from cronlite.documents.runs import Changes, Run
from cronlite.logger import logger
from cronlite.metrics.figures import NOBODY, Figures
from cronlite.store.contract import RunQuery, Store

log = logger("cronlite.run")


class Handover:
    """Hands claimed runs over to whichever daemon claims next. A run that has ended meanwhile stays as it is."""

    def __init__(
        self, store: Store, clock: StoreClock, figures: Figures = NOBODY, reports: Reports = NOBODY_HEARS
    ) -> None:
        self._store, self._clock, self._figures, self.reports = store, clock, figures, reports

    def take_over(self, dead: str) -> int:
        """Put the runs of a dead daemon back into the queue, or abandon them if their policy says so; return how many.

        Runs that cannot be read are abandoned first, or they would keep the dead daemon among the owners of work.
        """
        self._store.abandon_unreadable(dead, self._clock.now())
        orphans = list(self._store.runs(RunQuery(daemon=dead, states=[runs.RUNNING])))
        changes = [(run, transitions.after_crash(run, self._clock.now())) for run in orphans]
        lost = self._store.change_runs(changes)
        for run, change in changes:
            if run.id not in lost:
                what = "queued again" if change["state"] == runs.QUEUED else f"abandoned: {change['reason']}"
                log.warning("run %s of dead daemon %s is %s", run.id, dead, what)
                self._figures.closed(run, change["state"])
        self.reports.ended(changes, lost)
        return len(changes) - len(lost)

    def give_back(self, claimed: Sequence[Run]) -> None:
        """Put runs back into the queue that have not started; they keep their place in it."""
        now = self._clock.now()
        changes: list[tuple[Run, Changes]] = [
            (run, transitions.queued_again(run.run_at or now, **({"freeze": run.freeze} if run.freeze else {})))
            for run in claimed
        ]
        if changes:
            self._store.change_runs(changes)
            log.info("%d claimed runs given back", len(changes))

    def cut_off(self, started: Sequence[Run]) -> None:
        """Settle runs whose handlers a stop ends: it costs them neither a retry nor a crash."""
        now = self._clock.now()
        changes = [(run, transitions.cut_off(run, now, "cut off by a stop of its daemon")) for run in started]
        lost = self._store.change_runs(changes)
        for run, change in changes:
            if run.id not in lost:
                self._figures.closed(run, change["state"])
        self.reports.ended(changes, lost)
