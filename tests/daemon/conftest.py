"""A steady clock that the tests of daemons crank by hand."""

from __future__ import annotations

import pytest

from cronlite.daemon import liveness, rounds, store_clock


class Steady:
    """The host's steady clock, cranked by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Steady:
    """The clock of whoever tells the living from the dead, and rounds that go on from those that do not."""
    clock = Steady()
    for module in (liveness, rounds, store_clock):
        monkeypatch.setattr(module, "steady", clock)
    return clock
