"""Which axe-core judges whether a page can be used by those who do not see it, and where does it come from?

A fixed version from npm, kept in the cache folder of the tests, outside of the repository.
"""

import functools
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.services import MissingService
from tests.services.binary import alone_in, cache_folder

VERSION = "4.10.3"


@functools.cache
def script() -> str:
    """Return its source, fetched if need be; raise MissingService if that fails."""
    home = cache_folder() / f"axe-core-{VERSION}.js"
    if not home.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise MissingService("no axe-core: npm, which fetches it, is not installed")
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            with alone_in(home.parent), tempfile.TemporaryDirectory(prefix="fetching-", dir=home.parent) as scratch:
                if not home.exists():
                    _fetch(npm, Path(scratch)).rename(home)
        except OSError as error:
            raise MissingService(f"no axe-core: fetching it failed: {error}") from error
    return home.read_text()


def _fetch(npm: str, folder: Path) -> Path:
    try:
        subprocess.run(
            [npm, "pack", f"axe-core@{VERSION}"], cwd=folder, check=True, capture_output=True, text=True, timeout=300
        )
    except subprocess.CalledProcessError as error:
        raise MissingService(f"no axe-core: npm could not fetch it: {error.stderr}") from error
    except subprocess.TimeoutExpired as error:
        raise MissingService("no axe-core: fetching it took too long") from error
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        fetched = folder / "axe.min.js"
        fetched.write_bytes(member.read())
    return fetched
