"""What was measured on, and what does a process cost there? Linux only: the answers are in /proc."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pymongo

from cronlite.version import VERSION
from tests.services.mongod import Mongod

_TICKS = os.sysconf("SC_CLK_TCK")


def resident_mb(field: str = "VmRSS", pid: int | str = "self") -> float:
    """Return the resident memory of a process in MB; its peak as "VmHWM"."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:")) / 1024


def resident_mb_of_tree(pid: int) -> float:
    """Return the resident memory in MB of a process and of all that it started, each as if it shared nothing."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    total, left = 0.0, [pid]
    while left:
        one = left.pop()
        total += resident_mb(pid=one)
        left += parents.get(one, [])
    return total


def forget_peak() -> None:
    """Let the peak of this process begin anew (proc(5), clear_refs), where that is allowed."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def cpu_seconds(pid: int | str = "self") -> float:
    """Return the CPU time of a process, its threads together."""
    # The name of the command, in parentheses, may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def load() -> str:
    """Return the mean number of processes at work in the last 1, 5 and 15 minutes."""
    return " ".join(f"{mean:.1f}" for mean in os.getloadavg())


def described(server: Mongod, peers: Mapping[str, str]) -> dict[str, str]:
    """Tell of machine and versions, for the head of the table."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    with server.client() as client:
        mongodb = client.server_info()["version"]
        cache = client.admin.command("serverStatus")["wiredTiger"]["cache"]["maximum bytes configured"]
    return {
        "machine": f"{os.cpu_count()} cores, {int(memory.split()[1]) / 2**20:.0f} GB, {_processor()}",
        "load": f"{load()} when it began",
        "system": f"{platform.system()} {platform.release()}",
        "cronlite": VERSION,
        "Python": platform.python_version(),
        "pymongo": pymongo.version,
        "SQLite": sqlite3.sqlite_version,
        "MongoDB": f"{mongodb}, replica set of one on this machine, cache {cache / 2**30:.2g} GB",
        **peers,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
