"""Do all stores keep the contract on queues, on claims of named runs, and on what was sent to a broker?"""

from dataclasses import replace

from cronlite.documents import new_runs, transitions
from cronlite.documents.runs import QUEUED, Changes, Run
from cronlite.store.contract import ClaimQuery, Store, UnsentQuery
from tests.store.samples import (
    HANDLERS,
    LANE,
    MINUTE,
    NOW,
    OTHER,
    SECOND,
    TICK,
    a_daemon,
    a_run,
    a_run_in,
    a_running,
    add,
    stored,
)


def unsent(store: Store, **given: object) -> list[str]:
    return [run.id for run in store.unsent_runs(UnsentQuery(NOW, 100, **given))]  # type: ignore[arg-type]


def sent(store: Store, run: Run, at: object = NOW) -> None:
    change: Changes = {"sent_at": at}
    assert store.change_runs([(run, change)]) == set()


def test_queue_deadline_and_sending_are_given_back_as_they_were_added(store: Store) -> None:
    run = a_run(queue="reports", deadline_at=NOW + SECOND, sent_at=NOW)
    add(store, run)
    assert stored(store, run) == run


def test_only_runs_of_these_queues_are_claimed(store: Store) -> None:
    add(store, a_run("plain"), a_run("report", queue="reports"), a_run("mail", queue="mail"))
    assert store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 10, queues=[])) == []
    assert [run.id for run in store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 10, queues=["reports"]))] == ["report"]
    assert {run.id for run in store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 10, queues=["default", "mail"]))} == {
        "plain",
        "mail",
    }


def test_only_named_runs_are_claimed_and_only_those_that_may_start(store: Store) -> None:
    add(
        store,
        a_run("named"),
        a_run("not named"),
        a_run("later", run_at=NOW + SECOND),
        a_run("waiting", run_at=None),
        a_run("of another handler", handler="load"),
        a_run("in another queue", queue="reports"),
        a_running(LANE, "d2"),
    )
    ids = [
        "named",
        "later",
        "waiting",
        "of another handler",
        "in another queue",
        new_runs.scheduled_id(LANE, NOW),
        "gone",
    ]
    won = store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, len(ids), ids=ids, queues=["default"]))
    assert [(run.id, run.attempt, run.daemon) for run in won] == [("named", 1, "d1")]
    assert store.claim_runs("d3", ClaimQuery(HANDLERS, NOW, len(ids), ids=ids, queues=["default"])) == []
    assert store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 10, ids=[])) == []


def test_a_named_run_whose_lane_is_busy_waits_and_counts_as_unsent(store: Store) -> None:
    waits = a_run_in(LANE, sent_at=NOW)
    add(store, a_running(LANE, due_at=TICK - MINUTE), waits)
    assert store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 1, ids=[waits.id])) == []
    assert (stored(store, waits).run_at, stored(store, waits).sent_at) == (None, None)


def test_what_was_never_sent_is_listed_the_oldest_first(store: Store) -> None:
    add(
        store,
        a_run("second"),
        a_run("first", run_at=NOW - SECOND, handler="load", queue="reports"),
        a_run("later", run_at=NOW + SECOND),
        a_run("waiting", run_at=None),
        a_run("sent", sent_at=NOW - SECOND),
        a_running(OTHER),
    )
    assert unsent(store) == ["first", "second"]
    assert unsent(store, queues=["default"]) == ["second"]
    assert unsent(store, queues=["reports", "mail"]) == ["first"]
    assert [run.id for run in store.unsent_runs(UnsentQuery(NOW, 1))] == ["first"]


def test_what_was_sent_before_an_instant_is_listed_by_that(store: Store) -> None:
    add(store, a_run("never"), *(a_run(f"{n} s ago", sent_at=NOW - n * SECOND) for n in (1, 60, 90)))
    assert unsent(store, sent_before=NOW - 30 * SECOND) == ["90 s ago", "60 s ago"]
    assert unsent(store, sent_before=NOW - 60 * SECOND) == ["90 s ago"]


def test_what_is_sent_is_noted_while_it_is_queued_and_never_after_a_claim(store: Store) -> None:
    run = a_run()
    add(store, run)
    sent(store, run)
    assert unsent(store) == []
    assert stored(store, run).sent_at == NOW
    [won] = store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 1))
    assert store.change_runs([(run, {"sent_at": NOW + SECOND})]) == {run.id}
    assert store.change_runs([(won, transitions.queued_again(NOW))]) == set()
    again = stored(store, run)
    assert (again.state, again.sent_at) == (QUEUED, None), "back in the queue it is to be sent anew"
    assert unsent(store) == [run.id]


def test_a_daemon_says_what_kind_it_is_and_what_troubles_it(store: Store) -> None:
    worker = a_daemon("w", ticks=False)
    store.join(worker)
    store.join(a_daemon("d"))
    assert store.beat("w", running=1, stuck=0, trouble="the broker is down") is not None
    found = {record.id: record for record in store.daemons()}
    assert (found["w"].ticks, found["w"].trouble) == (False, "the broker is down")
    assert (found["d"].ticks, found["d"].trouble) == (True, "")
    assert store.beat("w", running=1, stuck=0) is not None
    assert {record.trouble for record in store.daemons()} == {""}
    assert replace(found["w"], ticks=True) != found["w"]
