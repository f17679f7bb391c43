"""What can a test ask pytest for?

Pytest imports this module at each start, wherever cronlite is installed, so it imports nothing of cronlite by itself.
The fixture is not named `cron`, as many projects' own fixtures are, nor `cronlite`, which would hide the package in the
tests that ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from datetime import datetime

    from cronlite.testing import Rehearsal


@pytest.fixture
def cronlite_start() -> datetime:
    """When `cronlite_test` begins: Monday, 1 January 2024, 00:00 UTC. Override it to begin at another aware instant."""
    from cronlite.testing import START

    return START


@pytest.fixture
def cronlite_test(cronlite_start: datetime) -> Iterator[Rehearsal]:
    """Schedules and runs in memory, and a clock that stands still until the test cranks it: a `Rehearsal`.

    `.cron` is a Cronlite (so are `cronlite.schedule` and its like); `.advance(hours=3)`, `.drain()`, `.runs(...)`,
    `.assert_scheduled(...)`, `.assert_enqueued(...)`; `.use(cron)` does the same for an application's own Cronlite.
    """
    from cronlite.testing import Rehearsal

    with Rehearsal(cronlite_start) as rehearsal:
        yield rehearsal
