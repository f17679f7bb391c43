"""Which MongoDB do the tests run against, and how do they start, break and restart it?

`python -m tests.services.mongod` starts one until Ctrl-C; with `--fetch` it only fetches it.

Tests that do not break their server run against the one that CRONLITE_TEST_MONGO_URI names, if it does; all others
start one of their own (see `binary`).
"""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.services import MissingService, ServiceFailed
from tests.services.binary import find_mongod
from tests.services.process import Server
from tests.waiting import wait_until

Document = dict[str, Any]


def existing_server() -> str | None:
    """Return the URI of the server that the environment names, if it does."""
    return os.environ.get("CRONLITE_TEST_MONGO_URI") or None


def with_database(uri: str, database: str) -> str:
    """Return the URI with that database instead of its own. (One with a user names its authSource.)"""
    return urlsplit(uri)._replace(path=f"/{database}").geturl()


class Mongod(Server):
    """A mongod of one's own: by default the primary of a replica set of one, which change streams ask for.

    `replica_set=None` makes it a standalone server. `parameters` are server parameters (`--setParameter`), beside
    enableTestCommands=1, which the fail points need. With `initiate=False` somebody else forms the replica set.
    """

    name = "mongod"

    def __init__(
        self,
        *,
        replica_set: str | None = "rs0",
        initiate: bool = True,
        parameters: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self.replica_set = replica_set
        self._initiate = initiate
        self._parameters = {"enableTestCommands": 1, **(parameters or {})}
        self._binary = find_mongod()

    @property
    def uri(self) -> str:
        return self.uri_of("")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def dbpath(self) -> Path:
        return self.folder / "data"

    def uri_of(self, database: str) -> str:
        """Return the URI of a database of this server."""
        # Connected directly, a client also talks to a server that is no primary, or whose replica set is not formed.
        return f"mongodb://{self.address}/{database}?directConnection=true"

    @contextlib.contextmanager
    def client(self, **options: Any) -> Iterator[MongoClient[Document]]:
        """Yield a client of this server, closed at the end."""
        with MongoClient[Document](self.uri, **options) as client:
            yield client

    @contextlib.contextmanager
    def failing(self, *commands: str, times: int | None = None, **how: object) -> Iterator[None]:
        """Let the next so many of these commands fail (all when `times` is None): the fail point `failCommand`.

        How: `closeConnection=True`, `errorCode=N`, `blockConnection=True, blockTimeMS=N`, `writeConcernError={...}`,
        `appName="..."` to hit only the clients of that name. A second one takes the place of the first.
        """
        mode: object = "alwaysOn" if times is None else {"times": times}
        self._fail_point(mode, {"failCommands": list(commands), **how})
        try:
            yield
        finally:
            self.stop_failing()

    def stop_failing(self) -> None:
        """Switch the fail point off."""
        self._fail_point("off", {})

    def _fail_point(self, mode: object, data: Mapping[str, object]) -> None:
        with self.client() as client:
            client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)

    def _command(self) -> list[str | Path]:
        self.dbpath.mkdir(exist_ok=True)
        command: list[str | Path] = [self._binary.mongod, "--dbpath", self.dbpath, "--port", str(self.port)]
        command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
        if self.replica_set is not None:
            command += ["--replSet", self.replica_set]
        for parameter, value in self._parameters.items():
            command += ["--setParameter", f"{parameter}={value}"]
        return command

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), **self._binary.environment()}

    def _is_ready(self) -> bool:
        try:
            with self.client(serverSelectionTimeoutMS=1_000, socketTimeoutMS=5_000) as client:
                hello = client.admin.command("hello")
                if not self._initiate:
                    return True
                if hello.get("isreplicaset"):  # started with --replSet, but no member of one yet
                    members = [{"_id": 0, "host": self.address}]
                    client.admin.command("replSetInitiate", {"_id": self.replica_set, "members": members})
                return bool(hello["isWritablePrimary"])
        except PyMongoError:
            return False


