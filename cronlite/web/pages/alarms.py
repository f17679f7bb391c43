"""What does somebody have to hear of, who looks after it, and did the channels tell it?"""

from __future__ import annotations

from cronlite.documents.alarms import Alarm
from cronlite.web.exchange import Answer
from cronlite.web.visit import Visit

SHOWN = 200


def alarms(visit: Visit) -> Answer:
    """List the open alarms, those that are over of late, and how the channels fare."""
    known = visit.cron.alarms.list(cleared=True, limit=SHOWN)
    over = sorted((alarm for alarm in known if alarm.cleared_at), key=_cleared_at, reverse=True)
    return visit.page(
        "alarms.html",
        open=[alarm for alarm in known if alarm.is_open],
        over=over[:50],
        channels=visit.cron.alarms.channels(),
    )


def _cleared_at(alarm: Alarm) -> float:
    return alarm.cleared_at.timestamp() if alarm.cleared_at else 0.0


def acknowledged(visit: Visit) -> Answer:
    """Let an alarm stay quiet, because the visitor looks after it."""
    alarm = visit.cron.alarms.ack(visit.given("id"), actor=visit.actor)
    return visit.see("/alarms", f"You look after it: {alarm.title}")
