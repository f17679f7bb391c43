"""A steady clock that the tests of daemons crank by hand, and `cronlite run` as a service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cronlite.daemon import liveness, rounds, store_clock
from tests.daemon.as_service import Service, Systemd


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


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listener = Systemd(str(tmp_path / "notify"))
    yield listener
    listener.close()


@pytest.fixture
def service(tmp_path: Path, systemd: Systemd) -> Iterator[Service]:
    started = Service(tmp_path, systemd)
    yield started
    started.close()
