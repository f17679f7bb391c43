"""What does one test of faults play on: stores, servers, disks and daemons of its own, all gone when it ends.

Such a test takes a `stage` and is run in a thread, several at a time (see conftest): nearly all of it is waiting.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults import rounds
from tests.faults.fleet import Fleet
from tests.faults.proxy import Proxy
from tests.faults.rounds import a_database
from tests.services import MissingService
from tests.services.mongod import Mongod, ReplicaSet

on_each_store = pytest.mark.parametrize("kind", ["mongod", "sqlite"])


class Stage(ExitStack):
    """Everything that is made here is ended in reverse order, daemons before their servers."""

    def __init__(self, shared: Mongod) -> None:
        super().__init__()
        self._shared = shared
        self.told: list[str] = []
        """What to show beside a failure."""

    def fleet(self, kind: str = "mongod", **settings: Any) -> Fleet:
        """Make a fleet on a fresh store of a kind."""
        uri = f"sqlite:{self.folder() / 'cronlite.db'}" if kind == "sqlite" else self._shared.uri_of(a_database())
        return self.fleet_on(uri, **settings)

    def fleet_on(self, uri: str, **settings: Any) -> Fleet:
        """Make a fleet on a store."""
        return self.enter_context(rounds.fleet_on(uri, **settings))

    def server(self, **options: Any) -> Mongod:
        """Start a server of this test's own. Raises MissingService."""
        return self.enter_context(Mongod(**options))

    def replica_set(self) -> ReplicaSet:
        """Start a replica set of three. Raises MissingService."""
        return self.enter_context(ReplicaSet(3))

    def proxy(self) -> Proxy:
        """Make a relay to the shared server."""
        return self.enter_context(Proxy(self._shared.port))

    def folder(self) -> Path:
        """Make a folder."""
        return Path(self.enter_context(tempfile.TemporaryDirectory(prefix="cronlite-stage-")))

    def small_disk(self, size: str) -> Path:
        """Mount a disk of a size. Raises MissingService where that is not allowed."""
        folder = self.folder()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "cronlite-test", folder]
        if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            raise MissingService("a small disk can only be mounted by root on Linux")
        self.callback(subprocess.run, ["umount", "--lazy", folder], check=True)
        return folder

    def chance(self) -> random.Random:
        """Return random numbers; CRONLITE_TEST_SEED repeats those of a failure."""
        number = int(os.environ.get("CRONLITE_TEST_SEED") or random.SystemRandom().randrange(2**32))
        self.told.append(f"CRONLITE_TEST_SEED={number}")
        return random.Random(number)
