"""Which pages are there, at which paths, and which of them stand in the bar at the top?

What a page is about stands in its query (`/schedule?id=…`), never in its path: an id may hold slashes and dots, which
servers and proxies would make something else of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cronlite.web.exchange import Answer
from cronlite.web.pages import runs, signing
from cronlite.web.visit import Visit

Page = Callable[[Visit], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A page to look at, a form to send, or both, at one path."""

    path: str
    get: Page | None = None
    post: Page | None = None
    title: str = ""
    """Under which it stands in the bar."""
    is_open: bool = False
    """For those, too, who are not signed in."""


_ALL = (
    Screen(path="/runs", get=runs.listed, post=runs.done, title="Runs"),
    Screen(path="/sign-in", get=signing.asked, post=signing.done, is_open=True),
    Screen(path="/sign-out", post=signing.left, is_open=True),
)
SCREENS = {screen.path: screen for screen in _ALL}
NAV = [(screen.path, screen.title) for screen in _ALL if screen.title]
