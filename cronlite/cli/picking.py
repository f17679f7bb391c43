"""Of which schedules does a command speak: those with a tag, with a name that fits, of a user, of a handler?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, TypedDict, TypeVar

import click

from cronlite.cli import render
from cronlite.cli.parameters import Name
from cronlite.cli.session import handler_names
from cronlite.client.app import Cronlite
from cronlite.documents import schedules
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import InvalidInput
from cronlite.store.contract import ScheduleQuery

C = TypeVar("C", bound=Callable[..., Any])
_NAMED = 3

tag = click.option("--tag", metavar="TEXT", help="Only those with this tag.")
match = click.option("--match", metavar="GLOB", help="Only those whose name or id fits, such as 'nightly-*'.")
user = click.option("--user", metavar="TEXT", help="Only those of this user.")
handler = click.option("--handler", type=Name(handler_names), metavar="NAME", help="Only those that call this handler.")


class Filters(TypedDict):
    """The arguments of a command that has these options."""

    tag: str | None
    match: str | None
    user: str | None
    handler: str | None


def picked(command: C) -> C:
    """Give a command the options that pick schedules, as its arguments tag, match, user and handler."""
    return tag(match(user(handler(command))))


@dataclass(slots=True)
class Picked:
    """The schedules that fit, one after the other as the store gives them; those that cannot be read are remembered."""

    cron: Cronlite
    tag: str | None = None
    match: str | None = None
    user: str | None = None
    handler: str | None = None
    by_name: bool = False
    broken: list[str] = field(default_factory=list)

    def documents(self) -> Iterator[Document]:
        """Yield their documents, whether they can be read or not."""
        query = ScheduleQuery(tag=self.tag, user=self.user, handler=self.handler, by_name=self.by_name)
        documents = self.cron.store.schedules(query)
        return (document for document in documents if self.match is None or _fits(document, self.match))

    def __iter__(self) -> Iterator[Schedule]:
        for document in self.documents():
            try:
                yield schedules.read(document)
            except InvalidInput:
                self.broken.append(schedules.label(document))

    def tell_broken(self) -> None:
        """Say on stderr which of those gone through cannot be read."""
        if self.broken:
            named = ", ".join(self.broken[:_NAMED])
            problem = f"{len(self.broken)} cannot be read ({named}); 'cronlite doctor' tells why"
            render.note(problem, "warning")


def _fits(document: Document, glob: str) -> bool:
    texts = (document.get("name"), document.get("_id"))
    return any(isinstance(text, str) and fnmatchcase(text, glob) for text in texts)
