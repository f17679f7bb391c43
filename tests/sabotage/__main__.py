"""Break one line after the other, and print whether the tests noticed."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.sabotage.acts import ACTS, Sabotage
from tests.services.mongod import Mongod, existing_server

ROOT = Path(__file__).parents[2]
COPIED = ("cronlite", "tests", "deploy", "pyproject.toml", "README.md", "LICENSE")
FAILED = 1
LIMIT_SECONDS = 600


class Told(NamedTuple):
    """What became of one sabotage."""

    act: Sabotage
    noticed: bool
    by: str
    seconds: float


def main() -> None:
    """Break what was chosen; exit with 1 when something went unnoticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sabotage", description=main.__doc__)
    parser.add_argument("words", nargs="*", help="only those with one of these words in file or promise")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1, metavar="N", help="so many at a time")
    asked = parser.parse_args()
    chosen = [
        act for act in ACTS if not asked.words or any(word in f"{act.file} {act.promise}" for word in asked.words)
    ]
    require_anchors(chosen)
    with ExitStack() as opened:
        environment = dict(os.environ)
        if existing_server() is None:
            server = opened.enter_context(Mongod(parameters={"ttlMonitorEnabled": 0}))
            environment["CRONLITE_TEST_MONGO_URI"] = server.uri_of("")
        require_green({act.tests for act in chosen}, environment, asked.j)
        unnoticed = 0
        with ThreadPoolExecutor(asked.j) as threads:
            for told in threads.map(lambda act: tried(act, environment), chosen):
                unnoticed += not told.noticed
                what = f"noticed by {told.by}" if told.noticed else "NOT NOTICED"
                print(f"{told.seconds:5.0f} s  {told.act.file:<24}  {told.act.promise:<50}  {what}", flush=True)
    print(f"{len(chosen)} lines broken, {unnoticed} unnoticed")
    sys.exit(unnoticed > 0)


def require_anchors(acts: Iterable[Sabotage]) -> None:
    """Exit where a file no longer has just one place with the text to be broken: the core was changed meanwhile."""
    counts = {act: (ROOT / "cronlite" / act.file).read_text().count(act.right) for act in acts}
    gone = [f"{act.file}: {act.right!r} is there {count} times" for act, count in counts.items() if count != 1]
    if gone:
        sys.exit("\n".join(["mend these in tests/sabotage/acts.py:", *gone]))


def require_green(tests: Iterable[str], environment: Mapping[str, str], at_once: int) -> None:
    """Exit where tests are red before anything is broken: they would tell nothing."""
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        with ThreadPoolExecutor(at_once) as threads:
            done = list(threads.map(lambda chosen: (chosen, run(chosen, Path(folder), environment)), sorted(tests)))
    red = [f"{chosen}\n{told.stdout[-2_000:]}{told.stderr[-2_000:]}" for chosen, told in done if told.returncode != 0]
    if red:
        sys.exit("\n".join(["red before anything is broken:", *red]))


def tried(act: Sabotage, environment: Mapping[str, str]) -> Told:
    """Break a line in a copy, and run the tests that are to notice."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        file = Path(folder) / "cronlite" / act.file
        file.write_text(file.read_text().replace(act.right, act.wrong))
        done = run(act.tests, Path(folder), environment)
    if done.returncode not in (0, FAILED):
        sys.exit(f"{act}: pytest ended with {done.returncode}\n{done.stdout[-3_000:]}{done.stderr[-3_000:]}")
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    by = failed[0].removeprefix("tests/") if failed else ""
    return Told(act, done.returncode == FAILED, by, time.monotonic() - begun)


def copy(folder: Path) -> None:
    """Copy what the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def run(tests: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy, up to the first that fails."""
    chosen = [word for word in shlex.split(tests) if not word.startswith("tests/") or (folder / word).exists()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-cov", *chosen]
    return subprocess.run(
        command,
        cwd=folder,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


if __name__ == "__main__":
    main()
