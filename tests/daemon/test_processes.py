"""`cronlite run --processes N`: several daemons that start, end and are told of as one service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from cronlite import Cronlite
from cronlite.daemon.processes import Child
from tests.cli.conftest import Typed
from tests.daemon.as_service import ALIVE, READY, STOPPING, Service, Systemd
from tests.waiting import wait_until

TWO = ("--processes", "2")
QUICKLY = """
import cronlite.daemon.minutes as minutes, cronlite.daemon.processes as processes
minutes.LONGEST_WAIT_SECONDS = 0.2
processes.ALIVE_SECONDS, processes.SILENT_SECONDS = 5, 10
"""


SIGNALLED_AT_ITS_END = """
import atexit, os, signal
if "CRONLITE_LINE_TO_PARENT" in os.environ:
    atexit.register(os.kill, os.getpid(), signal.SIGTERM)
"""
SIGNALLED_AT_ITS_START = """
import os, signal
if "CRONLITE_LINE_TO_PARENT" in os.environ:
    number, line, _ = map(int, os.environ["CRONLITE_LINE_TO_PARENT"].split(","))
    if number == 1:
        os.kill(os.getppid(), signal.SIGTERM)
    os.read(line, 1)  # the parent has said stop
    os.kill(os.getpid(), signal.SIGTERM)
"""


def pids(service: Service) -> set[int]:
    """Return the processes of the daemons alive on the store's list."""
    return {daemon["pid"] for daemon in Typed(service.uri).json("status")["daemons"] if daemon["alive"]}


def is_at_work(pid: int) -> bool:
    """Tell whether a process is there; one that has ended and waits for init to take note of it is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ended(service: Service, *among: int) -> None:
    wait_until(lambda: not any(map(is_at_work, among)), what="all have ended", instead=service.log.read_text)


def started(service: Service, systemd: Systemd, *options: str) -> set[int]:
    service.start(*TWO, *options)
    systemd.hears(READY, "2 of 2 processes ready")
    found = pids(service)
    assert len(found) == 2
    assert service.pid not in found
    return found


def test_they_are_one_service_and_drain_at_a_signal(service: Service, systemd: Systemd) -> None:
    children = started(service, systemd)
    run = service.is_busy()
    service.signal()
    systemd.hears(STOPPING)
    service.let_go()
    assert service.wait() == 0, service.log.read_text()
    assert service.run_of(run.id).state == "succeeded"
    ended(service, *children)
    states = [state for state in systemd.states() if state in (READY, STOPPING)]
    assert states == [READY, STOPPING]
    told = service.log.read_text().splitlines()
    assert {1, 2} == {number for number in (1, 2) for line in told if line.endswith(f" process={number}")}


def test_one_that_is_killed_is_started_again_and_no_sign_of_life_is_given_meanwhile(
    service: Service, systemd: Systemd
) -> None:
    service.program = QUICKLY + service.program
    before = started(service, systemd)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: any("SIGKILL" in state for state in systemd.states()), what="systemd hears of it")
    heard = len(systemd.heard)
    again = systemd.hears(ALIVE, "2 of 2 processes ready", after=heard)
    assert ALIVE not in [message[0] for message in systemd.heard[heard : again - 1]]
    assert "has ended by SIGKILL; another is started in 1 s" in service.log.read_text()
    assert systemd.states().count(READY) == 1
    assert not Path(f"/proc/{victim}").exists(), "a zombie is left"
    assert len(pids(service) - before) == 1


def test_one_that_hangs_is_killed_and_started_again(service: Service, systemd: Systemd) -> None:
    service.program = QUICKLY.replace("= 5, 10", "= 1, 2") + service.program
    victim = min(started(service, systemd))
    os.kill(victim, signal.SIGSTOP)
    heard = len(systemd.listen())
    wait_until(lambda: not is_at_work(victim), what="the silent one is killed")
    assert "it is killed" in service.log.read_text()
    systemd.hears(ALIVE, "2 of 2 processes ready", after=heard)


def test_none_outlives_a_parent_that_is_killed(service: Service, systemd: Systemd) -> None:
    children = started(service, systemd)
    service.signal(signal.SIGKILL)
    service.wait()
    ended(service, *children)
    with Cronlite(service.uri) as cron:
        assert cron.store.daemons() == [], "they did not stop in order"


def test_a_second_signal_ends_all_at_once(service: Service, systemd: Systemd) -> None:
    children = started(service, systemd, "--drain-seconds", "3600")
    service.is_busy()
    service.signal()
    systemd.hears(STOPPING)
    service.signal()
    assert service.wait() == 1
    ended(service, *children)


def test_a_signal_to_each_of_them_is_one_signal(service: Service, systemd: Systemd) -> None:
    """As of a terminal's Ctrl-C, or of systemd with KillMode=control-group."""
    children = started(service, systemd)
    run = service.is_busy()
    for pid in (service.pid, *children):
        os.kill(pid, signal.SIGTERM)
    systemd.hears(STOPPING)
    wait_until(lambda: service.log.read_text().count("nothing more is claimed") == 2, what="both drain")
    service.let_go()
    assert service.wait() == 0, service.log.read_text()
    assert service.run_of(run.id).state == "succeeded"


def test_a_signal_to_one_that_has_stopped_already_changes_nothing(service: Service, systemd: Systemd) -> None:
    """Whoever sends it to each comes to the last of them when those that had nothing to do have gone."""
    service.program = SIGNALLED_AT_ITS_END + service.program
    started(service, systemd)
    service.signal()
    assert service.wait() == 0, service.log.read_text()


def test_a_signal_to_one_that_has_just_been_started_is_no_failure(service: Service, systemd: Systemd) -> None:
    service.program = SIGNALLED_AT_ITS_START + service.program
    service.start(*TWO)
    wait_until(lambda: "SIGTERM received" in service.log.read_text(), what="the parent stops all")
    assert service.wait() == 0, service.log.read_text()


def test_what_only_a_person_can_mend_ends_all_with_2(service: Service) -> None:
    service.uri = "memory:"  # which they would not share
    service.start(*TWO)
    assert service.wait() == 2, service.log.read_text()


def test_without_standard_streams_they_run(service: Service, systemd: Systemd) -> None:
    service.shell = 'exec "$0" "$@" <&- >&- 2>&-'
    started(service, systemd)
    run = service.is_busy()
    service.let_go()
    wait_until(lambda: service.run_of(run.id).state == "succeeded", what="the run")
    assert service.run_of(run.id).output == "held\nwith an eye on it\n"
    service.signal(signal.SIGHUP)
    assert service.wait() == 0


def test_the_pause_before_another_start_grows() -> None:
    child = Child(1)
    assert [child.pause() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


LINES = """
import sys
from cronlite.daemon.whole_lines import one_at_a_time
stream = one_at_a_time(sys.stdout, int(sys.argv[1]))
for _ in range(20):
    print(sys.argv[2] * 200_000, file=stream)
"""


def test_lines_longer_than_a_pipe_holds_are_not_mixed() -> None:
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as lock:
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", LINES, str(lock.fileno()), letter], stdout=writer, pass_fds=[lock.fileno()]
            )
            for letter in "abc"
        ]
        os.close(writer)
        with os.fdopen(reader) as lines:
            found = [line.rstrip("\n") for line in lines]
    assert [one.wait() for one in writers] == [0, 0, 0]
    assert sorted(set(found)) == [letter * 200_000 for letter in "abc"]
    assert len(found) == 60