class ReplicaSet:
    """A replica set on this machine, for tests in which the primary changes. `with` starts and closes it."""

    def __init__(self, size: int = 3, *, parameters: Mapping[str, object] | None = None) -> None:
        self.name = "cronlite"
        self.members = [Mongod(replica_set=self.name, initiate=False, parameters=parameters) for _ in range(size)]

    def __enter__(self) -> "ReplicaSet":
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def uri(self) -> str:
        return self.uri_of("")

    def uri_of(self, database: str) -> str:
        """Return the URI of a database of this replica set, with which a client follows the primary."""
        addresses = ",".join(member.address for member in self.members)
        return f"mongodb://{addresses}/{database}?replicaSet={self.name}"

    def start(self) -> None:
        """Start all members, form the set, and wait until it has a primary and every other member follows."""
        for member in self.members:
            member.spawn()
        for member in self.members:
            member.wait_until_ready()
        configuration = {
            "_id": self.name,
            "members": [{"_id": number, "host": member.address} for number, member in enumerate(self.members)],
            # By default ten seconds pass before a dead primary is replaced.
            "settings": {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500},
        }
        with self.members[0].client() as client:
            client.admin.command("replSetInitiate", configuration)
        self.wait_for_primary()
        wait_until(
            lambda: sorted(self.states())[1:] == ["SECONDARY"] * (len(self.members) - 1),
            limit_seconds=180,
            what="every other member is a secondary",
            instead=self.states,
        )

    def states(self) -> list[str]:
        """Return each member's state as it sees itself (PRIMARY, SECONDARY, ...), UNREACHABLE for one that is down."""
        return [_state(member) for member in self.members]

    def primary(self) -> Mongod | None:
        """Return the member that takes writes now, if one does."""
        writable = (member for member in self.members if _state(member) == "PRIMARY")
        return next(writable, None)

    def wait_for_primary(self, *, other_than: Mongod | None = None, limit_seconds: float = 180) -> Mongod:
        """Return the primary as soon as there is one (another than the given member)."""

        def new_primary() -> Mongod | None:
            found = self.primary()
            return None if found is other_than else found

        what = "the replica set has a (new) primary"
        return wait_until(new_primary, limit_seconds=limit_seconds, what=what, instead=self.states)

    def step_down(self, seconds: int = 10) -> Mongod:
        """Let the primary step down for that long, and return the next one."""
        before = self.wait_for_primary()

        def stepped_down() -> bool:
            # It is refused where no other has caught up yet, and where it has stepped down.
            with contextlib.suppress(PyMongoError), before.client() as client:
                client.admin.command("replSetStepDown", seconds, secondaryCatchUpPeriodSecs=min(5, seconds))
            return self.primary() is not before

        wait_until(stepped_down, what="the primary has stepped down", instead=self.states)
        return self.wait_for_primary(other_than=before)

    def close(self) -> None:
        """End all members and remove their folders."""
        for member in self.members:
            member.close()


def _state(member: Mongod) -> str:
    if not member.running:
        return "UNREACHABLE"
    try:
        with member.client(serverSelectionTimeoutMS=1_000, socketTimeoutMS=1_000) as client:
            hello = client.admin.command("hello")
    except PyMongoError:
        return "UNREACHABLE"
    if hello["isWritablePrimary"]:
        return "PRIMARY"
    return "SECONDARY" if hello.get("secondary") else "OTHER"


def main() -> None:
    """Start a MongoDB for a developer, and print its URI."""
    parser = argparse.ArgumentParser(prog="python -m tests.services.mongod", description=main.__doc__)
    parser.add_argument("--fetch", action="store_true", help="only fetch it, or see that it is there")
    only_fetch = parser.parse_args().fetch
    try:
        if only_fetch:
            print(find_mongod().mongod)
            return
        with Mongod() as mongod, contextlib.suppress(KeyboardInterrupt):
            print(mongod.uri_of("cronlite"), flush=True)
            signal.pause()
    except (MissingService, ServiceFailed) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
