"""What must a store do with alarms, and with the duties that one process at a time has for all?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cronlite.documents.alarms import Alarm, Changes, Duty, Told


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmQuery:
    """Which alarms to list, the last raised first."""

    cleared_since: datetime | None = None
    """Those that were cleared since as well, instead of the open ones only."""
    limit: int = 10_000


class Alarms(Protocol):
    """Alarms and duties."""

    def raise_alarms(self, alarms: Sequence[Alarm]) -> set[str]:
        """Insert alarms, also in the place of cleared ones; return the ids of those that were not open before.

        One that is open takes over title, detail, run and `last_at` if that is later, and counts one time more.
        """

    def alarm(self, id: str) -> Alarm | None:
        """Fetch one by its id."""

    def alarms(self, query: AlarmQuery) -> list[Alarm]:
        """List alarms; those edited into nonsense are left out."""

    def change_alarm(self, alarm: Alarm, changes: Changes) -> bool:
        """Set fields of an alarm that is open, and was raised when the given one was; tell whether it is so."""

    def note_told(self, alarm: Alarm, told: Mapping[str, Told]) -> bool:
        """Note what channels have told, if the alarm was raised when the given one was; tell whether it was."""

    def prune_alarms(self, before: datetime) -> int:
        """Delete alarms that were cleared, and duties that ended, before an instant; return how many."""

    def claim_duty(self, id: str, daemon: str, now: datetime, until: datetime) -> Duty | None:
        """Take a duty up to an instant, if it is nobody's, or the daemon's already; None if it is another's."""

    def change_duty(self, duty: Duty, changes: Changes) -> bool:
        """Set fields (None removes one) of a duty, if it still is `duty.daemon`'s; tell whether it is."""

    def duties(self) -> list[Duty]:
        """List all of them, by id."""
