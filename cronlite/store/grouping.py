"""Which runs are changed alike, so that one write does for all of them, and how are long lists cut for a store?"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from cronlite.documents.runs import Changes, Run, fence
from cronlite.when.bits import LONGEST

T = TypeVar("T")

_OTHERS = 100

# What tells one change of a run from another; the rest of it follows from these.
TELLING = ("state", "daemon", "attempt", "run_at", "finished_at")


class SharedChange(NamedTuple):
    """The one change that some runs have in common, to be made to each that still is as the fence has it."""

    ids: list[str]
    fence: dict[str, Any]
    """What each must still be like: its state, daemon and attempt."""
    changes: Changes

    @property
    def singly(self) -> list[SharedChange]:
        """The same, to be made to one run after the other."""
        return [self._replace(ids=[id]) for id in self.ids]


def after(fence: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """Return how a run looks once it is changed, as far as that tells this change from any other."""
    return {**fence, **{name: changes[name] for name in TELLING if name in changes}}


def in_order(values: Iterable[Any], most: int) -> list[Any]:
    """Return the values of a time field as a store lists them: some of those that are no texts, then `most` texts."""
    others: list[Any] = []
    texts: set[str] = set()
    for value in values:
        if type(value) is str:
            texts.add(value)
        elif len(others) < _OTHERS:
            others.append(value)
    return [*others, *sorted(text for text in texts if len(text) <= LONGEST)[:most]]


def shared(changes: Iterable[tuple[Run, Changes]]) -> list[SharedChange]:
    """Join the changes that differ in nothing but the run's id."""
    kinds: dict[Hashable, SharedChange] = {}
    for run, change in changes:
        # The type of the result, because 1, 1.0 and True are equal here, and not in a store.
        kind: Hashable = (run.state, run.daemon, run.attempt, *change, *change.values(), type(change.get("result")))
        try:
            same = kinds.get(kind)
        except TypeError:  # a result or an error that is not hashable
            kind, same = run.id, None
        if same is None:
            kinds[kind] = SharedChange([run.id], fence(run), change)
        else:
            same.ids.append(run.id)
    return list(kinds.values())


def batches(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """Cut into lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
