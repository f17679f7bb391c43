"""What is to be done so that a store has the schedules that an owner wants, and what must not be done?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import Any, Literal

from cronlite.documents import schedules
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import InvalidInput, shown
from cronlite.plans.reading import Wanted, Wish

Action = Literal["add", "change", "keep", "remove"]

# What stays as it is on the schedule that is there, whatever is declared: its history, and what people did to it.
_KEPT = frozenset({"_id", "id", "created_at", "updated_at", "origin"})
_KEPT_UNLESS_SAID = frozenset({"enabled", "active_from", "owner"})
_PAUSED = frozenset({"paused_until", "pause_reason"})


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one schedule: `fields` are those to set, with None for one to be removed."""

    action: Action
    name: str
    document: Document | None = None
    """The schedule that is there."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    wanted: Wanted | None = None

    @property
    def is_renamed(self) -> bool:
        """Tell whether it gets another name."""
        return "name" in self.fields and self.action == "change"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a schedule that is wanted cannot be had."""

    name: str
    reason: str
    remedy: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps to what an owner wants, and what the owner has that is not wanted any more and is not removed."""

    owner: str
    steps: Sequence[Step]
    refusals: Sequence[Refusal]
    leftovers: Sequence[str]

    @property
    def to_do(self) -> list[Step]:
        """The steps that write something."""
        return [step for step in self.steps if step.action != "keep"]

    def counted(self) -> Counter[str]:
        """Count the steps by what they do."""
        return Counter(step.action for step in self.steps)


def names_of(wish: Wish) -> list[str]:
    """Name the schedules that have to be looked up."""
    return list(
        dict.fromkeys(name for schedule in wish.schedules for name in (schedule.name, schedule.was) if name is not None)
    )


def compare(wish: Wish, stored: Iterable[Document], *, adopt: bool = False, prune: bool = False) -> Plan:
    """Hold what is wanted against what is stored: all schedules of the owner, and those of the names wanted."""
    documents = {str(document["_id"]): document for document in stored}
    named = {name: document for document in documents.values() if isinstance(name := document.get("name"), str)}
    wanted_names = {schedule.name for schedule in wish.schedules}
    steps: list[Step] = []
    refusals: list[Refusal] = []
    stood_for: set[str] = set()
    for wanted in wish.schedules:
        there = named.get(wanted.name)
        if there is None and wanted.was is not None and wanted.was not in wanted_names:
            there = named.get(wanted.was)
        step = _step(wish.owner, wanted, there, adopt=adopt)
        if isinstance(step, Refusal):
            refusals.append(step)
        else:
            steps.append(step)
        if there is not None:
            stood_for.add(str(there["_id"]))
    others = [
        document for id_, document in documents.items() if id_ not in stood_for and document.get("owner") == wish.owner
    ]
    removals = [Step("remove", schedules.label(document), document) for document in others] if prune else []
    return Plan(wish.owner, [*removals, *steps], refusals, [] if prune else list(map(schedules.label, others)))


def _step(owner: str, wanted: Wanted, there: Document | None, *, adopt: bool) -> Step | Refusal:
    if there is None:
        return Step("add", wanted.name, None, {**wanted.fields, "name": wanted.name, "owner": owner}, wanted)
    if there.get("owner") != owner and not adopt:
        return _somebody_elses(wanted, there)
    declared = {**declare(wanted.schedule, wanted.fields), "owner": owner}
    try:
        fields = differing(there, declared)
    except InvalidInput as refused:
        reason = f"is there and cannot be read: {refused}"
        return Refusal(wanted.name, reason, f"'cronlite remove {quote(str(there['_id']))}', or mend it", wanted.line)
    return Step("change" if fields else "keep", wanted.name, there, fields, wanted)


def _somebody_elses(wanted: Wanted, there: Document) -> Refusal:
    owner, name = there.get("owner"), schedules.label(there)
    whose = "stands beside its handler in the code" if owner == schedules.CODE else f"belongs to {shown(owner)}"
    reason = "was made by somebody, and belongs to no owner" if owner is None else whose
    return Refusal(
        wanted.name, f"the schedule {shown(name)} {reason}", "choose another name, or --adopt it", wanted.line
    )


def declare(new: Schedule, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what declaring a schedule sets on the one there is: all but its history and, unless said, its pause."""
    kept = _KEPT | {name for name in _KEPT_UNLESS_SAID if name not in fields}
    kept |= set() if "enabled" in fields else {name for name in _PAUSED if name not in fields}
    everything = dict.fromkeys(schedules.FIELDS) | new.document()
    return {name: value for name, value in everything.items() if name not in kept}


def differing(document: Document, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some fields that would make another schedule of a document. Raises InvalidInput."""
    changed = schedules.read(document | dict(declared))
    try:
        before = schedules.read(document)
    except InvalidInput:  # set aside until now
        return dict(declared)
    return {name: value for name, value in declared.items() if getattr(before, name) != getattr(changed, name)}
