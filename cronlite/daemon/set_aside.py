"""What cannot be read, and is it told once, however many ticks meet it?"""

from __future__ import annotations

from typing import Any

from cronlite.daemon.reporting import Reports
from cronlite.documents.schedules import Document
from cronlite.errors import InvalidInput, shown
from cronlite.logger import logger

log = logger("cronlite.tick")

MAX_TOLD = 1_000


class SetAside:
    """Logs and reports what is set aside, once for each change of it."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._told: dict[str, str] = {}
        self._said_more = False

    def document(self, document: Document, fault: InvalidInput) -> None:
        """Tell of a schedule that cannot be read."""
        subject = shown(document.get("_id"))
        if self._is_new(subject, f"schedule {subject} is set aside: {fault}"):
            self._reports.set_aside(document, fault)

    def text(self, field: str, value: Any) -> None:
        """Tell of a text in a time field that cannot be read, and keeps all schedules with it from being due.

        What was meant is not told: to guess it takes longer than all the rest of a tick.
        """
        subject = f"{field} {shown(value)}"
        if self._is_new(subject, f"schedules with the {subject} are set aside: it cannot be read"):
            self._reports.unreadable(subject)

    def _is_new(self, subject: str, message: str) -> bool:
        """Log a message unless that was done; tell whether it is new."""
        if self._told.get(subject) == message:
            return False
        if subject in self._told or len(self._told) < MAX_TOLD:
            self._told[subject] = message
            log.warning("%s ('cronlite doctor' tells more)", message)
            return True
        if not self._said_more:
            self._said_more = True
            log.warning("more schedules are set aside than are told here ('cronlite doctor' lists them all)")
        return False
