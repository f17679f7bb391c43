"""How are many schedules changed, removed or run with few writes, each for itself, and what became of each?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cronlite.client import pauses
from cronlite.client import runs as run_requests
from cronlite.client import schedules as requests
from cronlite.client.actors import actor_of
from cronlite.client.arguments import text
from cronlite.client.opened import Opened
from cronlite.documents import schedules, timing
from cronlite.documents.changes import Actor, of_write
from cronlite.documents.schedules import Document
from cronlite.errors import CronliteError, Fault, InvalidInput, NotFound, StoreUnavailable
from cronlite.plans.comparing import differing
from cronlite.store.contract import ScheduleQuery, Write
from cronlite.store.grouping import batches

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cronlite.documents.options import ScheduleChanges

_BATCH = 500
Fields = Mapping[str, Any]


@dataclass(slots=True)
class Outcome:
    """What became of many schedules, by their ids: those in `done` were changed, each in `failed` has its error.

    A schedule that was as wanted already is in neither. `runs` has the ids of the runs that were queued.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, CronliteError] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)


class Many:
    """Changes to many schedules, named by their ids. One that fails stops none of the others.

    Methods raise InvalidInput for what they are given, and StoreUnavailable; the rest is told in the Outcome.
    """

    def __init__(self, opened: Opened, settle: Callable[[Fields], dict[str, Any]], wake: Callable[[], None]) -> None:
        self._opened, self._settle, self._wake = opened, settle, wake

    def update(
        self, ids: Iterable[str], *, actor: Actor | str | None = None, **changes: Unpack[ScheduleChanges]
    ) -> Outcome:
        """Change fields of each as `Cronlite.update` does; a name is for one only."""
        wanted = self._settle(changes)
        if "name" in wanted:
            raise InvalidInput(Fault("name", wanted["name"], "is for one schedule only", "use update"))
        schedules.refuse_unknown(wanted)
        return self._change(ids, lambda _: wanted, actor_of(actor))

    def pause(
        self,
        ids: Iterable[str],
        *,
        until: datetime | timedelta | None = None,
        reason: str = "",
        actor: Actor | str | None = None,
    ) -> Outcome:
        """Keep each from being due until it is resumed, or `until` an instant or for a timedelta."""
        wanted: dict[str, Any] = {**pauses.fields(self._opened.now(), until, reason)}
        return self._change(ids, lambda _: wanted, actor_of(actor))

    def resume(self, ids: Iterable[str], *, actor: Actor | str | None = None) -> Outcome:
        """Let each that is paused be due again, from now on."""
        now = self._opened.now()

        def resumed(document: Document) -> Fields:
            if document.get("enabled") is not False:
                return {}
            active_from = schedules.read(document).active_from
            return {"enabled": True, "active_from": max(now, active_from or now)}

        return self._change(ids, resumed, actor_of(actor))

    def remove(self, ids: Iterable[str], *, actor: Actor | str | None = None) -> Outcome:
        """Delete each; `history.restore` brings it back."""
        who, outcome = actor_of(actor), Outcome()
        for documents in self._found(ids, outcome):
            now = self._opened.now()
            writes = [
                (each, Write.of(of_write(who, requests.after(each, now), each, None), each)) for each in documents
            ]
            for document in list(self._written(writes, outcome)):
                _tried(document, outcome, lambda each: requests.remove(self._opened, each, who))
        return outcome

    def trigger(self, ids: Iterable[str]) -> Outcome:
        """Queue one run of each now, beside those that it is due for."""
        outcome = Outcome()

        def queued(document: Document) -> None:
            run = run_requests.of_schedule(self._opened.now(), schedules.read(document))
            outcome.runs[str(document["_id"])] = run_requests.queue(self._opened, run)

        for documents in self._found(ids, outcome):
            for document in documents:
                _tried(document, outcome, queued)
        self._wake()
        return outcome

    def _change(self, ids: Iterable[str], of: Callable[[Document], Fields], actor: Actor) -> Outcome:
        outcome = Outcome()
        for documents in self._found(ids, outcome):
            now, writes = self._opened.now(), []
            singly: list[Document] = []
            for document in documents:
                try:
                    write = self._write_of(document, of(document), now, actor)
                except CronliteError as refused:
                    outcome.failed[str(document["_id"])] = refused
                    continue
                if write is not None and write.change.user != (document.get("user") or ""):
                    singly.append(document)  # the quota of its new user may be used up
                elif write is not None:
                    writes.append((document, write))
            singly += self._written(writes, outcome)
            for document in singly:
                _tried(document, outcome, lambda each: requests.change(self._opened, each, of(each), actor))
        return outcome

    def _write_of(self, document: Document, fields: Fields, now: datetime, actor: Actor) -> Write | None:
        """Return the write that gives a schedule some fields, or None where it has them already."""
        fields = timing.completed(document.get("every"), fields)
        at = requests.after(document, now)
        wanted_of_it = {name: value for name, value in fields.items() if name != "active_from"}
        if not differing({**document, "updated_at": at}, wanted_of_it):
            return None
        wanted, left = requests.changed(document, fields, at)
        if "params" in fields:
            self._opened.door.params(left.get("user", ""), left["params"])
        return Write.of(of_write(actor, at, document, left), document, wanted)

    def _found(self, ids: Iterable[str], outcome: Outcome) -> Iterator[list[Document]]:
        """Yield the schedules by the batch; those that are not there have failed."""
        for batch in batches(dict.fromkeys(text(id, "ids") for id in ids), _BATCH):
            there = {
                str(document["_id"]): document for document in self._opened.store.schedules(ScheduleQuery(ids=batch))
            }
            outcome.failed |= {id: NotFound(f"no schedule has the id {id}") for id in batch if id not in there}
            yield [there[id] for id in batch if id in there]

    def _written(self, writes: Sequence[tuple[Document, Write]], outcome: Outcome) -> Iterator[Document]:
        """Write a batch; yield the schedules that others were faster with, as they were read."""
        refused = self._opened.prepared_store.write_schedules([write for _, write in writes]) if writes else {}
        for document, _ in writes:
            id_ = str(document["_id"])
            if id_ in refused:
                yield document
            else:
                outcome.done.append(id_)


def _tried(document: Document, outcome: Outcome, act: Callable[[Document], object]) -> None:
    """Do something to one schedule, and note what became of it."""
    id_ = str(document["_id"])
    try:
        act(document)
    except StoreUnavailable:
        raise
    except CronliteError as refused:
        outcome.failed[id_] = refused
    else:
        outcome.done.append(id_)
