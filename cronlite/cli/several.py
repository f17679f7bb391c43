"""How does a command that takes several ids go on when one of them fails?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from cronlite.cli import render
from cronlite.cli.streams import Unwritable, say
from cronlite.errors import CronliteError, StoreUnavailable


def each(refs: Sequence[str], act: Callable[[str], str]) -> None:
    """Do something to each and print what came of it; one that fails is told, stops none, and makes the exit code 1.

    What cannot be printed stops none either: what was asked for is done to all before that is raised.
    """
    failed, unread = 0, None
    for ref in refs:
        try:
            done = act(ref)
        except StoreUnavailable:
            raise
        except CronliteError as refused:
            if len(refs) == 1:
                raise
            failed += 1
            render.note(str(refused), "error")
            continue
        try:
            say(done)
        except (BrokenPipeError, Unwritable) as lost:
            unread = lost
    if unread is not None:
        raise unread
    if failed:
        raise click.exceptions.Exit(1)
