"""Does a daemon hear at once of what another process queues in the file, and does a lost ring cost only time?"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cronlite.documents import runs, transitions
from cronlite.store import sqlite
from cronlite.store.contract import ClaimQuery
from cronlite.store.sqlite import SqliteStore
from cronlite.store.sqlite import bell as bells
from cronlite.store.sqlite.bell import Bell
from tests.store.samples import LANE, NOW, a_run, a_run_in, a_running, add, claimed
from tests.waiting import wait_until

Open = Callable[[], SqliteStore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cronlite.db"


@pytest.fixture
def open_one(path: Path) -> Iterator[Open]:
    with contextlib.ExitStack() as opened:

        def opens() -> SqliteStore:
            return opened.enter_context(contextlib.closing(SqliteStore(path)))

        yield opens


@pytest.fixture
def only_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at the file, so that what is heard is a ring."""
    monkeypatch.setattr(SqliteStore, "_was_queued", lambda _: False)
    monkeypatch.setattr(sqlite, "_LOOK_SECONDS_HEARING", 600)


def sockets(path: Path) -> list[str]:
    folder = Path(f"{path}-bells")
    return sorted(name.name for name in folder.iterdir()) if folder.is_dir() else []


@contextlib.contextmanager
def watching(store: SqliteStore, path: Path, seconds: float = 60) -> Iterator[list[bool]]:
    """Watch in a thread that has bound its socket; gather what each watch answers, of which there is one."""
    before, heard = set(sockets(path)), list[bool]()
    thread = threading.Thread(target=lambda: heard.append(store.watch(seconds)))
    thread.start()
    wait_until(lambda: set(sockets(path)) - before or heard)
    yield heard
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.usefixtures("only_bells")
@pytest.mark.parametrize("what", ["added", "retried", "released"])
def test_whatever_comes_into_the_queue_rings(open_one: Open, path: Path, what: str) -> None:
    writer, listener = open_one(), open_one()
    run, waiting = a_running("busy"), a_run_in(LANE, run_at=None)
    add(writer, run, waiting)
    with watching(listener, path) as heard:
        if what == "added":
            add(writer, a_run(run_at=NOW))
        elif what == "retried":
            assert writer.change_runs([(run, transitions.queued_again(NOW))]) == set()
        else:
            assert writer.release_lanes(NOW) == 1
    assert heard == [True]


@pytest.mark.usefixtures("only_bells")
def test_what_comes_to_its_end_rings_nobody(open_one: Open, path: Path) -> None:
    writer, listener = open_one(), open_one()
    run = a_run()
    add(writer, run)
    with watching(listener, path, 0.2):
        writer.claim_runs("d1", ClaimQuery(["extract"], NOW, 5))
        writer.change_runs([(claimed(run), transitions.closed(runs.SUCCEEDED, NOW))])
    assert listener._bell is not None
    assert not listener._bell.wait(0)


@pytest.mark.usefixtures("only_bells")
def test_a_thousand_rings_wake_once(open_one: Open, path: Path) -> None:
    writer, listener = open_one(), open_one()
    add(writer, a_run())
    with watching(listener, path) as heard:
        for _ in range(1_000):
            writer._ring()
    assert heard == [True]
    assert listener._bell is not None
    while listener._bell.wait(0):
        pass
    assert not listener._bell.wait(0)


@pytest.mark.usefixtures("only_bells")
def test_the_end_of_a_store_ends_its_wait_and_leaves_nothing_behind(open_one: Open, path: Path) -> None:
    store = open_one()
    add(store, a_run())
    with watching(store, path) as heard:
        store.close()
    assert heard == [False]
    assert not Path(f"{path}-bells").exists()


