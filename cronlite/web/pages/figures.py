"""What does Prometheus scrape from the site?"""

from __future__ import annotations

from cronlite.web.exchange import Answer
from cronlite.web.visit import Visit


def figures(visit: Visit) -> Answer:
    """Answer a scrape."""
    text, kind = visit.cron.metrics.text(visit.request.headers.get("accept", ""))
    return Answer(body=text, kind=kind)
