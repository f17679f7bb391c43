"""How do tests open a store on MongoDB, use all of it, and hear what it sends?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient, monitoring

from cronlite.documents import transitions
from cronlite.documents.changes import Actor, of_write
from cronlite.documents.runs import SUCCEEDED
from cronlite.errors import StoreUnavailable
from cronlite.store.contract import ClaimQuery, Store, Write
from cronlite.store.mongo import MongoStore
from tests.store.samples import MINUTE, NOW, SECOND, TICK, a_daemon, a_run, a_run_in, a_schedule, a_tick

Document = dict[str, Any]


class Commands(monitoring.CommandListener):
    """Remembers what was sent to the server."""

    def __init__(self) -> None:
        self.sent: list[Document] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.sent.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def overhear(uri: str, commands: Commands) -> MongoStore:
    """Open a store whose commands are remembered."""
    client = MongoClient[Document](uri, event_listeners=[commands], timeoutMS=5_000)
    store = MongoStore(client, client.get_default_database().name, "mongodb:")
    assert store.prepare() == []
    commands.sent.clear()
    return store


@contextmanager
def opened(uri: str) -> Iterator[MongoStore]:
    store = MongoStore.open(uri)
    try:
        yield store
    finally:
        store.close()


def everything(store: Store) -> None:
    """Call whatever writes."""
    document = a_schedule(name="nightly")
    store.add_schedule(document)
    store.change_schedule(document["_id"], {"note": "x"}, NOW)
    store.remove_schedule(document["_id"])
    added = a_schedule()
    ann = Actor("ann")
    store.write_schedules([Write(of_write(ann, NOW, None, added), added)])
    store.write_schedules([Write.of(of_write(ann, NOW + SECOND, added, None), added)])
    store.prune_changes(NOW)
    store.claim_tick(a_tick(daemon="dead"))
    store.take_over_tick(a_tick(daemon="dead"), "d1")
    store.finish_tick(a_tick(daemon="d1", done_at=NOW))
    store.claim_tick(a_tick(TICK + MINUTE))
    store.prune_ticks(TICK + 60 * MINUTE)
    store.add_runs([a_run_in("a"), a_run_in("a", due_at=TICK + MINUTE), a_run(), a_run_in("b", run_at=None)])
    store.release_lanes(NOW)
    won = store.claim_runs("d1", ClaimQuery(["extract"], NOW, 10))
    store.change_runs([(run, transitions.closed(SUCCEEDED, NOW)) for run in won])
    store.change_runs([(won[0], transitions.closed(SUCCEEDED, NOW + SECOND))])
    store.join(a_daemon())
    store.beat("d1", running=0, stuck=0)
    store.mark_dead("d1", 1)
    store.prune_daemons(NOW)
    store.leave("d1")


def reached(ask: Callable[[], Any]) -> Any:
    """Return the answer, or None where the store cannot be reached."""
    try:
        return ask()
    except StoreUnavailable:
        return None
