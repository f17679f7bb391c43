"""What is wrong in this store, and how is it mended?

The doctor reads every schedule, and of a file every page: too much to do whenever somebody opens a page. It looks in a
thread of its own, never twice at once, and pages show what it found last.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from cronlite.client.app import Cronlite
from cronlite.client.doctor import Finding
from cronlite.client.doctor import doctor as look
from cronlite.errors import CronliteError
from cronlite.logger import logger
from cronlite.web.exchange import Answer
from cronlite.web.visit import Visit

log = logger("cronlite.web")

AGE = timedelta(minutes=10)
"""After which a report is asked for anew when somebody opens the page."""
PATIENCE_SECONDS = 0.05


@dataclass
class Report:
    """What the doctor found last, and when; `problem` says why it could not look."""

    findings: Sequence[Finding] = ()
    at: datetime | None = None
    problem: str = ""
    looking: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class _Doctors:
    def __init__(self) -> None:
        self._reports: WeakKeyDictionary[Cronlite, Report] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def report(self, cron: Cronlite) -> Report:
        with self._lock:
            return self._reports.setdefault(cron, Report())

    def look(self, cron: Cronlite, now: datetime) -> Report:
        """Begin to look, unless somebody does."""
        report = self.report(cron)
        with self._lock:
            if report.looking:
                return report
            report.looking = True
        report.done.clear()
        threading.Thread(target=self._look, args=(cron, report, now), name="cronlite-doctor", daemon=True).start()
        return report

    def _look(self, cron: Cronlite, report: Report, now: datetime) -> None:
        try:
            report.findings, report.problem = look(cron.store), ""
        except CronliteError as refused:
            report.problem = str(refused)
        except Exception:
            log.exception("the doctor failed")
            report.problem = "the doctor failed; the site's log says why"
        report.at, report.looking = now, False
        report.done.set()


_doctors = _Doctors()


def doctor(visit: Visit) -> Answer:
    """Show what the doctor found last; let it look again where that is long ago."""
    report = _doctors.report(visit.cron)
    if report.at is None or visit.now - report.at > AGE:
        report = _doctors.look(visit.cron, visit.now)
        report.done.wait(PATIENCE_SECONDS)
    return visit.page("doctor.html", report=report)


def asked(visit: Visit) -> Answer:
    """Let the doctor look now."""
    report = _doctors.look(visit.cron, visit.now)
    report.done.wait(PATIENCE_SECONDS)
    return visit.see("/doctor")
