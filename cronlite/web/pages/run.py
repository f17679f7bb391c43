"""How did one run go?"""

from __future__ import annotations

from cronlite.client.following import Follower
from cronlite.documents import runs
from cronlite.documents.attempts import Attempt
from cronlite.documents.runs import Run
from cronlite.errors import InvalidInput, NotFound, shown
from cronlite.web.exchange import Answer
from cronlite.web.pages.runs import names_of
from cronlite.web.visit import Visit


def one(visit: Visit) -> Answer:
    """Show all of a run."""
    try:
        run = visit.cron.store.run(visit.asked("id"))
    except InvalidInput as refused:  # somebody edited it into nonsense
        return visit.page("refused.html", 409, title="This run cannot be read", reason=str(refused))
    if run is None:
        raise NotFound(f"no run has the id {shown(visit.asked('id'))}; those that ended are kept for a month")
    at_work = run.state in runs.AT_WORK
    return visit.page(
        "run.html",
        run=run,
        name=names_of(visit.cron, [run]).get(run.schedule),
        at_work=at_work,
        can_cancel=run.state == runs.QUEUED,
        can_retry=not at_work,
        earlier=_earlier(run),
        # While an attempt is at work, or waited for, these are the last one's, which stands among the earlier ones.
        error=None if at_work else run.error,
        output=_printed(visit, run),
    )


def _printed(visit: Visit, run: Run) -> str | None:
    """Return what a run has printed, so far if it is at work: whoever opens the page follows it."""
    if run.state == runs.RUNNING:
        return Follower(visit.cron, run.id).look()[1] or None
    return None if run.state == runs.QUEUED else run.output


def _earlier(run: Run) -> list[Attempt]:
    """List each attempt but the one that the run's own fields tell of, the last one first."""
    return [attempt for attempt in run.attempts if attempt.number < run.attempt or run.state == runs.QUEUED][::-1]
