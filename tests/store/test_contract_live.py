"""Do all stores keep who follows a run's output, and hand the output to none but the attempt that is at work?"""

from datetime import timedelta

from cronlite.documents import runs
from cronlite.store.contract import Store
from tests.store.samples import LANE, NOW, OTHER, SECOND, a_run, a_running, add, stored


def test_who_follows_a_running_run_is_told_to_its_daemon(store: Store) -> None:
    followed, alone = a_running(LANE), a_running(OTHER)
    add(store, followed, alone)
    assert store.watch_output(followed.id, NOW + 15 * SECOND)
    assert store.watched([followed.id, alone.id], NOW) == {followed.id}
    assert store.watched([alone.id], NOW) == set()
    assert store.watched([], NOW) == set()
    assert stored(store, followed).watched_until == NOW + 15 * SECOND


def test_nobody_follows_once_the_time_is_over(store: Store) -> None:
    run = a_running(LANE)
    add(store, run)
    store.watch_output(run.id, NOW + SECOND)
    assert store.watched([run.id], NOW + SECOND) == set()


def test_one_who_asks_for_less_does_not_cut_another_short(store: Store) -> None:
    run = a_running(LANE)
    add(store, run)
    for seconds in (20, 5):
        assert store.watch_output(run.id, NOW + timedelta(seconds=seconds))
    assert stored(store, run).watched_until == NOW + 20 * SECOND


def test_a_run_that_is_not_at_work_cannot_be_followed(store: Store) -> None:
    ended = a_run("ended", state=runs.SUCCEEDED, attempt=1, finished_at=NOW)
    add(store, a_run("queued"), ended)
    for id in ("queued", "ended", "nobody's"):
        assert not store.watch_output(id, NOW + SECOND)
    assert stored(store, ended) == ended


def test_output_of_an_attempt_that_lost_its_run_is_not_stored(store: Store) -> None:
    run = a_running(LANE, attempt=2, daemon="d2")
    add(store, run)
    late = a_running(LANE, attempt=1, daemon="d1")
    assert store.change_runs([(late, {"output": "late", "output_attempt": 1})]) == {run.id}
    assert store.change_runs([(run, {"output": "so far", "output_attempt": 2})]) == set()
    assert stored(store, run).live_output == "so far"


def test_what_an_attempt_before_left_is_no_live_output(store: Store) -> None:
    run = a_running(LANE, attempt=2, output="of the first", output_attempt=1)
    add(store, run)
    assert stored(store, run).live_output is None
    store.change_runs([(run, {"output": None, "output_attempt": 2})])
    assert stored(store, run).output is None
