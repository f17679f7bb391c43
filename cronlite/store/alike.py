"""What can be written together, and in which parts?"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from cronlite.documents.runs import Changes, Run

T = TypeVar("T")


class Alike(NamedTuple):
    """The one change that some runs have in common, to be made to each that still is as the fence has it."""

    ids: list[str]
    fence: dict[str, Any]
    """What each must still be like: its state, daemon and attempt."""
    changes: Changes


def alike(given: Iterable[tuple[Run, Changes]]) -> list[Alike]:
    """Join the changes that differ in nothing but the run's id."""
    kinds: dict[Hashable, Alike] = {}
    for run, changes in given:
        # The type of the result, because 1, 1.0 and True are equal here, and not in a store.
        kind: Hashable = (run.state, run.daemon, run.attempt, *changes, *changes.values(), type(changes.get("result")))
        try:
            found = kinds.get(kind)
        except TypeError:  # a result or an error that is not hashable
            kind, found = run.id, None
        if found is None:
            kinds[kind] = Alike([run.id], {"state": run.state, "daemon": run.daemon, "attempt": run.attempt}, changes)
        else:
            found.ids.append(run.id)
    return list(kinds.values())


def batches(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """Cut into lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