def test_a_lost_ring_is_made_up_for_by_a_look_at_the_file(
    open_one: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, listener = open_one(), open_one()
    listener.watch(0)
    monkeypatch.setattr(writer, "_ring", lambda: None)
    with watching(listener, path) as heard:
        add(writer, a_run())
    assert heard == [True]
    assert listener._doubts_until > 0, "and who could not ring may come again"


def test_the_socket_of_a_dead_process_is_deleted_by_the_next_ring(open_one: Open, path: Path) -> None:
    writer = open_one()
    add(writer, a_run())
    left = "from pathlib import Path; from cronlite.store.sqlite.bell import Bell; import os;"
    left += f" bell = Bell(Path({str(path)!r})); assert bell.listen(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", left], check=False)
    assert len(sockets(path)) == 1
    Path(f"{path}-bells", "bell-notes").write_text("no socket")
    writer._ring()
    assert sockets(path) == ["bell-notes"], "what is no socket is not cronlite's to delete"


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o640])
def test_whoever_may_write_the_file_may_ring_and_nobody_else(path: Path, open_one: Open, mode: int) -> None:
    add(open_one(), a_run())
    path.chmod(mode)
    bell = Bell(path)
    assert bell.listen()
    folder = Path(f"{path}-bells")
    (found,) = folder.iterdir()
    enters = {0o600: 0o700, 0o660: 0o770, 0o640: 0o740}[mode]
    assert (stat.S_IMODE(found.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (mode, enters)
    bell.close()


def test_a_link_in_the_place_of_the_folder_is_not_followed(path: Path, open_one: Open, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stranger = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    stranger.bind(str(elsewhere / "bell-1"))
    stranger.setblocking(False)
    Path(f"{path}-bells").symlink_to(elsewhere)
    store = open_one()
    add(store, a_run())
    assert not Bell(path).listen()
    assert [name.name for name in elsewhere.iterdir()] == ["bell-1"]
    with pytest.raises(BlockingIOError):
        stranger.recv(1)
    stranger.close()
    assert store.watch(0), "it looks at the file instead"


def test_a_path_longer_than_a_sockets_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    path = folder / "cronlite.db"
    with contextlib.closing(SqliteStore(path)) as store, contextlib.closing(SqliteStore(path)) as other:
        add(store, a_run())
        bell = Bell(path)
        assert bell.listen() is Path("/proc/self/fd").is_dir()
        add(other, a_run())
        assert bell.wait(60) or not bell.is_bound
        bell.close()


def test_without_descriptors_in_proc_a_long_path_is_looked_at_and_a_short_one_rings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bells, "_BY_DESCRIPTOR", "/nowhere")
    with tempfile.TemporaryDirectory() as short:
        for path, heard in ((Path(short) / ("a" * 100) / "c.db", False), (Path(short) / "c.db", True)):
            path.parent.mkdir(exist_ok=True)
            with contextlib.closing(SqliteStore(path)) as store:
                add(store, a_run())
                bell = Bell(path)
                assert bell.listen() is heard
                store._ring()
                assert bell.wait(0) is heard
                bell.close()


def test_a_socket_that_somebody_deleted_is_bound_again(path: Path, open_one: Open) -> None:
    add(open_one(), a_run())
    bell = Bell(path)
    assert bell.listen()
    for name in sockets(path):
        Path(f"{path}-bells", name).unlink()
    assert bell.listen()
    assert len(sockets(path)) == 1
    bell.close()


def test_a_folder_that_cannot_be_made_leaves_the_looks(path: Path, open_one: Open) -> None:
    writer, listener = open_one(), open_one()
    add(writer, a_run())
    Path(f"{path}-bells").write_text("a file in its place")
    listener.watch(0)
    assert listener._bell is not None
    assert not listener._bell.is_bound
    add(writer, a_run())
    assert listener.watch(60)


def test_a_child_that_was_forked_off_leaves_its_parents_socket_alone(path: Path, open_one: Open) -> None:
    store = open_one()
    add(store, a_run())
    assert store._bell is not None
    assert store._bell.listen()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os._exit(0 if not store._bell.is_bound and len(sockets(path)) == 1 else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    open_one()._ring()
    assert store._bell.wait(60)
