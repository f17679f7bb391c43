"""Which schedules does a crontab(5) file mean, and which crontab says what given schedules do?

Nothing here touches a store.
"""

from cronlite.crontab.known import Known, changes
from cronlite.crontab.reading import IMPORTED, USUAL_USERS, Entry, Plan, Refusal, Remark, read
from cronlite.crontab.writing import export

__all__ = ["IMPORTED", "USUAL_USERS", "Entry", "Known", "Plan", "Refusal", "Remark", "changes", "export", "read"]
