"""Which pages are there, at which paths, and which of them stand in the bar at the top?

What a page is about stands in its query (`/schedule?id=…`), never in its path: an id may hold slashes and dots, which
servers and proxies would make something else of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cronlite.web.exchange import Answer
from cronlite.web.pages import (
    ahead,
    alarms,
    changes,
    daemons,
    doctor,
    editing,
    figures,
    freezes,
    now,
    output,
    run,
    runs,
    schedule,
    schedules,
    signing,
)
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
    Screen(path="/", get=now.now, title="Now"),
    Screen(path="/schedules", get=schedules.listed, post=schedules.done, title="Schedules"),
    Screen(path="/runs", get=runs.listed, post=runs.done, title="Runs"),
    Screen(path="/output", get=output.output),
    Screen(path="/ahead", get=ahead.ahead, title="Ahead"),
    Screen(path="/freezes", get=freezes.freezes, post=freezes.done, title="Freezes"),
    Screen(path="/alarms", get=alarms.alarms, post=alarms.acknowledged, title="Alarms"),
    Screen(path="/daemons", get=daemons.daemons, title="Daemons"),
    Screen(path="/daemon", get=daemons.daemon),
    Screen(path="/doctor", get=doctor.doctor, post=doctor.asked, title="Doctor"),
    Screen(path="/changes", get=changes.changes, post=changes.restored, title="Changes"),
    Screen(path="/run", get=run.one),
    Screen(path="/schedule", get=schedule.one),
    Screen(path="/schedule/add", get=editing.asked_to_add, post=editing.added),
    Screen(path="/schedule/edit", get=editing.asked_to_edit, post=editing.edited),
    Screen(path="/schedule/preview", post=editing.previewed),
    Screen(path="/schedule/remove", get=schedule.asked_to_remove, post=schedule.removed),
    Screen(path="/schedule/restore", post=schedule.restored),
    Screen(path="/schedule/undo", post=schedule.undone),
    Screen(path="/schedule/backfill", post=schedule.backfilled),
    Screen(path="/metrics", get=figures.figures),
    Screen(path="/sign-in", get=signing.asked, post=signing.done, is_open=True),
    Screen(path="/sign-out", post=signing.left, is_open=True),
)
SCREENS = {screen.path: screen for screen in _ALL}
NAV = [(screen.path, screen.title) for screen in _ALL if screen.title]
