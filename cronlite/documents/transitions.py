"""How does a run change its state: when it is claimed, given back, ended, or cut off?"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from cronlite.documents import attempts
from cronlite.documents.attempts import Attempt
from cronlite.documents.runs import (
    ABANDONED,
    MAX_CRASHES,
    MISSED,
    QUEUED,
    RUNNING,
    SKIPPED,
    SUCCEEDED,
    Changes,
    Outcome,
    Run,
    attempt_of,
)

KEPT = timedelta(days=30)
MAX_BACKOFF_SECONDS = 3_600.0


def claim(run: Run, daemon: str, now: datetime) -> None:
    """Turn a queued run into one that a daemon has claimed."""
    run.state, run.daemon, run.started_at, run.attempt = RUNNING, daemon, now, run.attempt + 1


def unclaim(run: Run) -> None:
    """Undo a claim that the store knows nothing of."""
    run.state, run.daemon, run.started_at, run.attempt = QUEUED, None, None, run.attempt - 1


def closed(state: str, now: datetime, **more: Any) -> Changes:
    """Return the changes that end a run for good; it is kept for 30 days."""
    return {"state": state, "finished_at": now, "expires_at": now + KEPT, **more}


def skip(run: Run, reason: str, now: datetime) -> None:
    """Turn a run that was not queued yet into the record of a skip."""
    for name, value in closed(SKIPPED, now, reason=reason, run_at=None).items():
        setattr(run, name, value)


def made_up(now: datetime, *, waits: bool) -> Changes:
    """Return the changes that queue what a freeze held back; if it `waits`, behind what is at work."""
    gone = dict.fromkeys(("reason", "finished_at", "expires_at"))
    return {"state": QUEUED, "run_at": None if waits else now, "queued_at": now, **gone}


def settled(run: Run, outcome: Outcome, now: datetime, chance: random.Random) -> Changes:
    """Return what becomes of a run after an attempt: its end, or its return to the queue for a retry.

    An outcome that is "queued" stands for an attempt that was cut off through no fault of its own.
    """
    if outcome.state == QUEUED:
        return cut_off(run, now, (outcome.error or {}).get("message", ""), outcome.output)
    changes: Changes = {
        name: value
        for name in ("result", "error", "output")
        if (value := getattr(outcome, name)) is not None or getattr(run, name) is not None  # left by an attempt before
    }
    if outcome.state == SUCCEEDED:
        return closed(SUCCEEDED, now, **changes)
    changes["failures"] = failures = run.failures + 1
    if not outcome.retriable or failures > run.retries:
        return closed(outcome.state, now, **changes)
    if outcome.again_in is None:
        seconds = backoff_seconds(run.retry_delay_seconds, failures) * chance.uniform(1, 1.25)
    else:
        seconds = outcome.again_in
    ended = attempt_of(run, outcome.state, now, outcome.error, outcome.output)
    return queued_again(now + timedelta(seconds=seconds), **changes, **_with_attempt(run, ended))


def backoff_seconds(delay_seconds: float, failures: int) -> float:
    """Double the delay with each failure after the first, up to an hour (or the delay itself, where that is longer)."""
    return min(delay_seconds * 2.0 ** min(failures - 1, 40), max(MAX_BACKOFF_SECONDS, delay_seconds))


def queued_again(run_at: datetime, **more: Any) -> Changes:
    """Return the changes that put a claimed run back into the queue."""
    return {"state": QUEUED, "run_at": run_at, "daemon": None, "started_at": None, "sent_at": None, **more}


def cut_off(run: Run, now: datetime, why: str, output: str | None = None) -> Changes:
    """Return what becomes of a run whose attempt had to be ended: once more, at no cost, unless it may not."""
    if run.on_crash == "abandon":
        return closed(ABANDONED, now, reason=f"{why}, and on_crash is abandon")
    ended = attempt_of(run, attempts.CUT_OFF, now, _error("CutOff", why), output)
    return queued_again(run.run_at or now, **_with_attempt(run, ended))


def too_late(run: Run, now: datetime) -> Changes | None:
    """Return what becomes of a claimed run that should have started by now; None where it may start.

    The deadline is for the first start: what was once begun in time is brought to its end.
    """
    if run.deadline_at is None or now <= run.deadline_at or run.failures or run.crashes:
        return None
    return closed(
        MISSED, now, started_at=None, reason=f"not started by its deadline, {run.deadline_at:%Y-%m-%d %H:%M:%SZ}"
    )


def after_crash(run: Run, now: datetime) -> Changes:
    """Return what becomes of a run whose daemon died: once more, unless it may not or has cost three daemons."""
    crashes = run.crashes + 1
    if run.on_crash == "abandon":
        return closed(ABANDONED, now, crashes=crashes, reason="its daemon died, and on_crash is abandon")
    if crashes >= MAX_CRASHES:
        return closed(ABANDONED, now, crashes=crashes, reason=f"it took {crashes} daemons with it")
    ended = attempt_of(run, attempts.CRASHED, now, _error("Crashed", "its daemon died"), run.live_output)
    return queued_again(now, crashes=crashes, **_with_attempt(run, ended))


def _with_attempt(run: Run, ended: Attempt) -> Changes:
    return {"earlier_attempts": attempts.kept(run.earlier_attempts, ended)}


def _error(kind: str, message: str) -> dict[str, str]:
    return {"type": kind, "message": message, "traceback": ""}
