"""Is each attempt at a run kept, within bounds, and is nothing kept that costs a run that succeeds at once?"""

import random
from datetime import timedelta
from typing import Any

import pytest

from cronlite.documents import attempts, runs, transitions
from cronlite.documents.runs import Outcome, Run
from cronlite.errors import InvalidInput
from tests.store.samples import NOW, a_running

ERROR = {"type": "ValueError", "message": "no luck", "traceback": "Traceback …\nValueError: no luck\n"}
LATER = NOW + timedelta(seconds=5)
CHANCE = random.Random(1)


def after(run: Run, changes: dict[str, Any]) -> Run:
    """Return the run as a store has it after a change."""
    document = {**run.document(), **changes}
    return runs.read({name: value for name, value in document.items() if value is not None})


def claimed(run: Run, daemon: str) -> Run:
    transitions.claim(run, daemon, LATER)
    return run


def failed(run: Run, **more: Any) -> dict[str, Any]:
    return transitions.settled(run, Outcome(runs.FAILED, error=ERROR, **more), LATER, CHANCE)


def test_a_success_at_the_first_attempt_writes_no_more_than_its_outcome() -> None:
    run = a_running("nightly")
    changes = transitions.settled(run, Outcome(runs.SUCCEEDED), LATER, CHANCE)
    assert changes.keys() == {"state", "finished_at", "expires_at"}
    (attempt,) = after(run, changes).attempts
    assert (attempt.number, attempt.state, attempt.daemon, attempt.ended_at) == (1, "succeeded", "d1", LATER)


def test_the_error_of_the_first_attempt_outlives_the_success_of_the_second() -> None:
    run = a_running("nightly", retries=1)
    run = claimed(after(run, failed(run, output="three rows\n")), "d2")
    run = after(run, transitions.settled(run, Outcome(runs.SUCCEEDED, result=7), LATER, CHANCE))
    first, second = run.attempts
    assert (first.number, first.state, first.daemon, first.started_at, first.ended_at) == (
        1,
        "failed",
        "d1",
        NOW,
        LATER,
    )
    assert (first.error, first.output) == (ERROR, "three rows\n")
    assert (second.number, second.state, second.daemon, second.error) == (2, "succeeded", "d2", None)


def test_a_time_out_a_crash_and_a_stop_are_attempts_too() -> None:
    run = a_running("nightly", retries=5)
    run = claimed(after(run, transitions.settled(run, Outcome(runs.TIMED_OUT, error=ERROR), LATER, CHANCE)), "d2")
    run = claimed(after(run, transitions.after_crash(run, LATER)), "d3")
    run = claimed(after(run, transitions.cut_off(run, LATER, "cut off by a stop of its daemon")), "d4")
    assert [(attempt.number, attempt.state, attempt.daemon) for attempt in run.attempts] == [
        (1, "timed_out", "d1"),
        (2, "crashed", "d2"),
        (3, "cut_off", "d3"),
        (4, "running", "d4"),
    ]


def test_what_was_given_back_before_it_began_is_no_attempt() -> None:
    run = a_running("nightly")
    assert after(run, transitions.queued_again(NOW)).attempts == []


def test_the_first_and_the_last_attempts_are_kept_and_each_is_bounded() -> None:
    run = a_running("nightly", retries=100)
    long = {"type": "E" * 9_000, "message": "m" * 9_000, "traceback": "t" * 9_000}
    for _ in range(50):
        change = transitions.settled(run, Outcome(runs.FAILED, error=long, output="o" * 70_000), LATER, CHANCE)
        run = claimed(after(run, change), "d1")
    assert [attempt.number for attempt in run.attempts] == [1, *range(42, 51), 51]
    assert len(str(run.earlier_attempts)) < 100_000


@pytest.mark.parametrize(
    "value",
    [
        "none",
        {"number": 1, "state": "failed"},
        [1],
        [{"state": "failed"}],
        [{"number": 1, "state": {"$ne": 1}}],
        [{"number": 1, "state": "failed", "started_at": "yesterday"}],
        [{"number": 1, "state": "failed", "error": "no luck"}],
        [{"number": 1, "state": "failed", "output": 7}],
    ],
)
def test_what_is_no_list_of_attempts_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="earlier_attempts"):
        runs.read({**a_running("nightly").document(), "earlier_attempts": value})


def test_what_somebody_added_to_an_attempt_is_left_out() -> None:
    (attempt,) = attempts.read([{"number": 1, "state": "failed", "mood": "bad"}])
    assert attempt == attempts.Attempt(number=1, state="failed")
